//! A guest as Ceilometer describes it: resource ids and metadata, key by key and in its order.

use std::sync::Arc;

use sha2::{Digest, Sha224};

use super::label::{About, Entries, Label, Metadata};
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
        for (key, value) in &nic.parameters {
            inner.text(&key.to_lowercase(), value);
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

    /// What the owner wrote under a reserved prefix, without the prefix.
    fn user_metadata(&self) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        let cut = |value: &str| value.chars().take(self.rules.reserved_length).collect::<String>();
        for (key, value) in &self.nova.metadata {
            let prefixed = self.rules.reserved_namespaces.iter().find_map(|prefix| key.strip_prefix(prefix.as_str()));
            let name = match prefixed {
                Some(rest) => rest.replace('.', "_"),
                None if self.rules.reserved_keys.contains(key) => key.clone(),
                None => continue,
            };
            if !found.iter().any(|(known, _)| *known == name) {
                found.push((name, cut(value)));
            }
        }
        found
    }
}

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
