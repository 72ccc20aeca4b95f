//! Making less of what waits.

use super::super::*;
use super::disk::{Disk, Fault};

pub const LIMITS: Limits =
    Limits { bytes: 16_384, age: std::time::Duration::from_secs(100), segment_bytes: 4096, sync: SyncPolicy::OnSync };

/// Adds up the numbers that payloads start with, and keeps no guests.
pub struct AddUp;

impl Thin for AddUp {
    fn may_thin(&self, _: usize, _: &Counts, _: &Counts) -> bool {
        true
    }

    fn passes(&self) -> usize {
        2
    }

    fn thin(&mut self, pass: usize, records: &[Record], held: &Counts) -> Option<Thinned> {
        let cpu: u64 = records.iter().map(|record| record.counts.of("cpu")).sum();
        let guests: u64 = records.iter().map(|record| record.counts.of("guests")).sum();
        assert!(held.of("cpu") >= cpu);
        let mut payload = sum(records).to_le_bytes().to_vec();
        if pass == 0 {
            payload.resize(400, 0);
        }
        let guests = if pass == 0 { guests / 2 } else { 0 };
        let counts = [("cpu", cpu), ("guests", guests)].map(|(key, number)| (Key::new(key).unwrap(), number));
        Some(Thinned { counts: counts.into_iter().collect(), payload })
    }
}

fn opened(disk: &Disk) -> Store<Disk> {
    let (mut store, _) = Store::open_on(disk.clone(), LIMITS, 0).unwrap();
    store.set_thin(AddUp);
    store
}

/// One, and filling.
pub fn one() -> Vec<u8> {
    let mut payload = 1_u64.to_le_bytes().to_vec();
    payload.resize(500, 0);
    payload
}

fn append(store: &mut Store<Disk>, records: u64) {
    for _ in 0..records {
        let counts = [("cpu", 1), ("guests", 2)].map(|(key, number)| (Key::new(key).unwrap(), number));
        store.append(&one(), counts.into_iter().collect(), 0).unwrap();
    }
    store.sync().unwrap();
    store.settle(0).unwrap();
}

pub fn read<S: Storage>(store: &mut Store<S>, cursor: &str) -> Vec<Record> {
    std::iter::from_fn(|| store.next(cursor).unwrap()).collect()
}

pub fn sum(records: &[Record]) -> u64 {
    records.iter().map(|record| u64::from_le_bytes(record.payload[..8].try_into().unwrap())).sum()
}

#[test]
fn less_is_made_of_the_oldest_before_anything_goes() {
    let disk = Disk::new(1);
    let mut store = opened(&disk);
    store.add_cursor("a", Start::Beginning).unwrap();
    append(&mut store, 60);
    assert!(store.bytes() <= LIMITS.bytes);
    let account = store.account("a").unwrap();
    assert!(account.balances(), "{account:#?}");
    assert_eq!(account.dropped.keys().copied().collect::<Vec<_>>(), [Cause::Thinned]);
    assert_eq!(account.held.counts.of("cpu"), 60, "all of it is there");
    let told = store.take_dropped();
    assert!(told.iter().all(|dropped| dropped.cause == Cause::Thinned));
    let mut total = Total::default();
    told.iter().for_each(|dropped| total.add(dropped.total.records, &dropped.total.counts));
    assert_eq!(total, account.dropped[&Cause::Thinned]);
    assert_eq!(account.lost().counts.of("guests") + account.held.counts.of("guests"), 120);

    let records = read(&mut store, "a");
    assert_eq!((sum(&records), records.last().unwrap().sequence), (60, Sequence(60)));
    assert_eq!(records[0].counts.of("cpu"), records[0].sequence.0, "the last of them stands for all");
    assert_eq!(Look::at(&disk).unwrap().accounts(), store.accounts());
    drop(store);
    disk.crash();
    let mut store = opened(&disk);
    assert_eq!(store.account("a").unwrap(), account);
    assert_eq!(read(&mut store, "a"), records);
    store.acknowledge("a", Sequence(60)).unwrap();
    let account = store.account("a").unwrap();
    assert!(account.balances());
    assert_eq!(account.acknowledged.records, records.len() as u64);
}

/// Pass 0 goes over all segments before pass 1 begins, and that before segments are joined. Nothing goes.
#[test]
fn passes_come_one_after_the_other() {
    let disk = Disk::new(1);
    let mut store = opened(&disk);
    store.add_cursor("a", Start::Beginning).unwrap();
    let mut seen = Vec::new();
    for _ in 0..2000 {
        append(&mut store, 1);
        let account = store.account("a").unwrap();
        assert!(account.balances());
        let records = read(&mut store, "a");
        let lengths: Vec<usize> = records.iter().map(|record| record.payload.len()).collect();
        store.rewind("a").unwrap();
        let phase = match (lengths.contains(&8), lengths.contains(&400), sum(&records[..1]) > 8) {
            (false, false, false) => "whole",
            (false, true, false) => "pass 0",
            (true, _, false) => "pass 1",
            (_, _, true) => "joined",
        };
        assert!(!account.dropped.contains_key(&Cause::Bytes));
        if seen.last() != Some(&phase) {
            seen.push(phase);
        }
    }
    assert_eq!(seen, ["whole", "pass 0", "pass 1", "joined"]);
}

/// What a cursor has read in part stays as it is; the others are made less.
#[test]
fn a_segment_that_is_being_read_is_left_alone() {
    for acknowledged in [false, true] {
        let disk = Disk::new(1);
        let mut store = opened(&disk);
        store.add_cursor("a", Start::Beginning).unwrap();
        append(&mut store, 20);
        let mut first = store.next("a").unwrap().unwrap();
        assert_eq!(first.sequence, Sequence(1));
        if acknowledged {
            store.acknowledge("a", Sequence(1)).unwrap();
            store.settle(0).unwrap();
            store.rewind("a").unwrap();
        }
        append(&mut store, 20);
        let rest = read(&mut store, "a");
        assert_eq!(rest[0].sequence, Sequence(2));
        assert_eq!(rest[0].payload.len(), 500);
        assert!(rest.iter().any(|record| record.payload.len() < 500), "others were made less");
        first.payload.truncate(8);
        assert_eq!(sum(&rest) + sum(&[first]), 40);
    }
}

/// A rule that would make more of something than there was is not believed.
#[test]
fn a_rule_that_makes_more_is_not_taken() {
    struct Liar(bool);
    impl Thin for Liar {
        fn may_thin(&self, _: usize, _: &Counts, _: &Counts) -> bool {
            true
        }

        fn passes(&self) -> usize {
            1
        }
        fn thin(&mut self, _: usize, records: &[Record], _: &Counts) -> Option<Thinned> {
            let mut counts = Counts::new();
            records.iter().for_each(|record| counts.add_all(&record.counts));
            let payload = if self.0 {
                counts.add(Key::new("cpu").unwrap(), 1);
                Vec::new()
            } else {
                vec![0; 9000]
            };
            Some(Thinned { counts, payload })
        }
    }
    for more in [false, true] {
        let mut store = opened(&Disk::new(1));
        store.set_thin(Liar(more));
        store.add_cursor("a", Start::Beginning).unwrap();
        append(&mut store, 60);
        let account = store.account("a").unwrap();
        assert!(account.balances());
        assert_eq!(account.dropped.keys().copied().collect::<Vec<_>>(), [Cause::Bytes]);
    }
}

/// A full disk has no room to write a segment anew but what was kept for it, and that is there again afterwards.
#[test]
fn a_full_disk_is_thinned_too() {
    let disk = Disk::new(1);
    let mut store = opened(&disk);
    store.add_cursor("a", Start::Beginning).unwrap();
    append(&mut store, 15);
    disk.leave(0);
    store.set_thin(Least);
    for _ in 0..3 {
        append(&mut store, 5);
        let account = store.account("a").unwrap();
        assert!(account.balances());
        assert_eq!(account.dropped.keys().copied().collect::<Vec<_>>(), [Cause::Thinned], "{account:#?}");
    }
    drop(store);
    disk.crash();
    disk.leave(0);
    let mut store = opened(&disk);
    store.set_thin(Least);
    append(&mut store, 5);
    assert_eq!(sum(&read(&mut store, "a")), 35);
    store.set_thin(OldestFirst);
    disk.leave(0);
    append(&mut store, 5);
    let account = store.account("a").unwrap();
    assert!(account.balances());
    assert!(account.dropped.contains_key(&Cause::FullDisk), "{account:#?}");
}

/// Keeps a byte.
struct Least;

impl Thin for Least {
    fn may_thin(&self, _: usize, _: &Counts, _: &Counts) -> bool {
        true
    }

    fn passes(&self) -> usize {
        1
    }

    fn thin(&mut self, _: usize, records: &[Record], held: &Counts) -> Option<Thinned> {
        AddUp.thin(1, records, held)
    }
}

/// A disk that fails at any call while less is being made: nothing is lost that is not told, and it goes on.
#[test]
fn a_disk_that_fails_meanwhile() {
    for (fault, after) in [Fault::Broken, Fault::ReadOnly, Fault::Full]
        .into_iter()
        .flat_map(|fault| (0..24).map(move |after| (fault, after)))
    {
        for restart in [false, true] {
            let disk = Disk::new(u64::from(after));
            let mut store = opened(&disk);
            store.add_cursor("a", Start::Beginning).unwrap();
            append(&mut store, 22);
            disk.fail(fault, after, 2);
            let mut appended = 22;
            for _ in 0..6 {
                appended += u64::from(store.append(&one(), Counts::new(), 0).is_ok());
            }
            disk.heal();
            store.sync().unwrap();
            if restart {
                drop(store);
                disk.crash();
                store = opened(&disk);
            }
            let records = read(&mut store, "a");
            let account = store.account("a").unwrap();
            assert!(account.balances(), "{fault:?} after {after}: {account:#?}");
            let gone = account.dropped.iter().filter(|(cause, _)| **cause != Cause::Thinned);
            let gone: u64 = gone.map(|(_, total)| total.records).sum();
            assert!(sum(&records) + gone <= appended, "{fault:?} after {after}: {account:#?}");
            if gone == 0 {
                assert_eq!(sum(&records), appended, "{fault:?} after {after}");
            }
        }
    }
}
