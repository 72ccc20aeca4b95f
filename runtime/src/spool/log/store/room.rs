//! Making room, by age and by size.

use std::io::ErrorKind;

use super::super::victims::{Choice, Held};
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

    /// Drops until so many more bytes fit.
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
            if self.drop_chosen(over, Cause::Bytes) {
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

    /// Frees a segment's worth of a full disk; false if there was nothing to free or the disk fails.
    pub(super) fn free_segment(&mut self) -> bool {
        self.retire_passed(true);
        if self.retired.is_empty() {
            if self.front_is_uncommitted() && self.sync().is_err() {
                return false;
            }
            self.drop_front(Cause::FullDisk);
        }
        !self.retired.is_empty() && self.settle_books().is_ok()
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

    /// Drops the records that the rule chooses; false if that frees nothing, or it wants the oldest segment.
    fn drop_chosen(&mut self, bytes: u64, cause: Cause) -> bool {
        let readers = |end: u64| self.cursors.iter().filter(|reading| reading.cursor.position.next < end).count();
        let held: Vec<Held<'_>> = self
            .index
            .from(self.floor.next)
            .filter_map(|entry| {
                let place = entry.held()?;
                Some(Held {
                    sequence: Sequence(entry.first),
                    time: entry.time,
                    counts: &entry.counts,
                    bytes: place.payload,
                    readers: readers(entry.end),
                })
            })
            .collect();
        let Choice::Records(mut chosen) = self.victims.choose(&held, bytes, cause) else { return false };
        let before = self.bytes();
        chosen.sort_unstable();
        chosen.dedup();
        let in_segment = |sequence: &Sequence| {
            self.index.between(sequence.0, sequence.0 + 1).find_map(|entry| Some(entry.held()?.segment))
        };
        let mut by_segment: Vec<(u64, Vec<u64>)> = Vec::new();
        for sequence in &chosen {
            match (in_segment(sequence), by_segment.last_mut()) {
                (Some(segment), Some((last, list))) if *last == segment => list.push(sequence.0),
                (Some(segment), _) => by_segment.push((segment, vec![sequence.0])),
                (None, _) => {}
            }
        }
        // Positions first: what was acknowledged must not be found dropped after a crash.
        if by_segment.is_empty() || self.settle_books().is_err() {
            return false;
        }
        for (segment, list) in by_segment {
            // A disk that fails here may still be able to remove a segment.
            if self.rewrite(segment, &list, cause).is_err() {
                break;
            }
        }
        self.bytes() < before
    }
}
