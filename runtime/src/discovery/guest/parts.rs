//! The objects in a guest's metadata.

use crate::discovery::label::Entries;
use crate::hypervisor::{Flavor, Nic};
use crate::json;

/// What the samples of a network device say beside what its guest's say.
pub(super) fn nic(nic: &Nic) -> Entries {
    let mut entries = Entries::more();
    entries.text("mac", &nic.mac);
    entries.optional("fref", nic.filter.as_deref());
    entries.object("parameters", |inner| {
        let (port, bridge) = (nic.interface_id.as_deref(), nic.bridge.as_deref());
        let parameters = nic.parameters.iter().map(|(key, value)| (key.to_lowercase(), Some(value.as_str())));
        // A filter may be given several values under one name.
        let all = parameters.chain([("interfaceid".to_owned(), port), ("bridge".to_owned(), bridge)]);
        json::last_of_each(all).iter().for_each(|(key, value)| inner.optional(key, *value));
    });
    entries.text("vnic_name", nic.filter.as_deref().unwrap_or(&nic.target));
    entries
}

/// A flavour's id. Its name stands in for one that Nova did not write.
pub(super) fn flavor_id(flavor: &Flavor) -> &str {
    flavor.id.as_deref().filter(|id| !id.is_empty()).unwrap_or(&flavor.name)
}

/// A flavour.
pub(super) fn flavor(entries: &mut Entries, flavor: &Flavor) {
    entries.text("id", flavor_id(flavor));
    entries.text("name", &flavor.name);
    entries.number("vcpus", flavor.vcpus.into());
    entries.number("ram", flavor.ram.into());
    entries.number("disk", flavor.disk.into());
    entries.number("ephemeral", flavor.ephemeral.into());
    entries.number("swap", flavor.swap.into());
    if let Some(specs) = &flavor.extra_specs {
        entries.object("extra_specs", |inner| {
            let specs = specs.iter().map(|(key, value)| (key.clone(), some(value)));
            json::last_of_each(specs).iter().for_each(|(key, value)| inner.optional(key, *value));
        });
    }
}

/// Properties of an image.
pub(super) fn image_meta(entries: &mut Entries, properties: &[(String, serde_json::Value)]) {
    properties.iter().for_each(|(key, value)| json::value(entries.key(key), value));
}

/// A text as Python's libraries read it from XML, to whom an empty element has none.
pub(super) fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
