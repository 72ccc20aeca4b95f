//! Transformers beside the meters that they are for.

use std::collections::HashMap;

use rustix::process::Signal;
use serde_json::Value;

use super::CALM;
use crate::support::program::{Folder, of_meter, samples_so_far, slots, text, until};
use crate::support::resources;

const GROWTH: &str = "
transform:
  - {meters: [network.incoming.bytes], module: delta, config: {target: {name: network.incoming.growth}}}";

/// From the second slot on each value of `growth` is what was added to `meter`, of the same resource. Returns how
/// many values there are.
fn is_growth(samples: &[Value], meter: &str, growth: &str) -> usize {
    let mut last: HashMap<&str, i64> = HashMap::new();
    let mut values = 0;
    for slot in slots(samples) {
        let of = |name: &str| -> HashMap<&str, i64> {
            let found = slot.iter().filter(|sample| sample["counter_name"] == name);
            found.map(|sample| (text(sample, "resource_id"), sample["counter_volume"].as_i64().unwrap())).collect()
        };
        let (now, grown) = (of(meter), of(growth));
        for (resource, value) in &now {
            let expected = last.get(resource).map(|last| value - last);
            assert_eq!(grown.get(resource).copied(), expected, "{growth} of {resource}");
        }
        assert!(grown.keys().all(|resource| now.contains_key(resource)));
        values += grown.len();
        last = now;
    }
    for sample in of_meter(samples, growth) {
        assert_eq!(sample["counter_type"], "delta");
    }
    values
}

#[test]
fn growth_is_what_was_added_since_the_last_slot() {
    let folder = Folder::measuring(CALM, GROWTH);
    folder.poll(&["network.incoming.bytes", "cpu"]);
    folder.run("run --cycles 3 --output samples").is(0);
    let samples = folder.samples("samples");
    assert_eq!(is_growth(&samples, "network.incoming.bytes", "network.incoming.growth"), 10);
    assert_eq!(of_meter(&samples, "network.incoming.bytes").len(), 15, "what goes in stays");
    for sample in of_meter(&samples, "network.incoming.growth") {
        assert_eq!(sample["counter_unit"], "B");
        assert!(sample["resource_metadata"]["display_name"].is_string());
    }
}

/// A part that a module declares slot after slot is the same part.
#[test]
fn a_declared_part_is_remembered() {
    let module = resources();
    let config = format!(
        "modules: {{probe: {{file: {module}, config: {{parts: [a, b], note: '[1]'}}}}}}
transform: [{{meters: [probe.dynamic.age], module: delta, config: {{target: {{name: probe.growth}}}}}}]"
    );
    let folder = Folder::measuring("sim://?domains=3&calm=true", &config);
    folder.poll(&["probe.dynamic.*"]);
    folder.run("run --cycles 3 --output samples").is(0);
    let samples = folder.samples("samples");
    assert_eq!(is_growth(&samples, "probe.dynamic.age", "probe.growth"), 12);
    for sample in of_meter(&samples, "probe.growth") {
        assert_eq!(sample["resource_metadata"]["note"], serde_json::json!([1]), "notes go with their samples");
    }
}

/// What a transformer remembers is not lost when something else changes.
#[test]
fn it_remembers_over_a_reload() {
    let folder = Folder::measuring(CALM, GROWTH);
    folder.poll(&["network.incoming.bytes"]);
    let daemon = folder.start("run --output samples");
    let has = |meter: &str| (!of_meter(&samples_so_far(&folder.read("samples")), meter).is_empty()).then_some(());
    until("growth", || has("network.incoming.growth"));
    folder.poll(&["network.incoming.bytes", "cpu"]);
    daemon.signal(Signal::HUP);
    until("cpu", || has("cpu"));
    daemon.end();
    is_growth(&folder.samples("samples"), "network.incoming.bytes", "network.incoming.growth");
}

#[test]
fn one_that_is_refused_is_named_with_its_line() {
    let config = "transform:
  - {meters: ['*'], module: disk}
  - {meters: ['*'], module: nothing}
  - {meters: [cpu, memory], module: delta, config: {target: {name: both}}}";
    let ran = Folder::measuring(CALM, config).run("run --cycles 1").is(70);
    ran.complains("wasmeter.yaml:4:5: error: disk is a pollster")
        .complains("wasmeter.yaml:5:5: error: there is no transformer \"nothing\"")
        .complains(
            "wasmeter.yaml:6:5: error: the module delta was refused: bad-description: delta: target.name is both",
        );
}

/// One that fails costs its own output. Which meters are declared is known no sooner.
#[test]
fn one_that_fails_costs_itself() {
    let module = resources();
    let config = format!(
        "modules: {{probe: {{file: {module}, config: {{meters: [probe.dynamic.one, probe.dynamic.two]}}}}}}
transform: [{{meters: [probe.dynamic.*], module: delta, config: {{target: {{name: both}}}}}}]"
    );
    let folder = Folder::measuring(CALM, &config);
    let ran = folder.run("run --cycles 2 --output samples").is(0);
    ran.complains("target.name is both, but probe.dynamic.one, probe.dynamic.two").complains("module=delta");
    let samples = folder.samples("samples");
    assert_eq!((of_meter(&samples, "cpu").len(), of_meter(&samples, "probe.dynamic.one").len()), (10, 10));
    assert!(of_meter(&samples, "both").is_empty());
}
