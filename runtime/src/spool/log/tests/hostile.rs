//! Files that somebody or something else wrote: any bytes at all, and real ones with parts changed.

use std::time::Duration;

use proptest::prelude::*;

use super::super::hostile::{fuzz, work_with};
use super::super::storage::{Memory, Storage};
use super::super::*;

const LIMITS: Limits =
    Limits { bytes: 8_192, age: Duration::from_secs(100), segment_bytes: 1024, sync: SyncPolicy::OnSync };

/// A change of one of the files that a store wrote.
#[derive(Debug, Clone)]
enum Change {
    Bytes { at: usize, bytes: Vec<u8> },
    Cut { length: usize },
    Repeat { from: usize, length: usize, to: usize },
    Copy { onto: usize },
    Name { first: u64 },
    Remove,
}

/// A folder with some segments, of which one is thinned, and two cursors.
fn written() -> Memory {
    let folder = Memory::default();
    let (mut store, _) = Store::open_on(folder.clone(), LIMITS, 0).unwrap();
    store.set_thin(Last);
    store.add_cursor("a", Start::Beginning).unwrap();
    store.settle(0).unwrap();
    for number in 0..40_u64 {
        let counts = Counts::from_iter([(Key::new("cpu").unwrap(), number + 1)]);
        store.append(&[number as u8; 230], counts, number as i64).unwrap();
        store.sync().unwrap();
    }
    assert!(store.account("a").unwrap().dropped.contains_key(&Cause::Thinned));
    let read = store.next("a").unwrap().unwrap();
    store.acknowledge("a", read.sequence).unwrap();
    store.add_cursor("b", Start::End).unwrap();
    store.settle(0).unwrap();
    folder
}

struct Last;

impl Thin for Last {
    fn may_thin(&self, _: usize, _: &Counts, _: &Counts) -> bool {
        true
    }

    fn passes(&self) -> usize {
        1
    }

    fn thin(&mut self, _: usize, records: &[Record], _: &Counts) -> Option<Thinned> {
        let last = records.last()?;
        Some(Thinned { counts: last.counts.clone(), payload: last.payload.clone() })
    }
}

fn change(folder: &Memory, file: usize, change: &Change) {
    let names: Vec<String> = folder.list().unwrap();
    let Some(name) = names.get(file % names.len().max(1)) else { return };
    let mut bytes = folder.get(name).unwrap();
    let size = bytes.len().max(1);
    match change {
        Change::Bytes { at, bytes: new } => {
            bytes.iter_mut().skip(at % size).zip(new).for_each(|(old, new)| *old = *new);
        }
        Change::Cut { length } => bytes.truncate(length % size),
        Change::Repeat { from, length, to } => {
            let part: Vec<u8> = bytes.iter().skip(from % size).take(*length).copied().collect();
            bytes.iter_mut().skip(to % size).zip(part).for_each(|(old, new)| *old = new);
        }
        Change::Copy { onto } => return folder.put(&names[onto % names.len()], bytes),
        Change::Name { first } => {
            folder.remove(name).unwrap();
            return folder.put(&format!("{first:020}.segment"), bytes);
        }
        Change::Remove => return folder.remove(name).unwrap(),
    }
    folder.put(name, bytes);
}

fn changes() -> impl Strategy<Value = Change> {
    let at = any::<usize>;
    prop_oneof![
        6 => (at(), prop::collection::vec(any::<u8>(), 1..20)).prop_map(|(at, bytes)| Change::Bytes { at, bytes }),
        1 => at().prop_map(|length| Change::Cut { length }),
        3 => (at(), 1..600_usize, at()).prop_map(|(from, length, to)| Change::Repeat { from, length, to }),
        1 => at().prop_map(|onto| Change::Copy { onto }),
        1 => prop_oneof![any::<u64>(), 0..60_u64].prop_map(|first| Change::Name { first }),
        1 => Just(Change::Remove),
    ]
}

/// Numbers at the edges, and small ones that can fit together.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0..40_u64,
        1 => Just(u64::MAX),
        1 => Just(1 << 62),
        1 => Just((1 << 62) - 1),
        1 => Just(u64::from(u32::MAX)),
        1 => any::<u64>(),
    ]
}

fn framed(kind: u8, bytes: Vec<u8>) -> Vec<u8> {
    let mut framed = vec![kind];
    framed.extend((bytes.len() as u16).to_le_bytes());
    framed.extend(bytes);
    framed
}

/// A ledger of any numbers: floor, gone, next, appended, cursors.
fn ledger() -> impl Strategy<Value = Vec<u8>> {
    let counts = || {
        prop_oneof![
            number().prop_map(|unread| [vec![0; 4], unread.to_le_bytes().to_vec()].concat()),
            (number(), number()).prop_map(|(of, unread)| {
                [vec![1, 0, 0, 0, 1, b'k'], of.to_le_bytes().to_vec(), unread.to_le_bytes().to_vec()].concat()
            }),
        ]
    };
    let point =
        || (number(), number()).prop_map(|(next, samples)| [next.to_le_bytes(), samples.to_le_bytes()].concat());
    let cursor = (point(), counts(), point(), number(), counts()).prop_map(|(start, before, at, records, counts)| {
        [vec![1, b'c'], start, before, at, records.to_le_bytes().to_vec(), counts, vec![0]].concat()
    });
    let cursors = prop::collection::vec(cursor, 0..4);
    (point(), counts(), point(), counts(), cursors, any::<u8>()).prop_map(
        |(floor, gone, next, appended, cursors, kind)| {
            let number = vec![cursors.len() as u8, 0, 0, 0];
            framed((kind & !3) | 2, [floor, gone, next, appended, number, cursors.concat()].concat())
        },
    )
}

/// A segment of records of any numbers.
fn segment() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![4 => Just(0_u8), 1 => 0..8_u8];
    let joined = prop_oneof![3 => Just((0_u8, 0_u32)), 1 => (0..2_u8, 0..20_u32)];
    let record =
        (kind, 0..2_u8, joined, number(), number(), number(), 0..40_u32, prop_oneof![0..40_u32, Just(u32::MAX)]);
    let record = record.prop_map(|(kind, thinned, (joined, more), sequence, before, samples, listed, payload)| {
        let mut head = vec![0, 0, 0, 0, kind, thinned, joined, 0];
        [sequence, 7, before, samples].iter().for_each(|number| head.extend(number.to_le_bytes()));
        [listed, payload, 0, 0, more].iter().for_each(|number| head.extend(number.to_le_bytes()));
        if listed >= 12 {
            // A list without keys, which says how many samples there are.
            head.extend([0; 4]);
            head.extend(samples.to_le_bytes());
        }
        head.extend(vec![0; 28]);
        head
    });
    (number(), number(), prop::collection::vec(record, 0..6)).prop_map(|(first, samples, records)| {
        framed(3, [first.to_le_bytes().to_vec(), samples.to_le_bytes().to_vec(), records.concat()].concat())
    })
}

fn hostile_folder() -> impl Strategy<Value = Vec<u8>> {
    let any = (any::<u8>(), prop::collection::vec(any::<u8>(), 0..300)).prop_map(|(kind, bytes)| framed(kind, bytes));
    let files = prop_oneof![3 => ledger(), 5 => segment(), 1 => any];
    prop::collection::vec(files, 0..8).prop_map(|files| files.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        fuzz(&bytes);
    }

    #[test]
    fn any_numbers(bytes in hostile_folder()) {
        fuzz(&bytes);
    }

    #[test]
    fn changed_files(changed in prop::collection::vec((any::<usize>(), changes()), 1..12)) {
        let folder = written();
        for (file, one) in &changed {
            change(&folder, *file, one);
        }
        work_with(&folder);
    }
}

/// As many cursors as a ledger holds, each at a point of its own, in a spool of which nothing else is left.
#[test]
fn a_ledger_full_of_cursors() {
    let folder = Memory::default();
    let (mut store, _) = Store::open_on(folder.clone(), LIMITS, 0).unwrap();
    for number in 0..3000 {
        store.add_cursor(&format!("c{number}"), Start::End).unwrap();
        store.append(&[], Counts::new(), 0).unwrap();
        store.sync().unwrap();
    }
    store.settle(0).unwrap();
    drop(store);
    for name in folder.list().unwrap().iter().filter(|name| name.ends_with(".segment")) {
        folder.remove(name).unwrap();
    }
    let (store, _) = Store::open_on(folder, LIMITS, 0).unwrap();
    assert!(store.accounts().iter().all(Account::balances));
    assert_eq!(store.accounts().len(), 3000);
}
