//! Random histories with crashes and faults, against a list in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::disk::{Disk, Fault};
use crate::spool::log::*;

const SECOND: i64 = 1_000_000_000;
const NAMES: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone)]
enum Op {
    Append { size: usize, class: u8 },
    Sync,
    Settle,
    Read { cursor: u8, records: u8, acknowledge: bool },
    Rewind { cursor: u8 },
    Discard { cursor: u8, records: u8 },
    Add { cursor: u8, end: bool },
    Remove { cursor: u8 },
    Wait { seconds: u8 },
    Crash,
    Kill,
    Flip { pick: u64 },
    FlipLedger { pick: u64 },
    Fail { fault: u8, after: u8, length: u8 },
    Leave { bytes: u16 },
    Heal,
}

/// Operations, one line in a report.
#[derive(Clone)]
struct History(Vec<Op>);

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|op| write!(f, "{op:?}; "))
    }
}

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
}

struct Model {
    disk: Disk,
    limits: Limits,
    by_class: bool,
    store: Option<Store<Disk>>,
    now: i64,
    nonce: u64,
    written: BTreeMap<u64, Written>,
    /// What an append that failed may have left.
    maybe: BTreeMap<u64, Vec<Written>>,
    committed: u64,
    readers: BTreeMap<&'static str, Reader>,
    removed: BTreeSet<&'static str>,
    flips: u64,
    damaged: BTreeSet<u64>,
    /// What was torn before it was committed, in the middle of what is there: it is counted as damaged, rightly.
    torn: BTreeSet<u64>,
}

/// Tenants' records go before the operator's.
struct TenantsFirst;

impl Victims for TenantsFirst {
    fn choose(&mut self, held: &[Held<'_>], bytes: u64, _: Cause) -> Choice {
        let mut sum = 0;
        let tenants = held.iter().filter(|held| held.counts.of("tenant") > 0);
        let chosen = tenants.take_while(|held| {
            let more = sum < bytes;
            sum += held.bytes;
            more
        });
        Choice::Records(chosen.map(|held| held.sequence).collect())
    }
}

impl Model {
    fn new(seed: u64, limits: Limits, by_class: bool) -> Self {
        let mut model = Self {
            disk: Disk::new(seed),
            limits,
            by_class,
            store: None,
            now: 1_000 * SECOND,
            nonce: 0,
            written: BTreeMap::new(),
            maybe: BTreeMap::new(),
            committed: 1,
            readers: BTreeMap::new(),
            removed: BTreeSet::new(),
            flips: 0,
            damaged: BTreeSet::new(),
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
                    let opened = account.dropped.iter().map(|(cause, total)| (*cause, total.records)).collect();
                    let reader = Reader {
                        start: account.position.0,
                        position: account.position.0,
                        settled: account.position.0,
                        durable: false,
                        // What had been dropped before it came.
                        gone: (account.position.0..before).filter(|sequence| !there.contains(sequence)).collect(),
                        opened,
                        told: BTreeMap::new(),
                    };
                    // Removed and added again before anything was settled: either may be there after a crash.
                    assert!(self.readers.insert(name(*cursor), reader).is_none());
                }
            }
            Op::Remove { cursor } => {
                if self.readers.contains_key(name(*cursor)) {
                    assert!(self.store().remove_cursor(name(*cursor)).unwrap().balances());
                    self.readers.remove(name(*cursor));
                    self.removed.insert(name(*cursor));
                }
            }
            Op::Wait { seconds } => self.now += i64::from(*seconds) * SECOND,
            Op::Crash => {
                self.store = None;
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
        let mut payload = self.nonce.to_le_bytes().to_vec();
        payload.extend((0..size).map(|at| (at as u64).wrapping_mul(self.nonce) as u8));
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
        for _ in 0..records {
            match self.store().next(name) {
                Ok(Some(record)) => {
                    self.check_record(&record);
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
        let position = self.store().account(name).map(|account| account.position.0);
        if let (Ok(position), Some(reader)) = (position, self.readers.get_mut(name)) {
            reader.position = position;
        }
    }

    fn check_record(&self, record: &Record) {
        let expected = &self.written[&record.sequence.0];
        assert_eq!((&record.payload, record.time), (&expected.payload, expected.time), "{}", record.sequence);
        if record.counts.unread() == 0 {
            assert_eq!(record.counts, expected.counts);
        }
        assert_eq!(record.counts.samples(), expected.counts.samples());
    }

    fn note_drops(&mut self) {
        for dropped in self.store().take_dropped() {
            let Some(cursor) = &dropped.cursor else { continue };
            let Some(reader) = self.readers.get_mut(cursor.as_str()) else { continue };
            *reader.told.entry(dropped.cause).or_default() += dropped.total.records;
            if dropped.cause == Cause::Damaged {
                self.damaged.extend(dropped.first.0..=dropped.last.0);
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

    /// The equation, and that every loss was told.
    fn check_books(&mut self) {
        let next = self.store().next_sequence().0;
        for account in self.store().accounts() {
            assert!(account.balances(), "{account:#?}");
            let reader = &self.readers[account.cursor.as_str()];
            assert_eq!(account.appended.records, next - reader.start);
            let appended = self.written.range(reader.start..next).map(|(_, written)| written.counts.samples());
            // Where the books begin in the middle of what is damaged, or it is at the end with nothing after it, it is
            // not known how much it was: then only the records count.
            let vague = self.flips > 0 && account.dropped.contains_key(&Cause::Damaged);
            if account.appended.counts.unread() == 0 && !vague {
                assert_eq!(account.appended.counts.samples(), appended.sum::<u64>(), "samples of {account:#?}");
            }
            for cause in Cause::ALL {
                let of = |map: &BTreeMap<Cause, u64>| map.get(&cause).copied().unwrap_or_default();
                let dropped = account.dropped.get(&cause).map_or(0, |total| total.records);
                assert_eq!(dropped, of(&reader.opened) + of(&reader.told), "{cause:?} of {account:#?}");
            }
        }
        // A flipped bit costs one record; what else is lost needs a disk that refuses to read it three times.
        let damaged = self.damaged.difference(&self.torn).count() as u64;
        if self.disk.read_faults() < 3 {
            assert!(damaged <= self.flips, "{damaged} records damaged by {} flips: {:?}", self.flips, self.damaged);
        }
    }

    fn reopen(&mut self) {
        let before = self.committed;
        let (mut store, recovery) = Store::open_on(self.disk.clone(), self.limits, self.now).unwrap();
        if self.by_class {
            store.set_victims(TenantsFirst);
        }
        assert!(!recovery.ledger_lost, "{recovery:?}");
        let next = store.next_sequence().0;
        let last = self.written.keys().chain(self.maybe.keys()).max().map_or(1, |last| last + 1);
        assert!(next <= last, "nothing comes from nowhere: {next} of {last}");
        if self.damaged.is_empty() && self.flips == 0 && self.disk.read_faults() < 3 {
            assert!(next >= before, "committed {before}, found {next}");
        }
        // What was not committed may be there, in one of the forms that it was written in.
        let look = Look::at(&self.disk).unwrap();
        assert_eq!(look.next_sequence().0, next);
        let mut seen = BTreeMap::new();
        for record in look.records(Sequence(0)) {
            let record = record.unwrap();
            let known = self.written.get(&record.sequence.0).into_iter();
            let failed = self.maybe.get(&record.sequence.0).into_iter().flatten();
            let form = known.chain(failed).find(|written| written.payload == record.payload);
            let form = form.unwrap_or_else(|| panic!("a record from nowhere: {record:?}")).clone();
            if record.sequence.0 < before {
                assert_eq!(Some(&form), self.written.get(&record.sequence.0), "what was committed stays");
            }
            seen.insert(record.sequence.0, form);
        }
        drop(look);
        self.torn.extend((before..next).filter(|sequence| !seen.contains_key(sequence)));
        self.written.extend(seen);
        self.written.retain(|sequence, _| *sequence < next);
        self.maybe.clear();

        // Cursors whose coming or going was not settled may be there or not.
        for account in store.accounts() {
            let Some(known) = NAMES.into_iter().find(|name| *name == account.cursor) else { panic!("{account:?}") };
            let same = self.readers.get(known).is_some_and(|reader| {
                reader.durable || (!self.removed.contains(known) && account.appended.records == next - reader.start)
            });
            if !same && !self.readers.contains_key(known) {
                assert!(self.removed.contains(known), "{known} was never added");
                store.remove_cursor(known).unwrap();
            } else if !same {
                // Another one of the same name, from before it was removed.
                self.readers.remove(known);
                store.remove_cursor(known).unwrap();
            }
        }
        let there: BTreeSet<String> = store.accounts().into_iter().map(|account| account.cursor).collect();
        self.readers.retain(|name, reader| {
            assert!(there.contains(*name) || !reader.durable, "{name} is gone");
            there.contains(*name)
        });
        let drops = store.take_dropped();
        for (name, reader) in &mut self.readers {
            let account = store.account(name).unwrap();
            assert!(reader.settled <= account.position.0, "{name} was settled");
            for dropped in drops.iter().filter(|dropped| dropped.cursor.as_deref() == Some(*name)) {
                reader.gone.extend(dropped.first.0..=dropped.last.0);
            }
            let mut got = BTreeSet::new();
            while let Some(record) = store.next(name).unwrap() {
                got.insert(record.sequence.0);
                let expected = &self.written[&record.sequence.0];
                assert_eq!(record.payload, expected.payload);
            }
            store.rewind(name).unwrap();
            for dropped in store.take_dropped() {
                self.damaged.extend(dropped.first.0..=dropped.last.0);
            }
            let account = store.account(name).unwrap();
            assert_eq!(account.held.records, got.len() as u64, "what is held can be read");
            for sequence in reader.position..before {
                if !got.contains(&sequence) && !reader.gone.contains(&sequence) {
                    self.damaged.insert(sequence);
                    reader.gone.insert(sequence);
                }
            }
            reader.position = account.position.0;
        }
        for (name, reader) in &mut self.readers {
            let account = store.account(name).unwrap();
            reader.opened = account.dropped.iter().map(|(cause, total)| (*cause, total.records)).collect();
            reader.told.clear();
        }
        self.committed = store.committed().0;
        assert_eq!(self.committed, next, "a healthy disk commits what is found");
        self.store = Some(store);
        self.check_books();
        let now = self.now;
        if self.store().settle(now).is_ok() {
            self.note_drops();
            self.note_settled();
        }
    }
}

fn name(cursor: u8) -> &'static str {
    NAMES[usize::from(cursor) % NAMES.len()]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        30 => (0..400_usize, any::<u8>()).prop_map(|(size, class)| Op::Append { size, class }),
        12 => Just(Op::Sync),
        8 => Just(Op::Settle),
        12 => (any::<u8>(), 1..12_u8, any::<bool>())
            .prop_map(|(cursor, records, acknowledge)| Op::Read { cursor, records, acknowledge }),
        2 => any::<u8>().prop_map(|cursor| Op::Rewind { cursor }),
        1 => (any::<u8>(), 0..4_u8).prop_map(|(cursor, records)| Op::Discard { cursor, records }),
        3 => (any::<u8>(), any::<bool>()).prop_map(|(cursor, end)| Op::Add { cursor, end }),
        1 => any::<u8>().prop_map(|cursor| Op::Remove { cursor }),
        4 => (0..40_u8).prop_map(|seconds| Op::Wait { seconds }),
        5 => Just(Op::Crash),
        2 => Just(Op::Kill),
        2 => any::<u64>().prop_map(|pick| Op::Flip { pick }),
        1 => any::<u64>().prop_map(|pick| Op::FlipLedger { pick }),
        4 => (any::<u8>(), 0..12_u8, 1..6_u8).prop_map(|(fault, after, length)| Op::Fail { fault, after, length }),
        1 => (0..1500_u16).prop_map(|bytes| Op::Leave { bytes }),
        3 => Just(Op::Heal),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let sync = prop_oneof![
        4 => Just(SyncPolicy::OnSync),
        1 => Just(SyncPolicy::EachRecord),
        1 => (1..4_u32).prop_map(SyncPolicy::Every),
    ];
    (2_000..12_000_u64, 20..200_u64, 256..3_000_u64, sync).prop_map(|(bytes, age, segment_bytes, sync)| Limits {
        bytes,
        age: Duration::from_secs(age),
        segment_bytes,
        sync,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn histories(
        seed in any::<u64>(),
        limits in limits(),
        by_class in any::<bool>(),
        history in prop::collection::vec(op(), 1..120).prop_map(History),
    ) {
        let mut model = Model::new(seed, limits, by_class);
        for op in &history.0 {
            model.step(op);
        }
        model.step(&Op::Heal);
        model.step(&Op::Kill);
    }
}
