//! A sample as JSON: every key of Ceilometer's samples but the signature, in its order.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::contract::{Column, Values};
use crate::discovery::resource::Resource;
use crate::discovery::{Label, Resources};
use crate::json;
use crate::pipeline::{NoteColumn, Samples, Slot};

/// What stands between the timestamp and the metadata.
pub const BEFORE_METADATA: &str = "\", \"resource_metadata\": ";
/// What stands between the metadata and the message id.
pub const BEFORE_ID: &str = ", \"message_id\": \"";
/// What stands between the message id and the time on the clock that only runs forwards.
pub const BEFORE_MONOTONIC_TIME: &str = "\", \"monotonic_time\": ";

/// Writes the samples of slots, one after the other.
#[derive(Debug)]
pub struct Encoder {
    resources: Arc<Resources>,
    volume: String,
    notes: String,
}

/// What all samples of a meter at one time share, as JSON.
#[derive(Debug)]
pub struct Shared {
    /// Where they come from.
    pub source: Cow<'static, str>,
    /// From the beginning to the volume.
    pub before_volume: String,
    /// The timestamp.
    pub timestamp: String,
    /// Seconds on the clock that only runs forwards, or `null`.
    pub monotonic_time: String,
}

/// What is a sample's own.
#[derive(Debug)]
pub struct Row<'a> {
    /// What it says about its resource.
    pub resource: &'a Resource,
    /// Its volume, as JSON.
    pub volume: &'a str,
    /// Entries of its metadata that its resource does not have, as JSON without braces.
    pub notes: &'a str,
    /// Its message id.
    pub id: &'a str,
}

// === impl Encoder ===

impl Encoder {
    /// An encoder for a slot.
    pub fn new(slot: &Slot) -> Self {
        Self { resources: Arc::clone(&slot.resources), volume: String::new(), notes: String::new() }
    }

    /// Appends each sample to `out`, and calls `each` after each.
    pub fn write<E>(
        &mut self,
        samples: &Samples,
        out: &mut String,
        mut each: impl FnMut(&mut String) -> Result<(), E>,
    ) -> Result<(), E> {
        let shared = Shared::of(samples);
        self.rows(samples, 0..samples.column.len(), |row| {
            shared.write_head(out, row);
            row.resource.label.metadata.write(out, row.notes);
            shared.write_tail(out, row);
            out.push('}');
            each(out)
        })
    }

    /// Hands out some samples, by their places.
    pub fn rows<E>(
        &mut self,
        samples: &Samples,
        places: Range<usize>,
        mut each: impl FnMut(&Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let first = samples.column.resources.get(places.start).copied().unwrap_or(u32::MAX);
        let start = |note: &NoteColumn| note.column.resources.partition_point(|number| *number < first);
        let mut cursors: Vec<usize> = samples.notes.iter().map(start).collect();
        for place in places {
            let number = samples.column.resources.get(place).copied();
            let Some((number, resource)) = number.and_then(|n| Some((n, self.resources.get(n)?))) else { continue };
            self.volume.clear();
            volume(&mut self.volume, &samples.column, place);
            self.notes.clear();
            for (note, cursor) in samples.notes.iter().zip(&mut cursors) {
                write_note(&mut self.notes, note, number, cursor);
            }
            let mut buffer = uuid::Uuid::encode_buffer();
            let id = samples.first_id.at(place);
            let id = id.hyphenated().encode_lower(&mut buffer);
            each(&Row { resource, volume: &self.volume, notes: &self.notes, id })?;
        }
        Ok(())
    }
}

// === impl Shared ===

impl Shared {
    /// What these samples share.
    pub fn of(samples: &Samples) -> Self {
        let source = samples.source();
        let mut before_volume = String::from("{\"source\": ");
        json::string(&mut before_volume, &source);
        for (key, value) in [
            ("counter_name", samples.meter.name.as_str()),
            ("counter_type", samples.meter.kind.word()),
            ("counter_unit", &samples.meter.unit),
        ] {
            before_volume.push_str(", \"");
            before_volume.push_str(key);
            before_volume.push_str("\": ");
            json::string(&mut before_volume, value);
        }
        before_volume.push_str(", \"counter_volume\": ");
        let mut monotonic_time = String::new();
        match samples.at.monotonic {
            Some(at) => json::real(&mut monotonic_time, seconds(at)),
            None => monotonic_time.push_str("null"),
        }
        Self { source, before_volume, timestamp: isoformat(samples.at.wall), monotonic_time }
    }

    /// Appends a sample up to its metadata.
    pub fn write_head(&self, out: &mut String, row: &Row<'_>) {
        out.push_str(&self.before_volume);
        out.push_str(row.volume);
        write_owner(out, &row.resource.label);
        out.push_str(&self.timestamp);
        out.push_str(BEFORE_METADATA);
    }

    /// Appends what follows the metadata, without the brace at the end.
    pub fn write_tail(&self, out: &mut String, row: &Row<'_>) {
        out.push_str(BEFORE_ID);
        out.push_str(row.id);
        out.push_str(BEFORE_MONOTONIC_TIME);
        out.push_str(&self.monotonic_time);
    }
}

/// Appends what stands between the volume and the timestamp.
pub fn write_owner(out: &mut String, label: &Label) {
    out.push_str(", \"user_id\": ");
    json::optional(out, label.user.as_deref());
    out.push_str(", \"user_name\": null, \"project_id\": ");
    json::optional(out, label.project.as_deref());
    out.push_str(", \"project_name\": null, \"resource_id\": ");
    json::string(out, &label.id);
    out.push_str(", \"timestamp\": \"");
}

#[allow(clippy::cast_precision_loss, reason = "nanoseconds since the start, as seconds: exact for 104 days")]
fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

/// Nanoseconds since 1970 as Python's `isoformat` writes a time without a zone: no fraction where there is none.
pub fn isoformat(wall: i64) -> String {
    datetime(wall, 'T')
}

/// The same with something else between date and time: with a blank, as Python's `str` writes it.
pub fn datetime(wall: i64, between: char) -> String {
    let microseconds = wall.div_euclid(1000);
    let Ok(time) = jiff::Timestamp::from_microsecond(microseconds) else { return String::new() };
    let time = jiff::tz::TimeZone::UTC.to_datetime(time);
    let fraction = microseconds.rem_euclid(1_000_000);
    let (date, clock) = (time.date(), time.time());
    let whole = format!("{date}{between}{:02}:{:02}:{:02}", clock.hour(), clock.minute(), clock.second());
    if fraction == 0 { whole } else { format!("{whole}.{fraction:06}") }
}

/// Appends the volume of a row.
pub fn volume(out: &mut String, column: &Column, row: usize) {
    match &column.values {
        Values::Counts(values) => {
            values.get(row).into_iter().for_each(|value| json::append(out, format_args!("{value}")));
        }
        Values::Integers(values) => {
            values.get(row).into_iter().for_each(|value| json::append(out, format_args!("{value}")));
        }
        Values::Reals(values) => values.get(row).into_iter().for_each(|value| json::real(out, *value)),
        Values::Interned(_) => out.push_str("null"),
    }
}

/// Appends a note's entry for a resource, if there is one. Rows ascend, so the cursor only goes forwards.
fn write_note(out: &mut String, note: &NoteColumn, number: u32, cursor: &mut usize) {
    while note.column.resources.get(*cursor).is_some_and(|at| *at < number) {
        *cursor += 1;
    }
    if note.column.resources.get(*cursor) != Some(&number) {
        return;
    }
    if !out.is_empty() {
        out.push_str(", ");
    }
    json::string(out, &note.key);
    out.push_str(": ");
    let Values::Interned(values) = &note.column.values else { return volume(out, &note.column, *cursor) };
    match values.get(*cursor).and_then(|value| note.texts.get(*value as usize)) {
        Some(text) if text.json => out.push_str(&text.text),
        Some(text) => json::string(out, &text.text),
        None => out.push_str("null"),
    }
}
