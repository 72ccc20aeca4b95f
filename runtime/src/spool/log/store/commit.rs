//! Making records, positions and removals durable.

use super::super::index::{Entry, State};
use super::super::segment::{header, name};
use super::super::storage::{StorageFile, write_full};
use super::read::Fetched;
use super::*;

impl<S: Storage> Store<S> {
    /// Commits: when this returned, every record that was appended survives a loss of power, and cursors get it.
    pub fn sync(&mut self) -> Result<(), Error> {
        if self.committed < self.next.next || self.names || self.suspect.is_some() {
            self.sync_data()?;
        }
        self.sync_names()?;
        self.committed = self.next.next;
        self.unsynced = 0;
        Ok(())
    }

    pub(super) fn sync_names(&mut self) -> Result<(), Error> {
        if self.names {
            self.storage.sync().map_err(Error::io(Step::Sync))?;
            self.names = false;
            self.renamed = false;
        }
        Ok(())
    }

    /// Makes sure that no segment comes back of which less was made.
    pub(super) fn sync_renamed(&mut self) -> Result<(), Error> {
        if self.renamed { self.sync_names() } else { Ok(()) }
    }

    fn sync_data(&mut self) -> Result<(), Error> {
        if self.suspect.is_some() {
            self.write_again()?;
        }
        // Segments before the last were made durable when it was started.
        if let Some(segment) = self.segments.back()
            && let Some(file) = &segment.file
            && let Err(source) = file.sync()
        {
            self.suspect = Some(segment.first);
            return Err(Error::Io { step: Step::Sync, source });
        }
        self.suspect = None;
        Ok(())
    }

    /// Writes what is not committed once more, where it is. That takes no room on the disk, and what is there already
    /// is overwritten by the same.
    fn write_again(&mut self) -> Result<(), Error> {
        let Some((first, start)) = self.segments.back().map(|segment| (segment.first, segment.start)) else {
            return Ok(());
        };
        let mut again = vec![(0, header(self.salt, start))];
        for entry in self.index.from(self.committed).cloned().collect::<Vec<_>>() {
            let Some(place) = entry.held().filter(|place| place.segment == first) else { continue };
            match self.fetch(entry.first, place)? {
                Fetched::Damaged => self.lose(entry.first),
                Fetched::Whole(raw) => again.push((place.offset, raw.bytes)),
            }
        }
        if let Some(file) = self.segments.back().and_then(|segment| segment.file.as_ref()) {
            for (offset, bytes) in again {
                write_full(file, &bytes, offset).map_err(Error::io(Step::Sync))?;
            }
        }
        Ok(())
    }

    /// Makes positions and totals durable, drops what is too old, and removes the segments that nobody needs.
    ///
    /// Until then a position that was acknowledged is kept in memory only: after a crash the cursor gets those
    /// records again.
    pub fn settle(&mut self, now: i64) -> Result<(), Error> {
        self.expire(now);
        for reading in &mut self.cursors {
            reading.pass_lost(&self.index, self.committed);
        }
        self.retire_passed(false);
        self.settle_books()?;
        self.keep_reserve();
        Ok(())
    }

    /// Writes the ledger if it changed, and removes what it allows to be removed.
    pub(super) fn settle_books(&mut self) -> Result<(), Error> {
        let names = |books: &Books| books.cursors.iter().map(|cursor| cursor.name.clone()).collect::<Vec<_>>();
        // Either file alone must be enough to know that these segments are not missing but settled, and who reads.
        let both = !self.retired.is_empty() || self.written.as_ref().map(names) != Some(names(&self.books()));
        self.write_books(both)?;
        while let Some(segment) = self.retired.last() {
            match self.storage.remove(&name(segment.first)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::Io { step: Step::Remove, source: error });
                }
                _ => drop(self.retired.pop()),
            }
        }
        Ok(())
    }

    /// Writes the ledger if it changed; with `both` so that either of its files says it.
    pub(super) fn write_books(&mut self, both: bool) -> Result<(), Error> {
        // The ledger must not know more than the folder: neither files without a durable name, nor positions behind a
        // segment of which less was made while the old one could come back.
        self.sync_names()?;
        let books = self.books();
        let changed = self.written.as_ref() != Some(&books);
        let writes = match (changed, both) {
            (true, true) => 2,
            (true, false) => 1,
            (false, both) => usize::from(both && !self.alike),
        };
        for _ in 0..writes {
            // A failed attempt may have taken effect.
            self.written = None;
            self.ledger.write(&books).map_err(Error::io(Step::Ledger))?;
        }
        if writes > 0 {
            self.written = Some(books);
            self.alike = both;
        }
        Ok(())
    }
}

// === impl Reading ===

impl Reading {
    /// Moves over what is lost, which nobody will ever acknowledge. What another record stands for goes with that one.
    fn pass_lost(&mut self, index: &Index, committed: u64) {
        let position = self.cursor.position.next;
        let waits = |entry: &&Entry| matches!(entry.state, State::Held(_) | State::Lost(Cause::Thinned));
        let held = index.from(position).find(waits).map_or(committed, |entry| entry.first);
        let to = held.min(committed);
        if position < to {
            self.cursor.advance(index, to, None);
            self.head = self.head.max(to);
        }
    }
}
