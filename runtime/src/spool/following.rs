//! Who follows the spool, and how those end who do not any more.

use super::log::{Account, Counts, Error, Start};
use super::memory::Memory;
use super::{Kept, Spool, books, is_publisher, record, shelf};

// === impl Spool ===

impl Spool {
    /// Has these publishers and no others follow the spool. What others still waited for is lost with them: these are
    /// they, and how many samples of theirs that is: counted, whatever happens from now on.
    pub fn follow(&self, publishers_now: &[String], now: i64) -> Result<Vec<(String, u64)>, Error> {
        let mut kept = self.lock();
        self.close_others(&mut kept, publishers_now, now)?;
        if !kept.closed.is_empty() {
            kept.store.sync()?;
        }
        for new in publishers_now {
            if kept.store.account(new).is_err() {
                kept.store.add_cursor(new, Start::End)?;
            }
        }
        kept.store.settle(now)?;
        Ok(std::mem::take(&mut kept.closed))
    }

    /// The same, for all that are followed but this one.
    pub fn close(&self, publisher: &str, now: i64) -> Result<Vec<(String, u64)>, Error> {
        let followed = self.lock().store.accounts().into_iter().filter(is_publisher).map(|account| account.cursor);
        self.follow(&followed.filter(|other| other != publisher).collect::<Vec<_>>(), now)
    }

    /// Closes the books of all but these. What they lose stands in a record before their cursors go: whoever finds both
    /// after a crash knows that the cursors are to go uncounted.
    fn close_others(&self, kept: &mut Kept, publishers_now: &[String], now: i64) -> Result<(), Error> {
        let mut missed = kept.missed.clone();
        let mut closed = Vec::new();
        for old in kept.store.accounts().iter().filter(|account| is_publisher(account)) {
            if !publishers_now.contains(&old.cursor) {
                missed.close(&old.cursor, &old.held.counts);
                closed.push((old.cursor.clone(), books::of_publisher(&old.held, &old.cursor)));
            }
        }
        missed.bound(publishers_now);
        let is_told = closed.iter().any(|(_, samples)| *samples > 0);
        if is_told {
            let next = kept.store.committed().0;
            let closed = closed.iter().map(|(name, _)| (name.clone(), next)).collect();
            let memory = Memory { missed: Some(missed.clone()), closed, ..Memory::default() };
            self.append(kept, Counts::new(), &record::of_memory(&memory, now), now)?;
        }
        for (old, _) in &closed {
            kept.store.remove_cursor(old)?;
            kept.losing.remove(old);
            shelf::remove(&self.0.dir, old);
        }
        kept.missed_changed = !is_told && (kept.missed_changed || missed != kept.missed);
        kept.missed = missed;
        kept.closed.extend(closed);
        Ok(())
    }
}

/// Whether this cursor was to go by that record, and is still there.
pub(super) fn is_closed(account: &Account, (name, record): &(String, u64)) -> bool {
    account.cursor == *name && account.position.0 <= *record
}
