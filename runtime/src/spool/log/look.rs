//! A look at a spool that another process may be writing.

use std::io;

use cap_std::fs::Dir;

use super::account::Account;
use super::counts::Counts;
use super::error::{Error, Step};
use super::index::{Index, Place, Point};
use super::ledger::{self, Books};
use super::record::{Record, Sequence};
use super::scan::{Frame, Scan, scan};
use super::segment::{first_of, name, read_header, read_start};
use super::storage::{Folder, Storage};
use super::store::{Fetched, Store, read_payload};

/// A segment may be removed or started between listing and reading, and the list is taken again so often.
const LISTINGS: u32 = 8;

/// A spool at one moment. Takes no lock and changes nothing; files that are removed meanwhile stay readable.
#[derive(Debug)]
pub struct Look<S: Storage = Folder> {
    books: Option<Books>,
    salt: u64,
    index: Index,
    next: Point,
    appended: Counts,
    segments: Vec<(u64, S::File)>,
    bytes: u64,
    damaged_bytes: u64,
}

impl Store<Folder> {
    /// Looks at the spool in this folder, whether a daemon writes to it or not.
    pub fn look(dir: Dir) -> Result<Look, Error> {
        Look::at(&Folder::new(dir))
    }
}

// === impl Look ===

impl<S: Storage> Look<S> {
    /// Looks at the spool that this storage holds.
    pub fn at(storage: &S) -> Result<Self, Error> {
        let mut tries = 0;
        let (segments, books) = loop {
            tries += 1;
            let segments = match open_all(storage) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < LISTINGS => continue,
                segments => segments.map_err(Error::io(Step::Open))?,
            };
            // After the segments: what was removed before they were listed is settled in what is read here.
            let books = ledger::look(storage).map_err(Error::io(Step::Ledger))?;
            // And what it says was appended must not be in a segment that was started since.
            let last = firsts(storage).map_err(Error::io(Step::List))?.last().copied();
            if last <= segments.last().map(|(first, _)| *first) || tries >= LISTINGS {
                break (segments, books);
            }
        };
        let known = books.as_ref().map(|books| books.salt);
        let salt = known
            .or_else(|| segments.iter().find_map(|(first, file)| Some(read_header(file, *first)?.0)))
            .unwrap_or_default();
        let mut look = Self {
            next: Point::default(),
            appended: Counts::new(),
            index: books.as_ref().map(Index::of).unwrap_or_default(),
            bytes: 0,
            damaged_bytes: 0,
            salt,
            segments,
            books,
        };
        look.read()?;
        Ok(look)
    }

    fn read(&mut self) -> Result<(), Error> {
        let floor = self.books.as_ref().map(|books| books.floor);
        let mut at = floor;
        let mut number = 0;
        while let Some((first, file)) = self.segments.get(number) {
            let after = self.segments.get(number + 1);
            let end = after.map(|(next, _)| *next);
            let next = after.and_then(|(next, file)| read_start(file, *next, self.salt));
            let frame = Frame { salt: self.salt, first: *first, end, next };
            let Scan { found, damaged, length, reach } = scan(file, frame, false).map_err(Error::io(Step::Read))?;
            if let Some(reach) = reach {
                // Those after it that were joined into it and not removed yet.
                let segments = std::mem::take(&mut self.segments).into_iter().enumerate();
                let joined = |(at, (first, _)): &(usize, (u64, S::File))| *at > number && *first < reach;
                self.segments = segments.filter(|segment| !joined(segment)).map(|(_, segment)| segment).collect();
                continue;
            }
            number += 1;
            self.bytes = self.bytes.saturating_add(length);
            if floor.zip(end).is_some_and(|(floor, end)| end <= floor.next) {
                continue;
            }
            let start = read_start(file, *first, self.salt);
            if let (Some(from), Some(start)) = (at, start)
                && start.next > from.next
                && start.samples >= from.samples
            {
                self.index.add_run(from, start);
                at = Some(start);
            }
            self.damaged_bytes = self.damaged_bytes.saturating_add(damaged);
            for found in found {
                let point = Point { next: found.header.sequence, samples: found.header.samples_before };
                // What is being written just now is not there yet.
                if found.whole || end.is_some() {
                    at = Some(self.index.add_found(*first, found, at.unwrap_or(point)));
                }
            }
        }
        self.next = at.unwrap_or(Point { next: 1, samples: 0 });
        if let Some(books) = &self.books {
            self.index.add_run(self.next, books.next);
            self.next.next = self.next.next.max(books.next.next);
            self.next.samples = self.next.samples.max(books.next.samples);
            self.index.resolve(books.next.next, &books.appended, &books.gone);
            self.appended = books.appended.clone();
            for entry in self.index.from(books.next.next) {
                self.appended.add_all(&entry.total_from(books.next).counts);
                self.appended.add_all(&entry.thinned);
            }
        }
        Ok(())
    }

    /// Each cursor's books, as the daemon last settled them.
    pub fn accounts(&self) -> Vec<Account> {
        let cursors = self.books.iter().flat_map(|books| &books.cursors);
        cursors.map(|cursor| cursor.account(&self.index, self.next, &self.appended)).collect()
    }

    /// The number after the last record.
    pub fn next_sequence(&self) -> Sequence {
        Sequence(self.next.next)
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes in which no whole record was found; the end of what is being written just now may be among them.
    pub fn damaged_bytes(&self) -> u64 {
        self.damaged_bytes
    }

    /// How many segments there are.
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Numbers, times and counts of the records that are there, oldest first, and the bytes of their payloads.
    pub fn heads(&self) -> impl Iterator<Item = (Sequence, i64, &Counts, u64)> {
        let held = self.index.from(0).filter_map(|entry| Some((entry, entry.held()?)));
        held.map(|(entry, place)| (Sequence(entry.first), entry.time, &entry.counts, place.payload))
    }

    /// The records from this number on. One that is damaged, or dropped meanwhile, is left out.
    pub fn records(&self, from: Sequence) -> impl Iterator<Item = io::Result<Record>> {
        let held = self.index.from(from.0).filter_map(|entry| Some((entry, entry.held()?)));
        held.filter_map(|(entry, place)| match self.fetch(entry.first, place) {
            Ok(Fetched::Damaged) => None,
            Ok(Fetched::Whole(raw)) => Some(Ok(Record {
                sequence: Sequence(entry.first),
                time: entry.time,
                counts: entry.counts.clone(),
                payload: raw.into_payload(),
            })),
            Err(error) => Some(Err(error)),
        })
    }

    fn fetch(&self, sequence: u64, place: Place) -> io::Result<Fetched> {
        match self.segments.iter().find(|(first, _)| *first == place.segment) {
            Some((_, file)) => read_payload(file, sequence, place, self.salt),
            None => Ok(Fetched::Damaged),
        }
    }
}

fn firsts(storage: &impl Storage) -> io::Result<Vec<u64>> {
    let mut firsts: Vec<u64> = storage.list()?.iter().filter_map(|name| first_of(name)).collect();
    firsts.sort_unstable();
    Ok(firsts)
}

fn open_all<S: Storage>(storage: &S) -> io::Result<Vec<(u64, S::File)>> {
    firsts(storage)?.into_iter().map(|first| Ok((first, storage.view(&name(first))?))).collect()
}
