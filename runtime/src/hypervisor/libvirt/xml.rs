//! What a guest is made of, out of libvirt's XML.
//!
//! Read the way Ceilometer reads it, so that both describe a guest in the same words: which devices count, and which
//! of Nova's elements. Entities that a document declares are refused, and so is a document that is too large.

mod element;
mod nova;
mod plain;
#[cfg(test)]
mod tests;

use roxmltree::{Document, ParsingOptions};
use uuid::Uuid;

use self::element::Element;
use crate::hypervisor::{Definition, Disk, Nic, Plain};

/// No definition is this large: a thousand devices take a quarter of it.
const BYTES: usize = 4 << 20;
const NODES: u32 = 200_000;
/// The format of a disk that names none.
const RAW: &str = "raw";

/// Why a definition cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the definition of guest {guest} {reason}")]
pub(super) struct XmlError {
    guest: Uuid,
    reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Reason {
    #[error("has {0} bytes; at most {BYTES} are read")]
    TooLarge(usize),
    #[error("is not well-formed: {0}")]
    Malformed(String),
    #[error("has no {0}")]
    Missing(String),
    #[error("has no usable {path}: {text:?} is not a {expected}")]
    Unusable { path: String, text: String, expected: &'static str },
}

/// Reads the definition of a guest.
pub(super) fn definition(guest: Uuid, text: &str) -> Result<Definition, XmlError> {
    read(text).map_err(|reason| XmlError { guest, reason })
}

fn read(text: &str) -> Result<Definition, Reason> {
    if text.len() > BYTES {
        return Err(Reason::TooLarge(text.len()));
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES, entity_resolver: None };
    let document = Document::parse_with_options(text, options).map_err(|error| Reason::Malformed(error.to_string()))?;
    let domain = Element::root(&document);
    let uuid = domain.need("uuid")?;
    let devices = domain.child("devices");
    let os = domain.child("os").and_then(|os| os.child("type"));
    let nova = nova::find(&domain).map(|nova| nova::read(&nova)).transpose()?;
    Ok(Definition {
        uuid: Uuid::try_parse(uuid.text().trim()).map_err(|_| uuid.unusable("UUID"))?,
        name: domain.need("name")?.text(),
        os_type: os.as_ref().map(Element::text).unwrap_or_default(),
        architecture: os.and_then(|os| os.attribute("arch")).unwrap_or_default(),
        plain: if nova.is_some() { Plain::default() } else { plain::read(&domain) },
        nova,
        disks: devices
            .iter()
            .flat_map(|devices| devices.children("disk"))
            .filter_map(|disk| read_disk(&disk))
            .collect(),
        nics: devices
            .iter()
            .flat_map(|devices| devices.children("interface"))
            .filter_map(|nic| read_nic(&nic))
            .collect(),
    })
}

/// A block device, if it has a name.
fn read_disk(disk: &Element<'_, '_>) -> Option<Disk> {
    let target = disk.child("target")?.attribute("dev").filter(|target| !target.is_empty())?;
    let has_source = disk.child("source").is_some();
    let is_file = has_source && disk.attribute("type").is_none_or(|kind| kind == "file");
    let format = || disk.child("driver").and_then(|driver| driver.attribute("type")).unwrap_or_else(|| RAW.to_owned());
    Some(Disk { target, has_source, file_format: is_file.then(format) })
}

/// A network device, if it has an end on the host and an address. A guest that does not run has no such ends.
fn read_nic(nic: &Element<'_, '_>) -> Option<Nic> {
    let target = nic.child("target")?.attribute("dev").filter(|target| !target.is_empty())?;
    let mac = nic.child("mac")?.attribute("address")?;
    let filter = nic.child("filterref");
    let parameters = filter.iter().flat_map(|filter| filter.children("parameter"));
    let port = nic.child("virtualport").and_then(|port| port.child("parameters"));
    Some(Nic {
        target,
        mac,
        parameters: parameters.filter_map(|one| Some((one.attribute("name")?, one.attribute("value")?))).collect(),
        filter: filter.and_then(|filter| filter.attribute("filter")),
        interface_id: port.and_then(|port| port.attribute("interfaceid")),
        bridge: nic.child("source").and_then(|source| source.attribute("bridge")),
    })
}
