//! Whole hosts on a clock that the tests move.

mod calls;
mod cast;
mod life;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::clock::{ManualClock, SECOND};
use crate::hypervisor::{Groups, KeyId, KeySet, Value};

/// Some moment in 2026.
const START: i64 = 1_790_000_000 * SECOND;
const HOUR: i64 = 3600;

fn host(uri: &str, wall: i64) -> (Sim, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(wall));
    (Sim::from_uri(uri, Arc::clone(&clock) as Arc<dyn Clock>).unwrap(), clock)
}

fn every_group() -> Groups {
    Groups::STATE
        | Groups::CPU_TOTAL
        | Groups::BALLOON
        | Groups::VCPU
        | Groups::INTERFACE
        | Groups::BLOCK
        | Groups::PERF
        | Groups::IOTHREAD
        | Groups::MEMORY
        | Groups::DIRTYRATE
        | Groups::VM
}

fn all(groups: Groups) -> Request {
    Request { groups, keys: KeySet::All, guests: Guests::All }
}

fn read(sim: &Sim, groups: Groups) -> Vec<Record> {
    sim.connect().unwrap().read(&all(groups)).unwrap()
}

fn value(record: &Record, key: &str, number: u32) -> Option<u64> {
    let key = KeyId::of(key).unwrap();
    let stat = record.stats.iter().find(|stat| (stat.key, stat.number) == (key, number))?;
    match stat.value {
        Value::Count(count) => Some(count),
        Value::Integer(integer) => integer.try_into().ok(),
        _ => None,
    }
}

/// Numbers of devices that have this key.
fn numbers(record: &Record, key: &str) -> Vec<u32> {
    let key = KeyId::of(key).unwrap();
    record.stats.iter().filter(|stat| stat.key == key).map(|stat| stat.number).collect()
}

/// Groups of the keys that a record has.
fn words(record: &Record) -> BTreeSet<String> {
    record.stats.iter().map(|stat| stat.key.name().split('.').next().unwrap().to_owned()).collect()
}
