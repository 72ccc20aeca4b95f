//! On a real folder.

use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use tempfile::TempDir;

use super::super::*;

const LIMITS: Limits =
    Limits { bytes: 8 << 20, age: Duration::from_secs(86_400), segment_bytes: 1 << 20, sync: SyncPolicy::OnSync };

fn dir(folder: &TempDir) -> Dir {
    Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap()
}

fn counts(number: u64) -> Counts {
    Counts::from_iter([(Key::new("cpu").unwrap(), number)])
}

#[test]
fn a_slot_from_append_to_acknowledgement() {
    let folder = TempDir::new().unwrap();
    let (mut store, recovery) = Store::open(dir(&folder), LIMITS, 0).unwrap();
    assert_eq!(recovery, Recovery::default());
    store.add_cursor("notifier", Start::Beginning).unwrap();
    for number in 1..=10_u64 {
        store.append(&number.to_le_bytes(), counts(number), number as i64).unwrap();
    }
    assert_eq!(store.next("notifier").unwrap(), None, "nothing is handed out before it is durable");
    store.sync().unwrap();
    for number in 1..=4_u64 {
        let record = store.next("notifier").unwrap().unwrap();
        assert_eq!((record.sequence, record.payload), (Sequence(number), number.to_le_bytes().to_vec()));
        store.acknowledge("notifier", record.sequence).unwrap();
    }
    assert!(matches!(store.acknowledge("notifier", Sequence(11)), Err(Error::Ahead { .. })));
    store.settle(20).unwrap();
    drop(store);

    let (mut store, recovery) = Store::open(dir(&folder), LIMITS, 21).unwrap();
    assert_eq!((recovery.records, recovery.torn_bytes, recovery.damaged_bytes), (10, 0, 0));
    assert_eq!(store.next("notifier").unwrap().unwrap().sequence, Sequence(5));
    let account = store.account("notifier").unwrap();
    assert!(account.balances());
    assert_eq!((account.acknowledged.counts.of("cpu"), account.held.counts.of("cpu")), (10, 45));
}

#[test]
fn one_writer() {
    let folder = TempDir::new().unwrap();
    let (_store, _) = Store::open(dir(&folder), LIMITS, 0).unwrap();
    assert!(matches!(Store::open(dir(&folder), LIMITS, 0), Err(Error::Locked)));
}

/// Looks must make sense while records come and segments go.
#[test]
fn looks_beside_a_writer() {
    let folder = TempDir::new().unwrap();
    let limits = Limits { bytes: 64 << 10, segment_bytes: 4 << 10, ..LIMITS };
    let (mut store, _) = Store::open(dir(&folder), limits, 0).unwrap();
    store.add_cursor("a", Start::Beginning).unwrap();
    store.settle(0).unwrap();
    let path = folder.path().to_owned();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = stop.clone();
    let looker = std::thread::spawn(move || {
        let mut looks = 0;
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) || looks == 0 {
            let look = Store::look(Dir::open_ambient_dir(&path, ambient_authority()).unwrap()).unwrap();
            for account in look.accounts() {
                assert!(account.balances(), "{account:#?}");
                assert!(!account.dropped.contains_key(&Cause::Damaged), "{account:#?}");
            }
            let mut last = None;
            for record in look.records(Sequence(0)) {
                let record = record.unwrap();
                assert!(last < Some(record.sequence));
                assert_eq!(record.payload, vec![record.sequence.0 as u8; 700]);
                last = Some(record.sequence);
            }
            looks += 1;
        }
        looks
    });
    for number in 1..=600_u64 {
        store.append(&vec![number as u8; 700], counts(1), number as i64).unwrap();
        if number % 3 == 0 {
            store.sync().unwrap();
            while let Some(record) = store.next("a").unwrap() {
                if record.sequence.0 % 40 != 0 {
                    store.acknowledge("a", record.sequence).unwrap();
                }
            }
            store.settle(number as i64).unwrap();
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(looker.join().unwrap() > 0);
    assert!(store.segments() < 16);
}
