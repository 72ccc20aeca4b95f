//! Appending.

use super::super::counts::KEYS;
use super::super::index::{Entry, Place, State};
use super::super::record::{HEADER_BYTES, Header, encode};
use super::super::segment::{SEGMENT_HEADER, header, name};
use super::super::storage::{StorageFile, write_full};
use super::*;

/// A segment is closed when its first record has used up this part of the age that records may reach, so that old
/// records do not stay for the sake of young ones in the same segment.
const SEGMENTS_PER_AGE: i64 = 8;

impl<S: Storage> Store<S> {
    /// Writes a record. It counts as appended when this returned its number, and is committed by [`Store::sync`].
    ///
    /// If there is no room, less is made of others or they are dropped: see [`Thin`] and [`Store::take_dropped`].
    /// After an error the record is not there, unless the machine or the process ends before the next successful
    /// [`Store::sync`]: then it may be, in the place of one that was appended later.
    pub fn append(&mut self, payload: &[u8], counts: Counts, now: i64) -> Result<Sequence, Error> {
        if counts.keys() > KEYS {
            return Err(Error::TooManyKeys { keys: counts.keys(), limit: KEYS });
        }
        let head = Header::new(self.next.next, now, self.next.samples);
        let limit = self.limits.bytes.saturating_sub(SEGMENT_HEADER).min(u64::from(u32::MAX));
        let least = payload.len() as u64 + HEADER_BYTES as u64;
        if least > limit {
            return Err(Error::TooLarge { bytes: least, limit });
        }
        let (head, bytes) = encode(head, &counts, &Counts::new(), payload, self.salt);
        let size = bytes.len() as u64;
        if size > limit {
            return Err(Error::TooLarge { bytes: size, limit });
        }
        self.expire(now);
        self.make_room(size + SEGMENT_HEADER)?;
        let place = match self.write(&bytes, now) {
            Err(error) if error.is_full() && !self.full => self.write_anyway(&bytes, now, error)?,
            written => written?,
        };
        self.full = false;

        let place = Place { head: head.head_length(), payload: u64::from(head.payload_length), ..place };
        self.appended.add_all(&counts);
        let entry = Entry {
            first: head.sequence,
            end: head.sequence + 1,
            samples_before: head.samples_before,
            counts,
            thinned: Counts::new(),
            time: now,
            state: State::Held(place),
        };
        self.next = Point { next: entry.end, samples: entry.samples_after() };
        self.index.push(entry);
        self.unsynced = self.unsynced.saturating_add(1);
        match self.limits.sync {
            SyncPolicy::OnSync => {}
            SyncPolicy::Never => self.committed = self.next.next,
            // The record is there and counts; if the disk fails to make it durable, the next sync tries again.
            SyncPolicy::EachRecord => drop(self.sync()),
            SyncPolicy::Every(number) if self.unsynced >= number => drop(self.sync()),
            SyncPolicy::Every(_) => {}
        }
        Ok(Sequence(head.sequence))
    }

    /// Frees room on a full disk and writes these bytes there. Once: if somebody else fills the disk, dropping more and
    /// more would not help.
    fn write_anyway(&mut self, bytes: &[u8], now: i64, error: Error) -> Result<Place, Error> {
        self.full = true;
        let size = bytes.len() as u64 + SEGMENT_HEADER;
        if self.free_by_thinning(size)
            && let Ok(place) = self.write(bytes, now)
        {
            return Ok(place);
        }
        if self.free_by_dropping(size) { self.write(bytes, now) } else { Err(error) }
    }

    /// Writes these bytes behind the last record, in a new segment if need be.
    fn write(&mut self, bytes: &[u8], now: i64) -> Result<Place, Error> {
        let size = bytes.len() as u64;
        let segment_bytes = self.limits.segment();
        let old = now.saturating_sub(self.limits.age_nanos() / SEGMENTS_PER_AGE);
        let full = |segment: &Segment<S::File>| {
            segment.length > SEGMENT_HEADER && (segment.length + size > segment_bytes || segment.oldest < old)
        };
        if self.torn {
            self.cut();
        }
        if !self.appendable || self.torn || self.segments.back().is_none_or(full) {
            self.start_segment()?;
        }
        let Some(segment) = self.segments.back_mut() else { return Err(no_segment()) };
        let Some(file) = &segment.file else { return Err(no_segment()) };
        let offset = segment.length;
        if let Err(source) = write_full(file, bytes, offset) {
            segment.allocated = file.length().unwrap_or(offset + size);
            self.torn = true;
            self.cut();
            return Err(Error::Io { step: Step::Write, source });
        }
        segment.length += size;
        segment.allocated = segment.length;
        segment.note(now);
        Ok(Place { segment: segment.first, offset, head: 0, payload: 0 })
    }

    /// Cuts off what is half written; if that fails too, the next record goes to a new segment.
    fn cut(&mut self) {
        if let Some(segment) = self.segments.back_mut()
            && let Some(file) = &segment.file
            && file.cut(segment.length).is_ok()
        {
            segment.allocated = segment.length;
            self.torn = false;
        }
    }

    /// Closes the last segment and starts the next.
    fn start_segment(&mut self) -> Result<(), Error> {
        if self.limits.sync != SyncPolicy::Never {
            // What is durable must not have a gap before the new segment.
            self.sync()?;
        }
        let first = self.next.next;
        if self.segments.back().is_some_and(|last| last.first >= first) {
            // An empty segment of that name whose end cannot be cut: nothing in it counts, so it is written over.
            self.segments.pop_back();
        }
        self.retired.retain(|segment| segment.first != first);
        let file = self.storage.create(&name(first)).map_err(Error::io(Step::Create))?;
        self.names = true;
        if let Err(source) = write_full(&file, &header(self.salt, Some(self.next)), 0) {
            self.appendable = false;
            // It is empty, and written over by the next attempt.
            let _ = self.storage.remove(&name(first));
            return Err(Error::Io { step: Step::Create, source });
        }
        if let Some(last) = self.segments.back_mut() {
            last.file = None;
        }
        let segment = Segment::found(first, Some(self.next), SEGMENT_HEADER);
        self.segments.push_back(Segment { file: Some(file), ..segment });
        self.appendable = true;
        self.torn = false;
        Ok(())
    }
}

/// Cannot happen: a segment was started just before.
fn no_segment() -> Error {
    Error::Io { step: Step::Write, source: std::io::ErrorKind::NotFound.into() }
}
