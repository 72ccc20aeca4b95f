//! Definitions of guests as libvirt reads them.

use std::fs::OpenOptions;
use std::path::PathBuf;

use super::{BRIDGE, Guest, Metadata, Nic, nova};
use crate::cannot::{self, EMULATOR};

/// A guest's definition: nothing that it could do without, as every device takes time to start.
pub(super) fn definition(guest: &Guest, disks: &[PathBuf]) -> String {
    let metadata = match &guest.metadata {
        Metadata::None => String::new(),
        Metadata::Nova(nova) => nova::element(nova, guest),
        Metadata::Raw(elements) => elements.clone(),
    };
    let emulator = cannot::find(EMULATOR).unwrap_or_default();
    let hard_disks: String = ('a'..).zip(disks).map(|(letter, file)| disk(letter, &file.to_string_lossy())).collect();
    let cdroms: String = ('a'..).take(guest.cdroms).map(cdrom).collect();
    let nics: String = guest.nics.iter().enumerate().map(|(index, nic)| interface(guest, index, nic)).collect();
    let period = guest.balloon_period.map(|seconds| format!("<stats period='{seconds}'/>")).unwrap_or_default();
    format!(
        "\
<domain type='{hypervisor}'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <metadata>{metadata}</metadata>
  <memory unit='MiB'>{memory}</memory>
  {vcpus}
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <emulator>{emulator}</emulator>
    <controller type='usb' model='none'/>{hard_disks}{cdroms}{nics}
    <memballoon model='virtio'>{period}</memballoon>
  </devices>
</domain>
",
        hypervisor = if has_kvm() { "kvm" } else { "qemu" },
        name = escape(&guest.name),
        uuid = guest.uuid(),
        memory = guest.memory,
        vcpus = vcpus(&guest.vcpus),
        emulator = escape(&emulator.to_string_lossy()),
    )
}

/// Text for elements and attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn has_kvm() -> bool {
    OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok()
}

fn vcpus(present: &[bool]) -> String {
    let all = present.len();
    let current = present.iter().filter(|&&present| present).count();
    if current == all {
        return format!("<vcpu>{all}</vcpu>");
    }
    let vcpu = |(id, &present): (usize, &bool)| {
        let [enabled, hotpluggable] = [present, id > 0].map(|yes| if yes { "yes" } else { "no" });
        format!("<vcpu id='{id}' enabled='{enabled}' hotpluggable='{hotpluggable}'/>")
    };
    let each: String = present.iter().enumerate().map(vcpu).collect();
    format!("<vcpu current='{current}'>{all}</vcpu><vcpus>{each}</vcpus>")
}

fn disk(letter: char, file: &str) -> String {
    let file = escape(file);
    format!(
        "
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='{file}'/><target dev='vd{letter}' bus='virtio'/>
    </disk>"
    )
}

fn cdrom(letter: char) -> String {
    format!("\n    <disk type='file' device='cdrom'><target dev='hd{letter}' bus='ide'/><readonly/></disk>")
}

fn interface(guest: &Guest, index: usize, nic: &Nic) -> String {
    let parameter = |(name, value): &(String, String)| {
        format!("<parameter name='{}' value='{}'/>", escape(name), escape(value)) //
    };
    let filter = nic.filter.as_ref().map(|(name, parameters)| {
        let parameters: String = parameters.iter().map(parameter).collect();
        format!("<filterref filter='{}'>{parameters}</filterref>", escape(name))
    });
    format!(
        "
    <interface type='bridge'>
      <mac address='{mac}'/><source bridge='{BRIDGE}'/><target dev='{tap}'/><model type='virtio'/>{filter}
      <rom enabled='no'/>
    </interface>",
        mac = guest.mac(index),
        tap = guest.tap(index),
        filter = filter.unwrap_or_default(),
    )
}
