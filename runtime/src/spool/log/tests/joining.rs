//! Making one of two segments, so that no delta is lost.

use std::collections::BTreeMap;

use super::super::storage::{Memory, Storage, StorageFile};
use super::super::*;
use super::disk::{Disk, Fault};
use super::thin::{AddUp, one, read, sum};

/// Small, so that not many segments come before the first that are joined.
const LIMITS: Limits = Limits { bytes: 4096, segment_bytes: 1024, ..super::thin::LIMITS };

fn opened(disk: &Disk) -> Store<Disk> {
    opened_with(disk, LIMITS)
}

fn opened_with(disk: &Disk, limits: Limits) -> Store<Disk> {
    let (mut store, _) = Store::open_on(disk.clone(), limits, 0).unwrap();
    store.set_thin(AddUp);
    store
}

fn counts() -> Counts {
    Counts::from_iter([(Key::new("cpu").unwrap(), 1)])
}

fn append<S: Storage>(store: &mut Store<S>, records: u64) {
    for _ in 0..records {
        store.append(&one(), counts(), 0).unwrap();
    }
    store.sync().unwrap();
    store.settle(0).unwrap();
}

/// What went for another reason than that another record stands for it.
fn gone(account: &Account) -> u64 {
    let gone = account.dropped.iter().filter(|(cause, _)| **cause != Cause::Thinned);
    gone.map(|(_, total)| total.counts.samples()).sum()
}

#[test]
fn a_long_outage_loses_no_delta() {
    // One record a segment, and three.
    for segment_bytes in [LIMITS.segment_bytes, 2 * LIMITS.segment_bytes] {
        let limits = Limits { segment_bytes, ..LIMITS };
        let disk = Disk::new(1);
        let mut store = opened_with(&disk, limits);
        store.add_cursor("a", Start::Beginning).unwrap();
        let records = 10 * LIMITS.bytes / 500;
        for number in 1..=records {
            append(&mut store, 1);
            assert!(store.bytes() <= LIMITS.bytes);
            let account = store.account("a").unwrap();
            assert!(account.balances(), "{account:#?}");
            assert_eq!((account.held.counts.of("cpu"), gone(&account)), (number, 0));
        }
        let given = read(&mut store, "a");
        assert_eq!(sum(&given), records);
        let told: u64 = store.take_dropped().iter().map(|dropped| dropped.total.records).sum();
        assert_eq!(told + given.len() as u64, records);

        drop(store);
        disk.crash();
        let mut store = opened_with(&disk, limits);
        assert_eq!(read(&mut store, "a"), given);
        store.acknowledge("a", Sequence(records)).unwrap();
        let account = store.account("a").unwrap();
        assert!(account.balances(), "{account:#?}");
        assert_eq!(account.acknowledged.counts.of("cpu"), records);
    }
}

/// What is given in part is not joined with anything, what is acknowledged as a whole is; nobody gets anything twice.
#[test]
fn every_cursor_was_given_all_of_both_or_nothing() {
    let mut store = opened(&Disk::new(1));
    store.add_cursor("slow", Start::Beginning).unwrap();
    store.add_cursor("half", Start::Beginning).unwrap();
    store.add_cursor("fast", Start::Beginning).unwrap();
    append(&mut store, 20);
    let mut half: Vec<Record> = std::iter::from_fn(|| store.next("half").unwrap()).take(5).collect();
    let mut fast = Vec::new();
    for _ in 0..20 {
        append(&mut store, 10);
        fast.extend(read(&mut store, "fast"));
        store.acknowledge("fast", fast.last().unwrap().sequence).unwrap();
    }
    let slow = read(&mut store, "slow");
    let border = |record: &&Record| record.sequence == Sequence(5);
    assert_eq!(slow.iter().filter(border).count(), 1, "nothing is joined over the place where one of them reads");
    half.extend(read(&mut store, "half"));
    for (name, records) in [("slow", slow), ("half", half), ("fast", fast)] {
        assert_eq!(sum(&records), 220, "{name}");
        let account = store.account(name).unwrap();
        assert!(account.balances() && gone(&account) == 0, "{account:#?}");
    }
}

/// A rule that keeps all there is.
struct KeepAll;

impl Thin for KeepAll {
    fn may_thin(&self, _: usize, _: &Counts, _: &Counts) -> bool {
        true
    }

    fn passes(&self) -> usize {
        1
    }

    fn thin(&mut self, _: usize, records: &[Record], _: &Counts) -> Option<Thinned> {
        let mut counts = Counts::new();
        records.iter().for_each(|record| counts.add_all(&record.counts));
        Some(Thinned { counts, payload: records.iter().flat_map(|record| record.payload.clone()).collect() })
    }
}

/// What does not get less with what comes after it does not grow without end, and is not written again and again.
#[test]
fn what_is_joined_has_a_bound() {
    let disk = Disk::new(1);
    let mut store = opened(&disk);
    store.set_thin(KeepAll);
    store.add_cursor("a", Start::Beginning).unwrap();
    let (mut most, mut joined) = (0, false);
    for _ in 0..100 {
        store.append(&[1; 300], counts(), 0).unwrap();
        store.sync().unwrap();
        for name in names(&disk) {
            most = most.max(disk.view(&name).unwrap().length().unwrap());
        }
        joined |= store.account("a").unwrap().dropped.contains_key(&Cause::Thinned);
        assert!(store.account("a").unwrap().balances());
    }
    assert!(joined && most <= LIMITS.bytes / 4, "{joined}: {most}");
}

#[test]
fn a_rule_without_passes_joins_nothing() {
    let mut store = opened(&Disk::new(1));
    store.set_thin(OldestFirst);
    store.add_cursor("a", Start::Beginning).unwrap();
    append(&mut store, 60);
    let account = store.account("a").unwrap();
    assert_eq!(account.dropped.keys().copied().collect::<Vec<_>>(), [Cause::Bytes]);
}

/// A full spool of which the next append joins two segments.
fn full() -> (Disk, u64) {
    let disk = Disk::new(1);
    let mut store = opened(&disk);
    store.add_cursor("a", Start::Beginning).unwrap();
    let mut appended = 0;
    loop {
        append(&mut store, 1);
        appended += 1;
        let joined = store.account("a").unwrap().held.records < store.account("a").unwrap().appended.records;
        if joined && store.bytes() + 700 > LIMITS.bytes {
            return (disk, appended);
        }
    }
}

fn names(disk: &Disk) -> Vec<String> {
    disk.list().unwrap().into_iter().filter(|name| name.ends_with(".segment")).collect()
}

/// The power goes at every single call of a join that writes, and once more when all that was left over has been seen
/// to.
#[test]
fn the_power_goes_at_every_call() {
    let (full, appended) = full();
    let (mut joined, mut both) = (0, 0);
    for after in 0.. {
        let disk = full.copy(u64::from(after));
        let before = names(&disk);
        let mut store = opened(&disk);
        disk.take_photo(after);
        store.append(&one(), counts(), 0).unwrap();
        assert!(names(&disk).first() == before.first() && !names(&disk).contains(&before[1]), "it joins");
        for seed in 0..48 {
            // At the same moment each time, and then anything that was not durable may be there or not.
            let Some(disk) = disk.photo(seed) else { continue };
            disk.crash();
            let there = names(&disk);
            joined += u64::from(!there.contains(&before[1]));
            both += u64::from(check(&disk, appended..=appended + 1, true));
            go_on(&disk, true);
        }
        if disk.photo(0).is_none() {
            break;
        }
    }
    assert!(joined > 20 && both > 20, "{joined} times there was one of them, {both} times one and the second of two");
}

/// A call fails, each in turn, and everything goes on, until the power goes.
#[test]
fn a_call_fails() {
    let (full, appended) = full();
    for (after, fault) in (0..).flat_map(|after| [Fault::Broken, Fault::Full].map(|fault| (after, fault))) {
        let mut over = false;
        for (seed, length) in (0..8).map(|seed| (seed, [1, 2, 5, u32::MAX][seed as usize % 4])) {
            let disk = full.copy(seed);
            let mut store = opened(&disk);
            disk.fail(fault, after, length);
            let added = u64::from(store.append(&one(), counts(), 0).is_ok());
            over = disk.is_waiting_to_fail();
            disk.heal();
            store.sync().unwrap();
            assert!(store.account("a").unwrap().balances());
            drop(store);
            disk.crash();
            check(&disk, appended + added..=appended + added, false);
            go_on(&disk, false);
        }
        if over {
            break;
        }
    }
}

fn go_on(disk: &Disk, complete: bool) {
    let mut store = opened(disk);
    let next = store.next_sequence().0;
    append(&mut store, 4);
    drop(store);
    disk.crash();
    check(disk, next + 3..=next + 3, complete);
}

/// Whether a segment was found that is part of another. All deltas must be there, or told to be gone.
fn check(disk: &Disk, appended: std::ops::RangeInclusive<u64>, complete: bool) -> bool {
    let before = names(disk).len();
    let look = Look::at(disk).unwrap();
    let looked: Vec<Record> = look.records(Sequence(0)).map(Result::unwrap).collect();
    let superseded = look.segments() < before;
    drop(look);
    let mut store = opened(disk);
    let records = read(&mut store, "a");
    assert_eq!(records, looked);
    let account = store.account("a").unwrap();
    assert!(account.balances(), "{account:#?}");
    assert!(appended.contains(&account.appended.records), "{appended:?}: {account:#?}");
    assert_eq!(sum(&records) + gone(&account), account.appended.records, "{account:#?}");
    assert!(!complete || gone(&account) == 0, "{account:#?}");
    superseded
}

/// The segments that a folder in memory holds, by name.
fn files(folder: &Memory) -> BTreeMap<String, Vec<u8>> {
    let names = folder.list().unwrap().into_iter().filter(|name| name.ends_with(".segment"));
    names.map(|name| (name.clone(), folder.get(&name).unwrap())).collect()
}

fn in_memory(folder: &Memory) -> Store<Memory> {
    let (mut store, recovery) = Store::open_on(folder.clone(), LIMITS, 0).unwrap();
    assert_eq!((recovery.damaged_bytes, recovery.damaged), (0, Vec::new()));
    store.set_thin(AddUp);
    store
}

/// Segments that were joined into another come back, any of them, at any time: nobody sees them, and they go again.
#[test]
fn what_was_joined_comes_back() {
    let folder = Memory::default();
    let mut store = in_memory(&folder);
    store.add_cursor("a", Start::Beginning).unwrap();
    let mut all = BTreeMap::new();
    for number in 1..=300 {
        append(&mut store, 1);
        for (name, bytes) in files(&folder) {
            all.entry(name).or_insert(bytes);
        }
        if number % 100 > 0 {
            continue;
        }
        drop(store);
        let there = files(&folder);
        let back: Vec<&String> = all.keys().filter(|name| !there.contains_key(*name)).collect();
        assert!(number < 200 || !back.is_empty());
        for chosen in (0..=back.len()).step_by(11) {
            let chosen = if chosen == 0 { back.clone() } else { vec![back[chosen - 1]] };
            chosen.iter().for_each(|name| folder.put(name, all[*name].clone()));
            let look = Look::at(&folder).unwrap();
            assert_eq!(sum(&look.records(Sequence(0)).map(Result::unwrap).collect::<Vec<_>>()), number);
            assert!(look.accounts().iter().all(|account| account.balances() && gone(account) == 0));
            let mut store = in_memory(&folder);
            assert_eq!(sum(&read(&mut store, "a")), number);
            assert!(store.account("a").unwrap().balances());
            assert_eq!(files(&folder), there);
        }
        store = in_memory(&folder);
    }
}

/// A bit flips in the joined segment while the second of the two is still there: what is not given is told to be gone,
/// and nothing is given twice.
#[test]
fn a_flipped_bit_while_both_are_there() {
    let folder = Memory::default();
    let mut store = in_memory(&folder);
    store.add_cursor("a", Start::Beginning).unwrap();
    let mut appended = 0;
    let second = loop {
        let before = files(&folder);
        append(&mut store, 1);
        appended += 1;
        let after = files(&folder);
        if let Some(second) = before.into_iter().find(|(name, _)| !after.contains_key(name)) {
            break second;
        }
    };
    drop(store);
    let there: Vec<(String, Vec<u8>)> =
        folder.list().unwrap().into_iter().map(|name| (name.clone(), folder.get(&name).unwrap())).collect();
    let joined = there.iter().rfind(|(name, _)| name.ends_with(".segment") && *name < second.0).unwrap();
    for at in 0..joined.1.len() * 8 {
        let folder = Memory::default();
        there.iter().chain([&second]).for_each(|(name, bytes)| folder.put(name, bytes.clone()));
        let mut flipped = joined.1.clone();
        flipped[at / 8] ^= 1 << (at % 8);
        folder.put(&joined.0, flipped);
        for _ in 0..2 {
            let (mut store, _) = Store::open_on(folder.clone(), LIMITS, 0).unwrap();
            let given = sum(&read(&mut store, "a"));
            let account = store.account("a").unwrap();
            assert!(account.balances(), "{account:#?}");
            assert_eq!(given + gone(&account), appended, "flipped at {at}: {account:#?}");
            assert!(gone(&account) <= 2, "flipped at {at}: {account:#?}");
        }
    }
}

/// What a write that was given up left behind a segment's end, the next segment's first record, does not make it one
/// that was joined.
#[test]
fn a_left_over_joins_nothing() {
    let folder = Memory::default();
    let mut store = in_memory(&folder);
    store.add_cursor("a", Start::Beginning).unwrap();
    append(&mut store, 3);
    drop(store);
    let files: Vec<(String, Vec<u8>)> = files(&folder).into_iter().collect();
    let header = super::super::segment::SEGMENT_HEADER as usize;
    folder.put(&files[0].0, [&files[0].1[..], &files[1].1[header..], &files[2].1[header..]].concat());
    let mut store = Store::open_on(folder, LIMITS, 0).unwrap().0;
    let numbers: Vec<u64> = read(&mut store, "a").iter().map(|record| record.sequence.0).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(store.segments(), 3);
}
