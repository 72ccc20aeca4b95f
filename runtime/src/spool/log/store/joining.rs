//! Making one of two segments, when less cannot be made of either.

use super::super::index::Entry;
use super::thinning::plan;
use super::*;

/// Two segments are joined if they get smaller by this part of them: what is written anew must be worth it. So a large
/// old one is left alone until what came after it was joined, too.
const LEAST_GAIN: u64 = 16;

/// Two segments that follow one another.
#[derive(Debug, Clone, Copy)]
struct Pair {
    first: u64,
    second: u64,
    /// The number after the second one's last record.
    end: u64,
}

impl<S: Storage> Store<S> {
    /// Joins the two oldest segments by which anything is gained; false if there are none, or the disk fails: it may
    /// still be able to remove one.
    ///
    /// The second of them is set aside, and removed with the next ledger, when the name of the joined one is durable.
    pub(super) fn join_next(&mut self) -> bool {
        let Some(last) = self.thin.passes().checked_sub(1) else { return false };
        while let Some(pair) = self.next_to_join() {
            match self.join(pair, last) {
                Ok(true) => return true,
                Ok(false) => {}
                Err(_) => return false,
            }
            if let Some(segment) = self.segments.iter_mut().find(|segment| segment.first == pair.first) {
                segment.apart = Some(pair.second);
            }
        }
        false
    }

    /// The oldest two that may be joined, were not tried in vain, and of which every cursor was given all or nothing.
    fn next_to_join(&self) -> Option<Pair> {
        let seconds = self.segments.iter().skip(1);
        let ends = self.segments.iter().skip(2).map(|after| after.first);
        let mut pairs = self.segments.iter().zip(seconds).zip(ends).filter_map(|((first, second), end)| {
            let pair = Pair { first: first.first, second: second.first, end };
            (first.apart != Some(second.first)).then_some(pair)
        });
        pairs.find(|pair| self.holds(pair.second, pair.end) && self.is_at_rest_together(*pair))
    }

    fn is_at_rest_together(&self, pair: Pair) -> bool {
        self.holds(pair.first, pair.second) && self.is_at_rest(pair.first, pair.end)
    }

    fn holds(&self, first: u64, end: u64) -> bool {
        self.index.between(first, end).any(|entry| entry.held().is_some())
    }

    /// Has the rule make one record of all that two segments hold; false if nothing is gained.
    fn join(&mut self, pair: Pair, pass: usize) -> Result<bool, Error> {
        let Pair { first, second, end } = pair;
        let both = self.segments.iter().filter(|segment| segment.first == first || segment.first == second);
        let before = both.fold(0, |sum: u64, segment| sum.saturating_add(segment.allocated));

        let records = self.records(first, end)?;
        // What is damaged is found only when it is read: then less than two may be left.
        if !self.holds(first, second) || !self.holds(second, end) {
            return Ok(false);
        }
        let waiting = self.waiting();
        let Some(thinned) = self.thin.thin(pass, &records, &waiting) else { return Ok(false) };
        let entries: Vec<Entry> = self.index.between(first, end).cloned().collect();
        let Some((plan, lost)) = plan(entries, thinned) else { return Ok(false) };
        let after = self.length_of(first, &plan);
        if after > self.limits.largest_segment() || before.saturating_sub(after) < before / LEAST_GAIN {
            return Ok(false);
        }
        if let Some(segment) = self.segments.iter_mut().find(|segment| segment.first == first) {
            segment.joined = end;
        }
        self.put_in_place(first, plan, &lost)?;
        if let Some(at) = self.segments.iter().position(|segment| segment.first == second)
            && let Some(joined) = self.segments.remove(at)
        {
            if let Some(segment) = self.segments.iter_mut().find(|segment| segment.first == first) {
                segment.oldest = segment.oldest.min(joined.oldest);
                segment.newest = segment.newest.max(joined.newest);
                segment.thinned = self.thin.passes();
            }
            self.retired.push(joined);
        }
        Ok(true)
    }
}
