//! Samples and failures as lines of JSON, which people compare and keep in version control.

use std::convert::Infallible;

use serde_json::Value;

use crate::json;
use crate::pipeline::Slot;
use crate::publish::encode::Encoder;
use crate::sandbox::{Cause, Failure};

/// A line for each sample of a slot, meter by meter.
pub fn of_slot(number: u32, slot: &Slot) -> Vec<String> {
    let (mut lines, mut encoder) = (Vec::with_capacity(slot.len()), Encoder::new(slot));
    for samples in &slot.samples {
        let meter = &samples.meter;
        let written = encoder.rows(samples, 0..samples.column.len(), |row| {
            let mut line = format!("{{\"slot\": {number}");
            let label = &row.resource.label;
            for (key, text) in [
                ("meter", meter.name.as_str()),
                ("type", meter.kind.word()),
                ("unit", &meter.unit),
                ("guest", &label.about.display_name),
                ("resource", &label.id),
            ] {
                line.push_str(&format!(", \"{key}\": "));
                json::string(&mut line, text);
            }
            line.push_str(&format!(", \"volume\": {}", row.volume));
            if !row.notes.is_empty() {
                line.push_str(&format!(", \"notes\": {{{}}}", row.notes));
            }
            line.push('}');
            lines.push(line);
            Ok::<(), Infallible>(())
        });
        match written {
            Ok(()) => {}
            Err(never) => match never {},
        }
    }
    lines
}

/// A line for a failure; slot 0 is before the first one, when the module is asked what it gives.
pub fn failure(slot: u32, failure: &Failure, resources: u32) -> String {
    let mut line = format!("{{\"slot\": {slot}, \"failed\": \"{}\", \"resources\": {resources}", failure.cause);
    // Where a trap was hit changes with every line of the module.
    if failure.cause != Cause::Trap {
        line.push_str(", \"detail\": ");
        json::string(&mut line, failure.detail.lines().next().unwrap_or_default());
    }
    line.push('}');
    line
}

/// Lines that were written here.
pub fn parse(lines: &[String]) -> Vec<Value> {
    lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
