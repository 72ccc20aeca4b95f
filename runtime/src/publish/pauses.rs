//! Pauses between tries: longer each time, and not the same for all daemons.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// Before the second try.
const FIRST: Duration = Duration::from_millis(500);
/// Between tries, at most, if nobody asks for more.
const LONGEST: Duration = Duration::from_secs(30);
/// The longest that the other side may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(600);

/// Pauses before further tries of one thing.
#[derive(Debug, Default)]
pub struct Pauses {
    failures: usize,
}

// === impl Pauses ===

impl Pauses {
    /// It worked: the next pause is short again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Whether nothing failed since it worked last.
    pub fn is_reset(&self) -> bool {
        self.failures == 0
    }

    /// Before another try; not shorter than the other side asks for.
    pub fn next(&mut self, asked: Option<Duration>) -> Duration {
        let pause = jittered(doubled(FIRST, self.failures, LONGEST));
        self.failures = self.failures.saturating_add(1);
        asked.map_or(pause, |asked| asked.min(LONGEST_ASKED) + pause / 8).max(pause)
    }
}

/// Twice as long for each time, up to the longest.
pub fn doubled(pause: Duration, times: usize, most: Duration) -> Duration {
    // Beyond that it is the longest one anyway.
    let factor = 1_u32 << times.min(16);
    pause.saturating_mul(factor).min(most.max(pause))
}

/// Between half as long and as long.
pub fn jittered(pause: Duration) -> Duration {
    let part = random_below(1001);
    pause / 2 + pause.mul_f64(part as f64 / 2000.0)
}

/// Good enough to tell daemons apart.
pub fn random_below(n: usize) -> usize {
    let drawn = RandomState::new().build_hasher().finish() % n.max(1) as u64;
    usize::try_from(drawn).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_differ() {
        let (one, most) = (Duration::from_secs(1), Duration::from_secs(30));
        let pauses: Vec<u64> = (0..7).map(|n| doubled(one, n, most).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(doubled(one, usize::MAX, most), most);
        assert_eq!(doubled(most, 3, one), most, "the configured pause is never shortened");
        let drawn: Vec<Duration> = (0..50).map(|_| jittered(one)).collect();
        assert!(drawn.iter().all(|pause| (one / 2..=one).contains(pause)), "{drawn:?}");
        assert!(drawn.iter().any(|pause| *pause != drawn[0]));
    }

    #[test]
    fn whoever_asks_for_more_gets_it_within_bounds() {
        let mut pauses = Pauses::default();
        assert!(pauses.next(None) <= FIRST);
        assert!(pauses.next(Some(Duration::from_secs(7))) >= Duration::from_secs(7));
        assert!(pauses.next(Some(Duration::MAX)) <= LONGEST_ASKED + LONGEST);
        assert!(pauses.next(Some(Duration::ZERO)) >= FIRST);
        assert!(!pauses.is_reset());
        pauses.reset();
        assert!(pauses.is_reset() && pauses.next(None) <= FIRST);
    }
}
