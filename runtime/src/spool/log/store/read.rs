//! Cursors: reading, acknowledging, coming and going.

use super::super::index::{Place, State};
use super::super::record::{HEADER_BYTES, Header, Record, checksum};
use super::super::segment::name;
use super::super::storage::{StorageFile, read_full};
use super::*;

/// A record that the disk fails to give counts as damaged after so many calls: one bad sector must not stop a cursor
/// for ever.
const TRIES: u32 = 3;
/// The longest name of a cursor in bytes.
const NAME_BYTES: usize = 255;

/// Where a new cursor starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the oldest record that is there.
    Beginning,
    /// With the next one to be committed.
    End,
}

/// What was read.
pub(in super::super) enum Fetched {
    Whole(Raw),
    Damaged,
}

/// A record as it lies on disk.
pub(in super::super) struct Raw {
    pub bytes: Vec<u8>,
    head: usize,
}

impl Raw {
    pub fn into_payload(mut self) -> Vec<u8> {
        self.bytes.drain(..self.head.min(self.bytes.len()));
        self.bytes
    }
}

impl<S: Storage> Store<S> {
    /// Adds a cursor. It is durable, and holds records, once [`Store::settle`] returned.
    pub fn add_cursor(&mut self, cursor: &str, start: Start) -> Result<(), Error> {
        if cursor.is_empty() || cursor.len() > NAME_BYTES || self.reading(cursor).is_ok() {
            return Err(Error::BadName(cursor.to_owned()));
        }
        let (start, before) = match start {
            Start::End => {
                let books = self.books();
                (books.next, books.appended)
            }
            Start::Beginning => (self.floor, self.gone.clone()),
        };
        let cursor = Cursor::at(cursor.to_owned(), start, before);
        self.cursors.push(Reading { head: start.next, cursor });
        Ok(())
    }

    /// Removes a cursor and closes its books. What only it held is removed by the next [`Store::settle`].
    pub fn remove_cursor(&mut self, cursor: &str) -> Result<Account, Error> {
        let account = self.account(cursor)?;
        self.cursors.retain(|reading| reading.cursor.name != cursor);
        Ok(account)
    }

    /// The next committed record that the cursor has not been given since it was opened or rewound.
    ///
    /// A record that turns out to be damaged is counted and passed over. If the disk fails, the same record is tried
    /// again by the next call, and counts as damaged after the third.
    pub fn next(&mut self, cursor: &str) -> Result<Option<Record>, Error> {
        let mut head = self.reading(cursor)?.head;
        self.sync_renamed()?;
        let committed = self.committed;
        let record = loop {
            let entry = self.index.between(head, committed).next();
            let Some((first, end, held)) = entry.map(|entry| (entry.first, entry.end, entry.held())) else {
                break None;
            };
            if let Some(place) = held {
                match self.fetch(first, place)? {
                    Fetched::Whole(raw) => {
                        head = end;
                        break self.record(first, raw.into_payload());
                    }
                    Fetched::Damaged => self.lose(first),
                }
            }
            head = end;
        };
        self.reading_mut(cursor)?.head = head;
        Ok(record)
    }

    /// Has [`Store::next`] start again with what the cursor has not acknowledged.
    pub fn rewind(&mut self, cursor: &str) -> Result<(), Error> {
        let reading = self.reading_mut(cursor)?;
        reading.head = reading.cursor.position.next;
        Ok(())
    }

    /// Settles all records up to this one as delivered. Durable with [`Store::settle`].
    ///
    /// What was dropped before it was acknowledged stays counted as dropped.
    pub fn acknowledge(&mut self, cursor: &str, sequence: Sequence) -> Result<(), Error> {
        self.advance(cursor, sequence, None)
    }

    /// The same, but for samples of these records that could not be delivered, by their causes.
    pub fn acknowledge_but(&mut self, cursor: &str, sequence: Sequence, lost: &[(Cause, Counts)]) -> Result<(), Error> {
        let before = self.reading(cursor)?.cursor.acknowledged.counts.clone();
        self.advance(cursor, sequence, None)?;
        if let Some(reading) = self.cursors.iter_mut().find(|reading| reading.cursor.name == cursor) {
            reading.cursor.take_back(&before, lost);
        }
        Ok(())
    }

    /// Gives up all records up to this one for one cursor.
    pub fn discard(&mut self, cursor: &str, sequence: Sequence, cause: Cause) -> Result<(), Error> {
        self.advance(cursor, sequence, Some(cause))
    }

    /// What a cursor would give up with all committed records that were written before this time, up to the first that
    /// was not: the last of them, how many it may still get, and what they hold.
    pub fn held_before(&self, cursor: &str, time: i64) -> Result<(Option<Sequence>, Total), Error> {
        let position = self.reading(cursor)?.cursor.position.next;
        let (mut last, mut total) = (None, Total::default());
        for entry in self.index.between(position, self.committed).take_while(|entry| entry.time < time) {
            last = Some(Sequence(entry.end.min(self.committed).saturating_sub(1)));
            if entry.held().is_some() {
                total.add(1, &entry.counts);
            }
        }
        Ok((last, total))
    }

    /// The time of the oldest record that a cursor may still get.
    pub fn oldest_held(&self, cursor: &str) -> Result<Option<i64>, Error> {
        let position = self.reading(cursor)?.cursor.position.next;
        Ok(self.index.from(position).find(|entry| entry.held().is_some()).map(|entry| entry.time))
    }

    fn advance(&mut self, cursor: &str, sequence: Sequence, dropping: Option<Cause>) -> Result<(), Error> {
        if sequence.0 >= self.committed {
            self.reading(cursor)?;
            return Err(Error::Ahead { acknowledged: sequence, next: Sequence(self.committed) });
        }
        let found = self.cursors.iter_mut().find(|reading| reading.cursor.name == cursor);
        let reading = found.ok_or_else(|| Error::NoCursor(cursor.to_owned()))?;
        let dropped = reading.cursor.advance(&self.index, sequence.0 + 1, dropping);
        reading.head = reading.head.max(reading.cursor.position.next);
        if let (Some((first, last, total)), Some(cause)) = (dropped, dropping) {
            self.dropped.push(Dropped { cursor: Some(cursor.to_owned()), cause, first, last, total });
        }
        Ok(())
    }

    pub(super) fn record(&self, sequence: u64, payload: Vec<u8>) -> Option<Record> {
        let entry = self.index.from(sequence).next()?;
        Some(Record { sequence: Sequence(sequence), time: entry.time, counts: entry.counts.clone(), payload })
    }

    /// Reads a payload and checks it.
    pub(super) fn fetch(&mut self, sequence: u64, place: Place) -> Result<Fetched, Error> {
        let read = self.read(sequence, place);
        let tries = match (&read, self.unreadable) {
            (Ok(_), _) => return read.map_err(Error::io(Step::Read)),
            // A segment that somebody removed does not come back.
            (Err(error), _) if error.kind() == std::io::ErrorKind::NotFound => TRIES,
            (Err(_), Some((same, tries))) if same == sequence => tries + 1,
            (Err(_), _) => 1,
        };
        self.unreadable = Some((sequence, tries));
        if tries < TRIES { read.map_err(Error::io(Step::Read)) } else { Ok(Fetched::Damaged) }
    }

    fn read(&mut self, sequence: u64, place: Place) -> std::io::Result<Fetched> {
        let open = self.segments.iter().find(|segment| segment.first == place.segment);
        let file = match open.and_then(|segment| segment.file.as_ref()) {
            Some(file) => file,
            None => {
                if self.reading.as_ref().is_none_or(|(segment, _)| *segment != place.segment) {
                    self.reading = Some((place.segment, self.storage.view(&name(place.segment))?));
                }
                let Some((_, file)) = &self.reading else { return Ok(Fetched::Damaged) };
                file
            }
        };
        read_payload(file, sequence, place, self.salt)
    }

    /// Counts a record as damaged.
    pub(super) fn lose(&mut self, sequence: u64) {
        if let Some(entry) = self.index.entry_mut(sequence) {
            entry.state = State::Lost(Cause::Damaged);
            self.tell(sequence, Cause::Damaged);
        }
    }

    /// Reports the loss of one record to everybody who has not passed it.
    pub(super) fn tell(&mut self, sequence: u64, cause: Cause) {
        let Some(entry) = self.index.between(sequence, sequence + 1).next() else { return };
        let names = self.cursors.iter().filter(|reading| reading.cursor.position.next <= sequence);
        let mut names: Vec<_> = names.map(|reading| Some(reading.cursor.name.clone())).collect();
        if self.cursors.is_empty() {
            names.push(None);
        }
        let (first, last) = (Sequence(sequence), Sequence(sequence));
        let total = super::super::account::Total { records: 1, counts: entry.counts.clone() };
        let drops = names.into_iter().map(|cursor| Dropped { cursor, cause, first, last, total: total.clone() });
        self.dropped.extend(drops);
    }
}

/// Reads a record's payload at a place where its head was whole once.
pub(in super::super) fn read_payload(
    file: &impl StorageFile,
    sequence: u64,
    place: Place,
    salt: u64,
) -> std::io::Result<Fetched> {
    let length = place.head.saturating_add(place.payload);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    let read = read_full(file, &mut bytes, place.offset)?;
    bytes.truncate(read);
    let whole = Header::decode(&bytes, salt).filter(|header| {
        header.sequence == sequence
            && header.dropped.is_none()
            && header.head_length() == place.head
            && header.payload_length as u64 == place.payload
    });
    let Some(header) = whole.filter(|_| bytes.len() >= HEADER_BYTES) else { return Ok(Fetched::Damaged) };
    let head = usize::try_from(place.head).unwrap_or(usize::MAX).min(bytes.len());
    let payload = bytes.get(head..).unwrap_or_default();
    if payload.len() as u64 != place.payload || checksum(salt, payload) != header.payload_checksum {
        return Ok(Fetched::Damaged);
    }
    Ok(Fetched::Whole(Raw { bytes, head }))
}
