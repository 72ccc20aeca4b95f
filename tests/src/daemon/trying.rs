//! Next versions that come from files: each is tried out beside what runs before anything of it counts.

use std::collections::{BTreeMap, BTreeSet};

use rustix::process::Signal;
use wasmeter::clock::SECOND;
use wasmeter::control::deployments::{Log, Standing};

use super::deploying::{ask, show};
use super::tenants::{Cloud, GUESTS, PROBE, said};
use crate::support::program::{samples_so_far, text, until};

/// What a module of `remembering` gives in each second: its mark, and the trail of those that ran before on its state.
fn trails(cloud: &Cloud, source: &str) -> BTreeMap<u64, (u64, u64)> {
    let mut all: BTreeMap<u64, BTreeMap<String, u64>> = BTreeMap::new();
    for sample in samples_so_far(&cloud.folder.read("samples")).iter().filter(|sample| sample["source"] == source) {
        let time: jiff::civil::DateTime = text(sample, "timestamp").parse().unwrap();
        let second = jiff::tz::TimeZone::UTC.to_timestamp(time).unwrap().as_second().unsigned_abs();
        let value = sample["counter_volume"].as_u64().unwrap();
        let before = all.entry(second).or_default().insert(text(sample, "counter_name").to_owned(), value);
        assert!(before.is_none_or(|before| before == value), "all guests have the same: {sample}");
    }
    let both = |(second, of): (u64, BTreeMap<String, u64>)| (second, (of["remembering.mark"], of["remembering.trail"]));
    all.into_iter().map(both).collect()
}

/// Writes a version of a deployment that remembers.
fn remember(cloud: &Cloud, config: &str) {
    cloud.folder.write("deployments.d/remembering.wasm", std::fs::read(env!("REMEMBERING_WASM")).unwrap());
    let more = format!("grants: {{names: [remembering.], groups: [cpu]}}\nconfig: '{config}'");
    cloud.deploy("acme", "trail", "remembering", &more);
}

/// What a deployment logged.
fn logged(cloud: &Cloud, name: &str) -> Log {
    let (status, log) = ask(&cloud.folder, "GET", &format!("/deployments/acme/{name}/log"), b"");
    assert_eq!(status, 200, "{log}");
    serde_json::from_str(&log).unwrap()
}

/// What fails then never gives anything, and says why; what does well goes on with what the one before it remembers.
#[test]
fn a_version_from_a_file_is_tried_out_and_no_slot_is_lost() {
    let cloud = Cloud::new("");
    let write = |config: &str| remember(&cloud, config);
    write("1 0 0");
    let daemon = cloud.folder.start("run");
    cloud.slots(3);
    write("2 1 0");
    daemon.signal(Signal::HUP);
    said(&daemon, "Deployment: version 2 is tried out beside 1, and nothing of it counts.");
    let given_up = "version 2 is given up, and 1 goes on: it failed with module-error when it was tried out";
    said(&daemon, &format!("Deployment: {given_up}."));
    cloud.slots(2);
    write("3 0 0 aloud");
    daemon.signal(Signal::HUP);
    let passed = "version 3 did well when it was tried out, and is on trial";
    said(&daemon, &format!("Deployment: {passed}."));
    said(&daemon, "Deployment: version 3 has passed its trial and takes the place of 1.");
    cloud.slots(2);
    let shown = cloud.folder.run("module show acme/trail").is(0);
    shown.says(passed).says(given_up).says("I fail in this second").says("acme/trail runs version 3\n");
    let log = logged(&cloud, "trail");
    daemon.end();

    cloud.has_every_slot("acme/trail", "remembering.mark", &cloud.guests_of(0..2));
    let trails = trails(&cloud, "acme/trail");
    let mut marks: Vec<u64> = trails.values().map(|(mark, _)| *mark).collect();
    assert!(marks.len() >= 9, "{marks:?}");
    marks.dedup();
    assert_eq!(marks, [1, 3], "of version 2 there is nothing");
    assert_eq!(trails.values().next().map(|(_, trail)| *trail), Some(0));
    // In its first slot it ran on a copy of what the one before it ran on in that slot.
    let tried = log.lines.iter().find(|line| line.version == Some(3)).unwrap();
    let (mark, trail) = trails[&(tried.at.unwrap().0 / SECOND).unsigned_abs()];
    assert_eq!((mark, &*tried.text), (1, &*format!("trail {trail}")), "{log:?}");
    for ((second, (mark, trail)), (_, (_, next))) in trails.iter().zip(trails.iter().skip(1)) {
        // As the module does.
        let after = (trail ^ mark.rotate_left(32) ^ second).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
        assert_eq!(after, *next, "what comes after second {second}: {trails:?}");
    }
}

/// What it reads when it is tried out is dear, and fits at its own interval: the one before it does not go without.
#[test]
fn a_version_that_reads_dearly_now_and_then_loses_no_slot() {
    let cloud = Cloud::new("budget: {tenant: 0.05%}");
    let (guests, small) = (cloud.guests_of(0..2), "fuel_base: 2_000_000");
    assert!(guests.len() * 13 > 10 * 5, "it costs more than is saved up: {}", guests.len());
    cloud.deploy("acme", "probe", "resources", &format!("{PROBE}\n{small}"));
    let daemon = cloud.folder.start("run");
    cloud.slots(3);
    let more = format!("grants: {{names: [hostile.]}}\nconfig: 'run: divide by zero'\n{small}");
    cloud.deploy("acme", "probe", "hostile", &more);
    let written = "deployments.d/probe-acme.yaml";
    cloud.folder.write(written, cloud.folder.read(written).replace("interval: 1\n", "interval: 3600\n"));
    daemon.signal(Signal::HUP);
    said(&daemon, "Deployment: version 2 is tried out beside 1, and nothing of it counts.");
    said(&daemon, "Deployment: version 2 is given up, and 1 goes on: it failed with trap when it was tried out.");
    cloud.slots(2);
    daemon.end();
    cloud.has_every_slot("acme/probe", "probe.up", &guests);
}

/// For what it would remember on trial there is no room beside what the one before it does: that one runs in those slots.
#[test]
fn a_version_that_would_remember_too_much_on_trial_loses_no_slot() {
    let cloud = Cloud::new("spool: {path: spool, max_size: 16MiB}");
    let write = |config: &str| remember(&cloud, config);
    write("1 0 0 500000");
    let daemon = cloud.folder.start("run");
    cloud.slots(2);
    write("2 0 0 600000");
    daemon.signal(Signal::HUP);
    said(&daemon, "Deployment: version 2 did well when it was tried out, and is on trial.");
    said(&daemon, "Deployment: version 2 is given up, and 1 goes on: it failed with too-much.");
    cloud.slots(2);
    daemon.end();
    cloud.has_every_slot("acme/trail", "remembering.mark", &cloud.guests_of(0..2));
    assert!(trails(&cloud, "acme/trail").values().all(|(mark, _)| *mark == 1));
}

/// It may not give what the one before it may, whatever that runs beside it.
#[test]
fn a_version_gives_what_was_granted_to_it_and_not_to_the_one_before_it() {
    let cloud = Cloud::new("");
    let delta = wasmeter::modules::built_in().find(|module| module.name == "delta").unwrap();
    cloud.folder.write("deployments.d/delta.wasm", delta.wasm);
    cloud.deploy("acme", "probe", "resources", PROBE);
    let write = |names: &str| {
        let more =
            format!("meters: [probe.up]\nconfig: {{target: {{name: old.growth}}}}\ngrants: {{names: [{names}]}}");
        cloud.deploy("acme", "growth", "delta", &more);
    };
    write("old.");
    let daemon = cloud.folder.start("run");
    until("a growth", || (!cloud.measured("acme/growth", "old.growth").is_empty()).then_some(()));
    write("new.");
    daemon.signal(Signal::HUP);
    said(&daemon, "version 2 is given up, and 1 goes on: it failed with forged when it was tried out");
    cloud.slots(2);
    daemon.end();
    cloud.has_every_slot("acme/growth", "old.growth", &cloud.guests_of(0..2));
}

/// Of too many guests the processes do not answer, so none is asked: what needs them is neither paused nor given up.
#[test]
fn what_the_host_does_not_read_fails_no_module() {
    let cloud = Cloud::on(&format!("{GUESTS}&freeze=12"), "");
    cloud.folder.poll(&["power.state"]);
    let write = |config: &str| {
        let more = format!("grants: {{names: [hostile.], groups: [cpu]}}\nconfig: '{config}'");
        cloud.deploy("acme", "honest", "hostile", &more);
    };
    write("");
    let daemon = cloud.folder.start("run");
    let failed = |least: u64| {
        until("slots in which nothing was read", || {
            let shown = show(&cloud, "honest");
            (shown.used.failures.get("host").copied().unwrap_or_default() >= least).then_some(shown)
        })
    };
    said(&daemon, "no more are risked");
    assert_eq!(failed(4).row.state, Standing::Running);
    write("run: be unavailable");
    daemon.signal(Signal::HUP);
    said(&daemon, "Deployment: version 2 is tried out beside 1, and nothing of it counts.");
    let before = failed(0).used.failures["host"];
    let shown = failed(before + 6);
    assert_eq!(
        (shown.row.state, shown.used.failures.len()),
        (Standing::TryingOut { version: 2 }, 1),
        "{:?}",
        shown.used
    );
    daemon.end();
}

/// It runs, and says what it says, in the slot before the first one of which it gives samples.
#[test]
fn the_first_samples_come_one_slot_later() {
    let cloud = Cloud::new("");
    cloud.deploy("acme", "probe", "resources", PROBE);
    let daemon = cloud.folder.start("run");
    cloud.slots(2);
    cloud.deploy("acme", "probe", "resources", &format!("{PROBE}\nconfig: {{parts: [new], words: heard, times: 1}}"));
    daemon.signal(Signal::HUP);
    said(&daemon, "Deployment: version 2 has passed its trial and takes the place of 1.");
    let log = logged(&cloud, "probe");
    daemon.end();
    // To the second.
    let ran = log.lines.iter().filter(|line| line.version == Some(2) && line.text.contains("heard"));
    let ran: BTreeSet<String> = ran.map(|line| line.at.unwrap().to_string()[..19].to_owned()).collect();
    let ran: Vec<&String> = ran.iter().collect();
    let given: Vec<String> = cloud.measured("acme/probe", "probe.dynamic.age").into_keys().collect();
    let given: Vec<&str> = given.iter().map(|slot| &slot[..19]).collect();
    assert_eq!(ran[1..3], given[..2], "it ran once before it gave anything: {ran:?}, {given:?}");
    cloud.has_every_slot("acme/probe", "probe.up", &cloud.guests_of(0..2));
}

/// Nothing is known of one that was handed nothing: it is tried out when something comes.
#[test]
fn a_transformer_is_tried_out_when_there_is_something_for_it() {
    let cloud = Cloud::new("");
    let delta = wasmeter::modules::built_in().find(|module| module.name == "delta").unwrap();
    cloud.folder.write("deployments.d/delta.wasm", delta.wasm);
    let write = |meter: &str| {
        let more =
            format!("meters: [{meter}]\nconfig: {{target: {{name: probe.growth}}}}\ngrants: {{names: [probe.]}}");
        cloud.deploy("acme", "growth", "delta", &more);
    };
    write("cpu");
    let daemon = cloud.folder.start("run");
    cloud.slots(2);
    write("vcpus");
    daemon.signal(Signal::HUP);
    said(&daemon, "Deployment: version 2 is tried out beside 1, and nothing of it counts.");
    cloud.slots(3);
    let passed = "Deployment: version 2 did well when it was tried out, and is on trial.";
    assert!(!daemon.log().contains(passed));
    cloud.folder.poll(&["cpu", "vcpus"]);
    daemon.signal(Signal::HUP);
    said(&daemon, passed);
    daemon.end();
}
