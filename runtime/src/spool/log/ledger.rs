//! Positions and totals: two small files, written in turn.
//!
//! Each write goes to the file that holds the older state, so that a torn one leaves the newer. Both are as long as
//! they will be from the start: a full disk does not keep positions from moving, and with that, room from being made.

use std::collections::BTreeMap;
use std::io;

use super::account::{Account, Cause, Total};
use super::counts::Counts;
use super::index::{Index, Point, State};
use super::record::{LAST_SEQUENCE, Reader, Sequence, checksum};
use super::storage::{Storage, StorageFile, read_full, write_full};

/// The two files.
const NAMES: [&str; 2] = ["ledger.0", "ledger.1"];
const MAGIC: &[u8; 8] = b"wmledgr1";
/// Magic, generation, length, checksum.
const HEADER: usize = 24;
/// Files grow by this much, and start with it: room for hundreds of keys.
const GROWTH: usize = 64 << 10;
/// A ledger that claims to be longer is none.
const LONGEST: usize = 16 << 20;
/// The checksum of a ledger does not depend on the salt, which is in it.
const UNSALTED: u64 = 0;

/// What the spool must know beyond its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Books {
    /// The spool's own number, for checksums.
    pub salt: u64,
    /// Records before this point are gone.
    pub floor: Point,
    /// What these held.
    pub gone: Counts,
    /// Records before this point have been committed.
    pub next: Point,
    /// What these held.
    pub appended: Counts,
    pub cursors: Vec<Cursor>,
}

/// A reader's position and books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    pub name: String,
    /// Where it was created.
    pub start: Point,
    /// What had been appended before.
    pub before: Counts,
    /// The first record that it has not acknowledged.
    pub position: Point,
    pub acknowledged: Total,
    /// What it lost up to its position.
    pub dropped: BTreeMap<Cause, Total>,
}

/// The files.
#[derive(Debug)]
pub(super) struct LedgerFiles<F> {
    files: [Option<F>; 2],
    generation: u64,
    /// Which file holds the last state that was written.
    newest: usize,
    /// Whether that state was only found there. The process before this one may have been told that it is not
    /// durable, so the first write goes over it, and not over the older state.
    found: bool,
}

// === impl LedgerFiles ===

impl<F: StorageFile> LedgerFiles<F> {
    /// Opens both files, and creates those that are missing. The state is that of the newer whole one.
    pub fn open<S: Storage<File = F>>(storage: &S) -> io::Result<(Self, Option<Books>)> {
        let mut this = Self { files: [None, None], generation: 0, newest: 0, found: false };
        let mut state = None;
        for (number, (name, slot)) in NAMES.into_iter().zip(&mut this.files).enumerate() {
            let file = match storage.open(name) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => storage.create(name)?,
                Err(error) => return Err(error),
            };
            if let Some((generation, read)) = read(&file)?.filter(|(generation, _)| *generation > this.generation) {
                this.generation = generation;
                this.newest = number;
                this.found = true;
                state = Some(read);
            }
            *slot = Some(file);
        }
        Ok((this, state))
    }

    /// Writes a state over the older one, and makes it durable.
    pub fn write(&mut self, state: &Books) -> io::Result<()> {
        let generation = self.generation.saturating_add(1);
        let target = if self.found { self.newest } else { 1 - self.newest };
        let mut body = Vec::new();
        state.encode(&mut body);
        let bytes = sealed(generation, &body);

        let Some(Some(file)) = self.files.get(target) else { return Err(io::ErrorKind::NotFound.into()) };
        let allocated = file.length()?;
        if allocated < bytes.len() as u64 {
            let mut padded = bytes;
            padded.resize((padded.len() / GROWTH + 1) * GROWTH, 0);
            write_full(file, &padded, 0)?;
        } else {
            write_full(file, &bytes, 0)?;
        }
        file.sync()?;
        self.generation = generation;
        self.newest = target;
        self.found = false;
        Ok(())
    }
}

/// A ledger's file of this state: magic, generation, length and checksum before it.
pub(super) fn sealed(generation: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(generation.to_le_bytes());
    bytes.extend(u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    let mut checked = bytes.get(8..).map(<[u8]>::to_vec).unwrap_or_default();
    checked.extend(body);
    bytes.extend(checksum(UNSALTED, &checked).to_le_bytes());
    bytes.extend(body);
    bytes
}

/// The state as another process sees it, without a lock: one file may be half written, the other is whole.
pub(super) fn look<S: Storage>(storage: &S) -> io::Result<Option<Books>> {
    let mut newest = None;
    for name in NAMES {
        match storage.view(name) {
            Ok(file) => newest = newest.max_by_generation(read(&file)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(newest.map(|(_, state)| state))
}

trait ByGeneration {
    fn max_by_generation(self, other: Self) -> Self;
}

impl ByGeneration for Option<(u64, Books)> {
    fn max_by_generation(self, other: Self) -> Self {
        let newer =
            self.as_ref().map(|(generation, _)| *generation) < other.as_ref().map(|(generation, _)| *generation);
        if newer { other } else { self }
    }
}

fn read(file: &impl StorageFile) -> io::Result<Option<(u64, Books)>> {
    let length = usize::try_from(file.length()?).unwrap_or(usize::MAX).min(LONGEST);
    let mut bytes = vec![0; length];
    let read = read_full(file, &mut bytes, 0)?;
    bytes.truncate(read);
    Ok(decode(&bytes))
}

fn decode(bytes: &[u8]) -> Option<(u64, Books)> {
    let mut reader = Reader(bytes.strip_prefix(MAGIC)?);
    let generation = reader.u64()?;
    let length = reader.u32()? as usize;
    let stored = reader.u32()?;
    let mut checked = bytes.get(8..HEADER - 4)?.to_vec();
    checked.extend(bytes.get(HEADER..HEADER.checked_add(length)?)?);
    if checksum(UNSALTED, &checked) != stored {
        return None;
    }
    Some((generation, Books::decode(&mut Reader(bytes.get(HEADER..)?))?))
}

// === impl Books ===

impl Books {
    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.salt.to_le_bytes());
        self.floor.encode(bytes);
        self.gone.encode(bytes);
        self.next.encode(bytes);
        self.appended.encode(bytes);
        bytes.extend(u32::try_from(self.cursors.len()).unwrap_or(u32::MAX).to_le_bytes());
        for cursor in &self.cursors {
            cursor.encode(bytes);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let mut state = Self {
            salt: reader.u64()?,
            floor: Point::decode(reader)?,
            gone: Counts::decode(reader)?,
            next: Point::decode(reader)?,
            appended: Counts::decode(reader)?,
            cursors: Vec::new(),
        };
        for _ in 0..reader.u32()? {
            state.cursors.push(Cursor::decode(reader)?);
        }
        Some(state)
    }
}

// === impl Cursor ===

impl Cursor {
    /// A new one that starts here.
    pub fn at(name: String, start: Point, before: Counts) -> Self {
        let (acknowledged, dropped) = (Total::default(), BTreeMap::new());
        Self { name, start, before, position: start, acknowledged, dropped }
    }

    /// Moves on to a number. What it passes is settled as acknowledged or, with a cause, as dropped; what had been
    /// lost before stays lost by its own cause. Returns what this call dropped.
    pub fn advance(&mut self, index: &Index, to: u64, dropping: Option<Cause>) -> Option<(Sequence, Sequence, Total)> {
        let mut dropped: Option<(Sequence, Sequence, Total)> = None;
        if to <= self.position.next {
            // A run that it is in may begin before that.
            return None;
        }
        for entry in index.between(self.position.next, to) {
            let mut total = entry.total_from(self.position);
            total.records = total.records.min(to.saturating_sub(entry.first.max(self.position.next)));
            let cause = match entry.state {
                State::Held(_) => dropping,
                State::Lost(cause) => Some(cause),
            };
            match cause {
                None => self.acknowledged.add(total.records, &total.counts),
                Some(cause) => self.dropped.entry(cause).or_default().add(total.records, &total.counts),
            }
            if !entry.thinned.is_empty() {
                self.dropped.entry(Cause::Thinned).or_default().add(0, &entry.thinned);
            }
            if let (State::Held(_), Some(_)) = (entry.state, dropping) {
                let (_, last, sum) =
                    dropped.get_or_insert((Sequence(entry.first), Sequence(entry.first), Total::default()));
                *last = Sequence(entry.end.saturating_sub(1));
                sum.add(total.records, &total.counts);
            }
            self.position.next = entry.end.min(to);
            self.position.samples = self.position.samples.max(entry.samples_after());
        }
        dropped
    }

    /// Counts samples as lost that were acknowledged since `before`. What was lost meanwhile for another cause is not
    /// lost twice.
    pub fn take_back(&mut self, before: &Counts, lost: &[(Cause, Counts)]) {
        let mut since = self.acknowledged.counts.minus(before);
        for (cause, counts) in lost {
            let part = counts.within(&since);
            since = since.minus(&part);
            self.acknowledged.counts = self.acknowledged.counts.minus(&part);
            if !part.is_empty() {
                self.dropped.entry(*cause).or_default().add(0, &part);
            }
        }
    }

    /// Its books at this moment.
    pub fn account(&self, index: &Index, next: Point, appended: &Counts) -> Account {
        let samples = next.samples.saturating_sub(self.start.samples);
        let mut counts = appended.minus(&self.before);
        if counts.samples() != samples {
            // Before its start there were some whose keys were damaged, so it is not known which of them are left.
            counts = Counts::unknown(samples);
        }
        let mut account = Account {
            cursor: self.name.clone(),
            position: Sequence(self.position.next),
            appended: Total { records: next.next.saturating_sub(self.start.next), counts },
            acknowledged: self.acknowledged.clone(),
            held: Total::default(),
            dropped: self.dropped.clone(),
        };
        for entry in index.from(self.position.next) {
            let total = entry.total_from(self.position);
            match entry.state {
                State::Held(_) => account.held.add(total.records, &total.counts),
                State::Lost(cause) => {
                    account.dropped.entry(cause).or_default().add(total.records, &total.counts);
                }
            }
            if !entry.thinned.is_empty() {
                account.dropped.entry(Cause::Thinned).or_default().add(0, &entry.thinned);
            }
        }
        account
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(u8::try_from(self.name.len()).unwrap_or(u8::MAX));
        bytes.extend(self.name.as_bytes());
        self.start.encode(bytes);
        self.before.encode(bytes);
        self.position.encode(bytes);
        self.acknowledged.encode(bytes);
        bytes.push(u8::try_from(self.dropped.len()).unwrap_or(u8::MAX));
        for (cause, total) in &self.dropped {
            bytes.push(cause.code());
            total.encode(bytes);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let length = usize::from(reader.u8()?);
        let mut cursor = Self {
            name: std::str::from_utf8(reader.take(length)?).ok()?.to_owned(),
            start: Point::decode(reader)?,
            before: Counts::decode(reader)?,
            position: Point::decode(reader)?,
            acknowledged: Total::decode(reader)?,
            dropped: BTreeMap::new(),
        };
        for _ in 0..reader.u8()? {
            cursor.dropped.insert(Cause::from_code(reader.u8()?)?, Total::decode(reader)?);
        }
        Some(cursor)
    }
}

// === impl Point ===

impl Point {
    fn encode(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.next.to_le_bytes());
        bytes.extend(self.samples.to_le_bytes());
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let point = Self { next: reader.u64()?, samples: reader.u64()? };
        (point.next <= LAST_SEQUENCE).then_some(point)
    }
}

// === impl Total ===

impl Total {
    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.records.to_le_bytes());
        self.counts.encode(bytes);
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self { records: reader.u64()?, counts: Counts::decode(reader)? })
    }
}
