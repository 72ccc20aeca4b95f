//! What the pollsters that are due want to know, as groups of statistics.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::contract::Wanted;
use crate::hypervisor::{Groups, KeyId, Record, Value};

/// The union of what pollsters read.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Want {
    always: Groups,
    /// Groups that only stand in for others: for guests that lack a value under one of these keys.
    instead: BTreeMap<Groups, BTreeSet<Vec<KeyId>>>,
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

    /// Groups that are read of every guest.
    pub fn groups(&self) -> Groups {
        self.always
    }

    /// Groups that are read of every guest or of some.
    pub fn all_groups(&self) -> Groups {
        self.instead.keys().fold(self.always, |all, group| all | *group)
    }

    /// Groups that stand in, with the guests that need them after what was read. A guest that is off needs none.
    pub fn fall_backs(&self, records: &[Record]) -> Vec<(Groups, Vec<Uuid>)> {
        let wanted = self.instead.iter().filter(|(group, _)| !self.always.contains(**group));
        wanted
            .map(|(group, keys)| {
                let needs = |record: &&Record| runs(record) && keys.iter().any(|keys| lacks(record, keys));
                (*group, records.iter().filter(needs).map(|record| record.guest).collect())
            })
            .collect()
    }
}

fn runs(record: &Record) -> bool {
    let state = KeyId::of("state.state");
    let off = |value: &Value| matches!(value, Value::Integer(5) | Value::Count(5));
    !record.stats.iter().any(|stat| Some(stat.key) == state && off(&stat.value))
}

/// Whether a value is missing under one of these keys: altogether, or for some of the vCPUs that the guest has.
fn lacks(record: &Record, keys: &[KeyId]) -> bool {
    let count = |key: &KeyId| record.stats.iter().filter(|stat| stat.key == *key).count();
    let all = if keys.iter().any(|key| key.is_vcpu()) { vcpus(record) } else { 1 };
    keys.iter().any(|key| count(key) < all.max(1))
}

fn vcpus(record: &Record) -> usize {
    let current = KeyId::of("vcpu.current");
    let found = record.stats.iter().find(|stat| Some(stat.key) == current);
    match found.map(|stat| &stat.value) {
        Some(Value::Count(vcpus)) => usize::try_from(*vcpus).unwrap_or(usize::MAX),
        _ => 1,
    }
}
