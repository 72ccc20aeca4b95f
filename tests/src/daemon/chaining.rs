//! Tenants' transformers in the chains of an operator's pipelines.

use std::collections::{BTreeMap, BTreeSet};

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
    for name in ["delta", "unit_conversion"] {
        let module = wasmeter::modules::built_in().find(|module| module.name == name).unwrap();
        cloud.folder.write(&format!("deployments.d/{name}.wasm"), module.wasm);
    }
    cloud.folder.write("deployments.d/parting.wasm", std::fs::read(parting()).unwrap());
    cloud
}

fn deploy(cloud: &Cloud, name: &str, module: &str, meters: &str, config: &Value) {
    let config = config.to_string();
    let more = format!("meters: ['{meters}']\ngrants: {{names: [acme.]}}\nconfig: {config:?}");
    cloud.deploy("acme", name, module, &more);
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
    let failures = |cause: &str| {
        let status = cloud.folder.run("status --json").is(0).json();
        status["counters"]["failures"]["acme/parts"][cause].as_u64().unwrap_or_default()
    };
    assert!(failures("forged") > 0);
    assert_eq!(ask(&cloud.folder, "POST", "/deployments/acme/parts/pause", b"{}").0, 200);
    until("slots without it", || (failures("not-running") >= 2).then_some(()));
    let (theirs, before) = (count("cpu", &|sample| !is_ours(sample)), count("acme.part", &|_| true));
    until("others' samples", || (count("cpu", &|sample| !is_ours(sample)) >= theirs + 20).then_some(()));
    assert_eq!((count("acme.part", &|_| true), count("cpu", &is_ours)), (before, 0));
    daemon.end();
}

/// What is named and not there is said, and holds back what is of its tenant; a pollster's name changes nothing.
#[test]
fn what_is_not_there_gives_nothing() {
    let cloud = chained(ONE, "");
    let (ours, check) = (cloud.guests_of(0..2), cloud.folder.run("check").is(0));
    check.says("pipeline.yaml:6:23: warning: sink `one`: no file in the folder of deployments describes acme/parts");
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
