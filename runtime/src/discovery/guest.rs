//! A guest as Ceilometer describes it: resource ids and metadata, key by key and in its order. A guest that Nova did
//! not create has no flavour and no image; what Nova would know of it is null or absent.

mod parts;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use sha2::{Digest, Sha224};

use super::label::{About, Entries, Label, Metadata, OWN_KEYS};
use super::owner::{Owner, Rules};
use crate::hypervisor::{Definition, Flavor, Nic};
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
pub fn labels(definition: &Definition, owner: &Owner, state: i64, rules: &Rules) -> Labels {
    let writer = Writer { definition, owner, rules, state: words(state) };
    let (head, tail) = (writer.head(), writer.tail());
    let about = Arc::new(writer.about());
    let label = |id: String, device: &str, name: &str, extra: Entries| {
        let (mut quoted, head, tail) = (String::new(), Arc::clone(&head), Arc::clone(&tail));
        json::string(&mut quoted, name);
        let metadata = Metadata { head, name: quoted.into(), tail, extra: extra.text.into() };
        let (project, user) = (Some(Arc::clone(&owner.project)), owner.user.clone());
        Arc::new(Label { id, project, user, device: device.to_owned(), about: Arc::clone(&about), metadata })
    };
    let uuid = definition.uuid;
    let disk = |target: &str| {
        let mut extra = Entries::more();
        extra.text("disk_name", target);
        label(format!("{uuid}-{target}"), target, &definition.name, extra)
    };
    let nic = |nic: &Nic| {
        let id = nic.filter.clone().unwrap_or_else(|| format!("{}-{uuid}-{}", definition.name, nic.target));
        label(id, &nic.target, &nic.target, parts::nic(nic))
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

/// What people call a guest. Without Nova, that is its title, or else its name for the hypervisor.
pub fn display_name(definition: &Definition) -> &str {
    let Definition { nova, plain, name, .. } = definition;
    match nova {
        Some(nova) => &nova.display_name,
        None => plain.title.as_deref().unwrap_or(name),
    }
}

fn words(state: i64) -> (&'static str, &'static str) {
    usize::try_from(state).ok().and_then(|state| STATES.get(state)).copied().unwrap_or(("", "unknown"))
}

struct Writer<'a> {
    definition: &'a Definition,
    owner: &'a Owner,
    rules: &'a Rules,
    state: (&'static str, &'static str),
}

// === impl Writer ===

impl Writer<'_> {
    fn about(&self) -> About {
        let nova = self.definition.nova.as_ref();
        let group = self.user_metadata().into_iter().find(|(key, _)| key == "server_group");
        About {
            name: self.definition.name.clone(),
            display_name: display_name(self.definition).to_owned(),
            flavor: nova.map(|nova| nova.flavor.name.clone()).unwrap_or_default(),
            flavor_id: nova.map(|nova| parts::flavor_id(&nova.flavor).to_owned()).unwrap_or_default(),
            host_id: host_id(&self.owner.project, &self.rules.host),
            server_group: group.map(|(_, group)| group).unwrap_or_default(),
            image: nova.and_then(|nova| nova.image_id.clone()).unwrap_or_default(),
            os_type: self.definition.os_type.clone(),
            architecture: self.definition.architecture.clone(),
            status: self.state.1,
            state: self.state.0,
        }
    }

    fn head(&self) -> Arc<str> {
        let mut entries = Entries::default();
        entries.optional("display_name", parts::some(display_name(self.definition)));
        entries.key("name");
        entries.text.into()
    }

    fn tail(&self) -> Arc<str> {
        let (state, status) = self.state;
        let nova = self.definition.nova.as_ref();
        let (flavor, image) = (nova.map(|nova| &nova.flavor), nova.and_then(|nova| nova.image_id.as_deref()));
        let mut entries = Entries::more();
        entries.text("instance_id", &self.definition.uuid.to_string());
        entries.optional("instance_type", flavor.map(|flavor| flavor.name.as_str()));
        entries.text("host", &host_id(&self.owner.project, &self.rules.host));
        entries.text("instance_host", &self.rules.host);
        match flavor {
            Some(flavor) => entries.object("flavor", |inner| parts::flavor(inner, flavor)),
            None => entries.optional("flavor", None),
        }
        entries.text("status", status);
        entries.text("state", state);
        entries.text("task_state", "");
        match image {
            Some(image) => entries.object("image", |inner| inner.text("id", image)),
            None => entries.optional("image", None),
        }
        entries.optional("image_ref", image);
        entries.optional("image_ref_url", None);
        if let Some(nova) = nova.filter(|nova| !nova.image_meta.is_empty()) {
            entries.object("image_meta", |inner| parts::image_meta(inner, &nova.image_meta));
        }
        for (key, value) in [("architecture", &self.definition.architecture), ("os_type", &self.definition.os_type)] {
            parts::some(value).into_iter().for_each(|value| entries.text(key, value));
        }
        self.sizes(&mut entries, flavor);
        let user = self.user_metadata();
        if !user.is_empty() {
            entries.object("user_metadata", |inner| user.iter().for_each(|(key, value)| inner.text(key, value)));
        }
        entries.text.into()
    }

    /// What the guest was given. Nobody but Nova knows which disks count.
    fn sizes(&self, entries: &mut Entries, flavor: Option<&Flavor>) {
        let Some(flavor) = flavor else {
            let plain = &self.definition.plain;
            for (key, value) in [("vcpus", plain.vcpus), ("memory_mb", plain.memory)] {
                value.into_iter().for_each(|value| entries.number(key, value.into()));
            }
            return;
        };
        entries.number("vcpus", flavor.vcpus.into());
        entries.number("memory_mb", flavor.ram.into());
        entries.number("disk_gb", flavor.disk.into());
        entries.number("ephemeral_gb", flavor.ephemeral.into());
        entries.number("root_gb", i128::from(flavor.disk) - i128::from(flavor.ephemeral));
    }

    /// What the owner wrote under reserved prefixes, without the prefix, and under reserved keys. As Ceilometer does:
    /// dots become underscores, names that metadata has already are left out, and of two equal names the later wins.
    fn user_metadata(&self) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        let Some(nova) = &self.definition.nova else { return found };
        let rules = &self.rules.metadata;
        let mut add = |name: &str, value: &str| {
            let (name, value) = (name.replace('.', "_"), value.chars().take(rules.reserved_length).collect());
            if self.has(&name) {
                return;
            }
            match found.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = value,
                None => found.push((name, value)),
            }
        };
        for prefix in &rules.reserved_namespaces {
            for (key, value) in &nova.metadata {
                key.strip_prefix(prefix.as_str()).into_iter().for_each(|rest| add(rest, value));
            }
        }
        for reserved in &rules.reserved_keys {
            nova.metadata.iter().filter(|(key, _)| key == reserved).for_each(|(key, value)| add(key, value));
        }
        found
    }

    /// Whether a guest's metadata has an entry of this name already.
    fn has(&self, name: &str) -> bool {
        let absent = match name {
            "image_meta" => self.definition.nova.as_ref().is_none_or(|nova| nova.image_meta.is_empty()),
            "architecture" => self.definition.architecture.is_empty(),
            "os_type" => self.definition.os_type.is_empty(),
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
