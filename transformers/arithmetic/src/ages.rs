//! How many samples wait, by the hour in which they were read.
//!
//! What waits is kept with its resource, and goes with it unseen. So whatever waited for a day is given up.

use std::collections::BTreeMap;

use scaling::LONGEST;
use wasmeter_sdk::{Call, Converting, Failure};

/// The ages of samples that wait.
#[derive(Debug)]
pub struct Ages {
    /// How many samples of each meter of the expression are of an hour since 1970.
    hours: BTreeMap<i64, Vec<u64>>,
    /// The first hour whose samples still wait.
    first: i64,
    /// What that was when samples were given up last. Their cells may still be there.
    given_up: Option<i64>,
    /// Whether the clock was set back so far that what comes now is as old as what was given up.
    is_set_back: bool,
    /// How this was saved.
    before: Vec<u8>,
}

/// An hour, in microseconds.
const HOUR: i64 = 3_600 * 1_000_000;

/// The name under which they are kept.
const NAME: &str = "ages";

// === impl Ages ===

impl Ages {
    /// Those that are kept.
    pub fn load(call: &Call<'_, Converting>) -> Self {
        let before = call.load_bytes(NAME).unwrap_or_default();
        let mut lines = std::str::from_utf8(&before).unwrap_or_default().lines();
        let given_up: Option<i64> = lines.next().and_then(|hour| hour.parse().ok());
        let of_hour = |line: &str| {
            let (hour, samples) = line.split_once(' ')?;
            Some((hour.parse().ok()?, samples.split(' ').map(|samples| samples.parse().unwrap_or(0)).collect()))
        };
        let hours = lines.filter_map(of_hour).collect();
        let now = call.read_at().wall;
        let is_set_back = given_up.is_some_and(|given_up| hour(now.div_euclid(1_000)) < given_up);
        let first = hour(now.saturating_sub(LONGEST).div_euclid(1_000));
        let first = if is_set_back { i64::MAX } else { given_up.map_or(first, |given_up| given_up.max(first)) };
        Self { hours, first, given_up, is_set_back, before }
    }

    /// Whether nothing that waited before this call does any more, as a clock that was set back says nothing of it.
    pub fn is_set_back(&self) -> bool {
        self.is_set_back
    }

    /// Whether a sample of this time, in microseconds, waits no longer.
    pub fn is_over(&self, time: i64) -> bool {
        hour(time) < self.first
    }

    /// Whether samples of a meter wait.
    pub fn has(&self, meter: usize) -> bool {
        self.hours.values().any(|samples| samples.get(meter).is_some_and(|samples| *samples > 0))
    }

    /// A sample of a meter waits, or another one of its resource instead.
    pub fn add(&mut self, meter: usize, time: i64, instead_of: Option<i64>) {
        if instead_of.is_none_or(|before| hour(before) != hour(time)) {
            instead_of.into_iter().for_each(|before| self.remove(meter, before));
            let of_hour = self.hours.entry(hour(time)).or_default();
            of_hour.resize(of_hour.len().max(meter + 1), 0);
            of_hour.iter_mut().skip(meter).take(1).for_each(|samples| *samples = samples.saturating_add(1));
        }
    }

    /// A sample of a meter waits no longer.
    pub fn remove(&mut self, meter: usize, time: i64) {
        if let Some(samples) = self.hours.get_mut(&hour(time)).and_then(|samples| samples.get_mut(meter)) {
            *samples = samples.saturating_sub(1);
        }
    }

    /// How many of each meter waited for too long. They wait no longer.
    pub fn give_up(&mut self) -> Vec<u64> {
        let (first, mut all) = (self.first, Vec::new());
        for (_, samples) in self.hours.extract_if(..first, |_, _| true) {
            all.resize(all.len().max(samples.len()), 0_u64);
            all.iter_mut().zip(samples).for_each(|(all, samples)| *all = all.saturating_add(samples));
        }
        if self.is_set_back {
            self.given_up = None;
        } else if all.iter().any(|samples| *samples > 0) {
            self.given_up = Some(first);
        }
        all
    }

    pub fn save(mut self, call: &Call<'_, Converting>) -> Result<(), Failure> {
        self.hours.retain(|_, samples| samples.iter().any(|samples| *samples > 0));
        call.save_waiting(self.hours.values().flatten().sum())?;
        let mut text = self.given_up.map(|hour| hour.to_string()).unwrap_or_default();
        for (hour, samples) in &self.hours {
            text.push_str(&format!("\n{hour}"));
            samples.iter().for_each(|samples| text.push_str(&format!(" {samples}")));
        }
        if text.as_bytes() == self.before { Ok(()) } else { call.save_bytes(NAME, text.as_bytes()) }
    }
}

/// The hour of a time in microseconds.
fn hour(time: i64) -> i64 {
    time.div_euclid(HOUR)
}
