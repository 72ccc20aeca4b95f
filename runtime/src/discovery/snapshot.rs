//! What was read in one slot: numbered resources and columns of statistics.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::directory::{Directory, Present};
use super::resource::{Part, Resources};
use crate::clock::Moment;
use crate::contract::{Column, Values};
use crate::hypervisor::{Definition, Groups, KeyId, Record, Stat, Value};

/// libvirt's number of the state in which a guest is off. Ceilometer gives no sample of such a guest that needs
/// libvirt.
const SHUT_OFF: i64 = 5;

/// What was read in one slot.
#[derive(Debug)]
pub struct Snapshot {
    /// When the reading began.
    pub at: Moment,
    /// Everything that can be sampled.
    pub resources: Arc<Resources>,
    /// Groups of statistics that were read; of these, a key without a column is one that nobody has a value of.
    groups: Groups,
    /// Statistics by key.
    columns: HashMap<String, Column>,
}

/// The keys that tell which device a number stands for, and other things that assembling needs.
#[derive(Debug, Clone, Copy)]
struct Keys {
    state: KeyId,
    disk_name: KeyId,
    nic_name: KeyId,
}

// === impl Snapshot ===

impl Snapshot {
    /// Puts together what was read. `others` are the roots that are no guests.
    pub fn assemble(
        directory: &mut Directory,
        groups: Groups,
        records: &[Record],
        others: &[String],
        at: Moment,
    ) -> Self {
        let keys = Keys::find();
        let definitions: Vec<(Arc<Definition>, &Record)> =
            records.iter().filter_map(|record| Some((directory.metered(record.guest)?, record))).collect();
        let mut guests = Vec::with_capacity(definitions.len());
        let mut present = Vec::with_capacity(definitions.len());
        for (definition, record) in &definitions {
            let one = Present { definition, record, vcpus: vcpus(record), state: keys.state_of(record) };
            if let Some(resources) = directory.resources(&one, at) {
                guests.push(resources);
                present.push(one);
            }
        }
        let others = others.iter().map(|id| directory.root(id)).collect();
        let resources = Resources::number(guests, others);
        let mut columns = Columns::default();
        for (root, one) in (0..).zip(&present) {
            columns.flavor(root, one.definition);
            if one.state != SHUT_OFF {
                columns.guest(root, one, &resources, &keys);
            }
        }
        Self { at, resources: Arc::new(resources), groups, columns: columns.finish() }
    }

    /// Resources without statistics.
    pub fn empty(resources: Arc<Resources>, at: Moment) -> Self {
        Self { at, resources, groups: Groups::NONE, columns: HashMap::new() }
    }

    /// The column of a key, for all resources. `None` if nothing has a value under it.
    pub fn column(&self, key: &str) -> Option<&Column> {
        self.columns.get(key)
    }

    /// Whether a key was read, even if nobody has a value under it.
    pub fn was_read(&self, key: &str) -> bool {
        key.starts_with("flavor.") || Groups::of_key(key).is_some_and(|group| self.groups.contains(group))
    }
}

/// Virtual CPUs as the statistics number them, which may leave out some.
fn vcpus(record: &Record) -> BTreeSet<u32> {
    record.stats.iter().filter(|stat| stat.key.is_vcpu()).map(|stat| stat.number).collect()
}

// === impl Keys ===

impl Keys {
    fn find() -> Self {
        let known = |name| KeyId::of(name).unwrap_or_default();
        Self { state: known("state.state"), disk_name: known("block.*.name"), nic_name: known("net.*.name") }
    }

    fn state_of(&self, record: &Record) -> i64 {
        let found = record.stats.iter().find(|stat| stat.key == self.state);
        match found.map(|stat| &stat.value) {
            Some(Value::Integer(state)) => *state,
            Some(Value::Count(state)) => i64::try_from(*state).unwrap_or(-1),
            _ => -1,
        }
    }
}

/// Columns that grow guest by guest.
#[derive(Debug, Default)]
struct Columns {
    by_key: HashMap<KeyId, Growing>,
    devices: Vec<(KeyId, u32, u32)>,
}

#[derive(Debug)]
struct Growing {
    part: Option<Part>,
    column: Column,
}

// === impl Columns ===

impl Columns {
    fn guest(&mut self, root: u32, one: &Present<'_>, resources: &Resources, keys: &Keys) {
        self.devices.clear();
        for stat in &one.record.stats {
            let Value::Text(name) = &stat.value else { continue };
            let part = match stat.key {
                key if key == keys.disk_name => Part::Disk,
                key if key == keys.nic_name => Part::Nic,
                _ => continue,
            };
            let mut places = resources.parts(part, &(root..root + 1));
            let named = |place: &u32| resources.get(*place).is_some_and(|r| *r.label.device == **name);
            if let Some(place) = places.find(named) {
                self.devices.push((stat.key, stat.number, place));
            }
        }
        let first_vcpu = resources.parts(Part::Vcpu, &(root..root + 1)).start;
        for stat in &one.record.stats {
            let growing = self.by_key.entry(stat.key).or_insert_with(|| Growing::of(stat.key));
            let device = |key| {
                let found = self.devices.iter().find(|(of, number, _)| *of == key && *number == stat.number);
                found.map(|(_, _, place)| *place)
            };
            let resource = match growing.part {
                None => Some(root),
                Some(Part::Disk) => device(keys.disk_name),
                Some(Part::Nic) => device(keys.nic_name),
                Some(Part::Vcpu) => (first_vcpu..).zip(&one.vcpus).find(|(_, n)| **n == stat.number).map(|(at, _)| at),
            };
            if let Some(resource) = resource {
                growing.push(resource, stat);
            }
        }
    }

    fn flavor(&mut self, root: u32, definition: &Definition) {
        let Some(nova) = &definition.nova else { return };
        let flavor = &nova.flavor;
        for (name, value) in [
            ("flavor.vcpus", flavor.vcpus),
            ("flavor.ram", flavor.ram),
            ("flavor.disk", flavor.disk),
            ("flavor.ephemeral", flavor.ephemeral),
            ("flavor.swap", flavor.swap),
        ] {
            let Some(key) = KeyId::of(name) else { continue };
            let growing = self.by_key.entry(key).or_insert_with(|| Growing::of(key));
            growing.push(root, &Stat { key, number: 0, value: Value::Count(value) });
        }
    }

    fn finish(self) -> HashMap<String, Column> {
        let finished = self.by_key.into_iter().filter(|(_, growing)| !growing.column.is_empty());
        finished.map(|(key, growing)| (key.name(), growing.finish())).collect()
    }
}

// === impl Growing ===

impl Growing {
    fn of(key: KeyId) -> Self {
        let name = key.name();
        let part = match name.split_once(".*") {
            Some(("block", _)) => Some(Part::Disk),
            Some(("net", _)) => Some(Part::Nic),
            Some(("vcpu", _)) => Some(Part::Vcpu),
            _ => None,
        };
        let column = Column::empty();
        Self { part, column }
    }

    /// Adds a value. The first decides the column's type; a later one of another type is converted if it is the
    /// same number, and left out otherwise.
    fn push(&mut self, resource: u32, stat: &Stat) {
        let column = &mut self.column;
        if column.is_empty() {
            column.values = match stat.value {
                Value::Count(_) => Values::Counts(Vec::new()),
                Value::Integer(_) => Values::Integers(Vec::new()),
                Value::Real(_) => Values::Reals(Vec::new()),
                Value::Text(_) => return,
            };
        }
        match (&mut column.values, &stat.value) {
            (Values::Counts(values), Value::Count(value)) => values.push(*value),
            (Values::Integers(values), Value::Integer(value)) => values.push(*value),
            (Values::Reals(values), Value::Real(value)) if value.is_finite() => values.push(*value),
            (Values::Counts(values), Value::Integer(value)) => match u64::try_from(*value) {
                Ok(value) => values.push(value),
                Err(_) => return,
            },
            (Values::Integers(values), Value::Count(value)) => match i64::try_from(*value) {
                Ok(value) => values.push(value),
                Err(_) => return,
            },
            _ => return,
        }
        column.resources.push(resource);
    }

    fn finish(mut self) -> Column {
        self.column.ascend();
        self.column
    }
}
