//! Tenants' transformers in the chains of an operator's pipelines.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::deploying::ask;
use super::tenants::{Cloud, said};
use crate::support::program::{samples_so_far, text, until};
use crate::support::{parting, resources};

/// A cloud whose `pipeline.yaml` this is, with a module that each of these transforms with.
fn chained(pipeline: &str, config: &str) -> Cloud {
    let cloud = Cloud::new(&format!("pipeline: pipeline.yaml\n{config}"));
    cloud.folder.pipe_samples(pipeline);
    for name in ["aggregator", "delta", "unit_conversion"] {
        let module = wasmeter::modules::built_in().find(|module| module.name == name).unwrap();
        cloud.folder.write(&format!("deployments.d/{name}.wasm"), module.wasm);
    }
    cloud.folder.write("deployments.d/parting.wasm", std::fs::read(parting()).unwrap());
    cloud
}

fn deploy(cloud: &Cloud, name: &str, module: &str, meters: &str, config: &Value) {
    deploy_for(cloud, "acme", name, module, meters, config);
}

fn deploy_for(cloud: &Cloud, tenant: &str, name: &str, module: &str, meters: &str, config: &Value) {
    let config = config.to_string();
    let more = format!("meters: ['{meters}']\ngrants: {{names: [acme., other.]}}\nconfig: {config:?}");
    cloud.deploy(tenant, name, module, &more);
}

/// What a transformer that renames is told.
fn renaming(name: &str) -> Value {
    json!({"target": {"name": name}})
}

/// Samples of a file by slot and resource: the meters.
fn meters(cloud: &Cloud, file: &str) -> BTreeMap<(String, String), Vec<String>> {
    let mut all: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for sample in samples_so_far(&cloud.folder.read(file)) {
        let at = (text(&sample, "timestamp").to_owned(), text(&sample, "resource_id").to_owned());
        all.entry(at).or_default().push(text(&sample, "counter_name").to_owned());
    }
    all
}

/// How often samples came to a transformer that did not run, and how many.
fn not_running(cloud: &Cloud, deployment: &str) -> u64 {
    let status = cloud.folder.run("status --json").is(0).json();
    status["counters"]["failures"][deployment]["not-running"].as_u64().unwrap_or_default()
}

/// Volumes by meter, then by slot and resource.
fn volumes(cloud: &Cloud, file: &str) -> BTreeMap<String, BTreeMap<(String, String), f64>> {
    let mut all: BTreeMap<String, BTreeMap<(String, String), f64>> = BTreeMap::new();
    for sample in samples_so_far(&cloud.folder.read(file)) {
        let of_meter = all.entry(text(&sample, "counter_name").to_owned()).or_default();
        let at = (text(&sample, "timestamp").to_owned(), text(&sample, "resource_id").to_owned());
        let before = of_meter.insert(at, sample["counter_volume"].as_f64().unwrap());
        assert!(before.is_none(), "{sample} came twice");
    }
    all
}

const CHAIN: &str = r"
sources:
    - {name: a, meters: [cpu], sinks: [mixed, plain]}
sinks:
    - name: mixed
      transformers:
          - {name: acme/growth, parameters: {}}
          - {name: acme/twice, parameters: {}}
          - {name: unit_conversion, parameters: {target: {scale: 10}}}
          - {name: acme/last, parameters: {}}
      publishers: ['file://FOLDER/mixed?json']
    - {name: plain, publishers: ['file://FOLDER/plain?json']}
";

/// It is handed what comes to it of its tenant's guests and of its meters, and what it gives goes on from there.
/// Everything else passes by.
#[test]
fn it_transforms_its_tenants_samples_on_their_way() {
    let cloud = chained(CHAIN, "");
    deploy(&cloud, "growth", "delta", "cpu", &json!({"target": {"name": "acme.growth"}}));
    deploy(&cloud, "twice", "unit_conversion", "acme.growth", &json!({"target": {"name": "acme.twice", "scale": 2}}));
    // Nothing of these meters comes to it.
    deploy(&cloud, "last", "unit_conversion", "memory", &json!({"target": {"name": "acme.never"}}));
    let daemon = cloud.folder.start("run");
    let twice = || volumes(&cloud, "mixed").remove("acme.twice").unwrap_or_default();
    let ours = cloud.guests_of(0..2);
    until("slots", || (twice().len() >= 3 * ours.len()).then_some(()));
    // What a chain remembers is a deployment's, and outlives a reload.
    let before = twice().len();
    daemon.signal(Signal::HUP);
    said(&daemon, "is in force");
    until("slots after it", || (twice().len() >= before + 2 * ours.len()).then_some(()));
    daemon.end();

    let (mixed, plain) = (volumes(&cloud, "mixed"), volumes(&cloud, "plain"));
    assert_eq!(mixed.keys().map(String::as_str).collect::<Vec<_>>(), ["acme.twice", "cpu"]);
    assert_eq!(plain.keys().map(String::as_str).collect::<Vec<_>>(), ["cpu"]);
    let is_ours = |(_, id): &&(String, String)| ours.contains(&**id);
    assert!(mixed["cpu"].keys().all(|at| !is_ours(&at)), "its tenant's do not pass by");
    for (at, volume) in &mixed["cpu"] {
        assert!((volume - 10.0 * plain["cpu"][at]).abs() <= 1e-12 * volume, "{at:?}: {volume}");
    }
    assert_eq!(mixed["cpu"].len(), plain["cpu"].keys().filter(|at| !is_ours(at)).count());
    // Each slot's growth since the one before, doubled by the next of its tenant's and tenfold by the operator's.
    let slots: BTreeSet<&String> = plain["cpu"].keys().map(|(slot, _)| slot).collect();
    let slots: Vec<&String> = slots.into_iter().collect();
    let mut compared = 0;
    for (before, slot) in slots.iter().zip(&slots[1..]) {
        for id in &ours {
            let at = |slot: &str| (slot.to_owned(), (*id).to_owned());
            // What was under way when the daemon ended may be missing, and nothing before it.
            let Some(volume) = mixed["acme.twice"].get(&at(slot)) else {
                assert_eq!(slot, slots.last().unwrap(), "{id}");
                continue;
            };
            let grown = plain["cpu"][&at(slot)] - plain["cpu"][&at(before)];
            assert!((volume - 20.0 * grown).abs() <= 1e-6 * volume.abs(), "{volume} and {grown}");
            compared += 1;
        }
    }
    assert!(compared >= 4 * ours.len(), "{compared}");
    // Outside of the chain nobody sees what it gives there.
    for sample in samples_so_far(&cloud.folder.read("samples")) {
        assert_eq!(text(&sample, "source"), "openstack");
    }
    let ids = |file: &str| -> BTreeSet<String> {
        cloud.folder.samples(file).iter().map(|sample| text(sample, "message_id").to_owned()).collect()
    };
    assert_eq!(ids("mixed").len(), cloud.folder.samples("mixed").len());
    assert!(ids("mixed").is_disjoint(&ids("plain")), "what comes out of a chain is new");
}

const ONE: &str = r"
sources:
    - {name: a, meters: [cpu], sinks: [one, plain]}
sinks:
    - name: one
      transformers: [{name: acme/parts, parameters: {}}]
      publishers: ['file://FOLDER/one?json']
    - {name: plain, publishers: ['file://FOLDER/plain?json']}
";

/// What it may use for sure is counted by its interval, and what it uses by that of what comes to it.
#[test]
fn an_interval_longer_than_that_of_what_comes_is_odd() {
    let cloud = chained(ONE, "");
    let parts = json!({"pattern": "acme.*", "meter": "acme.part", "parts": ["left", "right"]});
    deploy(&cloud, "parts", "parting", "cpu", &parts);
    let words = "samples come to it in sink one every 1 s, and it has fuel for sure once in 60 s";
    let checked = cloud.folder.run("check").is(0);
    assert!(!checked.stdout.contains(words), "{}", checked.stdout);
    let file = "deployments.d/parts-acme.yaml";
    cloud.folder.write(file, cloud.folder.read(file).replace("interval: 1\n", "interval: 60\n"));
    cloud.folder.run("check").is(0).says(words).says("Write 1");
}

/// Its parts are its own, its samples name it, and a failure costs its tenant alone, in this sink.
#[test]
fn it_is_walled_like_a_pollster() {
    let cloud = chained(ONE, "");
    let ours = cloud.guests_of(0..2);
    let parts = json!({"pattern": "acme.*", "meter": "acme.part", "parts": ["left", "right"]});
    deploy(&cloud, "parts", "parting", "cpu", &parts);
    let daemon = cloud.folder.start("run");
    let is_ours = |sample: &Value| ours.iter().any(|id| text(sample, "resource_id").starts_with(id));
    let count = |what: &str, of: &dyn Fn(&Value) -> bool| {
        let samples = samples_so_far(&cloud.folder.read("one"));
        samples.iter().filter(|sample| text(sample, "counter_name") == what && of(sample)).count()
    };
    until("parts", || (count("acme.part", &|_| true) >= 4 * ours.len()).then_some(()));
    for sample in samples_so_far(&cloud.folder.read("one")) {
        let is_part = text(&sample, "counter_name") == "acme.part";
        assert_eq!((is_part, text(&sample, "source") == "acme/parts"), (is_ours(&sample), is_part), "{sample}");
    }

    // A meter that it was not granted comes to nothing, and so does what is paused.
    let forging = json!({"pattern": "*", "meter": "cpu.forged", "parts": ["left"]});
    deploy(&cloud, "parts", "parting", "cpu", &forging);
    daemon.signal(Signal::HUP);
    until("its failing", || {
        let log = daemon.log();
        (log.contains("cpu.forged was not granted") || log.contains("it failed its trial")).then_some(())
    });
    assert_eq!(count("cpu.forged", &|_| true), 0);
    let status = cloud.folder.run("status --json").is(0).json();
    assert!(status["counters"]["failures"]["acme/parts"]["forged"].as_u64() > Some(0), "{status}");
    assert_eq!(ask(&cloud.folder, "POST", "/deployments/acme/parts/pause", b"{}").0, 200);
    until("slots without it", || (not_running(&cloud, "acme/parts") >= 2).then_some(()));
    // What is not there any more is counted on, whatever is read again meanwhile.
    daemon.signal(Signal::HUP);
    until("slots after that", || (not_running(&cloud, "acme/parts") >= 4).then_some(()));
    let (theirs, before) = (count("cpu", &|sample| !is_ours(sample)), count("acme.part", &|_| true));
    until("others' samples", || (count("cpu", &|sample| !is_ours(sample)) >= theirs + 20).then_some(()));
    assert_eq!((count("acme.part", &|_| true), count("cpu", &is_ours)), (before, 0));
    daemon.end();
}

/// What it holds back comes out in a slot of its own, though nothing comes to the sink any more.
#[test]
fn what_it_holds_comes_out_in_time() {
    let cloud = chained(ONE, "");
    cloud.folder.poll(&["cpu", "vcpus"]);
    let config = json!({"size": 0, "retention_time": 10, "timestamp": "last", "target": {"name": "acme.last"}});
    deploy(&cloud, "parts", "aggregator", "cpu", &config);
    let ours = cloud.guests_of(0..2);
    let daemon = cloud.folder.start("run");
    let of_ours = |file: &str, meter: &str| -> BTreeMap<(String, String), f64> {
        let all = volumes(&cloud, file).remove(meter).unwrap_or_default();
        all.into_iter().filter(|((_, id), _)| ours.contains(&**id)).collect()
    };
    until("slots", || (of_ours("plain", "cpu").len() >= 2 * ours.len()).then_some(()));
    cloud.folder.poll(&["vcpus"]);
    daemon.signal(Signal::HUP);
    said(&daemon, "is in force");
    until("what waits", || {
        let (plain, last) = (of_ours("plain", "cpu"), of_ours("one", "acme.last"));
        let latest = plain.keys().map(|(slot, _)| slot).max()?;
        let mut of_latest = plain.iter().filter(|((slot, _), _)| slot == latest);
        of_latest.all(|(at, volume)| last.get(at) == Some(volume)).then_some(())
    });
    daemon.end();
}

/// A name that is nobody's is said with its place, and with what was probably meant.
#[test]
fn what_is_nearly_a_name_is_told() {
    let cloud = chained(&ONE.replace("acme/parts", "acmee/parts"), "");
    deploy(&cloud, "parts", "delta", "cpu', 'cpuu", &json!({"target": {"name": "acme.part"}}));
    deploy(&cloud, "idle", "delta", "disk.device.read.bytes", &json!({"target": {"name": "acme.idle"}}));
    cloud.deploy("acem", "probe", "resources", "grants: {names: [probe.]}");
    let check = cloud.folder.run("check").is(0);
    for words in [
        "pipeline.yaml:6:23: warning: sink `one`: acmee/parts is not deployed. Did you mean acme/parts? Until it is, \
         what is of its tenant ends there",
        "probe-acem.yaml:2:1: warning: acem is no tenant of the configuration, and is taken for the id of a project, \
         of which no guest is here. Did you mean acme?",
        "parts-acme.yaml:2:1: warning: acme/parts: nothing gives cpuu. Did you mean `cpu`? See wasmeter module list",
        "idle-acme.yaml:2:1: warning: acme/idle: nothing measures disk.device.read.bytes. Add what is wanted to the ",
    ] {
        assert!(check.stdout.contains(words), "no {words:?} in\n{}", check.stdout);
    }
    // What comes to it in a chain may have other names than what is measured.
    let rates = ONE.replace("[{name: acme/parts", "[{name: rate_of_change, parameters: {}}, {name: acme/rated");
    cloud.folder.pipe_samples(&rates);
    deploy(&cloud, "rated", "delta", "cpu.rate", &json!({"target": {"name": "acme.rated"}}));
    let check = cloud.folder.run("check").is(0);
    let is_doubted = |line: &str| line.contains("warning: ") && line.contains("acme/rated");
    assert!(!check.stdout.lines().any(is_doubted), "{}", check.stdout);
    let daemon = cloud.folder.start("run");
    cloud.slots(1);
    let line = "module deploy deployments.d/delta.wasm --tenant acmee --grant name=acme. --meters cpuu --dry-run";
    let ran = cloud.folder.run_with(line, &["--config", "{target: {name: acme.part}}"]).is(0);
    ran.says("note: --tenant: acmee is no tenant of the configuration, and is taken for the id of a project, of which")
        .says("no guest is here. Did you mean acme?\n")
        .says("note: --meters: acmee/delta matches no meter that the operator's pollsters give, or its tenant's own")
        .says("Did you mean `cpu`? ");
    daemon.end();
}

/// What was ordered is in the store, where it is found.
#[test]
fn what_was_ordered_is_known_in_chains() {
    let cloud = chained(ONE, "");
    let daemon = cloud.folder.start("run");
    cloud.slots(1);
    let deploy = |file: &str, line: &str, config: &str| {
        let line = format!("module deploy deployments.d/{file}.wasm --tenant acme {line} --grant interval=1s");
        cloud.folder.run_with(&line, &["--config", config]).is(0);
    };
    deploy("delta", "--name parts --grant name=acme. --meters cpu", "{target: {name: acme.part}}");
    deploy("resources", "--name probe --interval 1 --grant name=probe.", "{}");
    let check = |name: &str| {
        cloud.folder.pipe_samples(&ONE.replace("acme/parts", name));
        cloud.folder.run("check").is(0).stdout
    };
    // Neither gives a meter of such a name, so that nobody does is sure.
    let mut tap =
        cloud.folder.command("tap --meter cpuu").stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(tap.stderr.take().unwrap()).read_line(&mut line).unwrap();
    tap.kill().unwrap();
    tap.wait().unwrap();
    assert!(line.contains("the tap matches no meter of any module that is on. Did you mean `cpu`? "), "{line}");

    let said = check("acme/parts");
    assert!(!said.contains("warning: sink"), "{said}");
    let at = "pipeline.yaml:6:23: warning: sink `one`: ";
    for (name, words) in [
        ("acme/prats", "acme/prats is not deployed. Did you mean acme/parts? Until it is, what is of its tenant ends"),
        ("acme/probe", "acme/probe is a pollster, which changes nothing there. Name a transformer of its tenant's"),
    ] {
        let said = check(name);
        assert!(said.contains(&format!("{at}{words}")), "no {words:?} in\n{said}");
    }
    daemon.end();
}

/// What is named and not there is said, and holds back what is of its tenant; a pollster's name changes nothing.
#[test]
fn what_is_not_there_gives_nothing() {
    let cloud = chained(ONE, "");
    let (ours, check) = (cloud.guests_of(0..2), cloud.folder.run("check").is(0));
    check.says(
        "pipeline.yaml:6:23: warning: sink `one`: acme/parts is not deployed. Until it is, what is of its tenant",
    );
    let daemon = cloud.folder.start("run");
    cloud.slots(2);
    let ids = || -> BTreeSet<String> {
        let samples = samples_so_far(&cloud.folder.read("one"));
        samples.iter().map(|sample| text(sample, "resource_id").to_owned()).collect()
    };
    until("others", || (!ids().is_empty()).then_some(()));
    assert!(ids().iter().all(|id| !ours.contains(&**id)), "{:?}", ids());

    std::fs::copy(resources(), cloud.folder.path("deployments.d/resources.wasm")).unwrap();
    cloud.deploy("acme", "parts", "resources", "grants: {names: [probe.]}");
    daemon.signal(Signal::HUP);
    until("its tenant's", || ids().iter().any(|id| ours.contains(&**id)).then_some(()));
    until("what it measures", || (!cloud.measured("acme/parts", "probe.up").is_empty()).then_some(()));
    daemon.end();
}

const TWO: &str = r"
sources:
    - {name: a, meters: ['*'], sinks: [both]}
sinks:
    - name: both
      transformers: [{name: acme/own, parameters: {}}, {name: OTHER/own, parameters: {}}]
      publishers: ['file://FOLDER/both?json']
";

/// Two tenants in one chain: each has its own guests, and one that fails costs the other nothing. What their modules
/// give by themselves passes by.
#[test]
fn tenants_in_one_chain_do_not_meet() {
    let cloud = chained("", "");
    let other = cloud.single().to_owned();
    cloud.folder.pipe_samples(&TWO.replace("OTHER", &other));
    deploy(&cloud, "own", "unit_conversion", "cpu", &renaming("acme.all"));
    let forging = json!({"pattern": "*", "meter": "cpu.forged", "parts": ["left"]});
    deploy_for(&cloud, &other, "own", "parting", "cpu", &forging);
    cloud.deploy("acme", "probe", "resources", "grants: {names: [probe.]}");
    let (ours, theirs) = (cloud.guests_of(0..2), cloud.guests_of(2..3));
    let daemon = cloud.folder.start("run");
    cloud.slots(4);
    until("a failure", || daemon.log().contains("cpu.forged was not granted").then_some(()));
    assert_eq!(not_running(&cloud, "acme/own"), 0, "{}", daemon.log());
    daemon.end();
    let both = meters(&cloud, "both");
    let slots: BTreeSet<&String> = both.keys().map(|(slot, _)| slot).collect();
    for slot in slots.iter().take(slots.len() - 1) {
        for (id, found) in both.iter().filter(|((of, _), _)| of == *slot).map(|((_, id), found)| (id, found)) {
            let expected: &[&str] = if ours.contains(&**id) { &["acme.all", "probe.up"] } else { &["cpu"] };
            let mut found: Vec<&str> = found.iter().map(String::as_str).collect();
            found.retain(|meter| !meter.starts_with("probe.") || *meter == "probe.up");
            found.sort_unstable();
            assert_eq!(found, expected, "{id} in {slot}");
            assert!(!theirs.contains(&**id), "its tenant's module failed: {id} in {slot}");
        }
        let seen = both.keys().filter(|(of, id)| of == *slot && ours.contains(&**id)).count();
        assert_eq!(seen, ours.len(), "{slot}");
    }
}

/// A chain that changes again and again: what comes out of it comes out of no other, and each sample once, or is
/// counted.
#[test]
fn a_chain_may_change_at_any_moment() {
    const WITH: &str = r"
sources: [{name: a, meters: [cpu], sinks: [one]}]
sinks:
    - name: one
      transformers:
          - {name: relabel, parameters: {rules: [{rename: {from: '^cpu$', to: acme.in}}]}}
          - {name: acme/own, parameters: {}}
      publishers: ['file://FOLDER/one?json']
";
    let cloud = chained(WITH, "");
    let without = WITH.replace("          - {name: acme/own, parameters: {}}\n", "");
    deploy(&cloud, "own", "unit_conversion", "acme.in", &renaming("acme.out"));
    let ours = cloud.guests_of(0..2);
    let daemon = cloud.folder.start("run");
    let seen =
        |meter: &str| meters(&cloud, "one").values().filter(|found| found.iter().any(|known| known == meter)).count();
    for round in 0..6 {
        let (pipeline, meter) = if round % 2 == 0 { (without.as_str(), "acme.out") } else { (WITH, "acme.in") };
        let before = seen(meter);
        until(meter, || (seen(meter) > before).then_some(()));
        cloud.folder.pipe_samples(pipeline);
        daemon.signal(Signal::HUP);
    }
    // It is removed and comes back; what was under way is nobody's.
    for _ in 0..3 {
        cloud.slots(1);
        std::fs::remove_file(cloud.folder.path("deployments.d/own-acme.yaml")).unwrap();
        daemon.signal(Signal::HUP);
        let before = not_running(&cloud, "acme/own");
        until("its absence", || (not_running(&cloud, "acme/own") > before).then_some(()));
        deploy(&cloud, "own", "unit_conversion", "acme.in", &renaming("acme.out"));
        daemon.signal(Signal::HUP);
        let before = seen("acme.out");
        until("its return", || (seen("acme.out") > before).then_some(()));
    }
    let status = cloud.folder.run("status --json").is(0).json();
    daemon.end();
    let (one, measured) = (meters(&cloud, "one"), meters(&cloud, "samples"));
    assert!(measured.values().flatten().all(|meter| meter == "cpu"), "{measured:?}");
    for ((slot, id), found) in &one {
        let expected: &[&str] = if ours.contains(&**id) { &["acme.in", "acme.out"] } else { &["acme.in"] };
        assert!(found.len() == 1 && expected.contains(&&*found[0]), "{found:?} of {id} in {slot}");
    }
    let is_ours = |(_, id): &&(String, String)| ours.contains(&**id);
    let missing = measured.keys().filter(is_ours).count() - one.keys().filter(is_ours).count();
    let counted = &status["counters"]["failures"]["acme/own"];
    assert!(missing > 0 && counted["not-running"].as_u64() > Some(0), "{missing}, and {counted}");
    assert_eq!(counted.as_object().unwrap().len(), 1, "{counted}");
}

/// A version on trial that is for other meters: what is none of its own passes by.
#[test]
fn what_another_version_does_not_take_passes_by() {
    let pipeline = ONE.replace("meters: [cpu]", "meters: [cpu, power.state]");
    let cloud = chained(&pipeline, "");
    cloud.folder.poll(&["cpu", "power.state"]);
    let ours = cloud.guests_of(0..2);
    deploy(&cloud, "parts", "unit_conversion", "cpu", &renaming("acme.one"));
    let daemon = cloud.folder.start("run");
    cloud.slots(2);
    deploy(&cloud, "parts", "unit_conversion", "power.state", &renaming("acme.one"));
    daemon.signal(Signal::HUP);
    said(&daemon, "is on trial");
    cloud.slots(3);
    daemon.end();
    let one = meters(&cloud, "one");
    let last = one.keys().map(|(slot, _)| slot).max().unwrap().clone();
    let mut kinds = BTreeSet::new();
    for ((slot, id), found) in one.iter().filter(|((slot, id), _)| *slot != last && ours.contains(&**id)) {
        let mut found: Vec<&str> = found.iter().map(String::as_str).collect();
        found.sort_unstable();
        assert!([["acme.one", "cpu"], ["acme.one", "power.state"]].contains(&[found[0], found[1]]), "{found:?}");
        assert_eq!(found.len(), 2, "{id} in {slot}");
        kinds.insert(found[1].to_owned());
    }
    assert_eq!(kinds.len(), 2, "{kinds:?}");
}

/// What passes by the version that runs is handed to the one that is tried out as well, and passes by all the same.
#[test]
fn what_is_tried_out_is_handed_what_is_for_it() {
    let cloud = chained(ONE, "");
    // Nothing of these meters comes to it.
    deploy(&cloud, "parts", "unit_conversion", "memory", &renaming("acme.one"));
    let daemon = cloud.folder.start("run");
    cloud.slots(2);
    let forging = json!({"pattern": "*", "meter": "cpu.forged", "parts": ["left"]});
    deploy(&cloud, "parts", "parting", "cpu", &forging);
    daemon.signal(Signal::HUP);
    said(&daemon, "version 2 is given up, and 1 goes on: it failed with forged when it was tried out");
    deploy(&cloud, "parts", "unit_conversion", "cpu", &renaming("acme.one"));
    daemon.signal(Signal::HUP);
    said(&daemon, "version 3 has passed its trial and takes the place of 1");
    assert_eq!(not_running(&cloud, "acme/parts"), 0, "{}", daemon.log());
    daemon.end();
    let (one, plain, ours) = (meters(&cloud, "one"), meters(&cloud, "plain"), cloud.guests_of(0..2));
    let last = plain.keys().map(|(slot, _)| slot).max().unwrap();
    let mut kinds: Vec<&str> = Vec::new();
    for at in plain.keys().filter(|(slot, id)| slot != last && ours.contains(&**id)) {
        let found = one.get(at).unwrap_or_else(|| panic!("nothing of {at:?}"));
        assert_eq!(found.len(), 1, "{found:?} of {at:?}");
        kinds.push(&found[0]);
    }
    kinds.dedup();
    assert_eq!(kinds, ["cpu", "acme.one"]);
}

#[test]
fn another_kind_of_module_is_refused() {
    let cloud = chained(ONE, "");
    deploy(&cloud, "own", "unit_conversion", "cpu", &renaming("acme.one"));
    let daemon = cloud.folder.start("run");
    cloud.slots(1);
    cloud.deploy("acme", "own", "resources", "grants: {names: [probe.]}");
    daemon.signal(Signal::HUP);
    said(
        &daemon,
        "acme/own is a transformer, and this module is none: remove it first, or deploy this one by another name",
    );
    let before = cloud.measured("acme/own", "acme.one").len();
    until("its slots", || (cloud.measured("acme/own", "acme.one").len() > before + 1).then_some(()));
    daemon.end();
}
