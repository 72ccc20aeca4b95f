//! What tenants' modules give, in the operator's chains.

use std::collections::{BTreeMap, BTreeSet};

use rustix::process::Signal;

use super::tenants::{Cloud, said};
use crate::support::program::{Folder, samples_in, samples_so_far, text, until};
use crate::support::resources;

/// Few guests, as each has a thousand meters.
const GUESTS: &str = "sim://?domains=4&seed=3&calm=true&disks=1&nics=1";

const FOR_ALL: &str = r"
sources:
    - {name: some, meters: [cpu, 'probe.*.0'], sinks: [tier]}
    - {name: all, meters: ['*'], sinks: [rate]}
sinks:
    - name: tier
      transformers: [{name: relabel, parameters: {rules: [{set: {tier: gold}}]}}]
      publishers: ['file://FOLDER/tier?json']
    - name: rate
      transformers:
          - name: rate_of_change
            parameters: {source: {map_from: {name: '(.+)'}}, target: {map_to: {name: '\1.rate'}}}
          # The first of many will do.
          - {name: relabel, parameters: {rules: [{drop: {name: 'probe[.].+[.][1-9][0-9]*[.]rate'}}]}}
      publishers: ['file://FOLDER/rate?json']
";

/// Sources of a meter in a file.
fn sources(cloud: &Cloud, file: &str, meter: &str) -> BTreeSet<String> {
    let samples = samples_so_far(&cloud.folder.read(file));
    let of_meter = samples.iter().filter(|sample| sample["counter_name"] == *meter);
    of_meter.map(|sample| text(sample, "source").to_owned()).collect()
}

/// How many samples of a meter are in a file.
fn count(cloud: &Cloud, file: &str, meter: &str) -> usize {
    samples_so_far(&cloud.folder.read(file)).iter().filter(|sample| sample["counter_name"] == *meter).count()
}

/// Waits for more samples of a meter in a file.
fn more_of(cloud: &Cloud, file: &str, meter: &str) {
    let before = count(cloud, file, meter);
    until(meter, || (count(cloud, file, meter) > before + 1).then_some(()));
}

/// It stays theirs, costs nobody else's samples, and is forgotten when they go.
#[test]
fn what_tenants_give_goes_through_the_operators_chains_apart() {
    let mut guests: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for sample in samples_in(&Folder::measuring(GUESTS, "").run("once --format json").is(0).stdout) {
        let of_project = guests.entry(text(&sample, "project_id").to_owned()).or_default();
        of_project.insert(text(&sample, "resource_id").to_owned());
    }
    let config = "schedule: {offset: 0s}\ndeployments: deployments.d\npipeline: pipeline.yaml\n\
                  budget: {node: 400%, tenant: 200%}\n";
    let cloud = Cloud { folder: Folder::measuring(GUESTS, config), guests };
    cloud.folder.poll(&["cpu"]);
    cloud.folder.pipe_samples(FOR_ALL);
    std::fs::create_dir(cloud.folder.path("deployments.d")).unwrap();
    cloud.folder.write("deployments.d/resources.wasm", std::fs::read(resources()).unwrap());
    let tenants: Vec<&String> = cloud.guests.keys().collect();
    let [ours, other] = tenants[..2] else { panic!("{tenants:?}") };
    let named = |prefix: &str, meters: usize| -> String {
        let names: Vec<String> = (0..meters).map(|number| format!("probe.dynamic.{prefix}.{number}")).collect();
        let config = serde_json::json!({"meters": names, "silent": true});
        format!("grants: {{names: [probe.]}}\nfuel_base: 1000000000\nconfig: {config}")
    };
    cloud.deploy(ours, "many", "resources", &named("many", 999));
    cloud.deploy(other, "few", "resources", &named("few", 1));
    let daemon = cloud.folder.start("run");
    let (few, many) = ("probe.dynamic.few.0", "probe.dynamic.many.0");
    for meter in ["cpu.rate", "probe.dynamic.few.0.rate", "probe.dynamic.many.0.rate"] {
        more_of(&cloud, "rate", meter);
    }
    let theirs = BTreeSet::from([format!("{other}/few")]);
    assert_eq!(sources(&cloud, "tier", few), theirs);
    assert_eq!(sources(&cloud, "rate", &format!("{few}.rate")), theirs);
    assert_eq!(sources(&cloud, "tier", many), BTreeSet::from([format!("{ours}/many")]));
    assert_eq!(sources(&cloud, "rate", "cpu.rate"), BTreeSet::from(["openstack".to_owned()]));

    // Ever new names fill what is remembered of this deployment, and of no other.
    for generation in 0..4 {
        let prefix = format!("new{generation}");
        cloud.deploy(ours, "many", "resources", &named(&prefix, 999));
        daemon.signal(Signal::HUP);
        more_of(&cloud, "rate", &format!("probe.dynamic.{prefix}.0.rate"));
    }
    more_of(&cloud, "rate", "cpu.rate");
    more_of(&cloud, "rate", "probe.dynamic.few.0.rate");
    let status = cloud.folder.run("status --json").is(0).json();
    let failures = &status["counters"]["failures"];
    let failed: Vec<&String> = failures.as_object().unwrap().keys().collect();
    assert!(!failed.is_empty(), "what fills up is counted against its tenant");
    assert!(failed.iter().all(|module| module.starts_with(ours)), "{failures}");

    // What is remembered of it outlives the daemon, and goes with the deployment.
    let mut logs = vec![daemon.end()];
    let daemon = cloud.folder.start("run");
    more_of(&cloud, "rate", "probe.dynamic.few.0.rate");
    std::fs::remove_file(cloud.folder.path(&format!("deployments.d/few-{}.yaml", &other[..4]))).unwrap();
    daemon.signal(Signal::HUP);
    said(&daemon, "it is removed");
    more_of(&cloud, "rate", "cpu.rate");
    logs.push(daemon.end());
    let daemon = cloud.folder.start("run");
    more_of(&cloud, "rate", "cpu.rate");
    logs.push(daemon.end());
    assert!(logs.iter().all(|log| !log.contains("is forgotten")), "{logs:?}");
}
