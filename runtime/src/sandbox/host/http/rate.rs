//! How often a deployment may ask: a bucket of tokens that fills evenly; and one name after the other.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

/// Nanoseconds.
const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;

/// So many requests a minute in the long run, a minute's worth of them at once if none were made before. So no minute
/// has twice as many.
#[derive(Debug)]
pub struct Rate {
    per_minute: u32,
    pub(super) bucket: Arc<Bucket>,
}

/// What all versions of a deployment take from, however often each may ask: whoever deploys again, at another rate too,
/// does not get a full bucket.
#[derive(Debug)]
pub struct Bucket {
    /// When, on the clock that only runs forwards, the bucket is full again. Nanoseconds.
    full_at: Mutex<u64>,
    /// A permit for the name that is being looked up.
    pub(super) lookups: Arc<Semaphore>,
}

// === impl Rate ===

impl Rate {
    /// So many tokens a minute from this bucket. There is no rate of less than one.
    pub fn new(requests: u32, bucket: Arc<Bucket>) -> Self {
        Self { per_minute: requests.max(1), bucket }
    }

    /// The same from a full bucket of its own.
    pub fn per_minute(requests: u32) -> Self {
        Self::new(requests, Arc::default())
    }

    /// How many a minute.
    pub fn limit(&self) -> u32 {
        self.per_minute
    }

    /// Takes a token at this moment, or says how long it is until there is one, in whole seconds: anything finer would be
    /// a clock, which is granted by itself.
    pub fn take(&self, now: u64) -> Result<(), Duration> {
        let token = MINUTE / u64::from(self.per_minute);
        let mut full_at = self.bucket.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let after = full_at.max(now).saturating_add(token);
        let missing = after.saturating_sub(now).saturating_sub(MINUTE);
        if missing > 0 {
            return Err(Duration::from_secs(missing.div_ceil(SECOND)));
        }
        *full_at = after;
        Ok(())
    }
}

// === impl Bucket ===

impl Default for Bucket {
    fn default() -> Self {
        Self { full_at: Mutex::new(0), lookups: Arc::new(Semaphore::new(1)) }
    }
}

impl Bucket {
    /// Whether it is as if it had never been used.
    pub fn is_full(&self, now: u64) -> bool {
        *self.full_at.lock().unwrap_or_else(PoisonError::into_inner) <= now
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tokens_come_back_one_by_one() {
        let rate = Rate::per_minute(3);
        let second = 1_000_000_000;
        let start = 7 * second;
        for _ in 0..3 {
            assert_eq!(rate.take(start), Ok(()));
        }
        assert_eq!(rate.take(start), Err(Duration::from_secs(20)));
        assert_eq!(rate.take(start + 15 * second), Err(Duration::from_secs(5)));
        // No clock can be read off it.
        assert_eq!(rate.take(start + 15 * second + 1), Err(Duration::from_secs(5)));
        assert_eq!(rate.take(start + 20 * second - 1), Err(Duration::from_secs(1)));
        assert_eq!(rate.take(start + 20 * second), Ok(()));
        assert_eq!(rate.take(start + 20 * second), Err(Duration::from_secs(20)));
        assert_eq!(rate.take(start + 3_600 * second), Ok(()));
    }

    proptest! {
        /// In no minute are there more than a full bucket and what came in that minute.
        #[test]
        fn no_minute_has_more_than_twice_the_rate(
            limit in 1u32..50,
            pauses in proptest::collection::vec(0u64..9, 0..300),
        ) {
            let rate = Rate::per_minute(limit);
            let (mut now, mut taken) = (0, Vec::new());
            for pause in pauses {
                now += pause * 500_000_000;
                if rate.take(now).is_ok() {
                    taken.push(now);
                }
            }
            for from in &taken {
                let within = taken.iter().filter(|at| (*from..from + MINUTE).contains(at)).count();
                prop_assert!(within <= 2 * limit as usize, "{within} of {limit}");
            }
        }
    }
}
