//! Random histories with crashes and faults, against a list in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use self::ops::Op;
use self::rule::{AddUp, Merge};
use super::super::*;
use super::disk::{Disk, Fault};

mod check;
mod ops;
mod rule;

const SECOND: i64 = 1_000_000_000;
const NAMES: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone, PartialEq)]
struct Written {
    payload: Vec<u8>,
    counts: Counts,
    time: i64,
}

#[derive(Debug, Clone)]
struct Reader {
    start: u64,
    /// Where it is, as far as the store said.
    position: u64,
    settled: u64,
    durable: bool,
    gone: BTreeSet<u64>,
    /// Its books when the store was opened.
    opened: BTreeMap<Cause, u64>,
    told: BTreeMap<Cause, u64>,
    /// Samples that were taken out, when the store was opened and told since.
    thinned: u64,
    /// What it was given since it was rewound, and what of that it acknowledged: by number, what each stands for.
    given: BTreeMap<u64, BTreeSet<u64>>,
    acknowledged: BTreeMap<u64, BTreeSet<u64>>,
}

struct Model {
    disk: Disk,
    limits: Limits,
    thinning: bool,
    store: Option<Store<Disk>>,
    now: i64,
    nonce: u64,
    written: BTreeMap<u64, Written>,
    /// What an append that failed may have left, and a crash that lost what was called committed.
    maybe: BTreeMap<u64, Vec<Written>>,
    /// Whether something of that came back and went again unseen.
    unseen: bool,
    committed: u64,
    readers: BTreeMap<&'static str, Reader>,
    removed: BTreeSet<&'static str>,
    /// Records were called committed without being durable, and the power went.
    lossy: bool,
    merges: Arc<Mutex<Vec<Merge>>>,
    flips: u64,
    damaged: BTreeSet<u64>,
    /// What was damaged when the store was opened.
    found: BTreeSet<u64>,
    /// What was torn before it was committed, in the middle of what is there: it is counted as damaged, rightly.
    torn: BTreeSet<u64>,
}

impl Model {
    fn new(seed: u64, limits: Limits, thinning: bool) -> Self {
        let mut model = Self {
            disk: Disk::new(seed),
            limits,
            thinning,
            store: None,
            now: 1_000 * SECOND,
            nonce: 0,
            written: BTreeMap::new(),
            maybe: BTreeMap::new(),
            unseen: false,
            committed: 1,
            readers: BTreeMap::new(),
            removed: BTreeSet::new(),
            lossy: false,
            merges: Arc::default(),
            flips: 0,
            damaged: BTreeSet::new(),
            found: BTreeSet::new(),
            torn: BTreeSet::new(),
        };
        model.reopen();
        model
    }

    fn store(&mut self) -> &mut Store<Disk> {
        self.store.as_mut().unwrap()
    }

    fn step(&mut self, op: &Op) {
        let now = self.now;
        match op {
            Op::Append { size, class } => self.append(*size, *class),
            Op::Sync => {
                if self.store().sync().is_ok() {
                    assert_eq!(self.store().committed(), self.store().next_sequence());
                }
                self.committed = self.store().committed().0;
            }
            Op::Settle => {
                let settled = self.store().settle(now).is_ok();
                self.note_drops();
                if settled {
                    self.note_settled();
                }
            }
            Op::Read { cursor, records, acknowledge } => self.read(*cursor, *records, *acknowledge),
            Op::Rewind { cursor } => {
                let known = self.readers.contains_key(name(*cursor));
                assert_eq!(self.store().rewind(name(*cursor)).is_ok(), known);
                if let Some(reader) = self.readers.get_mut(name(*cursor)) {
                    reader.given.clear();
                }
            }
            Op::Discard { cursor, records } => {
                if let Some(reader) = self.readers.get(name(*cursor)) {
                    let last = reader.position + u64::from(*records);
                    let _ = self.store().discard(name(*cursor), Sequence(last), Cause::Operator);
                }
            }
            Op::Add { cursor, end } => {
                let start = if *end { Start::End } else { Start::Beginning };
                self.disk.heal();
                let there: BTreeSet<u64> =
                    Look::at(&self.disk).unwrap().heads().map(|(sequence, ..)| sequence.0).collect();
                let before = self.store().next_sequence().0;
                if self.store().add_cursor(name(*cursor), start).is_ok() {
                    let account = self.store().account(name(*cursor)).unwrap();
                    let thinned = thinned(&account);
                    let gone = |sequence: &u64| {
                        !there.contains(sequence) || self.damaged.contains(sequence) || self.found.contains(sequence)
                    };
                    let opened = account.dropped.iter().map(|(cause, total)| (*cause, total.records)).collect();
                    let reader = Reader {
                        start: account.position.0,
                        position: account.position.0,
                        settled: account.position.0,
                        durable: false,
                        // What had been dropped before it came.
                        gone: (account.position.0..before).filter(gone).collect(),
                        opened,
                        told: BTreeMap::new(),
                        thinned,
                        given: BTreeMap::new(),
                        acknowledged: BTreeMap::new(),
                    };
                    // Removed and added again before anything was settled: either may be there after a crash.
                    assert!(self.readers.insert(name(*cursor), reader).is_none());
                }
            }
            Op::Remove { cursor } => {
                if self.readers.contains_key(name(*cursor)) {
                    let account = self.store().remove_cursor(name(*cursor)).unwrap();
                    assert!(self.balances(&account));
                    self.readers.remove(name(*cursor));
                    self.removed.insert(name(*cursor));
                }
            }
            Op::Wait { seconds } => self.now += i64::from(*seconds) * SECOND,
            Op::Crash => {
                self.store = None;
                self.lossy |= self.limits.sync == SyncPolicy::Never;
                self.disk.crash();
                self.reopen();
            }
            Op::Kill => {
                self.store = None;
                self.disk.heal();
                self.reopen();
            }
            Op::Flip { pick } => self.flips += u64::from(self.disk.flip(".segment", *pick)),
            Op::FlipLedger { pick } => {
                // One of the two at a time: settled before, so that both are whole.
                self.disk.heal();
                self.store().settle(now).unwrap();
                self.note_drops();
                self.store = None;
                self.disk.flip(["ledger.0", "ledger.1"][*pick as usize % 2], *pick);
                for reader in self.readers.values_mut() {
                    (reader.settled, reader.durable) = (0, false);
                }
                self.removed.extend(NAMES);
                self.reopen();
            }
            Op::Fail { fault, after, length } => {
                let fault = [Fault::Full, Fault::Broken, Fault::ReadOnly][usize::from(*fault) % 3];
                self.disk.fail(fault, u32::from(*after), u32::from(*length));
            }
            Op::Leave { bytes } => self.disk.leave(usize::from(*bytes)),
            Op::Heal => self.disk.heal(),
        }
        self.note_drops();
        self.check_books();
    }

    fn append(&mut self, size: usize, class: u8) {
        self.nonce += 1;
        let payload = rule::payload(self.nonce, size);
        let class = ["tenant", "operator", "other"][usize::from(class) % 3];
        let key = |text| Key::new(text).unwrap();
        let counts = Counts::from_iter([(key(class), size as u64 % 7 + 1), (key("cpu"), self.nonce % 5)]);
        let (now, sequence) = (self.now, self.store().next_sequence().0);
        let written = Written { payload: payload.clone(), counts: counts.clone(), time: now };
        match self.store().append(&payload, counts, now) {
            Ok(given) => {
                assert_eq!(given.0, sequence);
                self.written.insert(sequence, written);
                assert!(self.store().bytes() <= self.limits.bytes);
            }
            Err(Error::TooLarge { .. }) => {}
            Err(_) => self.maybe.entry(sequence).or_default().push(written),
        }
        self.committed = self.store().committed().0;
    }

    fn read(&mut self, cursor: u8, records: u8, acknowledge: bool) {
        let name = name(cursor);
        let mut last = None;
        let mut given = Vec::new();
        for _ in 0..records {
            match self.store().next(name) {
                Ok(Some(record)) => {
                    self.check_record(&record);
                    given.push((record.sequence.0, self.stands_for(record.sequence.0, &record.payload)));
                    assert!(last < Some(record.sequence), "in order");
                    last = Some(record.sequence);
                }
                Ok(None) => break,
                Err(Error::NoCursor(_)) => return assert!(!self.readers.contains_key(name)),
                Err(_) => break,
            }
        }
        if let (Some(last), true) = (last, acknowledge) {
            self.store().acknowledge(name, last).unwrap();
        }
        if let Some(reader) = self.readers.get_mut(name) {
            reader.given.extend(given);
            if let (Some(last), true) = (last, acknowledge) {
                reader.acknowledge(last.0);
            }
        }
        let position = self.store().account(name).map(|account| account.position.0);
        if let (Ok(position), Some(reader)) = (position, self.readers.get_mut(name)) {
            reader.position = position;
        }
    }

    fn note_drops(&mut self) {
        for dropped in self.store().take_dropped() {
            if dropped.cause == Cause::Damaged {
                self.damaged.extend(dropped.first.0..=dropped.last.0);
            }
            let Some(cursor) = &dropped.cursor else { continue };
            let Some(reader) = self.readers.get_mut(cursor.as_str()) else { continue };
            *reader.told.entry(dropped.cause).or_default() += dropped.total.records;
            if dropped.cause == Cause::Thinned {
                reader.thinned += dropped.total.counts.samples();
                continue;
            }
            reader.gone.extend(dropped.first.0..=dropped.last.0);
        }
        for account in self.store().accounts() {
            if let Some(reader) = self.readers.get_mut(account.cursor.as_str()) {
                assert!(reader.position <= account.position.0, "a position never goes back");
                reader.position = account.position.0;
            }
        }
    }

    fn note_settled(&mut self) {
        for reader in self.readers.values_mut() {
            reader.settled = reader.position;
            reader.durable = true;
        }
        self.removed.clear();
    }
}

fn name(cursor: u8) -> &'static str {
    NAMES[usize::from(cursor) % NAMES.len()]
}

/// Samples that were taken out of what it gets; unreadable ones count as damaged.
fn thinned(account: &Account) -> u64 {
    account.dropped.get(&Cause::Thinned).map_or(0, |total| total.counts.samples())
}

// === impl Reader ===

impl Reader {
    fn acknowledge(&mut self, last: u64) {
        let position = self.position;
        for (sequence, stands_for) in self.given.range(position..=last) {
            if self.gone.contains(sequence) {
                continue;
            }
            for (other, known) in &self.acknowledged {
                assert!(known.is_disjoint(stands_for), "delivered twice: {sequence} and {other}");
            }
            self.acknowledged.insert(*sequence, stands_for.clone());
        }
    }
}
