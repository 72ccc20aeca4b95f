//! How many samples a server takes at once, as far as it has shown.

use std::time::Duration;

/// The size of the next request: half as large after one that was too much, and a little larger after one that was not.
/// So what a server takes is known from one slot to the next, and that it takes more again is found out by and by.
#[derive(Debug)]
pub struct Batch {
    /// What is configured.
    most: usize,
    now: usize,
}

/// What of a size is added to it: so little that a server is rarely asked for more than it takes.
const PART: usize = 32;

// === impl Batch ===

impl Batch {
    /// So many at first, and never more.
    pub fn of(most: usize) -> Self {
        let most = most.max(1);
        Self { most, now: most }
    }

    /// How many samples are asked for at once.
    pub fn size(&self) -> usize {
        self.now
    }

    /// So many were too much.
    pub fn too_much(&mut self, samples: usize) {
        self.now = self.now.min(samples / 2).max(1);
    }

    /// So many were taken after a while, for which there was so much time. Where that is nearly over, more would take
    /// too long.
    pub fn taken(&mut self, samples: usize, after: Duration, within: Duration) {
        if samples >= self.now && after <= within / 2 {
            self.now = self.most.min(self.now + self.now / PART + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(1);
    const WITHIN: Duration = Duration::from_secs(5);

    /// Asks a server until it has so many samples. Returns how many requests were too much.
    fn asks(batch: &mut Batch, mut samples: usize, takes: impl Fn(usize) -> Option<Duration>) -> usize {
        let mut failures = 0;
        while samples > 0 {
            let size = batch.size().min(samples);
            match takes(size) {
                Some(after) => {
                    batch.taken(size, after, WITHIN);
                    samples -= size;
                }
                None => {
                    batch.too_much(size);
                    failures += 1;
                }
            }
        }
        failures
    }

    #[test]
    fn what_a_server_takes_is_found_once_and_remembered() {
        let takes = |limit| move |size| (size <= limit).then_some(SOON);
        for (limit, few) in [(1, 1000), (7, 50), (100, 10), (666, 3)] {
            let mut batch = Batch::of(1000);
            asks(&mut batch, 1000, takes(limit));
            assert!((limit / 2..=limit + 1).contains(&batch.size().max(1)), "{batch:?}");
            let failures = asks(&mut batch, 1000, takes(limit));
            assert!(failures <= few, "{failures} of a server that takes {limit}");
        }
    }

    #[test]
    fn a_server_that_is_slow_is_asked_for_what_it_can_do_in_time() {
        let takes = |size: usize| {
            let after = Duration::from_millis(6) * u32::try_from(size).unwrap();
            (after < WITHIN).then_some(after)
        };
        let mut batch = Batch::of(1000);
        assert_eq!(asks(&mut batch, 10_000, takes), 1, "it is known after that");
        assert_eq!(asks(&mut batch, 100_000, takes), 0);
    }

    #[test]
    fn a_server_that_takes_more_again_gets_it() {
        let mut batch = Batch::of(1000);
        (0..20).for_each(|_| batch.too_much(batch.size()));
        assert_eq!(batch.size(), 1);
        asks(&mut batch, 40_000, |_| Some(SOON));
        assert_eq!(batch.size(), 1000);
        batch.taken(10, SOON, WITHIN);
        batch.too_much(3000);
        assert_eq!(batch.size(), 1000, "more than that is not asked for");
        assert_eq!(Batch::of(0).size(), 1);
    }

    #[test]
    fn what_was_less_than_was_asked_for_says_nothing_of_more() {
        let mut batch = Batch::of(1000);
        batch.too_much(1000);
        batch.taken(499, SOON, WITHIN);
        assert_eq!(batch.size(), 500);
        batch.taken(500, WITHIN, WITHIN);
        assert_eq!(batch.size(), 500);
        batch.taken(500, SOON, WITHIN);
        assert_eq!(batch.size(), 516);
    }
}
