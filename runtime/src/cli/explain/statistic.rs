//! The statistics that a module reads: what they are for one guest in a slot, or why there is nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::contract::{Column, Values, Wanted};
use crate::discovery::{Snapshot, View};
use crate::hypervisor::{Groups, key};
use crate::sandbox::Module;

/// A statistic as one guest has it.
#[derive(Debug, Clone, Serialize)]
pub struct Statistic {
    /// Its key.
    pub key: String,
    /// The module that reads it.
    pub module: Arc<str>,
    /// libvirt's name of its group; `None` if libvirt does not give it.
    pub group: Option<&'static str>,
    /// Whether the guest's process has to answer.
    pub needs_process: bool,
    /// Keys without which it is asked for; none for what is asked for always.
    pub instead_of: Vec<String>,
    /// Whether the meter is made of it; `None` where that could not be tried.
    pub goes_in: Option<bool>,
    /// Its values.
    pub values: Vec<Raw>,
    /// Why there is none.
    pub absent: Option<Absent>,
}

/// A value as it was read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Raw {
    /// The resource that has it.
    pub resource: String,
    /// The name of the device; empty for the guest as a whole.
    pub device: String,
    /// The value.
    pub value: Value,
}

/// Why a statistic has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Absent {
    /// The guest is not metered.
    NotMetered,
    /// The guest is shut off.
    GuestOff,
    /// A call is stuck in the guest's process.
    GuestStuck,
    /// Nothing that needs the guests' processes was had.
    Missing,
    /// It was not read in this slot.
    NotRead,
    /// It stands in for another, which was there.
    StandsIn,
    /// It was read, and there is nothing of this guest.
    NoValue,
}

/// What is known where a value is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// The guest is not metered.
    pub not_metered: bool,
    /// The guest's process has to answer.
    pub needs_process: bool,
    /// The guest is shut off.
    pub off: bool,
    /// A call is stuck in it.
    pub stuck: bool,
    /// What needs processes is missing altogether.
    pub missing: bool,
    /// The key was read.
    pub was_read: bool,
    /// It stands in for others, all of which were there.
    pub others_are_there: bool,
}

/// What is known of a guest in a slot.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// What was read.
    pub snapshot: &'a Snapshot,
    /// The guest's number; `None` if it is not metered.
    pub root: Option<u32>,
    /// Whether it is shut off.
    pub off: bool,
    /// Whether a call is stuck in it.
    pub stuck: bool,
    /// Whether what needs processes is missing altogether.
    pub missing: bool,
}

// === impl Scene ===

impl Scene<'_> {
    /// The statistics that a module reads.
    pub fn statistics(&self, module: &Module, goes_in: Option<&BTreeMap<String, bool>>) -> Vec<Statistic> {
        let of = |wanted: &Wanted| self.statistic(module, wanted, goes_in);
        module.description.reads.iter().map(of).collect()
    }

    fn statistic(&self, module: &Module, wanted: &Wanted, goes_in: Option<&BTreeMap<String, bool>>) -> Statistic {
        let key = &wanted.key;
        let group = Groups::of_key(key);
        let needs_process = key != key::QCOW2 && group.is_some_and(|group| !group.with_monitor().is_empty());
        let values = self.values(key);
        let stands_in = !wanted.instead_of.is_empty();
        let facts = Facts {
            not_metered: self.root.is_none(),
            needs_process,
            off: self.off && group.is_some(),
            stuck: self.stuck,
            missing: self.missing,
            was_read: self.snapshot.was_read(key),
            others_are_there: stands_in && wanted.instead_of.iter().all(|other| !self.values(other).is_empty()),
        };
        Statistic {
            key: key.clone(),
            module: Arc::clone(&module.name),
            group: group.filter(|_| !key::OURS.contains(&&**key)).and_then(name),
            needs_process,
            instead_of: wanted.instead_of.clone(),
            goes_in: goes_in.and_then(|keys| keys.get(key).copied()),
            absent: values.is_empty().then(|| facts.absent()),
            values,
        }
    }

    /// The values under a key.
    pub fn values(&self, key: &str) -> Vec<Raw> {
        let resources = &self.snapshot.resources;
        let view = View::of(resources, self.root.map(|root| root..root.saturating_add(1)).into_iter().collect());
        let Some(column) = self.snapshot.column(key).map(|column| view.slice(column)) else { return Vec::new() };
        let rows = column.resources.iter().enumerate();
        let raw = |(row, number): (usize, &u32)| {
            let label = &resources.get(*number)?.label;
            Some(Raw { resource: label.id.clone(), device: label.device.clone(), value: value(&column, row) })
        };
        rows.filter_map(raw).collect()
    }
}

/// The value of a row.
pub fn value(column: &Column, row: usize) -> Value {
    match &column.values {
        Values::Counts(values) => values.get(row).copied().into(),
        Values::Integers(values) => values.get(row).copied().into(),
        Values::Reals(values) => values.get(row).copied().into(),
        Values::Interned(_) => Value::Null,
    }
}

/// What libvirt calls a group, as in `virsh domstats --balloon`.
fn name(group: Groups) -> Option<&'static str> {
    let names = [
        (Groups::STATE, "state"),
        (Groups::CPU_TOTAL, "cpu-total"),
        (Groups::BALLOON, "balloon"),
        (Groups::VCPU, "vcpu"),
        (Groups::INTERFACE, "interface"),
        (Groups::BLOCK, "block"),
        (Groups::PERF, "perf"),
        (Groups::IOTHREAD, "iothread"),
        (Groups::MEMORY, "memory"),
        (Groups::DIRTYRATE, "dirtyrate"),
        (Groups::VM, "vm"),
    ];
    names.into_iter().find(|(known, _)| *known == group).map(|(_, name)| name)
}

// === impl Facts ===

impl Facts {
    /// Why there is no value.
    pub fn absent(self) -> Absent {
        match self {
            Self { not_metered: true, .. } => Absent::NotMetered,
            Self { off: true, .. } => Absent::GuestOff,
            Self { stuck: true, needs_process: true, .. } => Absent::GuestStuck,
            Self { missing: true, needs_process: true, was_read: false, .. } => Absent::Missing,
            Self { others_are_there: true, .. } => Absent::StandsIn,
            Self { was_read: false, .. } => Absent::NotRead,
            _ => Absent::NoValue,
        }
    }
}

// === impl Statistic ===

impl Statistic {
    /// Whether only the guest's balloon driver can know it.
    pub fn is_of_balloon_driver(&self) -> bool {
        let hosts = ["balloon.current", "balloon.maximum", "balloon.rss"];
        self.key.starts_with("balloon.") && !hosts.contains(&&*self.key)
    }

    /// Whether the processor counts it.
    pub fn is_counter(&self) -> bool {
        self.key.starts_with("perf.")
    }

    /// Whether the file of a disk says it, and not the hypervisor.
    pub fn is_of_file(&self) -> bool {
        [key::LENGTH, key::TAKEN].contains(&&*self.key)
    }

    /// Whether it only helps to read others.
    pub fn is_ours(&self) -> bool {
        key::OURS.contains(&&*self.key)
    }

    /// Why there is no value, in words.
    pub fn words(&self) -> Option<String> {
        Some(match self.absent? {
            Absent::NotMetered => "the guest is not metered".to_owned(),
            Absent::GuestOff => "the guest is shut off".to_owned(),
            Absent::GuestStuck => "a call is stuck in the guest's process, which is left alone until then".to_owned(),
            Absent::Missing => "what guests' processes have to answer could not be read in this slot".to_owned(),
            Absent::NotRead => "it was not read in this slot".to_owned(),
            Absent::StandsIn => format!("it stands in for {}, which was there", self.instead_of.join(" and ")),
            Absent::NoValue if self.is_of_balloon_driver() => {
                "it was read, and the guest's balloon driver says nothing".to_owned()
            }
            Absent::NoValue if self.is_counter() => {
                "it was read, and this hardware counter is off for the guest".to_owned()
            }
            Absent::NoValue if self.is_of_file() => {
                "no disk of the guest is a file that can be looked at from here".to_owned()
            }
            Absent::NoValue if self.is_ours() => "no disk of the guest is a file".to_owned(),
            Absent::NoValue => "it was read, and the hypervisor gives no value of this guest".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_explains_most_is_why_there_is_no_value() {
        let (none, read) = (Facts::default(), Facts { was_read: true, needs_process: true, ..Facts::default() });
        for (facts, why) in [
            (none, Absent::NotRead),
            (Facts { not_metered: true, off: true, ..none }, Absent::NotMetered),
            (read, Absent::NoValue),
            (Facts { stuck: true, ..read }, Absent::GuestStuck),
            (Facts { stuck: true, needs_process: false, ..read }, Absent::NoValue),
            (Facts { stuck: true, off: true, ..read }, Absent::GuestOff),
            (Facts { missing: true, ..read }, Absent::NoValue),
            (Facts { missing: true, was_read: false, ..read }, Absent::Missing),
            (Facts { missing: true, ..none }, Absent::NotRead),
            (Facts { others_are_there: true, ..read }, Absent::StandsIn),
        ] {
            assert_eq!(facts.absent(), why, "{facts:?}");
        }
    }

    #[test]
    fn values_are_numbers_and_groups_have_names() {
        let column = |values| Column { resources: vec![1], values };
        assert_eq!(value(&column(Values::Counts(vec![u64::MAX])), 0), u64::MAX);
        assert_eq!(value(&column(Values::Integers(vec![-1])), 0), -1);
        assert_eq!(value(&column(Values::Reals(vec![0.5])), 0), 0.5);
        assert_eq!(value(&column(Values::Counts(vec![])), 0), Value::Null);
        for key in Groups::keys() {
            assert!(Groups::of_key(key).and_then(name).is_some(), "{key}");
        }
    }
}
