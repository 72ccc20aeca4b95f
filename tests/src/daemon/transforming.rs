//! Transformers beside the meters that they are for.

use std::collections::HashMap;

use rustix::process::Signal;
use serde_json::Value;

use super::{CALM, names};
use crate::support::program::{Folder, of_meter, samples_so_far, slots, text, until};
use crate::support::{parting, resources};

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
    let ran = Folder::measuring(CALM, config).run("run --cycles 1").is(64);
    ran.complains("wasmeter.yaml:4:5: error: disk is a pollster")
        .complains("wasmeter.yaml:5:5: error: there is no transformer \"nothing\"")
        .complains("wasmeter.yaml:6:62: error: the transformer delta: target.name is both");
    // All that is wrong is told at once, and what is lacking because of it is not told besides.
    let config = "transform:
  - meters: [cpu]
    module: rate_of_change
    config:
      typo: 1
      target:
        name: [x]
        scale: 1 +
        unit: '%'
  - {meters: [cpu, memory], module: arithmetic, config: {target: {exrp: $(cpu)}}}";
    let ran = Folder::measuring(CALM, config).run("check").is(64);
    for words in [
        "wasmeter.yaml:7:7: error: the transformer rate_of_change: there is no key typo; there are",
        "wasmeter.yaml:9:9: error: the transformer rate_of_change: target.name is a list",
        "wasmeter.yaml:10:9: error: the transformer rate_of_change: target.scale: ",
        "wasmeter.yaml:12:67: error: the transformer arithmetic: there is no key target.exrp",
    ] {
        assert!(ran.stdout.contains(words), "{words}\n{}", ran.stdout);
    }
    assert_eq!(ran.stdout.matches("error: ").count(), 4, "{}", ran.stdout);
    let config = "transform:
  - {meters: [cpu], module: delta}
  - {meters: [cpu], module: delta, config: {target: {name: growth}}}
  - {meters: [memory], module: delta, config: {target: {name: growth}}}";
    let ran = Folder::measuring(CALM, config).run("run --cycles 1").is(64);
    ran.complains("wasmeter.yaml:4:5: error: delta would give a second meter cpu, which cpu gives")
        .complains("wasmeter.yaml:6:5: error: delta#3 would give a second meter growth, which delta#2 gives")
        .complains("Give what comes out a name of its own, such as target: {name: cpu.delta}");
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

/// A configuration in which the transformer that declares gives `cpu` again.
fn sharing(pattern: &str, meter: &str, parts: &str) -> String {
    let module = parting();
    format!(
        "modules: {{sharing: {{file: {module}}}}}
transform: [{{meters: [cpu], module: sharing, config: {{pattern: '{pattern}', meter: {meter}, parts: {parts}}}}}]"
    )
}

/// Meters and parts that a transformer declares are samples like all others, slot after slot of the same resources.
#[test]
fn one_may_declare_meters_and_parts() {
    let folder = Folder::measuring(CALM, &sharing("shared.*", "shared.cpu", "[left, right]"));
    folder.poll(&["cpu"]);
    folder.run("run --cycles 3 --output samples").is(0);
    let samples = folder.samples("samples");
    assert_eq!(of_meter(&samples, "shared.cpu").len(), 3 * 5 * 2);
    for slot in slots(&samples) {
        for cpu in slot.iter().filter(|sample| sample["counter_name"] == "cpu") {
            for side in ["left", "right"] {
                let id = format!("{}-{side}", text(cpu, "resource_id"));
                let shared: Vec<_> = slot.iter().filter(|sample| sample["resource_id"] == id).collect();
                assert_eq!(shared.len(), 1, "{id}");
                assert_eq!(shared[0]["counter_volume"], cpu["counter_volume"]);
                assert_eq!((text(shared[0], "counter_unit"), text(shared[0], "counter_type")), ("ns", "gauge"));
                assert_eq!(shared[0]["project_id"], cpu["project_id"]);
                assert_eq!(shared[0]["timestamp"], cpu["timestamp"]);
                assert_eq!(shared[0]["resource_metadata"]["instance_id"], cpu["resource_metadata"]["instance_id"]);
            }
        }
    }
    let mut ids: Vec<_> = samples.iter().map(|sample| text(sample, "message_id")).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "each sample has an id of its own");
}

/// A part that a pollster declared, too, and one that has the name of a device, are what they were before.
#[test]
fn what_one_declares_may_be_there_already() {
    let (pollster, transformer) = (resources(), parting());
    let config = format!(
        "modules: {{probe: {{file: {pollster}, config: {{parts: [left]}}}}, sharing: {{file: {transformer}}}}}
transform:
- {{meters: [cpu], module: sharing, config: {{pattern: 'shared.*', meter: shared.cpu, parts: [left, vda]}}}}
- {{meters: [cpu], module: sharing, config: {{pattern: 'again.*', meter: again.cpu, parts: [left]}}}}"
    );
    let folder = Folder::measuring(CALM, &config);
    folder.poll(&["cpu", "probe.dynamic.age", "disk.device.read.bytes"]);
    folder.run("run --cycles 2 --output samples").is(0);
    let samples = folder.samples("samples");
    let ids = |meter: &str, end: &str| {
        let ids = of_meter(&samples, meter).into_iter().map(|sample| text(sample, "resource_id"));
        let mut ids: Vec<_> = ids.filter(|id| id.ends_with(end)).collect();
        ids.sort_unstable();
        ids
    };
    for (known, meter, end) in [
        ("probe.dynamic.age", "shared.cpu", "-left"),
        ("probe.dynamic.age", "again.cpu", "-left"),
        ("disk.device.read.bytes", "shared.cpu", "-vda"),
    ] {
        let given = ids(meter, end);
        assert_eq!((given.len(), given), (10, ids(known, end)), "{meter} of {end}");
    }
    for sample in of_meter(&samples, "shared.cpu").iter().filter(|s| text(s, "resource_id").ends_with("-vda")) {
        assert_eq!(sample["resource_metadata"]["disk_name"], "vda", "it is the device");
    }
}

/// Nobody declares the meter of another, measured in this slot or not.
#[test]
fn what_one_declares_is_not_anothers() {
    for (polled, memory) in [(&["cpu", "memory"][..], 10), (&["cpu"], 0)] {
        let folder = Folder::measuring(CALM, &sharing("*", "memory", "[left]"));
        folder.poll(polled);
        let ran = folder.run("run --cycles 2 --output samples").is(0);
        ran.complains("forged: the meter memory is the module memory's; choose a name of its own");
        let samples = folder.samples("samples");
        assert_eq!((of_meter(&samples, "cpu").len(), of_meter(&samples, "memory").len()), (10, memory));
    }
}

/// What a pollster declares stays its own, and what a transformer makes of it has another name.
#[test]
fn what_a_pollster_declared_is_not_given_again() {
    let (pollster, transformer) = (resources(), parting());
    let config = format!(
        "modules: {{probe: {{file: {pollster}, config: {{meters: [probe.dynamic.one]}}}}, sharing: {{file: {transformer}}}}}
transform:
- {{meters: [cpu], module: sharing, config: {{pattern: '*', meter: probe.dynamic.one, parts: [left]}}}}
- {{meters: [probe.dynamic.one], module: delta}}"
    );
    let folder = Folder::measuring(CALM, &config);
    folder.poll(&["cpu", "probe.dynamic.one"]);
    let ran = folder.run("run --cycles 2 --output samples").is(0);
    ran.complains("sharing: forged=10").complains("delta: forged=2");
    assert_eq!(of_meter(&folder.samples("samples"), "probe.dynamic.one").len(), 10);
}

/// Of two that declare a name the first keeps it.
#[test]
fn what_one_declared_is_not_anothers() {
    let module = parting();
    let entry = "{meters: [cpu], module: sharing, config: {pattern: '*', meter: shared.cpu, parts: [left]}}";
    let config = format!("modules: {{sharing: {{file: {module}}}}}\ntransform: [{entry}, {entry}]");
    let folder = Folder::measuring(CALM, &config);
    folder.poll(&["cpu"]);
    let ran = folder.run("run --cycles 2 --output samples").is(0);
    ran.complains("failures=\"sharing#2: forged=10\"");
    assert_eq!(of_meter(&folder.samples("samples"), "shared.cpu").len(), 10);
}

/// The second transformer of a name is nobody else: what each of them uses and does wrong is its own.
#[test]
fn the_second_of_a_name_has_a_name_of_its_own() {
    let pollster = resources();
    let config = format!(
        "modules: {{delta-2: {{file: {pollster}, config: {{meters: [probe.dynamic.one, probe.dynamic.two]}}}}}}
transform:
- {{meters: [cpu], module: delta, config: {{target: {{name: cpu.growth}}}}}}
- {{meters: [probe.dynamic.*], module: delta, config: {{target: {{name: both}}}}}}"
    );
    let folder = Folder::measuring(CALM, &config);
    let ran = folder.run("run --cycles 1 --output samples").is(0);
    ran.complains("failures=\"delta#2: module-error=1\"");
    assert_eq!(of_meter(&folder.samples("samples"), "probe.up").len(), 5);
}

/// Whichever guest it is, all others have their samples, and those of their parts.
#[test]
fn a_guest_that_one_cannot_stand_costs_itself() {
    let (pollster, transformer, names) = (resources(), parting(), names());
    for odd in [&names[0], &names[2], &names[4]] {
        let config = format!(
            "modules: {{probe: {{file: {pollster}, config: {{parts: [part]}}}}, sharing: {{file: {transformer}}}}}
transform:
- {{meters: [cpu], module: sharing, config: {{pattern: 'a.*', meter: a.cpu, parts: [left], odd: {odd}}}}}
- {{meters: [probe.dynamic.age], module: sharing, config: {{pattern: 'b.*', meter: b.age, parts: [x], odd: {odd}}}}}"
        );
        let folder = Folder::measuring(CALM, &config);
        folder.poll(&["cpu", "probe.dynamic.age"]);
        let ran = folder.run("run --cycles 2 --output samples").is(0);
        let samples = folder.samples("samples");
        for meter in ["a.cpu", "b.age"] {
            let made = of_meter(&samples, meter);
            assert_eq!(made.len(), 2 * 4, "{meter} without {odd}:\n{}", ran.stderr);
            assert!(made.iter().all(|sample| sample["resource_metadata"]["display_name"] != *odd));
        }
        assert_eq!(of_meter(&samples, "probe.dynamic.age").len(), 2 * 5);
        ran.complains("sharing: trap=2").complains("sharing#2: trap=2");
    }
}

/// What has no time of a clock that is never set does not say that it was read when the machine started.
#[test]
fn samples_without_a_monotonic_time_have_none() {
    let module = parting();
    let config = format!(
        "modules: {{sharing: {{file: {module}}}}}
transform:
- {{meters: [cpu], module: sharing, config: {{pattern: 'a.*', meter: a.cpu, parts: [left], timeless: true}}}}"
    );
    let folder = Folder::measuring(CALM, &config);
    folder.poll(&["cpu"]);
    folder.run("run --cycles 1 --output samples").is(0);
    let samples = folder.samples("samples");
    let (made, measured) = (of_meter(&samples, "a.cpu"), of_meter(&samples, "cpu"));
    assert_eq!((made.len(), measured.len()), (5, 5));
    assert!(made.iter().all(|sample| sample["monotonic_time"].is_null()));
    assert!(measured.iter().all(|sample| sample["monotonic_time"].is_f64()));
}
