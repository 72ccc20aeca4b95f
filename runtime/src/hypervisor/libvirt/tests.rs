//! Against the driver that libvirt has for tests, which needs no daemon.

use std::fs;
use std::process::Command;

use tempfile::NamedTempFile;

use super::*;

/// The guest that the driver brings along.
const TEST: Uuid = Uuid::from_u128(0x6695eb01_f6a4_8304_79aa_97f2502e193f);
const NOBODY: Uuid = Uuid::from_u128(1);

fn connect(uri: &str) -> Box<dyn Connection> {
    Libvirt::new(uri).connect().unwrap()
}

fn guest(number: usize) -> Uuid {
    Uuid::from_u128(0x4dea22b3_1d52_48f3_a516_000000000000 + number as u128)
}

/// A host of its own with so many guests of Nova's, of which the first does not run.
fn host(guests: usize) -> (NamedTempFile, String) {
    let mut text = "<node xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>".to_owned();
    for number in 0..guests {
        let state = if number == 0 { 5 } else { 1 };
        text.push_str(&format!(
            "<domain type='test'><test:runstate>{state}</test:runstate><name>instance-{number:08x}</name><uuid>{}</uuid>\
             <metadata><n:instance xmlns:n='http://openstack.org/xmlns/libvirt/nova/1.1'><n:name>web</n:name>\
             <n:flavor name='m1'><n:memory>64</n:memory></n:flavor>\
             <n:owner><n:user uuid='u'/><n:project uuid='p'/></n:owner></n:instance></metadata>\
             <memory>65536</memory><vcpu>1</vcpu><iothreads>3</iothreads><os><type arch='x86_64'>hvm</type></os>\
             <devices><disk type='file' device='disk'><source file='/x'/><target dev='vda' bus='virtio'/></disk>\
             </devices></domain>",
            guest(number),
        ));
    }
    text.push_str("</node>");
    let file = tempfile::Builder::new().suffix(".xml").tempfile().unwrap();
    fs::write(file.path(), text).unwrap();
    let uri = format!("test://{}", file.path().display());
    (file, uri)
}

fn all(groups: Groups) -> Request {
    Request { groups, keys: KeySet::All, guests: Guests::All }
}

fn stat(key: &str, number: u32, value: Value) -> Stat {
    Stat { key: crate::hypervisor::KeyId::of(key).unwrap(), number, value }
}

#[test]
fn the_state_of_a_guest_is_read() {
    let records = connect("test:///default").read(&all(Groups::STATE | Groups::BLOCK)).unwrap();
    let [record] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!(record.guest, TEST);
    assert!(record.stats.contains(&stat("state.state", 0, Value::Integer(1))));
    let keys: Vec<String> = record.stats.iter().map(|stat| stat.key.name()).collect();
    assert_eq!(keys, ["state.state", "state.reason"]);
}

#[test]
fn a_guest_is_defined() {
    let mut connection = connect("test:///default");
    let definition = connection.define(TEST).unwrap().unwrap();
    assert_eq!((definition.uuid, definition.name.as_str()), (TEST, "test"));
    assert_eq!((definition.os_type.as_str(), definition.nova), ("hvm", None));
    assert_eq!(connection.define(NOBODY).unwrap(), None);
}

#[test]
fn nobody_is_stuck() {
    let mut connection = connect("test:///default");
    assert!(connection.occupied(&[TEST, NOBODY]).unwrap().is_empty());
    let (_file, uri) = host(2);
    assert!(connect(&uri).occupied(&[guest(0), guest(1)]).unwrap().is_empty());
}

#[test]
fn stopped_guests_are_read_too_and_numbers_are_kept() {
    let (_file, uri) = host(3);
    let mut records = connect(&uri).read(&all(Groups::STATE | Groups::IOTHREAD)).unwrap();
    records.sort_by_key(|record| record.guest);
    assert_eq!(records.iter().map(|record| record.guest).collect::<Vec<_>>(), [guest(0), guest(1), guest(2)]);
    let has = |record: usize, stat: &Stat| records[record].stats.contains(stat);
    assert!(has(0, &stat("state.state", 0, Value::Integer(5))));
    assert!(has(1, &stat("state.state", 0, Value::Integer(1))));
    assert!(has(1, &stat("iothread.count", 0, Value::Count(3))));
    for number in 1..=3 {
        assert!(
            records[2].stats.iter().any(|stat| stat.number == number && stat.key.name().starts_with("iothread.*."))
        );
    }
    let uri = Libvirt::new(&uri);
    let revisions = || uri.connect().unwrap().read(&all(Groups::NONE)).unwrap();
    assert_eq!(revisions(), revisions(), "connections must agree");
    assert!(revisions().iter().all(|record| record.stats.is_empty()));
}

#[test]
fn some_guests_are_read() {
    let (_file, uri) = host(5);
    let mut connection = connect(&uri);
    let mut only = |guests: &[Uuid]| {
        let request = Request { groups: Groups::STATE, keys: KeySet::All, guests: Guests::Only(guests.to_vec()) };
        let records = connection.read(&request).unwrap();
        records.iter().map(|record| (record.guest, record.stats.len())).collect::<Vec<_>>()
    };
    assert_eq!(only(&[guest(3), NOBODY, guest(1)]), [(guest(3), 2), (guest(1), 2)]);
    assert_eq!(only(&[NOBODY]), []);
    assert_eq!(only(&[]), []);
}

#[test]
fn novas_guests_are_defined() {
    let (_file, uri) = host(2);
    let definition = connect(&uri).define(guest(1)).unwrap().unwrap();
    let nova = definition.nova.unwrap();
    assert_eq!((nova.display_name.as_str(), nova.flavor.ram, nova.project_id.as_str()), ("web", 64, "p"));
    let file = crate::hypervisor::Disk { target: "vda".into(), has_source: true, file_format: Some("raw".into()) };
    assert_eq!(definition.disks, [file]);
}

#[test]
fn files_are_here_where_no_host_is_named() {
    for (uri, here) in [
        ("qemu:///system", true),
        ("qemu:///session", true),
        ("qemu+unix:///system?socket=/run/libvirt/virtqemud-sock-ro", true),
        ("qemu://other/system", false),
        ("qemu+unix://other/system", false),
        ("qemu+ssh://root@other/system", false),
        ("qemu+tcp:///system", false),
        ("qemu+ext:///system?command=/usr/bin/reach-other", false),
        ("other", false),
    ] {
        assert_eq!(Libvirt::new(uri).has_files_here(), here, "{uri}");
    }
}

#[test]
fn wrong_addresses_say_what_is_wrong() {
    let refused = |uri: &str| Libvirt::new(uri).connect().err().unwrap();
    for uri in ["qemu", "://", "test://", "qemu+pigeon:///system", "qemu:///sys\0tem"] {
        let error = refused(uri);
        assert!(matches!(&error, HypervisorError::Uri { reason, .. } if reason.contains("qemu:///system")), "{error}");
    }
    let error = refused("qemu+unix:///system?socket=/nowhere/libvirt-sock-ro");
    let HypervisorError::Unreachable { reason, .. } = &error else { panic!("{error}") };
    assert!(reason.contains("/nowhere/libvirt-sock-ro") && reason.contains("virtqemud"), "{error}");
}

/// Reads are repeated in a process of their own, whose memory nothing else uses.
#[test]
fn repeated_calls_leave_nothing_behind() {
    const CHILD: &str = "WASMETER_TEST_REPEAT";
    if std::env::var_os(CHILD).is_some() {
        return println!("grown by {} pages", repeat());
    }
    let name = "hypervisor::libvirt::tests::repeated_calls_leave_nothing_behind";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let (_, grown) = text.split_once("grown by ").unwrap_or_else(|| panic!("{text}"));
    let pages: usize = grown.split(' ').next().unwrap().parse().unwrap();
    // The least that could be left behind, such as a domain's handle in each round, comes to more.
    assert!(pages < 20, "{text}");
}

fn repeat() -> usize {
    let (_file, uri) = host(20);
    let guests: Vec<Uuid> = (0..20).map(guest).collect();
    let mut connection = connect(&uri);
    let mut round = || {
        assert_eq!(connection.read(&all(Groups::STATE | Groups::IOTHREAD)).unwrap().len(), 20);
        let only = Request { groups: Groups::STATE, keys: KeySet::All, guests: Guests::Only(guests.clone()) };
        assert_eq!(connection.read(&only).unwrap().len(), 20);
        connection.define(guest(1)).unwrap().unwrap();
        connection.define(NOBODY).unwrap();
        connection.occupied(&guests).unwrap();
        assert!(Libvirt::new("qemu").connect().is_err());
        connect("test:///default").define(TEST).unwrap().unwrap();
    };
    (0..200).for_each(|_| round());
    // What the allocator keeps for itself comes and goes; what is left behind is left behind each time.
    let mut grown = || {
        let before = resident();
        (0..1000).for_each(|_| round());
        resident().saturating_sub(before)
    };
    (0..5).map(|_| grown()).min().unwrap()
}

/// Pages of memory that this process occupies.
fn resident() -> usize {
    fs::read_to_string("/proc/self/statm").unwrap().split(' ').nth(1).unwrap().parse().unwrap()
}
