//! What the pollsters that are due want to know, as groups of statistics.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::contract::Wanted;
use crate::hypervisor::{Groups, KeyId, KeySet, Record, key};

/// The union of what pollsters read.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Want {
    keys: BTreeSet<KeyId>,
    /// Whatever a host says, also what nobody asks for by name.
    everything: bool,
    always: Groups,
    /// Groups that only stand in for others: for guests that lack a value under one of these keys.
    instead: BTreeMap<Groups, BTreeSet<Vec<KeyId>>>,
    /// Groups that are read of some guests only.
    of_some: BTreeMap<Groups, BTreeSet<Uuid>>,
    /// Groups that only stand in for others, for those of some guests that lack a value under one of these keys.
    instead_of_some: BTreeMap<Groups, BTreeMap<Vec<KeyId>, BTreeSet<Uuid>>>,
    /// Guests of which it is known whose they are. Others may be anybody's.
    known: BTreeSet<Uuid>,
    /// Also of guests that are off. Their disks are looked at where they are, which may take its time.
    stopped: bool,
}

/// Statistics of groups that tell whose the others are: which guests run, which virtual CPUs there are, which devices.
const TELLING: [(Groups, &[&str]); 4] = [
    (Groups::STATE, &["state.state"]),
    (Groups::VCPU, &["vcpu.current", "vcpu.*.state"]),
    (Groups::INTERFACE, &["net.*.name"]),
    (Groups::BLOCK, &["block.*.name"]),
];

// === impl Want ===

impl Want {
    /// Everything that can be read, of every guest.
    pub fn everything() -> Self {
        let always = Groups::of_keys(Groups::keys());
        Self { everything: true, always, stopped: true, ..Self::default() }
    }

    /// Adds what one pollster reads.
    pub fn add(&mut self, reads: &[Wanted]) {
        for wanted in reads {
            self.keys.extend(KeyId::of(&wanted.key));
            let Some(group) = Groups::of_key(&wanted.key) else { continue };
            if wanted.instead_of.is_empty() {
                self.always = self.always | group;
            } else {
                let keys = wanted.instead_of.iter().filter_map(|key| KeyId::of(key)).collect();
                self.instead.entry(group).or_default().insert(keys);
            }
        }
    }

    /// Adds what a pollster reads of some guests alone, and of those that are not known: whose a new guest is shows
    /// when it was read.
    pub fn add_of<'a>(&mut self, reads: impl Iterator<Item = &'a Wanted>, guests: &BTreeSet<Uuid>) {
        for wanted in reads {
            self.keys.extend(KeyId::of(&wanted.key));
            let Some(group) = Groups::of_key(&wanted.key) else { continue };
            if wanted.instead_of.is_empty() {
                self.of_some.entry(group).or_default().extend(guests);
            } else {
                let keys = wanted.instead_of.iter().filter_map(|key| KeyId::of(key)).collect();
                self.instead_of_some.entry(group).or_default().entry(keys).or_default().extend(guests);
            }
        }
    }

    /// Whether anybody reads what is under a key: groups have more than that.
    pub fn has(&self, key: KeyId) -> bool {
        self.keys.contains(&key)
    }

    /// Names of the statistics that a read has to give for that.
    pub fn to_read(&self) -> KeySet {
        if self.everything {
            return KeySet::All;
        }
        let of_some = self.instead_of_some.values().flat_map(BTreeMap::keys);
        let lacked = self.instead.values().flatten().chain(of_some).flatten().copied();
        let groups = self.all_groups() | Groups::STATE;
        let telling = TELLING.iter().filter(|(group, _)| groups.contains(*group)).flat_map(|(_, keys)| *keys);
        let telling = telling.copied().filter_map(KeyId::of);
        // How long files are is looked up by their paths.
        let lengths = [key::LENGTH, key::TAKEN].into_iter().filter_map(KeyId::of).any(|key| self.keys.contains(&key));
        let path = lengths.then(|| KeyId::of(key::PATH)).flatten();
        self.keys.iter().copied().chain(lacked).chain(telling).chain(path).collect()
    }

    /// Guests of which it is known whose they are.
    pub fn know(&mut self, known: BTreeSet<Uuid>) {
        self.known = known;
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
        let some = self.instead.keys().chain(self.of_some.keys()).chain(self.instead_of_some.keys());
        some.fold(self.always, |all, group| all | *group)
    }

    /// Groups that are read of some guests, with those that are running.
    pub fn of_some(&self, records: &[Record]) -> Vec<(Groups, Vec<Uuid>)> {
        let running = if self.of_some.is_empty() { Vec::new() } else { self.running(records) };
        let wanted = self.of_some.iter().filter(|(group, _)| !self.is_read(**group));
        let read = |(group, guests): (&Groups, &BTreeSet<Uuid>)| {
            (*group, running.iter().filter(|guest| self.may_be(guest, guests)).copied().collect())
        };
        wanted.map(read).collect()
    }

    /// Groups that stand in for others, with those that lack these after all else was read. A guest that is off needs
    /// none.
    pub fn instead(&self, records: &[Record]) -> Vec<(Groups, Vec<Uuid>)> {
        let groups: BTreeSet<Groups> = self.instead.keys().chain(self.instead_of_some.keys()).copied().collect();
        let wanted = groups.into_iter().filter(|group| !self.is_read(*group));
        wanted
            .map(|group| {
                let keys = self.instead.get(&group).into_iter().flatten();
                let tests: Vec<Lack<'_>> = keys.map(|keys| Lack::of(keys)).collect();
                let of_some = self.instead_of_some.get(&group).into_iter().flatten();
                let of_some: Vec<_> = of_some.map(|(keys, guests)| (Lack::of(keys), guests)).collect();
                let lacks = |record: &&Record| {
                    let mut theirs = of_some.iter().filter(|(_, guests)| self.may_be(&record.guest, guests));
                    tests.iter().any(|lack| lack.is_in(record)) || theirs.any(|(lack, _)| lack.is_in(record))
                };
                let before = self.of_some.get(&group);
                let has = |guest: &Uuid| before.is_some_and(|guests| self.may_be(guest, guests));
                let guests = records.iter().filter(lacks).map(|record| record.guest).filter(|guest| !has(guest));
                (group, guests.collect())
            })
            .collect()
    }

    /// Groups that stand in for others for anybody's guests.
    pub fn stand_in(&self) -> Groups {
        self.instead.keys().fold(Groups::NONE, |all, group| all | *group)
    }

    /// Whether a group is read of every guest.
    fn is_read(&self, group: Groups) -> bool {
        (self.always | Groups::STATE).contains(group)
    }

    fn may_be(&self, guest: &Uuid, guests: &BTreeSet<Uuid>) -> bool {
        guests.contains(guest) || !self.known.contains(guest)
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
