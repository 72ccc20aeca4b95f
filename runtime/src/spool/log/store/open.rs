//! Opening: what is there, and what of it is whole.

use std::collections::VecDeque;

use super::super::index::{Entry, State};
use super::super::scan::{Frame, Scan, scan};
use super::super::segment::{REWRITE, SEGMENT_HEADER, first_of, name, read_header, read_start};
use super::super::storage::StorageFile;
use super::rewrite::Plan;
use super::*;

/// The number of the first record of all.
const BEGINNING: u64 = 1;

impl<S: Storage> Store<S> {
    /// Opens the spool that this storage holds: see [`Store::open`].
    pub fn open_on(storage: S, limits: Limits, now: i64) -> Result<(Self, Recovery), Error> {
        let lock = storage.lock(LOCK).map_err(Error::lock)?.ok_or(Error::Locked)?;
        let (ledger, books) = LedgerFiles::open(&storage).map_err(Error::io(Step::Ledger))?;
        let (mut firsts, rewriting) = list(&storage)?;
        if rewriting {
            storage.remove(REWRITE).map_err(Error::io(Step::Remove))?;
        }
        let mut recovery = Recovery { ledger_lost: books.is_none() && !firsts.is_empty(), ..Recovery::default() };
        let books = match books {
            Some(books) => books,
            None => new_books(&storage, &firsts)?,
        };

        let mut store = Self {
            storage,
            limits,
            thin: Box::new(OldestFirst),
            salt: books.salt,
            index: Index::of(&books),
            segments: VecDeque::new(),
            retired: Vec::new(),
            appendable: false,
            torn: false,
            suspect: None,
            names: true,
            renamed: false,
            next: books.floor,
            committed: 0,
            unsynced: 0,
            appended: books.appended.clone(),
            floor: books.floor,
            gone: books.gone.clone(),
            cursors: Vec::new(),
            ledger,
            // Found is not durable: the first settling writes it in any case.
            written: None,
            alike: false,
            dropped: Vec::new(),
            full: false,
            reserved: false,
            unreadable: None,
            reading: None,
            _lock: lock,
        };
        let mut unclean = false;
        let mut last_first = None;
        while let Some(first) = firsts.pop_front() {
            let before = recovery.damaged_bytes;
            store.add_segment(first, &mut firsts, &books, &mut recovery)?;
            // An empty segment is set aside.
            if store.segments.back().is_some_and(|last| last.first == first) {
                unclean = recovery.damaged_bytes > before;
            }
            last_first = Some(first);
        }
        store.finish_index(&books, last_first.unwrap_or_default());
        let position = |cursor: Cursor| Reading { head: cursor.position.next, cursor };
        store.cursors = books.cursors.into_iter().map(position).collect();
        store.commit_found(books.next.next);

        // Best while it is known what of it is whole. If there is no room for that, it stays as it is. If an empty
        // segment came after it, nothing may be added to it: should that one come back, it would hide what was.
        let last = store.segments.back().map(|segment| segment.first);
        if let Some(first) = last.filter(|last| unclean && last_first == Some(*last)) {
            let entries = store.index.between(first, store.next.next).cloned().collect();
            if store.rewrite(first, Plan { entries, payload: None }).is_ok() {
                let _ = store.sync_names();
            }
        }
        recovery.segments = store.segments.len();
        recovery.records = store.index.from(0).filter(|entry| entry.held().is_some()).count() as u64;
        recovery.damaged = store.damaged();
        store.keep_reserve();
        // Nothing depends on this success: what is left over is only bytes, and the next call tries again.
        let _ = store.settle(now);
        Ok((store, recovery))
    }

    /// Takes up a segment's records. `rest` are the segments after it; those that were joined into this one are taken
    /// out and set aside.
    fn add_segment(
        &mut self,
        first: u64,
        rest: &mut VecDeque<u64>,
        books: &Books,
        recovery: &mut Recovery,
    ) -> Result<(), Error> {
        let file = self.storage.open(&name(first)).map_err(Error::io(Step::Open))?;
        let allocated = file.length().map_err(Error::io(Step::Open))?;
        let head = read_start(&file, first, self.salt);
        let mut segment = Segment::found(first, head, allocated);
        if rest.front().is_some_and(|end| *end <= self.floor.next) {
            self.retired.push(segment);
            return Ok(());
        }
        let Scan { mut found, mut damaged, .. } = self.scan_joined(&file, first, rest)?;
        let last = rest.is_empty();
        if last {
            // What was never committed may be half there, and nothing after it counts. What was, is damaged.
            let kept = |found: &super::super::scan::Found| found.whole || found.header.sequence < books.next.next;
            found.truncate(found.iter().rposition(kept).map_or(0, |position| position + 1));
            let end = found.last().map_or(SEGMENT_HEADER, |found| found.offset.saturating_add(found.header.length()));
            segment.length = end.min(allocated);
            let torn = allocated - segment.length;
            damaged = damaged.saturating_sub(torn);
            recovery.torn_bytes = torn;
            self.appendable = end <= allocated && head.is_some();
            if torn > 0 {
                match file.cut(segment.length) {
                    Ok(()) => segment.allocated = segment.length,
                    Err(_) => self.torn = self.appendable,
                }
            }
            if found.is_empty() && (!self.appendable || first < self.floor.next) {
                self.appendable = false;
                self.retired.push(segment);
                return Ok(());
            }
        }
        recovery.damaged_bytes = recovery.damaged_bytes.saturating_add(damaged);
        if let Some(start) = head.filter(|start| start.next > self.next.next && start.samples >= self.next.samples) {
            self.index.add_run(self.next, start);
            self.next = start;
        }
        for found in found {
            segment.note(found.header.time);
            if found.header.joined {
                segment.joined = segment.joined.max(found.header.end());
            }
            self.next = self.index.add_found(first, found, self.next);
        }
        if last {
            segment.file = Some(file);
        }
        self.segments.push_back(segment);
        Ok(())
    }

    /// Reads a segment as far as it goes: over those of the rest that were joined into it, whose removal was not
    /// durable or did not happen.
    fn scan_joined(&mut self, file: &S::File, first: u64, rest: &mut VecDeque<u64>) -> Result<Scan, Error> {
        loop {
            let end = rest.front().copied();
            // A segment that cannot be opened now will say so when it is its turn.
            let next = end.and_then(|end| read_start(&self.storage.open(&name(end)).ok()?, end, self.salt));
            let frame = Frame { salt: self.salt, first, end, next };
            let read = scan(file, frame, end.is_none()).map_err(Error::io(Step::Read))?;
            let Some(reach) = read.reach else { return Ok(read) };
            while let Some(joined) = rest.pop_front_if(|next| *next < reach) {
                let file = self.storage.open(&name(joined)).map_err(Error::io(Step::Open))?;
                let allocated = file.length().map_err(Error::io(Step::Open))?;
                self.retired.push(Segment::found(joined, None, allocated));
            }
        }
    }

    /// Accounts for committed records that are gone from the end, and adds up what was appended.
    fn finish_index(&mut self, books: &Books, last: u64) {
        let mut end = books.next;
        // When a segment was started, what comes before it had been appended, even if the segment is empty.
        end.next = end.next.max(last);
        for cursor in &books.cursors {
            end.next = end.next.max(cursor.position.next);
            end.samples = end.samples.max(cursor.position.samples);
        }
        self.index.add_run(self.next, end);
        if end.next > self.next.next {
            self.next.next = end.next;
        }
        self.next.samples = self.next.samples.max(end.samples);
        self.index.resolve(books.next.next, &books.appended, &books.gone);
        for entry in self.index.from(books.next.next) {
            self.appended.add_all(&entry.total_from(books.next).counts);
            self.appended.add_all(&entry.thinned);
        }
    }

    /// Makes durable what the process before this one had only written.
    fn commit_found(&mut self, known: u64) {
        self.committed = known.max(self.segments.back().map_or(0, |segment| segment.first)).min(self.next.next);
        if self.limits.sync == SyncPolicy::Never {
            self.committed = self.next.next;
        } else {
            if self.committed < self.next.next {
                // That process may have been told that the disk failed, and this one would not be told again.
                self.suspect = self.segments.back().map(|segment| segment.first);
            }
            // If the disk fails here the next sync tries again; until then cursors do not get these records.
            let _ = self.sync();
        }
    }

    fn damaged(&self) -> Vec<Dropped> {
        let mut damaged = Vec::new();
        let mut add = |cursor: Option<&Cursor>, entry: &Entry| {
            let total = entry.total_from(cursor.map(|cursor| cursor.position).unwrap_or_default());
            damaged.push(Dropped {
                cursor: cursor.map(|cursor| cursor.name.clone()),
                cause: Cause::Damaged,
                first: Sequence(entry.first.max(cursor.map_or(0, |cursor| cursor.position.next))),
                last: Sequence(entry.end.saturating_sub(1)),
                total,
            });
        };
        for entry in self.index.from(0).filter(|entry| entry.state == State::Lost(Cause::Damaged)) {
            let readers = self.cursors.iter().map(|reading| &reading.cursor);
            readers.filter(|cursor| cursor.position.next < entry.end).for_each(|cursor| add(Some(cursor), entry));
            if self.cursors.is_empty() {
                add(None, entry);
            }
        }
        damaged
    }
}

/// The first records of all segments, in order, and whether one was being written anew.
fn list(storage: &impl Storage) -> Result<(VecDeque<u64>, bool), Error> {
    let names = storage.list().map_err(Error::io(Step::List))?;
    let mut firsts: Vec<u64> = names.iter().filter_map(|name| first_of(name)).collect();
    firsts.sort_unstable();
    Ok((firsts.into(), names.iter().any(|name| name == REWRITE)))
}

/// Books for a folder without: an empty one, or one whose ledger is lost.
fn new_books<S: Storage>(storage: &S, firsts: &VecDeque<u64>) -> Result<Books, Error> {
    let mut salt = None;
    let mut floor = Point { next: firsts.front().copied().unwrap_or(BEGINNING), samples: 0 };
    for first in firsts {
        let file = storage.open(&name(*first)).map_err(Error::io(Step::Open))?;
        // A segment without a header says nothing; the others have the same salt.
        if let Some((found, start)) = read_header(&file, *first) {
            salt = Some(found);
            // Counted from the first record of which anything is known.
            floor = start;
            break;
        }
    }
    let salt = salt.unwrap_or_else(|| storage.entropy());
    Ok(Books { salt, floor, gone: Counts::new(), next: floor, appended: Counts::new(), cursors: Vec::new() })
}
