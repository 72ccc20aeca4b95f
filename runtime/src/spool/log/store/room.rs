//! Making room, by age and by size.

use std::io::ErrorKind;

use super::*;

impl<S: Storage> Store<S> {
    /// Drops the segments whose youngest record is too old.
    pub(super) fn expire(&mut self, now: i64) {
        let oldest = now.saturating_sub(self.limits.age_nanos());
        // A segment without a record has no age.
        while self.segments.front().is_some_and(|front| front.newest < oldest && front.newest > i64::MIN) {
            if self.front_is_uncommitted() {
                break;
            }
            self.drop_front(Cause::Age);
        }
    }

    /// Makes less of what waits, and then drops, until so many more bytes fit.
    pub(super) fn make_room(&mut self, bytes: u64) -> Result<(), Error> {
        let limit = self.limits.bytes;
        if self.bytes().saturating_add(bytes) <= limit {
            return Ok(());
        }
        self.retire_passed(true);
        loop {
            if !self.retired.is_empty() {
                self.settle_books()?;
            }
            let over = self.bytes().saturating_add(bytes).saturating_sub(limit);
            if over == 0 {
                return Ok(());
            }
            if self.thin_next() || self.join_next() {
                continue;
            }
            if self.front_is_uncommitted() {
                self.sync()?;
            }
            if !self.drop_front(Cause::Bytes) {
                // Nothing is left to drop, and yet there is something: files that cannot be removed.
                return Err(Error::Io { step: Step::Remove, source: ErrorKind::StorageFull.into() });
            }
        }
    }

    /// Makes less of what waits until so many bytes of a full disk are free. A segment that is written anew needs room
    /// too, so that may fail where dropping does not; and as disks give room in blocks, it may be less than it looks.
    pub(super) fn free_by_thinning(&mut self, bytes: u64) -> bool {
        let Some(enough) = self.bytes().checked_sub(bytes) else { return false };
        self.retire_passed(true);
        loop {
            // What was joined frees room when the second of the two is removed.
            if !self.retired.is_empty() && self.settle_books().is_err() {
                return false;
            }
            if self.bytes() <= enough {
                return true;
            }
            if !self.thin_next() && !self.join_next() {
                return false;
            }
        }
    }

    /// Drops until so many bytes of a full disk are free; false if there is not as much to drop, or the disk fails.
    pub(super) fn free_by_dropping(&mut self, bytes: u64) -> bool {
        let Some(enough) = self.bytes().checked_sub(bytes) else { return false };
        self.retire_passed(true);
        while !self.retired.is_empty() || self.bytes() > enough {
            if self.retired.is_empty() {
                let uncommitted = self.front_is_uncommitted() && self.sync().is_err();
                if uncommitted || !self.drop_front(Cause::FullDisk) {
                    return false;
                }
            }
            if self.settle_books().is_err() {
                return false;
            }
        }
        true
    }

    /// Sets segments aside that every cursor has passed; without a cursor, none. With `last` also the one that is
    /// being written.
    pub(super) fn retire_passed(&mut self, last: bool) {
        let Some(least) = self.cursors.iter().map(|reading| reading.cursor.position.next).min() else { return };
        while let Some(end) = self.front_end() {
            let is_last = self.segments.len() == 1;
            if end > least || (is_last && (!last || end <= self.floor.next)) {
                break;
            }
            // Nothing in it is held by anybody, so the cause does not matter.
            self.drop_front(Cause::Bytes);
        }
    }

    /// Whether the first segment is the last one too, with records that are not durable yet. Dropped like that they
    /// could come back, and their numbers be used twice.
    fn front_is_uncommitted(&self) -> bool {
        self.segments.len() == 1 && self.committed < self.next.next
    }

    /// The number after the first segment's last record.
    fn front_end(&self) -> Option<u64> {
        self.segments.front()?;
        Some(self.segments.get(1).map_or(self.next.next, |second| second.first))
    }

    /// Sets the first segment aside, and settles its records with everybody; false if there is none.
    fn drop_front(&mut self, cause: Cause) -> bool {
        let (Some(end), Some(mut segment)) = (self.front_end(), self.segments.pop_front()) else { return false };
        for reading in &mut self.cursors {
            if let Some((first, last, total)) = reading.cursor.advance(&self.index, end, Some(cause)) {
                let cursor = Some(reading.cursor.name.clone());
                self.dropped.push(Dropped { cursor, cause, first, last, total });
            }
            reading.head = reading.head.max(end);
        }
        if self.cursors.is_empty() {
            // Nobody's books have it, but somebody may want to know.
            let mut nobody = Cursor::at(String::new(), self.floor, Counts::new());
            if let Some((first, last, total)) = nobody.advance(&self.index, end, Some(cause)) {
                self.dropped.push(Dropped { cursor: None, cause, first, last, total });
            }
        }
        if let Some(samples) = self.index.forget_before(end, &mut self.gone) {
            self.floor.samples = samples;
        }
        self.floor.next = self.floor.next.max(end);
        if self.segments.is_empty() {
            self.appendable = false;
            self.torn = false;
            self.committed = self.committed.max(end);
        }
        if self.suspect == Some(segment.first) {
            self.suspect = None;
        }
        segment.file = None;
        self.reading = None;
        self.retired.push(segment);
        true
    }
}
