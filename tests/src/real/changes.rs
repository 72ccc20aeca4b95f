//! What changes is read again, and nothing else is.

use wasmeter_rig::{Guest, Libvirtd, Nova, or_say};

use super::{complaints, fleet, guests_with, metering, wait_for_slots};
use crate::support::program::{Folder, samples_so_far, slots, text, until};

/// Calls that are about one guest.
const OF_ONE: [&str; 4] = ["DOMAIN_GET_XML_DESC", "DOMAIN_LOOKUP_BY_UUID", "DOMAIN_GET_METADATA", "DOMAIN_GET_INFO"];

fn names_of(folder: &Folder) -> Vec<String> {
    let samples = samples_so_far(&folder.read("samples"));
    let slots = slots(&samples);
    let Some(slot) = slots.len().checked_sub(2).map(|last| &slots[last]) else { return Vec::new() };
    let of = slot.iter().filter(|sample| sample["counter_name"] == "cpu");
    of.map(|sample| text(&sample["resource_metadata"], "display_name").to_owned()).collect()
}

#[test]
fn a_steady_host_is_asked_for_statistics_only() {
    let Some(libvirtd) = or_say(Libvirtd::options().count_calls().start()) else { return };
    libvirtd.boot(&fleet(12)).unwrap();
    let folder = metering(&libvirtd, "");
    let daemon = folder.start("run --output samples");
    wait_for_slots(&folder, 3);
    libvirtd.forget_calls();
    wait_for_slots(&folder, 5);
    let calls = libvirtd.calls();
    println!("{calls:?}");
    for call in OF_ONE {
        assert_eq!(calls.get(call), None, "{calls:?}");
    }
    let statistics = calls["CONNECT_GET_ALL_DOMAIN_STATS"];
    // In a slot one call of all, two of half of them each, and at most two for what stands in.
    assert!((5 * 3..=8 * 5).contains(&statistics), "{calls:?}");
    daemon.end();
}

#[test]
fn what_changes_is_read_again() {
    let Some(libvirtd) = or_say(Libvirtd::options().count_calls().start()) else { return };
    libvirtd.boot(&fleet(3)).unwrap();
    let folder = metering(&libvirtd, "");
    let daemon = folder.start("run --output samples");
    wait_for_slots(&folder, 2);

    // A device.
    libvirtd.forget_calls();
    let disk = libvirtd.folder().join("more.raw");
    std::fs::write(&disk, vec![0; 1 << 20]).unwrap();
    let disk = disk.display().to_string();
    libvirtd.virsh(&["attach-disk", "instance-00000002", &disk, "vdz", "--subdriver", "raw"]).unwrap();
    until("samples of the new disk", || folder.read("samples").contains("-vdz").then_some(()));
    assert_eq!(libvirtd.calls()["DOMAIN_GET_XML_DESC"], 1, "{:?}", libvirtd.calls());

    // What Nova says of it.
    let nova = "http://openstack.org/xmlns/libvirt/nova/1.1";
    let renamed = "<instance><name>renamed</name><flavor name='m1' id='1'><memory>32</memory><disk>1</disk>\
                   <swap>0</swap><ephemeral>0</ephemeral><vcpus>1</vcpus></flavor>\
                   <owner><user uuid='u'>u</user><project uuid='p'>p</project></owner></instance>";
    libvirtd.virsh(&["metadata", "instance-00000003", nova, "--live", "--key", "nova", "--set", renamed]).unwrap();
    until("the new name", || names_of(&folder).contains(&"renamed".to_owned()).then_some(()));

    // A guest that comes, and one that goes.
    libvirtd.boot(&[Guest::new(9).nova(Nova { display_name: Some("new".into()), ..Nova::default() })]).unwrap();
    until("the new guest", || names_of(&folder).contains(&"new".to_owned()).then_some(()));
    libvirtd.destroy("instance-00000001").unwrap();
    let gone = Guest::new(1).uuid();
    until("one less", || {
        let samples = samples_so_far(&folder.read("samples"));
        let slots = slots(&samples);
        (!guests_with(&slots[slots.len() - 2], "cpu").contains(&gone)).then_some(())
    });
    let log = daemon.end();
    assert_eq!(complaints(&log), [""; 0]);
}

/// Guests that come and go while they are read are nothing to speak of.
#[test]
fn guests_may_come_and_go_at_any_time() {
    let Some(libvirtd) = or_say(Libvirtd::start()) else { return };
    libvirtd.boot(&fleet(3)).unwrap();
    let folder = metering(&libvirtd, "");
    let daemon = folder.start("run --output samples");
    wait_for_slots(&folder, 1);
    for round in 0..5 {
        let passing: Vec<Guest> = (10..14).map(Guest::new).collect();
        libvirtd.boot(&passing).unwrap();
        for guest in &passing {
            // Redefined, gone, or both.
            if round % 2 == 0 {
                libvirtd.define(guest).unwrap();
            }
            libvirtd.destroy(guest.name()).unwrap();
        }
    }
    wait_for_slots(&folder, 2);
    let log = daemon.end();
    assert_eq!(complaints(&log), [""; 0]);
    let samples = folder.samples("samples");
    for slot in slots(&samples) {
        assert!(guests_with(&slot, "disk.device.read.bytes").len() >= 3);
    }
}
