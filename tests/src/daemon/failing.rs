//! What goes wrong costs itself, and says why: guests that freeze, guests that a module cannot stand, modules that
//! talk too much.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{CALM, names};
use crate::support::program::{Folder, Ran, of_meter, samples_in, slots, text};
use crate::support::resources;

/// The entries of a log that is JSON.
fn entries(ran: &Ran) -> Vec<Value> {
    samples_in(&ran.stderr).into_iter().map(|entry| entry["fields"].clone()).collect()
}

fn probe(config: &str) -> Folder {
    let module = resources();
    let config = format!("log: {{format: json}}\nmodules: {{probe: {{file: {module}, config: {config}}}}}");
    Folder::measuring(CALM, &config)
}

#[test]
fn a_frozen_guest_costs_what_needs_its_process() {
    let hypervisor = "sim://?domains=5&calm=true&disks=2&nics=1&freeze=1";
    let folder = Folder::measuring(hypervisor, "reader: {watchdog: 3s}");
    let ran = folder.run("run --cycles 3 --output samples").is(0);
    let samples = folder.samples("samples");
    let ids = |slot: &[&Value], meter: &str| -> BTreeSet<String> {
        let found = slot.iter().filter(|sample| sample["counter_name"] == meter);
        found.map(|sample| text(sample, "resource_id").to_owned()).collect()
    };
    assert_eq!(ran.stderr.matches("Calls are stuck in guests").count(), 1, "{}", ran.stderr);
    let slots = slots(&samples);
    assert_eq!(slots.len(), 3, "{}", ran.stderr);
    for slot in slots {
        assert_eq!(ids(&slot, "network.incoming.bytes").len(), 5, "{}", ran.stderr);
        assert_eq!(ids(&slot, "disk.device.read.bytes").len(), 8, "{}", ran.stderr);
    }
}

/// Whichever guest it is, all others have their samples.
#[test]
fn a_guest_that_a_module_cannot_stand_costs_itself() {
    let names = names();
    assert_eq!(names.len(), 5);
    for odd in [&names[0], &names[2], &names[4]] {
        let folder = probe(&format!("{{odd: {odd}}}"));
        let ran = folder.run("run --cycles 2 --output samples").is(0);
        let samples = folder.samples("samples");
        let up = of_meter(&samples, "probe.up");
        assert_eq!(up.len(), 2 * 4, "{odd}");
        assert!(up.iter().all(|sample| sample["resource_metadata"]["display_name"] != *odd), "{odd}");
        assert_eq!(of_meter(&samples, "cpu").len(), 2 * 5, "{odd}: other modules");
        let entries = entries(&ran);
        let failures: Vec<_> = entries.iter().filter(|entry| entry["failure"].is_string()).collect();
        assert_eq!(failures.len(), 2, "{odd}: {}", ran.stderr);
        for failure in failures {
            assert_eq!(failure["module"], "probe");
            let words = format!("I cannot stand {}", odd.as_str().unwrap());
            assert!(text(failure, "failure").starts_with("trap: ") && text(failure, "failure").contains(&words));
        }
    }
}

#[test]
fn what_was_lost_is_summed_up() {
    let folder = probe(&format!("{{odd: {}}}", names()[0]));
    let ran = folder.run("run --cycles 2").is(0);
    let entries = entries(&ran);
    let done = entries.iter().find(|entry| entry["message"] == "Done.").unwrap();
    assert_eq!((&done["cycles"], &done["failures"]), (&2.into(), &"probe: trap=2".into()), "{done}");
    assert!(done["samples"].as_u64().is_some_and(|samples| samples > 100), "{done}");
    for counted in ["skipped_slots", "failed_reads", "given_up", "resources_lost"] {
        assert!(done[counted].is_u64(), "{counted}: {done}");
    }
}

/// A build without libvirt cannot even name such a host.
#[test]
fn a_host_that_never_answers_is_told_by_the_exit_code() {
    let folder = Folder::measuring("test:///nowhere.xml", "");
    let ran = folder.run("run --cycles 2");
    if ran.code == Some(64) {
        ran.complains("this build has no libvirt");
        return;
    }
    let ran = ran.is(69).complains("failed_reads=2");
    assert_eq!(ran.stderr.matches("The hypervisor was not read").count(), 1, "{}", ran.stderr);
}

/// In a log for people a line is an entry, whatever a module writes.
#[test]
fn no_module_writes_lines_of_the_log() {
    let (module, odd) = (resources(), &names()[0]);
    let forged = r"x\n2026-01-01T00:00:00.000000Z  INFO wasmeter: Forged.\e[2J";
    for config in [format!("{{odd: {odd}, words: \"{forged}\"}}"), format!("{{\"{forged}\": 1}}")] {
        let folder = Folder::measuring(CALM, &format!("modules: {{probe: {{file: {module}, config: {config}}}}}"));
        let ran = folder.run("run --cycles 1").is(0).complains("A module failed").complains("Forged.");
        assert!(ran.stderr.lines().all(|line| !line.starts_with("2026-01-01")), "{}", ran.stderr);
        assert!(!ran.stderr.contains('\u{1b}'), "{:?}", ran.stderr);
    }
}

#[test]
fn what_a_module_says_is_in_the_log_with_its_name() {
    let ran = probe("{words: so, times: 1}").run("run --cycles 1").is(0);
    let entries = entries(&ran);
    for said in ["printed so", "complained so", "logged so"] {
        let entry = entries.iter().find(|entry| entry["message"] == said).unwrap_or_else(|| panic!("{said}"));
        assert_eq!((&entry["module"], &entry["tenant"]), (&"probe".into(), &"operator".into()), "{entry}");
    }
}

#[test]
fn who_talks_without_end_is_cut_and_counted() {
    let words = "ü".repeat(5_000);
    let ran = probe(&format!("{{words: {words}, times: 1000}}")).run("run --cycles 1").is(0);
    let entries = entries(&ran);
    let of_probe: Vec<_> = entries.iter().filter(|entry| entry["module"] == "probe").collect();
    assert!(of_probe.len() < 50, "{} lines", of_probe.len());
    assert!(of_probe.iter().all(|entry| text(entry, "message").len() <= 1024));
    let dropped = of_probe.iter().find_map(|entry| entry["dropped"].as_u64()).unwrap();
    assert!((950..1000 + 10).contains(&dropped), "{dropped}");
}
