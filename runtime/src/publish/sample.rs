//! Samples of a record, whether they were measured or handed in to be delivered again.

use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use super::encode::{Encoder, Shared};
use crate::discovery::label::{self, Label};
use crate::json;
use crate::pipeline::Slot;
use crate::spool::Delivery;
use crate::spool::record::Content;

/// What a sample says. Numbers and metadata are JSON.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// `source`
    pub source: &'a str,
    /// The sink whose transformers made it, if it is known that some did.
    pub sink: Option<&'a str>,
    /// `counter_name`
    pub name: &'a str,
    /// `counter_type`
    pub kind: &'a str,
    /// `counter_unit`
    pub unit: &'a str,
    /// `counter_volume`
    pub volume: &'a str,
    /// `user_id`
    pub user_id: Option<&'a str>,
    /// `user_name`
    pub user_name: Option<&'a str>,
    /// `project_id`
    pub project_id: Option<&'a str>,
    /// `project_name`
    pub project_name: Option<&'a str>,
    /// `resource_id`
    pub resource_id: &'a str,
    /// `timestamp`
    pub timestamp: &'a str,
    /// `resource_metadata`
    pub metadata: Metadata<'a>,
    /// `message_id`
    pub message_id: &'a str,
    /// `monotonic_time`, or `null`.
    pub monotonic_time: &'a str,
    /// The timestamp in nanoseconds since 1970.
    pub at: i64,
    /// What many samples of the record share, if it was measured.
    pub label: Option<&'a Arc<Label>>,
}

/// A sample's metadata.
#[derive(Debug, Clone, Copy)]
pub enum Metadata<'a> {
    /// What its resource has, and entries of the sample's own.
    Shared(&'a label::Metadata, &'a str),
    /// As it was handed in.
    Given(&'a str),
}

// === impl Sample ===

impl Sample<'_> {
    /// Hands out samples of a record by their places among all of it, in order.
    pub fn each(record: &Delivery, places: Range<usize>, mut each: impl FnMut(&Sample<'_>)) {
        match &record.content {
            Content::Slot(slot) => measured(slot, places, &mut each),
            Content::Replayed { samples, .. } => {
                for sample in samples.get(places).unwrap_or_default() {
                    given(sample, record.time, &mut each);
                }
            }
        }
    }

    /// Whether it was handed in to be delivered again.
    pub fn is_replayed(&self) -> bool {
        self.label.is_none()
    }

    /// Appends what all forms in JSON say alike, from the volume, behind its key, to the metadata.
    pub fn write_middle(&self, out: &mut String) {
        out.push_str(self.volume);
        json::entry(out, ", \"user_id\": ", self.user_id);
        json::entry(out, ", \"user_name\": ", self.user_name);
        json::entry(out, ", \"project_id\": ", self.project_id);
        json::entry(out, ", \"project_name\": ", self.project_name);
        json::entry(out, ", \"resource_id\": ", Some(self.resource_id));
        json::entry(out, ", \"timestamp\": ", Some(self.timestamp));
        out.push_str(", \"resource_metadata\": ");
        self.metadata.write(out);
    }
}

fn measured(slot: &Slot, places: Range<usize>, each: &mut impl FnMut(&Sample<'_>)) {
    let mut encoder = Encoder::new(slot);
    let mut begin = 0;
    for samples in &slot.samples {
        let end = begin + samples.column.len();
        let part = places.start.max(begin)..places.end.min(end);
        if !part.is_empty() {
            let shared = Shared::of(samples);
            let Ok(()) = encoder.rows::<Infallible>(samples, part.start - begin..part.end - begin, |row| {
                let label = &row.resource.label;
                each(&Sample {
                    source: &shared.source,
                    sink: samples.sink.as_deref(),
                    name: &samples.meter.name,
                    kind: samples.meter.kind.word(),
                    unit: &samples.meter.unit,
                    volume: row.volume,
                    user_id: label.user.as_deref(),
                    user_name: None,
                    project_id: label.project.as_deref(),
                    project_name: None,
                    resource_id: &label.id,
                    timestamp: &shared.timestamp,
                    metadata: Metadata::Shared(&label.metadata, row.notes),
                    message_id: row.id,
                    monotonic_time: &shared.monotonic_time,
                    at: samples.at.wall,
                    label: Some(label),
                });
                Ok(())
            });
        }
        begin = end;
    }
}

/// A sample as it was written. What it lacks is empty.
fn given(sample: &str, written: i64, each: &mut impl FnMut(&Sample<'_>)) {
    let sample: Value = serde_json::from_str(sample).unwrap_or_default();
    let text = |key: &str| sample.get(key).and_then(Value::as_str);
    let json = |key: &str| {
        let mut out = String::new();
        json::value(&mut out, sample.get(key).unwrap_or(&Value::Null));
        out
    };
    let timestamp = text("timestamp").unwrap_or_default();
    each(&Sample {
        source: text("source").unwrap_or_default(),
        sink: None,
        name: text("counter_name").unwrap_or_default(),
        kind: text("counter_type").unwrap_or_default(),
        unit: text("counter_unit").unwrap_or_default(),
        volume: &json("counter_volume"),
        user_id: text("user_id"),
        user_name: text("user_name"),
        project_id: text("project_id"),
        project_name: text("project_name"),
        resource_id: text("resource_id").unwrap_or_default(),
        timestamp,
        metadata: Metadata::Given(&json("resource_metadata")),
        message_id: text("message_id").unwrap_or_default(),
        monotonic_time: &json("monotonic_time"),
        at: nanoseconds(timestamp).unwrap_or(written),
        label: None,
    });
}

/// A timestamp as Ceilometer writes it, with or without a zone.
fn nanoseconds(timestamp: &str) -> Option<i64> {
    let time = timestamp.parse::<jiff::Timestamp>().ok().or_else(|| {
        let time = timestamp.parse::<jiff::civil::DateTime>().ok()?;
        jiff::tz::TimeZone::UTC.to_timestamp(time).ok()
    });
    i64::try_from(time?.as_nanosecond()).ok()
}

// === impl Metadata ===

impl Metadata<'_> {
    /// Appends the JSON.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Shared(metadata, notes) => metadata.write(out, notes),
            Self::Given(json) => out.push_str(json),
        }
    }
}
