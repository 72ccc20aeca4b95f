//! Columns that grow guest by guest, out of statistics in no order.

use std::collections::HashMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::contract::{Column, Values};
use crate::discovery::directory::Shape;
use crate::discovery::resource::{Part, Resources};
use crate::hypervisor::{Definition, KeyId, Record, Stat, Value, key};

/// What Ceilometer says of guests that are off when it is told to: what it asks their definitions and files for.
const STOPPED: [&str; 6] =
    ["state.state", "vcpu.current", "balloon.current", "block.*.capacity", "block.*.allocation", "block.*.physical"];

/// A guest that takes part in a slot.
#[derive(Debug)]
pub struct Present<'a> {
    /// What it is made of.
    pub definition: Arc<Definition>,
    /// Its statistics.
    pub record: &'a Record,
    /// The state that libvirt reported; -1 if it did not.
    pub state: i64,
}

/// What keys mean, looked up once for all guests.
#[derive(Debug)]
pub struct Keys {
    state: KeyId,
    disk_name: KeyId,
    nic_name: KeyId,
    flavor: [KeyId; 5],
    qcow2: KeyId,
    /// Those that a guest has which is off.
    stopped: [KeyId; 6],
    /// For each key: the kind of part that has a value under it; none for a guest's own.
    parts: Vec<Option<Part>>,
    /// For each key: whether anybody reads it.
    wanted: Vec<bool>,
}

/// Columns of all keys.
#[derive(Debug)]
pub struct Columns {
    keys: Keys,
    by_key: Vec<Column>,
    /// What the guest at hand looks like.
    shape: Shape,
    /// The devices of the guest at hand: their resource, by the key of their names and their number in statistics.
    devices: FxHashMap<(KeyId, u32), u32>,
}

// === impl Keys ===

impl Keys {
    /// Looks up what there is to know, and which of all keys are wanted.
    pub fn find(wanted: impl Fn(KeyId) -> bool) -> Self {
        let known = |name: &str| KeyId::of(name).unwrap_or_default();
        let flavor = key::FLAVOR.map(known);
        let (state, disk_name, nic_name) = (known("state.state"), known("block.*.name"), known("net.*.name"));
        let part = |name: &str| match name.split_once(".*") {
            Some(("block", _)) => Some(Part::Disk),
            Some(("net", _)) => Some(Part::Nic),
            Some(("vcpu", _)) => Some(Part::Vcpu),
            _ => None,
        };
        let stopped = STOPPED.map(known);
        let qcow2 = known(key::QCOW2);
        let (parts, wanted) = (KeyId::map_all(part), KeyId::all().map(wanted).collect());
        Self { state, disk_name, nic_name, flavor, qcow2, stopped, parts, wanted }
    }

    fn is_wanted(&self, key: KeyId) -> bool {
        self.wanted.get(key.index()).copied().unwrap_or_default()
    }

    fn part(&self, key: KeyId) -> Option<Part> {
        self.parts.get(key.index()).copied().flatten()
    }

    /// Reads what a guest's statistics say of it: its state, its virtual CPUs as they number them, of which some may be
    /// left out, and whether there are names.
    pub fn look_at(&self, record: &Record, shape: &mut Shape) {
        let Shape { vcpus, state, has_names } = shape;
        vcpus.clear();
        (*state, *has_names) = (-1, false);
        for Stat { key, number, value } in &record.stats {
            *has_names |= matches!(value, Value::Text(_));
            if self.part(*key) == Some(Part::Vcpu) && vcpus.last() != Some(number) {
                vcpus.push(*number);
            }
            match value {
                Value::Integer(number) if *key == self.state => *state = *number,
                Value::Count(number) if *key == self.state => *state = i64::try_from(*number).unwrap_or(-1),
                _ => {}
            }
        }
        vcpus.sort_unstable();
        vcpus.dedup();
    }
}

// === impl Columns ===

impl Columns {
    /// Empty columns.
    pub fn of(keys: Keys) -> Self {
        let by_key = keys.parts.iter().map(|_| Column::empty()).collect();
        Self { keys, by_key, shape: Shape::default(), devices: FxHashMap::default() }
    }

    /// Adds the statistics of a guest.
    pub fn guest(&mut self, root: u32, one: &Present<'_>, resources: &Resources) {
        self.add(root, one, resources, &one.record.stats);
        self.formats(root, &one.definition, resources);
    }

    /// Adds what a guest has that is off.
    pub fn stopped_guest(&mut self, root: u32, one: &Present<'_>, resources: &Resources) {
        let stopped = self.keys.stopped;
        self.add(root, one, resources, one.record.stats.iter().filter(|stat| stopped.contains(&stat.key)));
    }

    fn add<'a>(
        &mut self,
        root: u32,
        one: &Present<'_>,
        resources: &Resources,
        stats: impl IntoIterator<Item = &'a Stat>,
    ) {
        self.devices.clear();
        self.keys.look_at(one.record, &mut self.shape);
        if self.shape.has_names {
            self.find_devices(root, one.record, resources);
        }
        let first_vcpu = resources.parts(Part::Vcpu, &(root..root + 1)).start;
        for stat in stats {
            if !self.keys.is_wanted(stat.key) {
                continue;
            }
            let resource = match self.keys.part(stat.key) {
                None => Some(root),
                Some(Part::Disk) => self.device(self.keys.disk_name, stat.number),
                Some(Part::Nic) => self.device(self.keys.nic_name, stat.number),
                Some(Part::Vcpu) => {
                    self.shape.vcpus.binary_search(&stat.number).ok().map(|at| first_vcpu.saturating_add(index(at)))
                }
            };
            if let Some(resource) = resource {
                self.push(resource, stat);
            }
        }
    }

    /// Adds which of its disks are files in a format of their own, by which libvirt's statistics of them are read.
    fn formats(&mut self, root: u32, definition: &Definition, resources: &Resources) {
        // Definitions are large and lie far apart: going through all for nothing takes longer than all else.
        if !self.keys.is_wanted(self.keys.qcow2) {
            return;
        }
        let media = definition.disks.iter().filter(|disk| disk.has_source);
        for (resource, disk) in resources.parts(Part::Disk, &(root..root + 1)).zip(media) {
            if let Some(format) = &disk.file_format {
                let value = Value::Count(u64::from(format == "qcow2"));
                self.push(resource, &Stat { key: self.keys.qcow2, number: 0, value });
            }
        }
    }

    /// Adds what its flavour says; of a guest that has none, what is known instead.
    pub fn flavor(&mut self, root: u32, definition: &Definition) {
        if !self.keys.flavor.iter().any(|key| self.keys.is_wanted(*key)) {
            return;
        }
        let Definition { nova, plain, .. } = definition;
        let values = match nova.as_ref().map(|nova| &nova.flavor) {
            Some(flavor) => [flavor.vcpus, flavor.ram, flavor.disk, flavor.ephemeral, flavor.swap].map(Some),
            None => [plain.vcpus, plain.memory, None, None, None],
        };
        for (key, value) in self.keys.flavor.into_iter().zip(values) {
            if let Some(value) = value {
                self.push(root, &Stat { key, number: 0, value: Value::Count(value) });
            }
        }
    }

    /// The columns by name, without those that nobody has a value in.
    pub fn finish(self) -> HashMap<String, Column> {
        let names = KeyId::map_all(str::to_owned);
        let filled = names.into_iter().zip(self.by_key).filter(|(_, column)| !column.is_empty());
        filled
            .map(|(name, mut column)| {
                column.ascend();
                (name, column)
            })
            .collect()
    }

    /// Statistics number devices; their names tell which of the definition's they are.
    fn find_devices(&mut self, root: u32, record: &Record, resources: &Resources) {
        let mut places: FxHashMap<(KeyId, &str), u32> = FxHashMap::default();
        for (key, part) in [(self.keys.disk_name, Part::Disk), (self.keys.nic_name, Part::Nic)] {
            for place in resources.parts(part, &(root..root + 1)) {
                if let Some(resource) = resources.get(place) {
                    places.entry((key, &resource.label.device)).or_insert(place);
                }
            }
        }
        for stat in &record.stats {
            let Value::Text(name) = &stat.value else { continue };
            if let Some(place) = places.get(&(stat.key, &**name)) {
                self.devices.entry((stat.key, stat.number)).or_insert(*place);
            }
        }
    }

    fn device(&self, key: KeyId, number: u32) -> Option<u32> {
        self.devices.get(&(key, number)).copied()
    }

    /// Adds a value. The first decides the column's type; a later one of another type is converted if it is the
    /// same number, and left out otherwise.
    fn push(&mut self, resource: u32, stat: &Stat) {
        let Some(column) = self.by_key.get_mut(stat.key.index()).filter(|_| self.keys.is_wanted(stat.key)) else {
            return;
        };
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
}

fn index(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
