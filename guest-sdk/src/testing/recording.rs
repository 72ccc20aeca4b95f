//! A slot as the daemon records it.
//!
//! A recording has a line of JSON for each slot: `read_at` and `guests`, of which each has a `definition` and `stats`.
//! A statistic is its key with `*` for the number, the number, and the value: `["block.*.rd.bytes", 0, 123]`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::Moment;
use crate::testing::{Cell, Host};

/// Kinds of parts in the order in which they are numbered, after all guests.
const PARTS: [&str; 3] = ["block", "net", "vcpu"];

/// libvirt's number of the state in which a guest is off.
const OFF: [Cell; 2] = [Cell::Count(5), Cell::Integer(5)];

/// Resources and cells, gathered guest by guest.
#[derive(Default)]
struct Gathered {
    stats: BTreeMap<String, BTreeMap<u32, Cell>>,
    attributes: BTreeMap<&'static str, BTreeMap<u32, Cell>>,
    parents: BTreeMap<u32, u32>,
    next: u32,
}

/// One guest of a slot.
struct Guest<'a> {
    index: u32,
    definition: &'a Value,
    stats: Vec<(&'a str, u64, Cell)>,
}

/// Replaces what a host knows with a slot of a recording.
pub fn replay(mut host: Host, text: &str, slot: usize) -> Result<Host, String> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let line = lines.nth(slot).ok_or_else(|| format!("the recording has no slot {slot}"))?;
    let slot: Value = serde_json::from_str(line).map_err(|error| format!("slot {slot}: {error}"))?;
    let guests = slot.get("guests").and_then(Value::as_array).ok_or("a slot has no guests")?;
    let guests: Vec<Guest<'_>> =
        (0..).zip(guests).map(|(index, guest)| Guest::of(index, guest)).collect::<Result<_, _>>()?;

    let mut gathered =
        Gathered { next: u32::try_from(guests.len()).map_err(|e| e.to_string())?, ..Gathered::default() };
    guests.iter().for_each(|guest| gathered.guest(guest));
    for part in PARTS {
        guests.iter().for_each(|guest| gathered.parts(guest, part));
    }

    host.stats.clear();
    host.attributes.clear();
    host.parents = gathered.parents;
    host.read_at = slot.get("read_at").and_then(read_at);
    for (key, cells) in gathered.stats {
        host = host.stat(&key, cells);
    }
    for (key, cells) in gathered.attributes {
        host = host.attribute(key, cells);
    }
    Ok(host)
}

fn read_at(value: &Value) -> Option<Moment> {
    Some(Moment { wall: value.get("wall")?.as_i64()?, monotonic: value.get("monotonic").and_then(Value::as_u64) })
}

// === impl Guest ===

impl<'a> Guest<'a> {
    fn of(index: u32, guest: &'a Value) -> Result<Self, String> {
        let definition = guest.get("definition").ok_or("a guest has no definition")?;
        let stats = guest.get("stats").and_then(Value::as_array).ok_or("a guest has no stats")?;
        let stats = stats.iter().map(|stat| read(stat).ok_or_else(|| format!("{stat} is no statistic")));
        Ok(Self { index, definition, stats: stats.collect::<Result<_, _>>()? })
    }

    fn text(&self, path: &str) -> Option<&'a str> {
        self.definition.pointer(path)?.as_str()
    }

    /// Whether it is shut off.
    fn is_off(&self) -> bool {
        self.stats.iter().any(|(key, _, value)| *key == "state.state" && OFF.contains(value))
    }

    /// The parts of a kind in order: the number in the statistics, where there is one, and the device.
    fn parts(&self, kind: &str) -> Vec<(Option<u64>, String)> {
        let name = format!("{kind}.*.name");
        let number = |device: &str| {
            let named = |(key, _, value): &&(&str, u64, Cell)| *key == name && *value == Cell::from(device);
            self.stats.iter().find(named).map(|(_, number, _)| *number)
        };
        let defined = |list: &str| self.definition.get(list).and_then(Value::as_array).into_iter().flatten();
        let target = |device: &'a Value| device.get("target").and_then(Value::as_str);
        let has_source = |disk: &&Value| disk.get("has_source").and_then(Value::as_bool).unwrap_or(true);
        let devices: Vec<&str> = match kind {
            "block" => defined("disks").filter(has_source).filter_map(target).collect(),
            "net" => defined("nics").filter_map(target).collect(),
            _ => {
                let numbers = self.stats.iter().filter(|(key, ..)| key.starts_with("vcpu.*.")).map(|(_, n, _)| *n);
                return BTreeSet::from_iter(numbers).into_iter().map(|n| (Some(n), format!("vcpu{n}"))).collect();
            }
        };
        devices.into_iter().map(|device| (number(device), device.to_owned())).collect()
    }
}

fn read(stat: &Value) -> Option<(&str, u64, Cell)> {
    let [key, number, value] = stat.as_array()?.as_slice() else { return None };
    let value = match value {
        Value::String(text) => Cell::from(text.as_str()),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(count), _) => Cell::Count(count),
            (None, Some(integer)) => Cell::Integer(integer),
            (None, None) => Cell::Real(number.as_f64()?),
        },
        _ => return None,
    };
    Some((key.as_str()?, number.as_u64()?, value))
}

// === impl Gathered ===

impl Gathered {
    fn guest(&mut self, guest: &Guest<'_>) {
        for (key, _, value) in guest.stats.iter().filter(|(key, ..)| !key.contains('*')) {
            self.stats.entry((*key).to_owned()).or_default().insert(guest.index, value.clone());
        }
        for name in ["vcpus", "ram", "disk", "ephemeral", "swap"] {
            let size = guest.definition.pointer(&format!("/nova/flavor/{name}"));
            if let Some(size) = size.and_then(Value::as_u64) {
                self.stats.entry(format!("flavor.{name}")).or_default().insert(guest.index, Cell::Count(size));
            }
        }
        for (attribute, path) in [
            ("id", "/uuid"),
            ("name", "/name"),
            ("os_type", "/os_type"),
            ("architecture", "/architecture"),
            ("display_name", "/nova/display_name"),
            ("project_id", "/nova/project_id"),
            ("user_id", "/nova/user_id"),
            ("image", "/nova/image_id"),
            ("flavor", "/nova/flavor/name"),
        ] {
            if let Some(text) = guest.text(path) {
                self.attributes.entry(attribute).or_default().insert(guest.index, text.into());
            }
        }
    }

    /// Whether a guest's disk, if it is a file, is one in the format qcow2.
    fn format(&mut self, guest: &Guest<'_>, disk: u32, target: &str) {
        let all = guest.definition.get("disks").and_then(Value::as_array).into_iter().flatten();
        let mut named = all.filter(|disk| disk.get("target").and_then(Value::as_str) == Some(target));
        let format = named.find_map(|disk| disk.get("file_format")?.as_str());
        if let Some(format) = format.filter(|_| !guest.is_off()) {
            let value = Cell::Count(u64::from(format == "qcow2"));
            self.stats.entry("block.*.qcow2".to_owned()).or_default().insert(disk, value);
        }
    }

    fn parts(&mut self, guest: &Guest<'_>, kind: &str) {
        let first_word = format!("{kind}.*.");
        for (number, device) in guest.parts(kind) {
            let part = self.next;
            self.next += 1;
            self.parents.insert(part, guest.index);
            let id = format!("{}-{device}", guest.text("/uuid").unwrap_or_default());
            self.attributes.entry("id").or_default().insert(part, id.as_str().into());
            self.attributes.entry("device").or_default().insert(part, device.as_str().into());
            if kind == "block" {
                self.format(guest, part, &device);
            }
            let own = |(key, n, _): &&(&str, u64, Cell)| key.starts_with(&first_word) && Some(*n) == number;
            for (key, _, value) in guest.stats.iter().filter(own) {
                self.stats.entry((*key).to_owned()).or_default().insert(part, value.clone());
            }
        }
    }
}
