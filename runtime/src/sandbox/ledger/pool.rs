//! Fuel that comes at a rate, and is saved up to a bound.

use crate::clock::SECOND;

/// Fuel that comes at a rate, and is saved up to a bound. What was promised is given also from an empty one, which is
/// then in debt until enough has come.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pool {
    /// Fuel that comes in a second.
    rate: u64,
    /// The most that is saved up, and owed.
    most: i64,
    level: i64,
    /// When it was last filled, if it was, in nanoseconds.
    filled: Option<u64>,
}

/// How fast fuel comes into a pool, and how much of it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// Fuel in a second.
    pub rate: u64,
    /// The most that is saved up, and owed.
    pub most: u64,
}

/// Seconds of a budget that a new pool begins with, and that are saved up for what nobody was admitted with: what a
/// module needs that looks for an odd guest comes at once.
pub const SAVED: u64 = 10;

// === impl Pool ===

impl Pool {
    /// Follows a change.
    pub fn flow(&mut self, Flow { rate, most }: Flow) {
        self.rate = rate;
        self.most = signed(most);
        self.level = if self.filled.is_none() { self.first() } else { self.level.min(self.most) };
    }

    /// What it begins with. What is saved up beyond that nobody had time to save.
    fn first(&self) -> i64 {
        signed(self.rate.saturating_mul(SAVED)).min(self.most)
    }

    /// Whether a new one in its place would have no more.
    pub fn is_as_new(&self) -> bool {
        self.level >= self.first()
    }

    /// What came until now comes in.
    pub fn fill(&mut self, now: u64) {
        let elapsed = self.filled.replace(now).map_or(0, |filled| now.saturating_sub(filled));
        let came = u128::from(self.rate) * u128::from(elapsed) / u128::from(SECOND.unsigned_abs());
        let came = i64::try_from(came).unwrap_or(i64::MAX);
        self.level = self.level.saturating_add(came).min(self.most);
    }

    /// What is in it.
    pub fn left(&self) -> u64 {
        u64::try_from(self.level).unwrap_or(0)
    }

    /// Takes out so much, whether it is there or not.
    pub fn take(&mut self, fuel: u64) {
        self.level = self.level.saturating_sub(signed(fuel)).max(-self.most);
    }

    /// Puts back what was not used of what was taken.
    pub fn put_back(&mut self, fuel: u64) {
        self.level = self.level.saturating_add(signed(fuel)).min(self.most);
    }
}

fn signed(fuel: u64) -> i64 {
    i64::try_from(fuel).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NANOS: u64 = SECOND.unsigned_abs();

    #[test]
    fn nothing_is_there_before_it_came() {
        let (mut pool, day) = (Pool::default(), Flow { rate: 10, most: 864_000 });
        pool.flow(day);
        pool.fill(5 * NANOS);
        assert_eq!(pool.left(), 10 * SAVED, "what it begins with");
        pool.fill(15 * NANOS);
        assert_eq!(pool.left(), 10 * (SAVED + 10), "more is saved up");
        pool.take(10 * 11);
        assert!(!pool.is_as_new());
        pool.fill(16 * NANOS);
        assert!(pool.is_as_new());
    }

    #[test]
    fn what_is_not_used_is_saved_up_to_a_bound() {
        let mut pool = Pool::default();
        pool.flow(Flow { rate: 10, most: 30 });
        assert_eq!(pool.left(), 30, "a new one has no more than is saved up");
        pool.fill(5 * NANOS);
        pool.take(25);
        pool.fill(6 * NANOS);
        assert_eq!(pool.left(), 15);
        pool.take(20);
        assert_eq!(pool.left(), 0, "what was promised is owed");
        pool.fill(7 * NANOS);
        assert_eq!(pool.left(), 5);
        pool.put_back(1);
        pool.fill(100 * NANOS);
        assert_eq!(pool.left(), 30);
        pool.flow(Flow { rate: 1, most: 3 });
        assert_eq!(pool.left(), 3);
        pool.fill(0);
        assert_eq!(pool.left(), 3, "a clock that goes back fills nothing");
    }

    proptest! {
        #[test]
        fn no_more_is_taken_than_came(rate in 0..1_000_u64, takes in prop::collection::vec((0..5_000_u64, 0..3 * NANOS), 0..60)) {
            let mut pool = Pool::default();
            pool.flow(Flow { rate, most: 2 * rate });
            let (mut now, mut taken) = (0, 0_u128);
            pool.fill(now);
            for (wanted, later) in takes {
                now += later;
                pool.fill(now);
                let given = wanted.min(pool.left());
                pool.take(given);
                taken += u128::from(given);
                prop_assert!(taken <= u128::from(rate) * u128::from(2 * NANOS + now) / u128::from(NANOS));
            }
        }
    }
}
