//! What is measured: found, named by a source, or made up by a module at run time.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::program::{Folder, of_meter, slots, text};
use crate::support::resources;

const HOST: &str = "hypervisor: sim://?domains=2&calm=true&disks=1&nics=1\nhost: this-host\npolling: polling.yaml";

/// Runs so many cycles with the test's module and these sources.
fn cycles(count: u32, config: &str, sources: &str) -> Vec<Value> {
    let module = resources();
    let folder = Folder::new(&format!("{HOST}\nmodules: {{probe: {{file: {module}, config: {config}}}}}"));
    folder.write("polling.yaml", format!("sources:\n{sources}"));
    folder.run(&format!("run --cycles {count} --output samples")).is(0);
    folder.samples("samples")
}

/// How many samples each resource has.
fn by_resource(samples: &[Value], meter: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for sample in of_meter(samples, meter) {
        *counts.entry(text(sample, "resource_id").to_owned()).or_default() += 1;
    }
    counts
}

fn guests(samples: &[Value]) -> Vec<String> {
    let mut guests: Vec<String> =
        of_meter(samples, "cpu").iter().map(|sample| text(sample, "resource_id").to_owned()).collect();
    guests.sort();
    guests
}

#[test]
fn a_source_says_what_its_meters_are_of() {
    for (sources, expected) in [
        ("resources: ['tcp://a:1', b]", vec!["b", "tcp://a:1"]),
        ("discovery: [local_node]", vec!["this-host"]),
        ("discovery: ['local_node://x']", vec!["this-host"]),
        ("discovery: [local_node], resources: [b]", vec!["b", "this-host"]),
        ("resources: [b, b]", vec!["b"]),
    ] {
        let source = format!("- {{name: a, interval: 1, meters: [probe.up], {sources}}}");
        let samples = cycles(1, "{}", &source);
        let counts = by_resource(&samples, "probe.up");
        assert_eq!(counts.keys().collect::<Vec<_>>(), expected, "{sources}");
        assert_eq!(counts.len(), samples.len(), "{sources}: {samples:?}");
        for sample in samples {
            assert_eq!((&sample["counter_volume"], &sample["project_id"]), (&1.into(), &Value::Null), "{sample}");
        }
    }
}

#[test]
fn without_a_word_of_the_source_the_module_says() {
    let samples = cycles(1, "{}", "- {name: a, interval: 1, meters: [probe.up, cpu]}");
    assert_eq!(by_resource(&samples, "probe.up").into_keys().collect::<Vec<_>>(), guests(&samples));
    assert_eq!(guests(&samples).len(), 2);
}

/// Sources overlap; what two of them want is measured once.
#[test]
fn sources_are_added_and_not_multiplied() {
    let sources = "
- {name: a, interval: 1, meters: [probe.up], resources: [w, x]}
- {name: b, interval: 1, meters: ['probe.*'], resources: [x, z]}
- {name: c, interval: 1, meters: ['probe.u?'], discovery: [local_instances]}
- {name: d, interval: 1, meters: ['*']}
- {name: e, interval: 1, meters: ['cp*']}
- {name: f, interval: 1, meters: [cpu]}
";
    let samples = cycles(1, "{}", sources);
    let counts = by_resource(&samples, "probe.up");
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    let others: Vec<&str> = counts.keys().map(String::as_str).filter(|id| id.len() == 1).collect();
    assert_eq!((others, counts.len()), (vec!["w", "x", "z"], 5));
    assert_eq!(guests(&samples).len(), 2, "the cpu of two guests, whatever number of sources want it");
}

/// Of each resource what its own source wants.
#[test]
fn meters_of_one_source_are_not_of_anothers_resources() {
    let sources = "
- {name: a, interval: 1, meters: [probe.up], resources: [x]}
- {name: b, interval: 1, meters: [probe.dynamic.one], resources: [z]}
- {name: c, interval: 1, meters: ['!probe.up'], discovery: [local_node]}
";
    let samples = cycles(1, "{meters: [probe.dynamic.one, probe.dynamic.two]}", sources);
    for (meter, expected) in [
        ("probe.up", vec!["x"]),
        ("probe.dynamic.one", vec!["this-host", "z"]),
        ("probe.dynamic.two", vec!["this-host"]),
    ] {
        assert_eq!(by_resource(&samples, meter).keys().collect::<Vec<_>>(), expected, "{meter}");
    }
}

#[test]
fn meters_can_be_declared_at_run_time() {
    let config = "{meters: [probe.dynamic.one, probe.dynamic.two]}";
    let samples = cycles(2, config, "- {name: a, interval: 1, meters: [cpu, '*.two']}");
    assert_eq!(of_meter(&samples, "probe.dynamic.two").len(), 4);
    assert!(of_meter(&samples, "probe.dynamic.one").is_empty() && of_meter(&samples, "probe.up").is_empty());
}

/// A part is its guest's: its id begins with that of the guest, and everything else is the same.
#[test]
fn parts_can_be_declared_at_run_time() {
    let config = r#"{parts: [left, right hand], note: '{"fingers": [1, 2.5, null], "ü": "\n"}'}"#;
    let samples = cycles(2, config, "- {name: a, interval: 1, meters: [cpu, probe.dynamic.age]}");
    for slot in slots(&samples) {
        let of = |meter: &str| slot.iter().filter(|sample| sample["counter_name"] == meter).collect::<Vec<_>>();
        let (guests, parts) = (of("cpu"), of("probe.dynamic.age"));
        assert_eq!((guests.len(), parts.len()), (2, 4));
        for (part, suffix) in parts.iter().zip(["left", "right hand"].into_iter().cycle()) {
            let id = text(part, "resource_id").strip_suffix(&format!("-{suffix}")).unwrap();
            let guest = guests.iter().find(|guest| guest["resource_id"] == id).unwrap();
            assert_eq!((&part["project_id"], &part["user_id"]), (&guest["project_id"], &guest["user_id"]));
            let (metadata, of_guest) = (&part["resource_metadata"], &guest["resource_metadata"]);
            assert_eq!(metadata["display_name"], of_guest["display_name"]);
            assert_eq!(metadata["note"], serde_json::json!({ "fingers": [1, 2.5, null], "ü": "\n" }));
        }
    }
}

/// A part is wanted where its guest is.
#[test]
fn parts_of_one_sources_guests_are_not_anothers() {
    let sources = "
- {name: a, interval: 1, meters: [cpu, probe.up]}
- {name: b, interval: 1, meters: [probe.dynamic.age], discovery: [local_node], resources: [x]}
";
    let samples = cycles(1, "{parts: [left]}", sources);
    let ages = by_resource(&samples, "probe.dynamic.age");
    assert_eq!(ages.keys().collect::<Vec<_>>(), ["this-host-left", "x-left"]);
    assert_eq!(by_resource(&samples, "probe.up").into_keys().collect::<Vec<_>>(), guests(&samples));
}

/// Which module's samples these would be, nobody could say.
#[test]
fn two_modules_do_not_give_one_meter() {
    let module = resources();
    let config = format!("{HOST}\nmodules:\n  one: {{file: {module}}}\n  other: {{file: {module}}}");
    let folder = Folder::new(&config);
    folder.write("polling.yaml", "sources: [{name: a, interval: 1, meters: [probe.up]}]");
    folder
        .run("run --cycles 1")
        .is(64)
        .complains("wasmeter.yaml:6:3: error: other gives the meter probe.up, which one gives")
        .complains("Turn one of them off with enabled: false");
    folder
        .configure(&format!("{config}\n  mitaka: {{}}\n  deep: {{}}").replace("other: {", "other: {enabled: false, "));
    folder.run("run --cycles 1").is(0);
}

/// Of two that declare a name in one slot the first has it from then on. The other loses its samples of that name,
/// and from then on its whole call, as a module that names what is not its own.
#[test]
fn a_name_that_two_declare_is_the_firsts() {
    let module = resources();
    let config = |own: &str| format!("{{silent: true, meters: [probe.dynamic.same, probe.dynamic.{own}]}}");
    let [one, other] = ["one", "other"].map(|own| format!("{own}: {{file: {module}, config: {}}}", config(own)));
    let folder = Folder::new(&format!("{HOST}\nmodules: {{{one}, {other}}}"));
    folder.write("polling.yaml", "sources: [{name: a, interval: 1, meters: [cpu, 'probe.dynamic.*']}]");
    let ran = folder.run("run --cycles 3 --output samples").is(0);
    ran.complains("forged: the meter probe.dynamic.same is the module one's; choose a name of its own")
        .complains("failures=\"other: forged=5\"");
    let samples = folder.samples("samples");
    let count = |meter: &str| of_meter(&samples, meter).len();
    assert_eq!(["same", "one", "other"].map(|own| count(&format!("probe.dynamic.{own}"))), [6, 6, 2]);
}
