//! A guest as Ceilometer describes it: resource ids and metadata, key by key and in its order.

use std::sync::Arc;

use sha2::{Digest, Sha224};

use super::label::{About, Entries, Label, Metadata, OWN_KEYS};
use crate::config::daemon::Metadata as MetadataRules;
use crate::hypervisor::{Definition, Flavor, Nic, Nova};
use crate::json;

/// A guest's labels in one state.
#[derive(Debug)]
pub struct Labels {
    /// Of the guest itself.
    pub guest: Arc<Label>,
    /// Of its block devices that have a medium.
    pub disks: Vec<Arc<Label>>,
    /// Of its network devices.
    pub nics: Vec<Arc<Label>>,
}

/// What Nova calls a state of libvirt's: `OS-EXT-STS:vm_state` and `status`, by libvirt's number.
const STATES: [(&str, &str); 8] = [
    ("pending", "building"),
    ("running", "active"),
    ("running", "active"),
    ("paused", "paused"),
    ("shutdown", "stopped"),
    ("shutdown", "stopped"),
    ("crashed", "error"),
    ("suspended", "suspended"),
];

/// Writes the labels of a guest in a state.
pub fn labels(definition: &Definition, nova: &Nova, state: i64, host: &str, rules: &MetadataRules) -> Labels {
    let writer = Writer { definition, nova, host, rules, state: words(state) };
    let (head, tail) = (writer.head(), writer.tail());
    let about = Arc::new(writer.about());
    let project = Some(Arc::from(nova.project_id.as_str()));
    let user = Some(Arc::from(nova.user_id.as_str()));
    let label = |id: String, device: &str, name: &str, extra: Entries| {
        let (mut quoted, head, tail) = (String::new(), Arc::clone(&head), Arc::clone(&tail));
        json::string(&mut quoted, name);
        let metadata = Metadata { head, name: quoted.into(), tail, extra: extra.text.into() };
        let (project, user, about) = (project.clone(), user.clone(), Arc::clone(&about));
        Arc::new(Label { id, project, user, device: device.to_owned(), about, metadata })
    };
    let uuid = definition.uuid;
    let disk = |target: &str| {
        let mut extra = Entries::more();
        extra.text("disk_name", target);
        label(format!("{uuid}-{target}"), target, &definition.name, extra)
    };
    let nic = |nic: &Nic| {
        let id = nic.filter.clone().unwrap_or_else(|| format!("{}-{uuid}-{}", definition.name, nic.target));
        label(id, &nic.target, &nic.target, nic_entries(nic))
    };
    Labels {
        guest: label(uuid.to_string(), "", &definition.name, Entries::more()),
        disks: definition.disks.iter().filter(|disk| disk.has_source).map(|found| disk(&found.target)).collect(),
        nics: definition.nics.iter().map(nic).collect(),
    }
}

/// The label of a virtual CPU, which has nothing of its own but its number.
pub fn vcpu_label(guest: &Label, number: u32) -> Label {
    let device = format!("vcpu{number}");
    Label { id: format!("{}-{device}", guest.id), device, ..guest.clone() }
}

fn words(state: i64) -> (&'static str, &'static str) {
    usize::try_from(state).ok().and_then(|state| STATES.get(state)).copied().unwrap_or(("", "unknown"))
}

fn nic_entries(nic: &Nic) -> Entries {
    let mut entries = Entries::more();
    entries.text("mac", &nic.mac);
    entries.optional("fref", nic.filter.as_deref());
    entries.object("parameters", |inner| {
        // A filter may be given several values under one name; of those, Ceilometer keeps the last.
        let lower: Vec<(String, &String)> = nic.parameters.iter().map(|(key, v)| (key.to_lowercase(), v)).collect();
        for (place, (key, _)) in lower.iter().enumerate() {
            let first = lower.iter().take(place).all(|(earlier, _)| earlier != key);
            let last = lower.iter().rev().find(|(other, _)| other == key);
            if let Some((_, value)) = last.filter(|_| first) {
                inner.text(key, value);
            }
        }
        inner.optional("interfaceid", nic.interface_id.as_deref());
        inner.optional("bridge", nic.bridge.as_deref());
    });
    entries.text("vnic_name", nic.filter.as_deref().unwrap_or(&nic.target));
    entries
}

fn flavor_entries(entries: &mut Entries, flavor: &Flavor) {
    entries.text("id", flavor.id.as_deref().unwrap_or(&flavor.name));
    entries.text("name", &flavor.name);
    entries.number("vcpus", flavor.vcpus.into());
    entries.number("ram", flavor.ram.into());
    entries.number("disk", flavor.disk.into());
    entries.number("ephemeral", flavor.ephemeral.into());
    entries.number("swap", flavor.swap.into());
    if let Some(specs) = &flavor.extra_specs {
        entries.object("extra_specs", |inner| specs.iter().for_each(|(key, value)| inner.text(key, value)));
    }
}

struct Writer<'a> {
    definition: &'a Definition,
    nova: &'a Nova,
    host: &'a str,
    rules: &'a MetadataRules,
    state: (&'static str, &'static str),
}

// === impl Writer ===

impl Writer<'_> {
    fn about(&self) -> About {
        About {
            name: self.definition.name.clone(),
            display_name: self.nova.display_name.clone(),
            flavor: self.nova.flavor.name.clone(),
            image: self.nova.image_id.clone().unwrap_or_default(),
            os_type: self.definition.os_type.clone(),
            architecture: self.definition.architecture.clone(),
            status: self.state.1,
            state: self.state.0,
        }
    }

    fn head(&self) -> Arc<str> {
        let mut entries = Entries::default();
        entries.text("display_name", &self.nova.display_name);
        entries.key("name");
        entries.text.into()
    }

    fn tail(&self) -> Arc<str> {
        let (nova, flavor, (state, status)) = (self.nova, &self.nova.flavor, self.state);
        let mut entries = Entries::more();
        entries.text("instance_id", &self.definition.uuid.to_string());
        entries.text("instance_type", &flavor.name);
        entries.text("host", &host_id(&nova.project_id, self.host));
        entries.text("instance_host", self.host);
        entries.object("flavor", |inner| flavor_entries(inner, flavor));
        entries.text("status", status);
        entries.text("state", state);
        entries.text("task_state", "");
        match &nova.image_id {
            Some(image) => entries.object("image", |inner| inner.text("id", image)),
            None => entries.optional("image", None),
        }
        entries.optional("image_ref", nova.image_id.as_deref());
        entries.optional("image_ref_url", None);
        if !nova.image_meta.is_empty() {
            entries.object("image_meta", |inner| {
                nova.image_meta.iter().for_each(|(key, value)| json::value(inner.key(key), value));
            });
        }
        entries.text("architecture", &self.definition.architecture);
        entries.text("os_type", &self.definition.os_type);
        entries.number("vcpus", flavor.vcpus.into());
        entries.number("memory_mb", flavor.ram.into());
        entries.number("disk_gb", flavor.disk.into());
        entries.number("ephemeral_gb", flavor.ephemeral.into());
        entries.number("root_gb", i128::from(flavor.disk) - i128::from(flavor.ephemeral));
        let user = self.user_metadata();
        if !user.is_empty() {
            entries.object("user_metadata", |inner| user.iter().for_each(|(key, value)| inner.text(key, value)));
        }
        entries.text.into()
    }

    /// What the owner wrote under reserved prefixes, without the prefix, and under reserved keys. As Ceilometer does:
    /// dots become underscores, names that metadata has already are left out, and of two equal names the later wins.
    fn user_metadata(&self) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        let mut add = |name: &str, value: &str| {
            let (name, value) = (name.replace('.', "_"), value.chars().take(self.rules.reserved_length).collect());
            if self.has(&name) {
                return;
            }
            match found.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = value,
                None => found.push((name, value)),
            }
        };
        for prefix in &self.rules.reserved_namespaces {
            for (key, value) in &self.nova.metadata {
                key.strip_prefix(prefix.as_str()).into_iter().for_each(|rest| add(rest, value));
            }
        }
        for reserved in &self.rules.reserved_keys {
            self.nova.metadata.iter().filter(|(key, _)| key == reserved).for_each(|(key, value)| add(key, value));
        }
        found
    }

    /// Whether a guest's metadata has an entry of this name already.
    fn has(&self, name: &str) -> bool {
        let absent = match name {
            "image_meta" => self.nova.image_meta.is_empty(),
            "user_metadata" => true,
            _ => OF_DEVICES.contains(&name) || NEVER_HERE.contains(&name),
        };
        OWN_KEYS.contains(&name) && !absent
    }
}

/// Keys that only devices have.
const OF_DEVICES: [&str; 5] = ["disk_name", "mac", "fref", "parameters", "vnic_name"];
/// Keys that Ceilometer has from Nova's interface, and nobody who asks libvirt alone.
const NEVER_HERE: [&str; 4] = ["reservation_id", "OS-EXT-AZ:availability_zone", "kernel_id", "ramdisk_id"];

/// What Nova calls `hostId`: which host it is, without telling the tenant.
fn host_id(project: &str, host: &str) -> String {
    let mut hash = Sha224::new();
    hash.update(project);
    hash.update(host);
    let mut text = String::with_capacity(56);
    for byte in hash.finalize() {
        json::append(&mut text, format_args!("{byte:02x}"));
    }
    text
}
