//! The one writer.

use cap_std::fs::Dir;

use super::account::{Account, Cause, Dropped, Total};
use super::counts::Counts;
use super::error::{Error, Step};
use super::index::{Index, Point};
use super::ledger::{Books, Cursor, LedgerFiles};
use super::limits::{Limits, SyncPolicy};
use super::record::Sequence;
use super::segment::Segment;
use super::storage::{Folder, Storage};
use super::thin::{OldestFirst, Thin};

mod append;
mod commit;
mod joining;
mod open;
mod read;
mod reserve;
mod rewrite;
mod room;
mod thinning;

pub use self::read::Start;
pub(super) use self::read::{Fetched, read_payload};

/// The file whose lock says that somebody writes.
const LOCK: &str = "lock";

/// A spool that is open for writing.
///
/// No error ends it: a call that failed changed nothing that a later one would miss, and the next one tries again.
pub struct Store<S: Storage = Folder> {
    storage: S,
    limits: Limits,
    thin: Box<dyn Thin>,
    salt: u64,
    index: Index,
    /// Oldest first. They may be fewer than there are files: see `retired`.
    segments: std::collections::VecDeque<Segment<S::File>>,
    /// Segments that nobody needs, until the ledger that says so is durable and the files are removed.
    retired: Vec<Segment<S::File>>,
    /// Whether records can be added to the last segment.
    appendable: bool,
    /// Whether there is something behind the last segment's records that must be cut off first.
    torn: bool,
    /// The segment that the disk failed to make durable. The kernel may have dropped what it could not write and
    /// call the next attempt a success, so what is not committed is written once more.
    suspect: Option<u64>,
    /// Whether files were created or renamed since the folder was last made durable.
    names: bool,
    /// Whether one of them is a segment in which less was made of records: positions behind these must not be known,
    /// nor what became of them handed out, before it is sure that the old one does not come back.
    renamed: bool,
    /// Where the next record goes.
    next: Point,
    /// Records before this are as durable as the policy wants them.
    committed: u64,
    unsynced: u32,
    appended: Counts,
    /// What is before this is gone.
    floor: Point,
    gone: Counts,
    cursors: Vec<Reading>,
    ledger: LedgerFiles<S::File>,
    written: Option<Books>,
    /// Whether both files of the ledger say that.
    alike: bool,
    dropped: Vec<Dropped>,
    /// Whether the disk was still full after room had been made: no more is dropped for nothing.
    full: bool,
    /// Whether room is taken for writing a segment anew.
    reserved: bool,
    /// The record that could not be read, and how often.
    unreadable: Option<(u64, u32)>,
    /// The segment that was read last and is not written any more.
    reading: Option<(u64, S::File)>,
    _lock: S::Lock,
}

/// A cursor, and how far it has read ahead of what it acknowledged.
#[derive(Debug)]
struct Reading {
    cursor: Cursor,
    head: u64,
}

/// What was found when the spool was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Records that are there.
    pub records: u64,
    /// Segments that are there.
    pub segments: usize,
    /// Bytes cut off the end: a record that was never committed.
    pub torn_bytes: u64,
    /// Bytes before that in which no whole record was found.
    pub damaged_bytes: u64,
    /// Records that were damaged, for each cursor that has not passed them. They are found again when the spool is
    /// opened again, as long as their segment is there; accounts contain them once.
    pub damaged: Vec<Dropped>,
    /// Both of the ledger's files were damaged or gone though there are records: all cursors are forgotten.
    pub ledger_lost: bool,
}

// === impl Store ===

impl Store<Folder> {
    /// Opens the spool in this folder, or starts one; keeps other writers out as long as it lives.
    ///
    /// What happened since it was last written is repaired: see [`Recovery`]. Reads the heads of all records, and the
    /// payloads of the last segment.
    pub fn open(dir: Dir, limits: Limits, now: i64) -> Result<(Self, Recovery), Error> {
        Self::open_on(Folder::new(dir), limits, now)
    }
}

impl<S: Storage> Store<S> {
    /// Has this rule make less of what waits before whole segments go.
    pub fn set_thin(&mut self, thin: impl Thin + 'static) {
        self.thin = Box::new(thin);
    }

    /// What was dropped since the last call. Accounts contain it whether this is called or not.
    pub fn take_dropped(&mut self) -> Vec<Dropped> {
        std::mem::take(&mut self.dropped)
    }

    /// The number that the next record will have.
    pub fn next_sequence(&self) -> Sequence {
        Sequence(self.next.next)
    }

    /// Records before this one are committed, as durable as the policy wants them.
    pub fn committed(&self) -> Sequence {
        Sequence(self.committed)
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().chain(&self.retired).fold(0, |sum, segment| sum.saturating_add(segment.allocated))
    }

    /// How many segments there are.
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// How many records are there.
    pub fn held_records(&self) -> usize {
        self.index.from(self.floor.next).filter(|entry| entry.held().is_some()).count()
    }

    /// The time of the oldest record that is still there.
    pub fn oldest(&self) -> Option<i64> {
        self.index.from(self.floor.next).find(|entry| entry.held().is_some()).map(|entry| entry.time)
    }

    /// Each cursor's books, as they are now.
    pub fn accounts(&self) -> Vec<Account> {
        self.cursors.iter().map(|reading| self.account_of(&reading.cursor)).collect()
    }

    /// One cursor's books.
    pub fn account(&self, cursor: &str) -> Result<Account, Error> {
        self.reading(cursor).map(|reading| self.account_of(&reading.cursor))
    }

    /// The number that this spool drew when it was new, and has for as long as it is there.
    pub fn number(&self) -> u64 {
        self.salt
    }

    fn account_of(&self, cursor: &Cursor) -> Account {
        cursor.account(&self.index, self.next, &self.appended)
    }

    fn reading(&self, cursor: &str) -> Result<&Reading, Error> {
        let found = self.cursors.iter().find(|reading| reading.cursor.name == cursor);
        found.ok_or_else(|| Error::NoCursor(cursor.to_owned()))
    }

    fn reading_mut(&mut self, cursor: &str) -> Result<&mut Reading, Error> {
        let found = self.cursors.iter_mut().find(|reading| reading.cursor.name == cursor);
        found.ok_or_else(|| Error::NoCursor(cursor.to_owned()))
    }

    /// What the ledger must say so that nothing of this moment is forgotten.
    fn books(&self) -> Books {
        let mut uncommitted = Counts::new();
        let mut next = self.next;
        for entry in self.index.from(self.committed) {
            uncommitted.add_all(&entry.all());
            next.samples = next.samples.min(entry.samples_before);
        }
        next.next = next.next.min(self.committed);
        Books {
            salt: self.salt,
            floor: self.floor,
            gone: self.gone.clone(),
            next,
            appended: self.appended.minus(&uncommitted),
            cursors: self.cursors.iter().map(|reading| reading.cursor.clone()).collect(),
        }
    }
}

impl<S: Storage> std::fmt::Debug for Store<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("floor", &self.floor)
            .field("next", &self.next)
            .field("committed", &self.committed)
            .field("segments", &self.segments.len())
            .finish_non_exhaustive()
    }
}
