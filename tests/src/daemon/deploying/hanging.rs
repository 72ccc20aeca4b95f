//! Orders while the disk hangs that they are kept on.

use std::thread;

use rustix::process::Signal;
use serde_json::json;
use wasmeter::control::deployments::Standing;
use wasmeter_rig::or_say;

use super::{deploy, probe, show, tell};
use crate::daemon::tenants::{Cloud, said};
use crate::support::disk::{Disk, Frozen};
use crate::support::program::until;

/// Whoever gave it waits, and so does what comes after it. Slots do not, the operator's and those of tenants; and
/// nothing is in force that is not kept.
#[test]
fn an_order_waits_for_the_disk_and_no_slot_does() {
    let cloud = Cloud::new("store: {path: disk/deployed, audit: audit.log}");
    let Some(disk) = or_say(Disk::in_a_file(&cloud.folder)) else { return };
    let daemon = disk.start(&cloud.folder, "exec \"$wasmeter\" run -c wasmeter.yaml");
    cloud.slots(1);
    deploy(&cloud, "probe", json!({}), &probe());
    cloud.slots(2);
    thread::scope(|scope| {
        let frozen = Frozen::new(&disk);
        let paused = scope.spawn(|| tell(&cloud, "probe/pause"));
        until("the order", || cloud.folder.read("audit.log").contains("\"pause\"").then_some(()));
        cloud.slots(2);
        daemon.signal(Signal::HUP);
        let resumed = scope.spawn(|| tell(&cloud, "probe/resume"));
        until("the next order", || cloud.folder.read("audit.log").contains("\"resume\"").then_some(()));
        let measured = || cloud.measured("acme/probe", "probe.up").len();
        let before = measured();
        cloud.slots(3);
        until("the tenant's slots", || (measured() >= before + 3).then_some(()));
        assert!(!paused.is_finished() && !resumed.is_finished());
        assert_eq!(show(&cloud, "probe").row.state, Standing::Running);
        drop(frozen);
        assert_eq!(paused.join().unwrap(), ["it is paused"]);
        assert_eq!(resumed.join().unwrap(), ["it is resumed"]);
    });
    said(&daemon, "The configuration was read again and is in force.");
    assert_eq!(show(&cloud, "probe").row.state, Standing::Running);
    daemon.end();
}
