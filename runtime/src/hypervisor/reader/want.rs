//! What the pollsters that are due want to know, as groups of statistics.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::contract::Wanted;
use crate::hypervisor::{Groups, KeyId, Record};

/// The union of what pollsters read.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Want {
    always: Groups,
    /// Groups that only stand in for others: for guests that lack a value under one of these keys.
    instead: BTreeMap<Groups, BTreeSet<Vec<KeyId>>>,
    /// Groups that are read for some tenants only, with the guests that are known to be none of theirs.
    not_of: BTreeMap<Groups, BTreeSet<Uuid>>,
    /// Also of guests that are off. Their disks are looked at where they are, which may take its time.
    stopped: bool,
}

// === impl Want ===

impl Want {
    /// Adds what one pollster reads.
    pub fn add(&mut self, reads: &[Wanted]) {
        for wanted in reads {
            let Some(group) = Groups::of_key(&wanted.key) else { continue };
            if wanted.instead_of.is_empty() {
                self.always = self.always | group;
            } else {
                let keys = wanted.instead_of.iter().filter_map(|key| KeyId::of(key)).collect();
                self.instead.entry(group).or_default().insert(keys);
            }
        }
    }

    /// Adds what a pollster reads that is for some guests alone: these others are not read for it. Whose a new guest is
    /// is not known before it is read. What stands in for another statistic is read like that one, as nobody knows
    /// beforehand who lacks it.
    pub fn add_but_of(&mut self, reads: &[Wanted], others: &BTreeSet<Uuid>) {
        for group in reads.iter().filter_map(|wanted| Groups::of_key(&wanted.key)) {
            let known = self.not_of.entry(group).or_insert_with(|| others.clone());
            known.retain(|guest| others.contains(guest));
        }
    }

    /// Whether guests that are off are read, too.
    pub fn and_stopped(&mut self, stopped: bool) {
        self.stopped = stopped;
    }

    /// Guests that are not off.
    pub fn running(&self, records: &[Record]) -> Vec<Uuid> {
        off(records).filter(|(_, off)| !off).map(|(guest, _)| guest).collect()
    }

    /// Guests that are off, if they are read, too.
    pub fn stopped(&self, records: &[Record]) -> Vec<Uuid> {
        off(records).filter(|(_, off)| *off && self.stopped).map(|(guest, _)| guest).collect()
    }

    /// Groups that are read of every guest.
    pub fn groups(&self) -> Groups {
        self.always
    }

    /// Groups that are read of every guest or of some.
    pub fn all_groups(&self) -> Groups {
        self.instead.keys().chain(self.not_of.keys()).fold(self.always, |all, group| all | *group)
    }

    /// Groups that are read of some guests, with those that need them after what was read. A guest that is off needs
    /// none.
    pub fn of_some(&self, records: &[Record]) -> Vec<(Groups, Vec<Uuid>)> {
        let running: Vec<Uuid> = self.running(records);
        let groups: BTreeSet<Groups> = self.instead.keys().chain(self.not_of.keys()).copied().collect();
        let wanted = groups.into_iter().filter(|group| !self.always.contains(*group));
        wanted
            .map(|group| {
                let keys = self.instead.get(&group).into_iter().flatten();
                let tests: Vec<Lack<'_>> = keys.map(|keys| Lack::of(keys)).collect();
                let lacks = |record: &&Record| tests.iter().any(|lack| lack.is_in(record));
                let mut guests: BTreeSet<Uuid> = records.iter().filter(lacks).map(|record| record.guest).collect();
                if let Some(others) = self.not_of.get(&group) {
                    guests.extend(running.iter().filter(|guest| !others.contains(guest)));
                }
                (group, guests.into_iter().collect())
            })
            .collect()
    }
}

/// libvirt's number of the state in which a guest is off.
const OFF: u64 = 5;

/// Guests, and whether each is off.
fn off(records: &[Record]) -> impl Iterator<Item = (Uuid, bool)> + '_ {
    let state = KeyId::of("state.state");
    records.iter().map(move |record| (record.guest, record.number(state) == Some(OFF)))
}

/// Finds guests that lack a value under one of some keys: altogether, or for some of their vCPUs.
struct Lack<'a> {
    keys: &'a [KeyId],
    of_vcpus: bool,
    state: Option<KeyId>,
    vcpus: Option<KeyId>,
}

// === impl Lack ===

impl<'a> Lack<'a> {
    fn of(keys: &'a [KeyId]) -> Self {
        let of_vcpus = keys.iter().any(|key| key.name().starts_with("vcpu."));
        Self { keys, of_vcpus, state: KeyId::of("state.state"), vcpus: KeyId::of("vcpu.current") }
    }

    fn is_in(&self, record: &Record) -> bool {
        if record.number(self.state) == Some(OFF) {
            return false;
        }
        let vcpus = record.number(self.vcpus).filter(|_| self.of_vcpus).unwrap_or(1).max(1);
        let count = |key: &KeyId| record.stats.iter().filter(|stat| stat.key == *key).count() as u64;
        self.keys.iter().any(|key| count(key) < vcpus)
    }
}
