//! A sample as JSON: every key of Ceilometer's samples but the signature, in its order.

use std::sync::Arc;

use super::id::Ids;
use crate::contract::{Column, Values};
use crate::discovery::Resources;
use crate::json;
use crate::pipeline::{NoteColumn, Samples, Slot};

/// What samples say about where they come from.
const SOURCE: &str = "openstack";

/// Writes the samples of slots, one after the other.
#[derive(Debug)]
pub struct Encoder<'a> {
    ids: &'a Ids,
    resources: Arc<Resources>,
    notes: String,
}

/// The parts of a sample that all samples of a meter at one time share.
struct Shared {
    before_volume: String,
    /// From the timestamp's value to the metadata.
    timestamp: String,
    after_id: String,
}

// === impl Encoder ===

impl<'a> Encoder<'a> {
    /// An encoder for a slot.
    pub fn new(slot: &Slot, ids: &'a Ids) -> Self {
        Self { ids, resources: Arc::clone(&slot.resources), notes: String::new() }
    }

    /// Appends each sample to `out`, and calls `each` after each.
    pub fn write<E>(
        &mut self,
        samples: &Samples,
        out: &mut String,
        mut each: impl FnMut(&mut String) -> Result<(), E>,
    ) -> Result<(), E> {
        let shared = Shared::of(samples);
        let mut cursors = vec![0; samples.notes.len()];
        for (row, number) in samples.column.resources.iter().enumerate() {
            let Some(resource) = self.resources.get(*number) else { continue };
            let label = &resource.label;
            out.push_str(&shared.before_volume);
            volume(out, &samples.column, row);
            out.push_str(", \"user_id\": ");
            json::optional(out, label.user.as_deref());
            out.push_str(", \"user_name\": null, \"project_id\": ");
            json::optional(out, label.project.as_deref());
            out.push_str(", \"project_name\": null, \"resource_id\": ");
            json::string(out, &label.id);
            out.push_str(&shared.timestamp);
            self.notes.clear();
            for (note, cursor) in samples.notes.iter().zip(&mut cursors) {
                write_note(&mut self.notes, note, *number, cursor);
            }
            label.metadata.write(out, &self.notes);
            out.push_str(", \"message_id\": \"");
            let mut buffer = uuid::Uuid::encode_buffer();
            let id = self.ids.id(samples.first_id + row as u64);
            out.push_str(id.hyphenated().encode_lower(&mut buffer));
            out.push_str(&shared.after_id);
            each(out)?;
        }
        Ok(())
    }
}

// === impl Shared ===

impl Shared {
    fn of(samples: &Samples) -> Self {
        let mut before_volume = String::from("{\"source\": ");
        json::string(&mut before_volume, SOURCE);
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
        let timestamp = format!(", \"timestamp\": \"{}\", \"resource_metadata\": ", isoformat(samples.at.wall));
        let mut after_id = String::from("\", \"monotonic_time\": ");
        match samples.at.monotonic {
            Some(at) => json::real(&mut after_id, seconds(at)),
            None => after_id.push_str("null"),
        }
        after_id.push('}');
        Self { before_volume, timestamp, after_id }
    }
}

#[allow(clippy::cast_precision_loss, reason = "nanoseconds since the start, as seconds: exact for 104 days")]
fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

/// Nanoseconds since 1970 as Python's `isoformat` writes a time without a zone: no fraction where there is none.
pub fn isoformat(wall: i64) -> String {
    let microseconds = wall.div_euclid(1000);
    let Ok(time) = jiff::Timestamp::from_microsecond(microseconds) else { return String::new() };
    let time = jiff::tz::TimeZone::UTC.to_datetime(time);
    let fraction = microseconds.rem_euclid(1_000_000);
    let (date, clock) = (time.date(), time.time());
    let whole = format!("{date}T{:02}:{:02}:{:02}", clock.hour(), clock.minute(), clock.second());
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
