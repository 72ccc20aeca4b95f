//! Masking the identities in a recording, so that it can be given away.
//!
//! Pseudonyms come from hashes with random salt that is forgotten with the [`Mask`]: the same original has the same
//! pseudonym wherever it stands in one recording, another one in the next recording, and nobody can go back.
//!
//! Masked, keeping the shape, wherever it is all of a text: UUIDs with and without hyphens (also project and user ids
//! of that form), MAC addresses, IP addresses, and interface names that contain a port's or a network's id, such as
//! `tap0a1b2c3d-4e`.
//!
//! | part | masked | kept, but for texts of the shapes above |
//! |---|---|---|
//! | guest | UUID, name (`instance-0123abcd`), revision | OS type, architecture |
//! | Nova | display name, project, user, image id | |
//! | guests of others | title, texts in the metadata | sizes; places of those texts, as they decide whose it is |
//! | image metadata | every other value | all keys; formats, least sizes, operating system, `hw_*` |
//! | owner's metadata | values | keys, as they decide which values are reported |
//! | flavour | id | name, sizes and extra specifications, as they decide values |
//! | disk | | target, such as `vda`; format of a file |
//! | network device | target, MAC, filter, values of its parameters, interface id | bridge, parameters' names |
//! | statistics | every other text, such as `block.*.path` and `net.*.name` | `block.*.name`, `dirtyrate.calc_mode` |
//!
//! Kept as they are: the flavour's name, numbers of statistics and their keys, and when each slot was read. So a
//! flavour, a metadata key or element that is named after somebody still names them.

mod pseudonym;

use std::io;

use serde_json::Value as Json;

use self::pseudonym::Pseudonyms;
use super::{Recorded, RecordedGuest};
use crate::hypervisor::{Flavor, Nic, Nova, Value};

/// Properties of images that say what a guest is like and not whose it is.
const IMAGE_META: [&str; 9] = [
    "architecture",
    "container_format",
    "disk_format",
    "hypervisor_type",
    "min_disk",
    "min_ram",
    "os_distro",
    "os_type",
    "os_version",
];

/// Statistics whose texts say what a guest is like and not whose it is.
const STATS: [&str; 2] = ["block.*.name", "dirtyrate.calc_mode"];

/// Masks the slots of one recording.
#[derive(Debug)]
pub struct Mask {
    names: Pseudonyms,
}

// === impl Mask ===

impl Mask {
    /// A mask like no other.
    pub fn new() -> io::Result<Self> {
        Ok(Self { names: Pseudonyms::random()? })
    }

    #[cfg(test)]
    pub(super) fn salted(salt: [u8; 32]) -> Self {
        Self { names: Pseudonyms::salted(salt) }
    }

    /// Replaces the identities in a slot.
    pub fn apply(&mut self, slot: &mut Recorded) {
        slot.guests.iter_mut().for_each(|guest| self.guest(guest));
    }

    fn guest(&mut self, guest: &mut RecordedGuest) {
        let definition = &mut guest.definition;
        definition.nics.iter_mut().for_each(|nic| self.nic(nic, &definition.name));
        definition.uuid = self.names.uuid(definition.uuid);
        definition.name = self.names.instance(&definition.name);
        self.keep(&mut definition.os_type);
        self.keep(&mut definition.architecture);
        definition.nova.iter_mut().for_each(|nova| self.nova(nova));
        definition.plain.title.iter_mut().for_each(|title| self.hide("title", title));
        definition.plain.notes.iter_mut().for_each(|note| self.hide("note", &mut note.text));
        for disk in &mut definition.disks {
            self.keep(&mut disk.target);
            disk.file_format.iter_mut().for_each(|format| self.keep(format));
        }
        guest.revision = self.names.number(guest.revision);
        for stat in &mut guest.stats {
            let Value::Text(text) = &mut stat.value else { continue };
            *text = match stat.key.name().as_str() {
                "net.*.name" => self.names.text("if", text),
                key if STATS.contains(&key) => self.names.kept(text),
                _ => self.names.text("text", text),
            }
            .into();
        }
    }

    fn nova(&mut self, nova: &mut Nova) {
        self.hide("name", &mut nova.display_name);
        self.hide("user", &mut nova.user_id);
        self.hide("project", &mut nova.project_id);
        nova.image_id.iter_mut().for_each(|id| self.hide("image", id));
        for (key, value) in &mut nova.image_meta {
            let is_kept = IMAGE_META.contains(&key.as_str()) || key.starts_with("hw_");
            let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            if !is_kept {
                *value = Json::String(self.names.text("value", &text));
            } else if value.is_string() {
                *value = Json::String(self.names.kept(&text));
            }
            self.keep(key);
        }
        for (key, value) in &mut nova.metadata {
            self.keep(key);
            self.hide("value", value);
        }
        self.flavor(&mut nova.flavor);
    }

    fn flavor(&mut self, flavor: &mut Flavor) {
        flavor.id.iter_mut().for_each(|id| self.hide("flavor", id));
        for (key, value) in flavor.extra_specs.iter_mut().flatten() {
            self.keep(key);
            self.keep(value);
        }
    }

    fn nic(&mut self, nic: &mut Nic, guest: &str) {
        let mac = self.names.mac(&nic.mac);
        if let Some(filter) = &mut nic.filter {
            // Nova's own name of a filter is made of the guest's name and the address.
            let compose = |guest: &str, mac: &str| format!("nova-instance-{guest}-{}", mac.replace(':', ""));
            *filter = if *filter == compose(guest, &nic.mac) {
                compose(&self.names.instance(guest), &mac)
            } else {
                self.names.text("filter", filter)
            };
        }
        nic.mac = mac;
        self.hide("if", &mut nic.target);
        nic.interface_id.iter_mut().for_each(|id| self.hide("port", id));
        nic.bridge.iter_mut().for_each(|bridge| self.keep(bridge));
        for (key, value) in &mut nic.parameters {
            self.keep(key);
            self.hide("value", value);
        }
    }

    fn hide(&mut self, word: &str, text: &mut String) {
        *text = self.names.text(word, text);
    }

    fn keep(&mut self, text: &mut String) {
        *text = self.names.kept(text);
    }
}
