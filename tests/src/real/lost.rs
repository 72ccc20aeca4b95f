//! libvirtd may end at any time, and come back.

use wasmeter_rig::{Libvirtd, or_say};

use super::{fleet, guests_with, metering, wait_for_slots};
use crate::support::program::slots;

#[test]
fn metering_goes_on_when_libvirtd_is_back() {
    let Some(libvirtd) = or_say(Libvirtd::start()) else { return };
    libvirtd.boot(&fleet(5)).unwrap();
    let folder = metering(&libvirtd, "");
    let daemon = folder.start("run --output samples");
    wait_for_slots(&folder, 1);
    for end in [Libvirtd::kill, Libvirtd::stop] {
        end(&libvirtd).unwrap();
        daemon.logs("The hypervisor was not read");
        libvirtd.start_again().unwrap();
        wait_for_slots(&folder, 2);
    }
    let log = daemon.end();
    // Once for each time, and not for each guest.
    let said = |words: &str| log.matches(words).count();
    assert_eq!((said("The hypervisor was not read"), said("The hypervisor answers again")), (2, 2), "{log}");
    assert!(said("WARN") <= 2, "{log}");
    let samples = folder.samples("samples");
    for slot in slots(&samples) {
        assert_eq!(guests_with(&slot, "network.incoming.bytes").len(), 5);
    }
    let last = slots(&samples);
    assert_eq!(guests_with(last.last().unwrap(), "disk.device.read.bytes").len(), 5);
}

/// Restarted between two slots, it costs no slot at all.
#[test]
fn a_restart_between_two_slots_is_not_noticed() {
    let Some(libvirtd) = or_say(Libvirtd::start()) else { return };
    libvirtd.boot(&fleet(2)).unwrap();
    let folder = metering(&libvirtd, "");
    folder.write("polling.yaml", "sources: [{name: a, interval: 6, meters: ['*']}]\n");
    let daemon = folder.start("run --output samples");
    wait_for_slots(&folder, 0);
    libvirtd.kill().unwrap();
    libvirtd.start_again().unwrap();
    wait_for_slots(&folder, 1);
    let log = daemon.end();
    assert!(!log.contains("was not read"), "{log}");
}
