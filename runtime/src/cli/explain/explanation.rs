//! What is said about a meter of a guest.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::guest::Guest;
use super::reason::{Failed, Why};
use super::source::Wanting;
use super::statistic::{self, Statistic};
use crate::agent::report::ModuleReport;
use crate::clock::{Moment, SECOND};
use crate::pipeline::Slot;
use crate::publish::encode;
use crate::sandbox::World;

/// Where a value comes from, and why there is none.
#[derive(Debug, Default, Serialize)]
pub struct Explanation {
    /// The meter that was asked for.
    pub meter: String,
    /// The guest that was asked for.
    pub asked: String,
    /// The guest that this is.
    pub guest: Option<Guest>,
    /// Why the daemon gives no value; nothing if it does.
    pub reasons: Vec<Why>,
    /// Slots that were measured.
    pub slots: u32,
    /// Its samples in the last slot.
    pub samples: Vec<Sample>,
    /// The module that gives the meter.
    pub module: Option<Giver>,
    /// What a transformer was handed of this guest.
    pub inputs: Vec<Sample>,
    /// What pollsters read for it.
    pub statistics: Vec<Statistic>,
    /// Drives that are not measured, because they have no medium.
    pub empty_drives: Vec<String>,
    /// Sources that want it.
    pub sources: Vec<Wanting>,
    /// Meters that may have been meant.
    pub near: Vec<String>,
    /// Guests that may have been meant.
    pub guests: Vec<Guest>,
    /// How many guests there are of which these are the first.
    pub of_guests: usize,
}

/// A sample.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// The meter.
    pub meter: String,
    /// The module that gave it.
    pub module: Arc<str>,
    /// The resource.
    pub resource: String,
    /// The name of the device; empty for the guest as a whole.
    pub device: String,
    /// The volume.
    pub volume: Value,
    /// Its unit.
    pub unit: String,
    /// Gauge, delta or cumulative.
    pub r#type: &'static str,
    /// When it was read.
    pub timestamp: String,
    /// How long ago that is, in seconds.
    pub age: f64,
}

/// The module that gives the meter, and what it took in the last slot.
#[derive(Debug, Clone, Serialize)]
pub struct Giver {
    /// Its name.
    pub name: Arc<str>,
    /// Its file; `None` for a built-in one.
    pub file: Option<String>,
    /// Pollster or transformer.
    pub world: World,
    /// What it took, if it ran.
    pub took: Option<Took>,
    /// How it and the pollsters before it failed.
    pub failed: Vec<Failed>,
}

/// What a module took.
#[derive(Debug, Clone, Serialize)]
pub struct Took {
    /// Fuel.
    pub fuel: u64,
    /// Resources of a pollster, input samples of a transformer.
    pub handed: u32,
    /// Fuel for each of them.
    pub fuel_each: u64,
    /// Milliseconds.
    pub milliseconds: f64,
}

// === impl Sample ===

impl Sample {
    /// The samples of a guest of these meters.
    pub fn of(slot: &Slot, root: u32, now: Moment, is_it: impl Fn(&str) -> bool) -> Vec<Self> {
        let mut found = Vec::new();
        for samples in slot.samples.iter().filter(|samples| is_it(&samples.meter.name)) {
            for (row, number) in samples.column.resources.iter().enumerate() {
                let Some(resource) = slot.resources.get(*number).filter(|resource| resource.root == root) else {
                    continue;
                };
                found.push(Self {
                    meter: samples.meter.name.clone(),
                    module: Arc::clone(&samples.module),
                    resource: resource.label.id.clone(),
                    device: resource.label.device.clone(),
                    volume: statistic::value(&samples.column, row),
                    unit: samples.meter.unit.clone(),
                    r#type: samples.meter.kind.word(),
                    timestamp: encode::isoformat(samples.at.wall),
                    age: seconds(now.wall.saturating_sub(samples.at.wall)),
                });
            }
        }
        found
    }
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn seconds(nanoseconds: i64) -> f64 {
    nanoseconds as f64 / SECOND as f64
}

// === impl Took ===

impl Took {
    /// What a report says.
    pub fn of(report: &ModuleReport) -> Self {
        Self {
            fuel: report.fuel,
            handed: report.resources,
            fuel_each: report.fuel / u64::from(report.resources.max(1)),
            milliseconds: report.took.as_secs_f64() * 1e3,
        }
    }
}

// === impl Explanation ===

impl Explanation {
    /// One object, which begins with the word of the first reason.
    pub fn json(&self) -> Value {
        let mut object = serde_json::json!({ "reason": self.reasons.first().map(|why| why.reason) });
        if let (Some(object), Ok(Value::Object(rest))) = (object.as_object_mut(), serde_json::to_value(self)) {
            object.extend(rest);
        }
        object
    }
}
