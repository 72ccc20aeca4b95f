//! `wasmeter record`, and what a recording is good for.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;

use crate::support::program::{Folder, of_meter, samples_in, text};

const SIM: &str = "sim://?domains=12&calm=true&seed=3";

/// A folder with a recording of so many slots.
fn recorded(slots: u32) -> Folder {
    let folder = Folder::new("");
    let line = format!("record host.jsonl --slots {slots} --interval 1s --hypervisor {SIM}");
    folder.run(&line).is(0).complains(&format!("slot {slots} of {slots}: 12 guests"));
    folder
}

#[test]
fn a_recording_is_a_host() {
    let folder = recorded(2);
    assert_eq!(folder.read("host.jsonl").lines().count(), 2);
    let ran = folder.run("module run disk --hypervisor recording:host.jsonl --slots 2").is(0);
    ran.says("disk.device.read.bytes").says("slot 1: ").says("slot 2: ");
    let of = |host: &str| samples_in(&folder.run(&format!("once --format json --hypervisor {host}")).is(0).stdout);
    let (real, again) = (of(SIM), of("recording:host.jsonl"));
    assert_eq!(again.len(), real.len());
    for meter in ["cpu", "memory", "disk.device.capacity", "network.incoming.bytes"] {
        assert_eq!(of_meter(&again, meter).len(), of_meter(&real, meter).len(), "{meter}");
    }
    let volumes =
        |samples| of_meter(samples, "memory").iter().map(|sample| sample["counter_volume"].to_string()).collect();
    let (real, again): (BTreeSet<String>, BTreeSet<String>) = (volumes(&real), volumes(&again));
    assert_eq!(again, real);
}

#[test]
fn nobody_is_recognised_in_a_recording() {
    let folder = recorded(1);
    let recording = folder.read("host.jsonl");
    let once = folder.run(&format!("once --format json --hypervisor {SIM}")).is(0);
    let mut identities: BTreeSet<String> = BTreeSet::new();
    for sample in samples_in(&once.stdout) {
        let metadata = &sample["resource_metadata"];
        identities.extend(["user_id", "project_id"].map(|key| text(&sample, key).to_owned()));
        identities.extend(["display_name", "name", "instance_id"].map(|key| text(metadata, key).to_owned()));
        identities.extend(["mac", "fref"].iter().filter_map(|key| metadata[*key].as_str()).map(ToOwned::to_owned));
        identities.extend(metadata["image"]["id"].as_str().map(ToOwned::to_owned));
        identities
            .extend(metadata["user_metadata"].as_object().into_iter().flatten().map(|(_, value)| value.to_string()));
    }
    assert!(identities.len() > 40, "{identities:?}");
    let found: Vec<&String> = identities.iter().filter(|identity| recording.contains(&***identity)).collect();
    assert!(found.is_empty(), "{found:?}");
    let mode = folder.path("host.jsonl").metadata().unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn nothing_is_overwritten() {
    let folder = Folder::new("");
    folder.write("host.jsonl", "mine");
    folder
        .run(&format!("record host.jsonl --hypervisor {SIM}"))
        .is(1)
        .complains("cannot write host.jsonl: File exists");
    assert_eq!(folder.read("host.jsonl"), "mine");
}

#[test]
fn a_damaged_recording_is_named_with_its_line() {
    let folder = recorded(1);
    folder.write("host.jsonl", folder.read("host.jsonl") + "{\"read_at\"\n");
    folder.run("once --hypervisor recording:host.jsonl").is(69).complains("host.jsonl").complains("line 2: column ");
}
