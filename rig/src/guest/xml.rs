//! Definitions of guests as libvirt reads them.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use super::{BRIDGE, Guest, Metadata, Nic, Places, nova, work};
use crate::cannot::{self, EMULATOR};

/// A guest's definition: nothing that it could do without, as every device takes time to start.
pub(super) fn definition(guest: &Guest, disks: &[PathBuf], places: &Places) -> String {
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
    let Linux { boot, console, monitor } = Linux::of(guest, places);
    format!(
        "\
<domain type='{hypervisor}' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <metadata>{metadata}</metadata>
  <memory unit='MiB'>{memory}</memory>
  {vcpus}
  <os><type arch='x86_64' machine='pc'>hvm</type>{boot}</os>
  <features><acpi/></features>
  <devices>
    <emulator>{emulator}</emulator>
    <controller type='usb' model='none'/>{hard_disks}{cdroms}{nics}{console}
    <memballoon model='virtio'>{period}</memballoon>
  </devices>{monitor}
</domain>
",
        hypervisor = if is_emulated(guest.work.is_some()) { "qemu" } else { "kvm" },
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

/// Whether guests are emulated. There is a KVM that does without the processor's help: it runs firmware, but of systems
/// only those that know of it, which Debian's does not.
pub(crate) fn is_emulated(with_system: bool) -> bool {
    let kvm = OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok();
    !kvm || (with_system && !processor_helps())
}

fn processor_helps() -> bool {
    let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = about.lines().find_map(|line| line.strip_prefix("flags")).unwrap_or_default();
    flags.split_whitespace().any(|flag| ["vmx", "svm"].contains(&flag))
}

/// What a definition has for a guest that works.
#[derive(Default)]
struct Linux {
    boot: String,
    console: String,
    monitor: String,
}

impl Linux {
    fn of(guest: &Guest, places: &Places) -> Self {
        let Some((system, work)) = &guest.work else { return Self::default() };
        let path = |path: &Path| escape(&path.to_string_lossy());
        Self {
            boot: format!(
                "<kernel>{}</kernel><initrd>{}</initrd><cmdline>{}</cmdline>",
                path(&system.kernel()),
                path(&places.initramfs),
                escape(&work::command_line(guest, work)),
            ),
            console: format!("\n    <serial type='file'><source path='{}'/></serial>", path(&places.console)),
            // In QEMU's options a comma stands for itself when there are two.
            monitor: format!(
                "\n  <qemu:commandline><qemu:arg value='-qmp'/>\
                 <qemu:arg value='unix:{},server=on,wait=off'/></qemu:commandline>",
                path(&places.monitor).replace(',', ",,"),
            ),
        }
    }
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
