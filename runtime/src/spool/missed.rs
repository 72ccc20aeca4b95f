//! Samples that were measured and that the spool could not take.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::log::Counts;

/// Why samples were not kept, a closed set: these are label values of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Why {
    /// The disk was full, and nothing was left that could go.
    DiskFull,
    /// The disk failed.
    DiskFailed,
    /// The slot is larger than the whole spool.
    TooLarge,
}

/// Numbers of samples by publisher, cause, and what they are counted by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed(BTreeMap<String, BTreeMap<Why, BTreeMap<String, u64>>>);

// === impl Why ===

impl Why {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::DiskFull, Self::DiskFailed, Self::TooLarge];

    /// As a label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DiskFull => "disk-full",
            Self::DiskFailed => "disk-failed",
            Self::TooLarge => "too-large",
        }
    }
}

// === impl Missed ===

impl Missed {
    /// Counts samples that a publisher will not get.
    pub fn add(&mut self, publisher: &str, why: Why, counts: &Counts) {
        let of_cause = self.0.entry(publisher.to_owned()).or_default().entry(why).or_default();
        for (key, number) in counts.iter() {
            let count = of_cause.entry(key.as_str().to_owned()).or_default();
            *count = count.saturating_add(*number);
        }
    }

    /// Whether nothing was missed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets a publisher.
    pub fn forget(&mut self, publisher: &str) {
        self.0.remove(publisher);
    }

    /// What a publisher will not get: cause, key and number.
    pub fn of(&self, publisher: &str) -> impl Iterator<Item = (Why, &str, u64)> {
        let causes = self.0.get(publisher).into_iter().flatten();
        causes.flat_map(|(why, counts)| counts.iter().map(|(key, number)| (*why, key.as_str(), *number)))
    }
}
