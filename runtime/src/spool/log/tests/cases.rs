//! Single cases, each for one promise.

use std::time::Duration;

use super::super::record::{Header, encode};
use super::super::*;
use super::disk::{Disk, Fault};

const SECOND: i64 = 1_000_000_000;
const LIMITS: Limits =
    Limits { bytes: 16_384, age: Duration::from_secs(100), segment_bytes: 4096, sync: SyncPolicy::OnSync };

fn counts(key: &str, number: u64) -> Counts {
    Counts::from_iter([(Key::new(key).unwrap(), number)])
}

fn filled(disk: &Disk, records: u64) -> Store<Disk> {
    let (mut store, _) = Store::open_on(disk.clone(), LIMITS, 0).unwrap();
    store.add_cursor("a", Start::Beginning).unwrap();
    for number in 0..records {
        store.append(&[number as u8; 500], counts("cpu", number + 1), 0).unwrap();
    }
    store.sync().unwrap();
    store.settle(0).unwrap();
    store
}

fn read(store: &mut Store<Disk>, cursor: &str) -> Vec<u64> {
    std::iter::from_fn(|| store.next(cursor).unwrap().map(|record| record.sequence.0)).collect()
}

/// Every bit of the folder is flipped in turn, a few at a time: at most one record is lost for each.
#[test]
fn a_flipped_bit_costs_a_record() {
    for suffix in [".segment", "ledger.0", "ledger.1"] {
        for at in (0..4096_u64).step_by(7) {
            let disk = Disk::new(at);
            drop(filled(&disk, 12));
            for file in 0..if suffix == ".segment" { 2 } else { 1 } {
                disk.flip(suffix, at << 8 | file | (at % 8) << 40);
            }
            let (mut store, recovery) = Store::open_on(disk, LIMITS, 0).unwrap();
            assert!(!recovery.ledger_lost);
            let got = read(&mut store, "a");
            let account = store.account("a").unwrap();
            assert!(account.balances(), "{account:#?}");
            assert_eq!((account.appended.records, account.appended.counts.of("cpu")), (12, 78));
            let least = if suffix == ".segment" { 10 } else { 12 };
            assert!(got.len() >= least, "{suffix} at {at}: {got:?}");
            assert_eq!(account.lost().records, 12 - got.len() as u64);
        }
    }
}

#[test]
fn the_bound_drops_the_oldest_and_tells() {
    let disk = Disk::new(1);
    let mut store = filled(&disk, 60);
    let told = store.take_dropped();
    assert!(told.iter().all(|dropped| dropped.cause == Cause::Bytes && dropped.cursor.as_deref() == Some("a")));
    let account = store.account("a").unwrap();
    assert_eq!(account.dropped[&Cause::Bytes].records, told.iter().map(|dropped| dropped.total.records).sum::<u64>());
    assert!(store.bytes() <= LIMITS.bytes && account.balances());
    let held = read(&mut store, "a");
    assert_eq!(held.last(), Some(&60));
    assert_eq!(held.len() as u64, account.held.records);
}

#[test]
fn age_drops_too() {
    let disk = Disk::new(1);
    let mut store = filled(&disk, 3);
    store.append(&[7], counts("cpu", 1), 99 * SECOND).unwrap();
    store.sync().unwrap();
    store.settle(101 * SECOND).unwrap();
    assert_eq!(read(&mut store, "a"), [4]);
    assert_eq!(store.account("a").unwrap().dropped[&Cause::Age].counts.of("cpu"), 6);
}

/// Nothing of this segment was committed when the power went, only its name was there. What comes then must be found
/// again even if the power goes once more.
#[test]
fn an_empty_segment_hides_nothing_when_it_comes_back() {
    for (seed, damage) in (0..64).map(|seed| (seed, [45, 545, 1145, 1220][seed as usize % 4])) {
        let disk = Disk::new(seed);
        let mut store = filled(&disk, 2);
        store.append(&[3; 500], counts("cpu", 3), 0).unwrap();
        // The ledger does not know of it.
        store.sync().unwrap();
        drop(store);
        assert!(disk.flip(".segment", damage << 8));
        disk.create("00000000000000000004.segment").unwrap();
        Storage::sync(&disk).unwrap();
        let (mut store, _) = Store::open_on(disk.clone(), LIMITS, 0).unwrap();
        assert_eq!(store.append(&[9; 100], counts("cpu", 1), 0).unwrap(), Sequence(4), "flipped at {damage}");
        store.sync().unwrap();
        drop(store);
        disk.crash();
        let (mut store, _) = Store::open_on(disk, LIMITS, 0).unwrap();
        assert_eq!(read(&mut store, "a").last(), Some(&4), "seed {seed}, flipped at {damage}");
        assert!(store.account("a").unwrap().balances());
    }
}

/// What a failed sync left to the kernel is not trusted, not even by the next process.
#[test]
fn a_failed_sync_is_not_forgotten() {
    for restart in [false, true] {
        let disk = Disk::new(1);
        let mut store = filled(&disk, 3);
        store.append(&[9; 100], counts("cpu", 1), 0).unwrap();
        disk.fail(Fault::Broken, 0, 1);
        assert!(store.sync().is_err());
        assert_eq!(store.committed(), Sequence(4));
        if restart {
            drop(store);
            store = Store::open_on(disk.clone(), LIMITS, 0).unwrap().0;
        }
        store.sync().unwrap();
        drop(store);
        disk.crash();
        let (mut store, _) = Store::open_on(disk, LIMITS, 0).unwrap();
        assert_eq!(read(&mut store, "a"), [1, 2, 3, 4]);
    }
}

/// A file system that found an error becomes read-only under a store that is open. Nothing is lost by that.
#[test]
fn a_disk_that_becomes_read_only() {
    let disk = Disk::new(1);
    let mut store = filled(&disk, 10);
    disk.fail(Fault::ReadOnly, 0, u32::MAX);
    for _ in 0..20 {
        let failed = store.append(&[1; 500], counts("cpu", 1), 0).and_then(|_| store.sync()).unwrap_err();
        assert!(failed.is_read_only(), "{failed}");
    }
    assert_eq!(read(&mut store, "a"), (1..=10).collect::<Vec<_>>());
    store.acknowledge("a", Sequence(4)).unwrap();
    assert!(store.settle(0).unwrap_err().is_read_only());
    let account = store.account("a").unwrap();
    assert!(account.balances() && account.dropped.is_empty());

    disk.heal();
    assert_eq!(store.append(&[1; 500], counts("cpu", 1), 0).unwrap(), Sequence(11));
    store.sync().unwrap();
    store.settle(0).unwrap();
    drop(store);
    disk.crash();
    let (mut store, _) = Store::open_on(disk, LIMITS, 0).unwrap();
    assert_eq!(read(&mut store, "a"), (5..=11).collect::<Vec<_>>());
    assert!(store.account("a").unwrap().balances());
}

#[test]
fn a_slow_cursor_keeps_segments_and_a_removed_one_frees_them() {
    let disk = Disk::new(1);
    let mut store = filled(&disk, 20);
    store.add_cursor("b", Start::Beginning).unwrap();
    store.acknowledge("a", Sequence(20)).unwrap();
    store.settle(0).unwrap();
    let before = store.segments();
    assert_eq!(store.remove_cursor("b").unwrap().held.records, 20);
    store.settle(0).unwrap();
    assert!(before > 1 && store.segments() == 1, "{before} and {}", store.segments());
    assert!(matches!(store.next("b"), Err(Error::NoCursor(_))));
}

/// A payload that looks like a record is none, whatever happens to the record that it is in.
#[test]
fn a_payload_cannot_forge_a_record() {
    let disk = Disk::new(1);
    let (mut store, _) = Store::open_on(disk.clone(), LIMITS, 0).unwrap();
    store.add_cursor("a", Start::Beginning).unwrap();
    let forged = encode(Header::new(2, 0, 1), &counts("cpu", 1), &Counts::new(), b"forged", 0).1;
    store.append(&forged, counts("cpu", 1), 0).unwrap();
    store.append(b"true", counts("cpu", 1), 0).unwrap();
    store.sync().unwrap();
    store.settle(0).unwrap();
    drop(store);
    assert!(disk.flip(".segment", 45 << 8));
    let (mut store, _) = Store::open_on(disk, LIMITS, 0).unwrap();
    assert_eq!(store.next("a").unwrap().unwrap().payload, b"true");
}

#[test]
fn what_does_not_fit_is_refused() {
    let (mut store, _) = Store::open_on(Disk::new(1), LIMITS, 0).unwrap();
    assert!(matches!(store.append(&[0; 16_384], Counts::new(), 0), Err(Error::TooLarge { .. })));
    let many = (0..5000).map(|number| (Key::new(&number.to_string()).unwrap(), 1)).collect();
    assert!(matches!(store.append(&[], many, 0), Err(Error::TooManyKeys { .. })));
    assert!(matches!(store.add_cursor("", Start::End), Err(Error::BadName(_))));
}

/// What was refused is lost by its own cause, also after a start, and what was lost meanwhile is not lost twice.
#[test]
fn a_part_of_a_record_is_lost() {
    let disk = Disk::new(1);
    let mut store = filled(&disk, 3);
    assert_eq!(read(&mut store, "a"), [1, 2, 3]);
    store.acknowledge_but("a", Sequence(1), &[(Cause::Refused, counts("cpu", 5))]).unwrap();
    store.acknowledge_but("a", Sequence(2), &[(Cause::Refused, counts("disk", 1))]).unwrap();
    let lost = [(Cause::Refused, counts("cpu", 1)), (Cause::Oversize, counts("cpu", 2))];
    store.acknowledge_but("a", Sequence(3), &lost).unwrap();
    store.settle(0).unwrap();
    let check = |account: &Account| {
        assert!(account.balances(), "{account:#?}");
        assert_eq!((account.appended.counts.of("cpu"), account.acknowledged.counts.of("cpu")), (6, 2));
        let lost = |cause| account.dropped.get(&cause).map(|total| (total.records, total.counts.of("cpu")));
        assert_eq!((lost(Cause::Refused), lost(Cause::Oversize)), (Some((0, 2)), Some((0, 2))));
        assert_eq!(account.acknowledged.records, 3);
    };
    check(&store.account("a").unwrap());
    drop(store);
    let (store, _) = Store::open_on(disk, LIMITS, 0).unwrap();
    check(&store.account("a").unwrap());
}
