//! What Nova wrote into a guest's metadata.

use serde_json::Value;

use super::Reason;
use super::element::Element;
use crate::hypervisor::{Flavor, NOVA_NAMESPACES, Nova};
use crate::json::last_of_each;

/// What Nova says of the image, element by element, in the order in which it is told.
const IMAGE: [(&str, &str); 4] = [
    ("containerFormat", "container_format"),
    ("diskFormat", "disk_format"),
    ("minDisk", "min_disk"),
    ("minRam", "min_ram"),
];

/// Nova's metadata, if there is any.
pub(super) fn find<'a, 'input>(domain: &Element<'a, 'input>) -> Option<Element<'a, 'input>> {
    let metadata = domain.child("metadata")?;
    NOVA_NAMESPACES.iter().find_map(|namespace| metadata.child_in(namespace))
}

/// Reads Nova's metadata.
pub(super) fn read(nova: &Element<'_, '_>) -> Result<Nova, Reason> {
    let owner = nova.need("owner")?;
    let is_image = |root: &Element<'_, '_>| root.attribute("type").as_deref() == Some("image");
    let root = nova.children("root").find(is_image);
    Ok(Nova {
        display_name: nova.need("name")?.text(),
        flavor: read_flavor(&nova.need("flavor")?)?,
        user_id: owner.need("user")?.need_attribute("uuid")?,
        project_id: owner.need("project")?.need_attribute("uuid")?,
        image_id: root.map(|root| root.need_attribute("uuid")).transpose()?,
        image_meta: nova.child("image").map(|image| read_image(&image)).unwrap_or_default(),
        // Nova keeps what owners say about their guests to itself.
        metadata: Vec::new(),
    })
}

fn read_flavor(flavor: &Element<'_, '_>) -> Result<Flavor, Reason> {
    let specs = flavor.child("extraSpecs").map(|specs| {
        let named = |spec: Element<'_, '_>| Some((spec.attribute("name")?, spec.text()));
        specs.children("extraSpec").filter_map(named).collect()
    });
    Ok(Flavor {
        id: flavor.attribute("id"),
        name: flavor.need_attribute("name")?,
        vcpus: number(flavor, "vcpus")?,
        ram: number(flavor, "memory")?,
        disk: number(flavor, "disk")?,
        ephemeral: number(flavor, "ephemeral")?,
        swap: number(flavor, "swap")?,
        extra_specs: specs,
    })
}

/// A number, or zero where the element is absent.
fn number(parent: &Element<'_, '_>, name: &str) -> Result<u64, Reason> {
    let Some(element) = parent.child(name) else { return Ok(0) };
    element.text().trim().parse().map_err(|_| element.unusable("whole number"))
}

fn read_image(image: &Element<'_, '_>) -> Vec<(String, Value)> {
    let mut all: Vec<(String, Value)> = Vec::new();
    all.extend(image.attribute("uuid").map(|uuid| ("base_image_ref".to_owned(), Value::String(uuid))));
    for (element, key) in IMAGE {
        all.extend(image.child(element).map(|found| (key.to_owned(), text_or_null(&found))));
    }
    let properties = image.child("properties");
    let properties = properties.iter().flat_map(|properties| properties.children("property"));
    all.extend(properties.filter_map(|property| Some((property.attribute("name")?, text_or_null(&property)))));
    // A key is told once; the last one to say it is right.
    last_of_each(all)
}

/// An element's text as Python's libraries see it, to whom an empty one has none.
fn text_or_null(element: &Element<'_, '_>) -> Value {
    let text = element.text();
    if text.is_empty() { Value::Null } else { Value::String(text) }
}
