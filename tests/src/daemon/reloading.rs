//! A hang-up reads the configuration again; a wrong one changes nothing.

use rustix::process::Signal;

use super::CALM;
use crate::support::program::{Daemon, Folder, of_meter, samples_so_far, text, until};

/// Waits for samples of a meter after so many others.
fn measures(folder: &Folder, meter: &str, after: usize) {
    until(meter, || {
        let samples = samples_so_far(&folder.read("samples"));
        samples.iter().skip(after).any(|sample| sample["counter_name"] == meter).then_some(())
    });
}

fn lines(folder: &Folder) -> usize {
    folder.read("samples").lines().count()
}

fn reload(daemon: &Daemon, answer: &str) {
    let before = daemon.log().matches(answer).count();
    daemon.signal(Signal::HUP);
    until(answer, || (daemon.log().matches(answer).count() > before).then_some(()));
}

#[test]
fn other_meters_are_measured_from_then_on() {
    let folder = Folder::measuring(CALM, "");
    folder.poll(&["cpu"]);
    let daemon = folder.start("run --output samples");
    measures(&folder, "cpu", 0);
    folder.poll(&["memory.usage"]);
    reload(&daemon, "The configuration was read again and is in force.");
    let before = lines(&folder);
    measures(&folder, "memory.usage", before);
    daemon.end();
    let samples = folder.samples("samples");
    assert!(samples[..before].iter().all(|sample| sample["counter_name"] == "cpu"));
    assert!(samples[before..].iter().all(|sample| sample["counter_name"] == "memory.usage"));
}

#[test]
fn other_modules_and_outputs_are_used_from_then_on() {
    let folder = Folder::measuring(CALM, "outputs: [{file: old}]");
    let daemon = folder.start("run");
    until("old", || (!folder.read("old").is_empty()).then_some(()));
    let mut config = folder.read("wasmeter.yaml").replace("{file: old}", "{file: samples}");
    config.push_str("modules: {mitaka: {enabled: true}, disk: {enabled: false}}\n");
    folder.write("wasmeter.yaml", config);
    reload(&daemon, "The configuration was read again and is in force.");
    measures(&folder, "disk.read.bytes", 0);
    daemon.end();
    assert!(of_meter(&folder.samples("samples"), "disk.device.read.bytes").is_empty());
}

#[test]
fn a_wrong_file_changes_nothing_and_is_named() {
    let folder = Folder::measuring(CALM, "");
    folder.poll(&["cpu"]);
    let daemon = folder.start("run --output samples");
    measures(&folder, "cpu", 0);
    folder.write("polling.yaml", "sources:\n  - name: a\n    interval: soon\n    meters: [memory.usage]\n");
    reload(&daemon, "The configuration stays as it was");
    assert!(daemon.log().contains("polling.yaml:3:15: error: source `a`: Invalid interval value"), "{}", daemon.log());
    let before = lines(&folder);
    measures(&folder, "cpu", before);
    let log = daemon.end();
    assert!(folder.samples("samples").iter().all(|sample| sample["counter_name"] == "cpu"), "{log}");
}

#[test]
fn a_refused_file_is_a_trouble_until_one_is_taken() {
    let folder = Folder::measuring(CALM, "");
    folder.poll(&["cpu"]);
    let daemon = folder.start("run --output samples");
    measures(&folder, "cpu", 0);
    let config = folder.read("wasmeter.yaml");
    for (wrong, why) in [
        ("hosts: a\n", "unknown key `hosts`. Did you mean `host`?\n"),
        ("modules: {mine: {file: gone.wasm}}\n", "the module mine was refused"),
    ] {
        folder.write("wasmeter.yaml", format!("{config}{wrong}"));
        reload(&daemon, "The configuration stays as it was");
        let said = folder.run("status --socket control.sock").is(0).says("something is wrong");
        said.says("The configuration stays as it was before the last reload: ").says(why);
    }
    folder.write("wasmeter.yaml", config);
    reload(&daemon, "The configuration was read again and is in force.");
    folder.run("status").is(0).says("all is well");
    daemon.end();
}

/// In a log for programs every line is one of theirs.
#[test]
fn warnings_are_entries_of_the_log() {
    let folder = Folder::measuring(CALM, "log: {format: json}");
    folder.write("polling.yaml", "sources: [{name: a, interval: 1, meters: ['*'], metres: []}]");
    let daemon = folder.start("run --output samples");
    reload(&daemon, "The configuration was read again and is in force.");
    let log = samples_so_far(&daemon.end());
    let warnings = log
        .iter()
        .filter(|entry| entry["level"] == "WARN" && text(&entry["fields"], "message").contains("unknown key `metres`"));
    assert_eq!(warnings.count(), 2, "{log:?}");
}

#[test]
fn a_refused_module_changes_nothing_and_is_named() {
    let folder = Folder::measuring(CALM, "");
    let daemon = folder.start("run --output samples");
    measures(&folder, "cpu", 0);
    let config = folder.read("wasmeter.yaml");
    folder.write("mine.wasm", b"#!/bin/sh");
    folder.write("wasmeter.yaml", format!("{config}modules:\n  mine: {{file: mine.wasm}}\n"));
    reload(&daemon, "The configuration stays as it was");
    let words = format!("wasmeter.yaml:{}:3: error: the module mine was refused", config.lines().count() + 2);
    assert!(daemon.log().contains(&words), "{}", daemon.log());
    let before = lines(&folder);
    measures(&folder, "disk.device.read.bytes", before);
    daemon.end();
}
