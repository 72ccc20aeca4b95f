//! libvirtd may end at any time, and come back.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use wasmeter_rig::{Libvirtd, or_say};

use super::{complaints, fleet, guests_with, metering, wait_for_slots};
use crate::support::program::{slots, text, until};

#[test]
fn metering_goes_on_when_libvirtd_is_back() {
    let Some(libvirtd) = or_say(Libvirtd::start()) else { return };
    libvirtd.boot(&fleet(5)).unwrap();
    let folder = metering(&libvirtd, "");
    let daemon = folder.start("run --output samples");
    wait_for_slots(&folder, 1);
    let lost = "The hypervisor was not read";
    for (times, end) in [(1, Libvirtd::kill as fn(&Libvirtd) -> _), (2, Libvirtd::stop)] {
        end(&libvirtd).unwrap();
        until(lost, || (daemon.log().matches(lost).count() == times).then_some(()));
        libvirtd.start_again().unwrap();
        wait_for_slots(&folder, 2);
    }
    let log = daemon.end();
    // Once for each time, and not for each guest.
    assert_eq!(log.matches("The hypervisor answers again").count(), 2, "{log}");
    let monitor = |line: &&&str| !line.contains(lost) && !line.contains("Statistics of all guests are missing");
    assert_eq!(complaints(&log).iter().filter(monitor).count(), 0, "{log}");
    let samples = folder.samples("samples");
    for slot in slots(&samples) {
        assert_eq!(guests_with(&slot, "network.incoming.bytes").len(), 5);
    }
    let last = slots(&samples);
    assert_eq!(guests_with(last.last().unwrap(), "disk.device.read.bytes").len(), 5);
}

/// One that hangs is waited for no longer than the watchdog allows, and is read again when it goes on.
#[test]
fn metering_goes_on_when_libvirtd_has_hung() {
    let Some(libvirtd) = or_say(Libvirtd::start()) else { return };
    libvirtd.boot(&fleet(3)).unwrap();
    let folder = metering(&libvirtd, "reader: {watchdog: 300ms}");
    let daemon = folder.start("run --output samples");
    wait_for_slots(&folder, 1);
    let pid = Pid::from_raw(libvirtd.pid().unwrap()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    daemon.logs("The hypervisor was not read");
    // Long enough for several slots, in which no more is said.
    let hung = Instant::now();
    until("it has hung for long", || (hung.elapsed() > Duration::from_secs(4)).then_some(()));
    kill_process(pid, Signal::CONT).unwrap();
    daemon.logs("The hypervisor answers again");
    wait_for_slots(&folder, 2);
    let log = daemon.end();
    assert_eq!(log.matches("The hypervisor was not read").count(), 1, "{log}");
    let samples = folder.samples("samples");
    let slots = slots(&samples);
    assert_eq!(guests_with(slots.last().unwrap(), "disk.device.read.bytes").len(), 3);
    // What came too late is nowhere: no time comes twice, and none goes back.
    let times: Vec<&str> = slots.iter().map(|slot| text(slot[0], "timestamp")).collect();
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
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
