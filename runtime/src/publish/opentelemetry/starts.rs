//! Since when sums count. The hypervisor does not say when a counter began, so it is the first time that this daemon
//! saw it, and after it has fallen the time at which it was seen last. What is known outlives the daemon, beside the
//! cursor: a counter that went on meanwhile goes on for the receiver, too.

use std::hash::{BuildHasher, Hasher};

use rustc_hash::{FxBuildHasher, FxHashMap};
use serde::{Deserialize, Serialize};

use crate::publish::sample::Sample;

/// When series began, by digests of who writes them, their meters and resources.
#[derive(Debug, Default)]
pub struct Starts {
    /// What the clock says.
    now: i64,
    sums: Series<Sum>,
    deltas: Series<Delta>,
}

/// What is known of each series of a kind.
#[derive(Debug)]
struct Series<T> {
    seen: FxHashMap<u64, T>,
    /// How many there may be before the old ones are looked for.
    full: usize,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Sum {
    start: i64,
    /// When it was seen last.
    at: i64,
    volume: f64,
    /// Whether it was seen after that, nobody knows when.
    is_stale: bool,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Delta {
    start: i64,
    at: i64,
}

/// What is kept over a start of the daemon.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// Whether nothing was written after it.
    is_all: bool,
    sums: Vec<(u64, Sum)>,
    deltas: Vec<(u64, Delta)>,
}

/// The times of the last point of a series.
trait Seen {
    fn start(&self) -> i64;
    fn at(&self) -> i64;
}

/// How many series there may be at least before old ones are looked for.
const FEW: usize = 10_000;
/// What is further ahead of the clock was seen when that was wrong.
const AHEAD: i64 = 3600 * crate::clock::SECOND;
/// A series that nobody saw for so long begins anew.
const FORGOTTEN: i64 = 24 * 3600 * crate::clock::SECOND;

// === impl Starts ===

impl Starts {
    /// Goes by this clock from now on.
    pub fn set_now(&mut self, now: i64) {
        self.now = now;
    }

    /// Since when this sample of a counter counts.
    pub fn of_sum(&mut self, sample: &Sample<'_>, volume: f64) -> i64 {
        let seen = Sum { start: sample.at, at: sample.at, volume, is_stale: false };
        let seen = self.sums.seen(sample, seen, self.now);
        if sample.at < seen.at && volume < seen.volume {
            // It comes again, or late.
            return seen.start;
        }
        if sample.at > seen.at && volume < seen.volume {
            // Two sequences of points must not overlap, so that this one begins with itself if it is not known when the
            // other one ended.
            seen.start = if seen.is_stale { sample.at } else { seen.at };
        }
        // What has grown after a later time was measured by a clock that was set back; it goes on from there.
        seen.is_stale &= sample.at < seen.at;
        (seen.at, seen.volume) = (sample.at, volume);
        seen.start
    }

    /// Since when this difference has grown: since the one before.
    pub fn of_delta(&mut self, sample: &Sample<'_>) -> i64 {
        let seen = self.deltas.seen(sample, Delta { start: sample.at, at: sample.at }, self.now);
        if sample.at > seen.at {
            (seen.start, seen.at) = (seen.at, sample.at);
        }
        seen.start
    }

    /// What is known, if anything is. Unless this is the end, more will be written that it does not say.
    pub fn to_keep(&self, in_the_end: bool) -> Option<Vec<u8>> {
        let Self { sums, deltas, .. } = self;
        if sums.seen.is_empty() && deltas.seen.is_empty() {
            return None;
        }
        let deltas = deltas.all().filter(|_| in_the_end).collect();
        postcard::to_stdvec(&Kept { is_all: in_the_end, sums: sums.all().collect(), deltas }).ok()
    }

    /// What was known.
    pub fn of_kept(bytes: &[u8]) -> Option<Self> {
        let Kept { is_all, mut sums, deltas } = postcard::from_bytes(bytes).ok()?;
        sums.iter_mut().for_each(|(_, sum)| sum.is_stale |= !is_all);
        Some(Self { now: 0, sums: Series::of(sums), deltas: Series::of(deltas) })
    }
}

// === impl Series ===

impl<T: Seen + Copy> Series<T> {
    fn of(seen: Vec<(u64, T)>) -> Self {
        Self { full: 2 * seen.len(), seen: seen.into_iter().collect() }
    }

    fn all(&self) -> impl Iterator<Item = (u64, T)> {
        self.seen.iter().map(|(series, seen)| (*series, *seen))
    }

    fn seen(&mut self, sample: &Sample<'_>, first: T, now: i64) -> &mut T {
        if self.seen.len() >= self.full.max(FEW) {
            self.seen.retain(|_, seen| seen.at() > sample.at.saturating_sub(FORGOTTEN));
            self.full = 2 * self.seen.len();
        }
        let seen = self.seen.entry(series(sample)).or_insert(first);
        // A clock that was set back begins anew; otherwise all would be late until it is there.
        if sample.at < seen.start() || (sample.at < seen.at() && seen.at() > now.saturating_add(AHEAD)) {
            *seen = first;
        }
        seen
    }
}

impl<T> Default for Series<T> {
    fn default() -> Self {
        Self { seen: FxHashMap::default(), full: 0 }
    }
}

impl Seen for Sum {
    fn start(&self) -> i64 {
        self.start
    }

    fn at(&self) -> i64 {
        self.at
    }
}

impl Seen for Delta {
    fn start(&self) -> i64 {
        self.start
    }

    fn at(&self) -> i64 {
        self.at
    }
}

/// What tells a sample's series from others. It is kept, so it must not change from start to start.
fn series(sample: &Sample<'_>) -> u64 {
    let mut hasher = FxBuildHasher.build_hasher();
    for part in [sample.source, sample.sink.unwrap_or_default(), sample.name, sample.resource_id] {
        hasher.write(part.as_bytes());
        hasher.write_u8(0xff);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::sample::Metadata;

    fn sample(resource_id: &str, at: i64) -> Sample<'_> {
        Sample {
            source: "",
            sink: None,
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
        assert_eq!([of("a", 25, 0.5), of("a", 50, 3.0)], [20, 20], "it comes late");
    }

    #[test]
    fn differences_follow_each_other() {
        let mut starts = Starts::default();
        let mut of = |at| starts.of_delta(&sample("a", at));
        assert_eq!([of(10), of(20), of(20), of(35), of(30), of(40)], [10, 10, 10, 20, 20, 35]);
    }

    #[test]
    fn a_clock_that_is_set_back_begins_one_series_anew() {
        let mut starts = Starts::default();
        let mut sum = |at, volume| starts.of_sum(&sample("a", at), volume);
        assert_eq!([sum(100, 5.0), sum(110, 6.0)], [100, 100]);
        assert_eq!([sum(50, 7.0), sum(60, 8.0), sum(70, 9.0), sum(120, 10.0)], [50; 4], "to before it began");
        assert_eq!([sum(80, 11.0), sum(90, 12.0)], [50, 50], "not so far");
        assert_eq!([sum(100, 1.0), sum(110, 2.0)], [90, 90], "it falls while the time is not there yet");
        let mut delta = |at| starts.of_delta(&sample("a", at));
        assert_eq!([delta(100), delta(110), delta(50), delta(60), delta(70)], [100, 100, 50, 50, 60]);
    }

    #[test]
    fn what_is_delivered_again_has_the_starts_that_it_had() {
        let mut starts = Starts::default();
        let mut all =
            || [(10, 5.0), (20, 6.0), (30, 1.0), (40, 2.0)].map(|(at, volume)| starts.of_sum(&sample("a", at), volume));
        assert_eq!(all(), [10, 10, 20, 20]);
        assert_eq!(all(), [10, 10, 20, 20]);
    }

    #[test]
    fn series_that_are_gone_are_forgotten() {
        let mut starts = Starts::default();
        for number in 0..FEW {
            starts.of_sum(&sample(&number.to_string(), 0), 1.0);
        }
        starts.of_sum(&sample("new", FORGOTTEN + 1), 1.0);
        assert_eq!(starts.sums.seen.len(), 1);
    }

    #[test]
    fn writers_of_one_name_have_series_of_their_own() {
        let mut starts = Starts::default();
        let made = |sink: &'static str, at| Sample { sink: Some(sink), ..sample("a", at) };
        assert_eq!(starts.of_sum(&sample("a", 10), 1e9), 10);
        assert_eq!([starts.of_sum(&made("x", 10), 1.0), starts.of_sum(&made("y", 20), 5.0)], [10, 20]);
        assert_eq!(starts.of_sum(&Sample { source: "tenant/m", ..sample("a", 30) }, 0.0), 30);
        assert_eq!([starts.of_sum(&sample("a", 40), 2e9), starts.of_sum(&made("x", 40), 2.0)], [10, 10]);
    }

    #[test]
    fn what_was_seen_when_the_clock_was_ahead_is_forgotten() {
        let mut starts = Starts::default();
        let ahead = 2 * AHEAD;
        starts.set_now(ahead);
        assert_eq!((starts.of_sum(&sample("a", ahead), 5.0), starts.of_delta(&sample("a", ahead))), (ahead, ahead));
        let mut starts = Starts::of_kept(&starts.to_keep(true).unwrap()).unwrap();
        starts.set_now(20);
        let mut sum = |at, volume| starts.of_sum(&sample("a", at), volume);
        assert_eq!([sum(10, 6.0), sum(20, 7.0), sum(30, 1.0), sum(40, 2.0)], [10, 10, 20, 20]);
        // A clock that is a little ahead is soon right.
        assert_eq!([sum(AHEAD, 9.0), sum(50, 3.0), sum(AHEAD + 1, 9.5)], [20, 20, 20]);
        let mut delta = |at| starts.of_delta(&sample("a", at));
        assert_eq!([delta(10), delta(20), delta(30)], [10, 10, 20]);
    }

    /// Counters `a` and `b`, a difference, and a daemon that comes back.
    fn back(in_the_end: bool) -> Starts {
        let mut starts = Starts::default();
        for (at, volume) in [(10, 5.0), (20, 6.0)] {
            starts.of_sum(&sample("a", at), volume);
            starts.of_sum(&sample("b", at), volume);
            starts.of_delta(&sample("a", at));
        }
        Starts::of_kept(&starts.to_keep(in_the_end).unwrap()).unwrap()
    }

    #[test]
    fn series_go_on_after_a_start() {
        let mut starts = back(true);
        let mut of = |id: &str, at, volume| starts.of_sum(&sample(id, at), volume);
        assert_eq!([of("a", 20, 6.0), of("a", 90, 6.0), of("b", 90, 1.0)], [10, 10, 20], "the other one fell");
        assert_eq!([starts.of_delta(&sample("a", 20)), starts.of_delta(&sample("a", 90))], [10, 20]);
        assert_eq!(Starts::default().to_keep(true), None);
        assert!(Starts::of_kept(b"damaged").is_none());
    }

    /// What was kept on the way is older than what was written: the receiver may have more, up to nobody knows when.
    #[test]
    fn what_was_written_since_is_not_written_over() {
        let mut starts = back(false);
        let mut of = |id: &str, at, volume| starts.of_sum(&sample(id, at), volume);
        assert_eq!([of("a", 90, 60.0), of("b", 90, 1.0), of("a", 99, 2.0)], [10, 90, 90]);
        assert_eq!([starts.of_delta(&sample("a", 90)), starts.of_delta(&sample("a", 99))], [90, 90]);
    }
}
