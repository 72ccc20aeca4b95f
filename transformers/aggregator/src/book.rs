//! How many samples wait, of which meters and since when.

use std::collections::BTreeMap;

use wasmeter_sdk::{Call, Converting, Failure};

/// What is remembered beside the aggregates.
#[derive(Debug, Default, PartialEq)]
pub struct Book {
    /// When the first sample that waits was read.
    since: Option<i64>,
    meters: BTreeMap<String, Waiting>,
    /// What it was when the call began.
    before: Vec<u8>,
}

/// Samples of one meter.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Waiting {
    samples: u64,
    /// Of earlier calls.
    kept: u64,
    /// How often samples of this meter have come out, so that what is left of them is not taken for more.
    round: u64,
}

/// The name under which it is kept.
const NAME: &str = "book";

// === impl Book ===

impl Book {
    pub fn load(call: &Call<'_, Converting>) -> Self {
        let before = call.load_bytes(NAME).unwrap_or_default();
        let mut book = Self::default();
        let mut lines = std::str::from_utf8(&before).unwrap_or_default().lines();
        book.since = lines.next().and_then(|line| line.parse().ok());
        for line in lines {
            let mut words = line.split(' ');
            let (Some(name), Some(samples), Some(round)) = (words.next(), words.next(), words.next()) else { continue };
            let samples = samples.parse().unwrap_or(0);
            let waiting = Waiting { samples, kept: samples, round: round.parse().unwrap_or(0) };
            book.meters.insert(name.to_owned(), waiting);
        }
        Self { before, ..book }
    }

    /// More samples wait.
    pub fn count(&mut self, name: &str, samples: usize, time: i64) {
        self.since.get_or_insert(time);
        let waiting = match self.meters.get_mut(name) {
            Some(waiting) => waiting,
            None => self.meters.entry(name.to_owned()).or_default(),
        };
        waiting.samples = waiting.samples.saturating_add(samples as u64);
    }

    /// Whether there are so many samples.
    pub fn is_full(&self, size: Option<u64>) -> bool {
        let samples: u64 = self.meters.values().map(|waiting| waiting.samples).sum();
        size.is_some_and(|size| samples >= size)
    }

    /// Whether the first has waited so long.
    pub fn is_expired(&self, now: i64, retention: Option<i64>) -> bool {
        retention.zip(self.since).is_some_and(|(retention, since)| now.saturating_sub(since) >= retention)
    }

    /// Under which number earlier samples of a meter are kept, if there are any.
    pub fn round(&self, name: &str) -> Option<u64> {
        self.meters.get(name).filter(|waiting| waiting.kept > 0).map(|waiting| waiting.round)
    }

    /// Under which number samples of a meter are kept from now on.
    pub fn round_to_be(&self, name: &str) -> u64 {
        self.meters.get(name).map_or(0, |waiting| waiting.round)
    }

    /// Samples of a meter came out.
    pub fn close(&mut self, name: &str) {
        if let Some(waiting) = self.meters.get_mut(name) {
            // Those that were never kept have left nothing behind.
            let round = waiting.round + u64::from(waiting.kept > 0);
            *waiting = Waiting { round, ..Waiting::default() };
        }
        self.meters.retain(|_, waiting| waiting.samples > 0 || waiting.round > 0);
        if self.meters.values().all(|waiting| waiting.samples == 0) {
            self.since = None;
        }
    }

    pub fn save(self, call: &Call<'_, Converting>) -> Result<(), Failure> {
        let mut text = String::new();
        if self.since.is_some() || !self.meters.is_empty() {
            text = self.since.map_or_else(|| "-".to_owned(), |since| since.to_string());
            for (name, waiting) in &self.meters {
                text.push_str(&format!("\n{name} {} {}", waiting.samples, waiting.round));
            }
        }
        if text.as_bytes() == self.before { Ok(()) } else { call.save_bytes(NAME, text.as_bytes()) }
    }
}
