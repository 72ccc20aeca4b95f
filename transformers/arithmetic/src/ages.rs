//! How many samples wait, by the hour in which they were read.
//!
//! What waits is kept with its resource, and goes with it unseen. So whatever waited for a day is given up.

use std::collections::BTreeMap;

use scaling::LONGEST;
use wasmeter_sdk::{Call, Converting, Failure};

/// The ages of samples that wait.
#[derive(Debug)]
pub struct Ages {
    /// How many samples are of an hour since 1970.
    hours: BTreeMap<i64, u64>,
    /// The first hour whose samples still wait.
    first: i64,
    /// How this was saved.
    before: Vec<u8>,
}

/// An hour, in microseconds.
const HOUR: i64 = 3_600 * 1_000_000;

/// The name under which they are kept.
const NAME: &str = "hours";

// === impl Ages ===

impl Ages {
    /// Those that are kept.
    pub fn load(call: &Call<'_, Converting>) -> Self {
        let before = call.load_bytes(NAME).unwrap_or_default();
        let lines = std::str::from_utf8(&before).unwrap_or_default().lines();
        let of_hour = |line: &str| {
            let (hour, samples) = line.split_once(' ')?;
            Some((hour.parse().ok()?, samples.parse().ok()?))
        };
        let hours = lines.filter_map(of_hour).collect();
        let first = hour(call.read_at().wall.saturating_sub(LONGEST).div_euclid(1_000));
        Self { hours, first, before }
    }

    /// Whether a sample of this time, in microseconds, waits no longer.
    pub fn is_over(&self, time: i64) -> bool {
        hour(time) < self.first
    }

    /// A sample waits, or another one of its resource and meter instead.
    pub fn add(&mut self, time: i64, instead_of: Option<i64>) {
        if instead_of.is_none_or(|before| hour(before) != hour(time)) {
            instead_of.into_iter().for_each(|before| self.remove(before));
            let samples = self.hours.entry(hour(time)).or_insert(0);
            *samples = samples.saturating_add(1);
        }
    }

    /// A sample waits no longer.
    pub fn remove(&mut self, time: i64) {
        if let Some(samples) = self.hours.get_mut(&hour(time)) {
            *samples = samples.saturating_sub(1);
        }
    }

    /// How many waited for too long. They wait no longer.
    pub fn give_up(&mut self) -> u64 {
        let first = self.first;
        self.hours.extract_if(..first, |_, _| true).map(|(_, samples)| samples).sum()
    }

    pub fn save(mut self, call: &Call<'_, Converting>) -> Result<(), Failure> {
        self.hours.retain(|_, samples| *samples > 0);
        call.save_waiting(self.hours.values().sum())?;
        let lines: Vec<String> = self.hours.iter().map(|(hour, samples)| format!("{hour} {samples}")).collect();
        let text = lines.join("\n");
        if text.as_bytes() == self.before { Ok(()) } else { call.save_bytes(NAME, text.as_bytes()) }
    }
}

/// The hour of a time in microseconds.
fn hour(time: i64) -> i64 {
    time.div_euclid(HOUR)
}
