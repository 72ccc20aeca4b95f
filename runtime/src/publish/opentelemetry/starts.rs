//! Since when sums count. The hypervisor does not say when a counter began, so it is the first time that this daemon
//! saw it, and after it has fallen the time at which it was seen last.

use std::hash::{BuildHasher, Hasher};

use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::publish::sample::Sample;

/// When series began, by digests of their meters and resources.
#[derive(Debug, Default)]
pub struct Starts {
    seen: FxHashMap<u64, Seen>,
    /// How many there may be before the old ones are looked for.
    full: usize,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    start: i64,
    at: i64,
    volume: f64,
}

/// How many series there may be at least before old ones are looked for.
const FEW: usize = 10_000;
/// A series that nobody saw for so long begins anew.
const FORGOTTEN: i64 = 24 * 3600 * crate::clock::SECOND;

// === impl Starts ===

impl Starts {
    /// Since when this sample of a counter counts.
    pub fn of_sum(&mut self, sample: &Sample<'_>, volume: f64) -> i64 {
        let seen = self.seen(sample, volume);
        if sample.at < seen.at {
            // It comes again, or late.
            return seen.start.min(sample.at);
        }
        if sample.at > seen.at && volume < seen.volume {
            seen.start = seen.at;
        }
        (seen.at, seen.volume) = (sample.at, volume);
        seen.start
    }

    /// Since when this difference has grown: since the one before.
    pub fn of_delta(&mut self, sample: &Sample<'_>) -> i64 {
        let seen = self.seen(sample, 0.0);
        if sample.at < seen.at {
            return seen.start.min(sample.at);
        }
        if sample.at > seen.at {
            (seen.start, seen.at) = (seen.at, sample.at);
        }
        seen.start
    }

    fn seen(&mut self, sample: &Sample<'_>, volume: f64) -> &mut Seen {
        if self.seen.len() >= self.full.max(FEW) {
            self.seen.retain(|_, seen| seen.at > sample.at.saturating_sub(FORGOTTEN));
            self.full = 2 * self.seen.len();
        }
        let mut hasher = FxBuildHasher.build_hasher();
        hasher.write(sample.name.as_bytes());
        hasher.write_u8(0xff);
        hasher.write(sample.resource_id.as_bytes());
        self.seen.entry(hasher.finish()).or_insert(Seen { start: sample.at, at: sample.at, volume })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::sample::Metadata;

    fn sample(resource_id: &str, at: i64) -> Sample<'_> {
        Sample {
            source: "",
            name: "cpu",
            kind: "cumulative",
            unit: "ns",
            volume: "0",
            user_id: None,
            user_name: None,
            project_id: None,
            project_name: None,
            resource_id,
            timestamp: "",
            metadata: Metadata::Given("{}"),
            message_id: "",
            monotonic_time: "null",
            at,
            label: None,
        }
    }

    #[test]
    fn sums_begin_when_they_are_seen_and_again_when_they_fall() {
        let mut starts = Starts::default();
        let mut of = |id: &str, at, volume| starts.of_sum(&sample(id, at), volume);
        assert_eq!([of("a", 10, 5.0), of("a", 20, 6.0), of("a", 20, 6.0)], [10, 10, 10]);
        assert_eq!(of("b", 20, 1.0), 20);
        assert_eq!([of("a", 30, 1.0), of("a", 30, 1.0), of("a", 40, 2.0)], [20, 20, 20], "it fell");
        assert_eq!(of("a", 15, 5.5), 15, "it comes late");
        assert_eq!(of("a", 50, 3.0), 20);
    }

    #[test]
    fn differences_follow_each_other() {
        let mut starts = Starts::default();
        let mut of = |at| starts.of_delta(&sample("a", at));
        assert_eq!([of(10), of(20), of(20), of(35), of(10)], [10, 10, 10, 20, 10]);
    }

    #[test]
    fn series_that_are_gone_are_forgotten() {
        let mut starts = Starts::default();
        for number in 0..FEW {
            starts.of_sum(&sample(&number.to_string(), 0), 1.0);
        }
        starts.of_sum(&sample("new", FORGOTTEN + 1), 1.0);
        assert_eq!(starts.seen.len(), 1);
    }
}
