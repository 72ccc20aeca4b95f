//! `wasmeter explain`: where a value comes from, and each reason for which there is none.

use serde_json::{Value, json};

use crate::support::hostile;
use crate::support::program::{Folder, text, until};

/// A few guests that do nothing but work.
const SIM: &str = "sim://?domains=4&calm=true&disks=1&nics=1";
/// A guest of every simulated host.
const GUEST: &str = "instance-00000001";

/// A folder in which these meters are measured.
fn folder(config: &str, meters: &[&str]) -> Folder {
    let folder = Folder::measuring(SIM, config);
    folder.poll(meters);
    folder
}

/// The object that is given for a meter of a guest.
fn explained(folder: &Folder, meter: &str, guest: &str, code: i32) -> Value {
    folder.run(&format!("explain {meter} {guest} --json")).is(code).json()
}

/// The statistic of a key.
fn statistic<'a>(said: &'a Value, key: &str) -> &'a Value {
    let statistics = said["statistics"].as_array().unwrap();
    statistics.iter().find(|one| one["key"] == key).unwrap_or_else(|| panic!("no {key} in {said}"))
}

/// What a recording of one slot says, changed.
fn recorded(uri: &str, change: impl FnOnce(&mut Vec<Value>)) -> Folder {
    let folder = Folder::measuring("recording:host.jsonl", "");
    folder.run(&format!("record host.jsonl --hypervisor {uri}")).is(0);
    let mut slot: Value = serde_json::from_str(&folder.read("host.jsonl")).unwrap();
    change(slot["guests"].as_array_mut().unwrap());
    folder.write("host.jsonl", format!("{slot}\n"));
    folder
}

/// The id of a guest in a recording.
fn uuid(guest: &Value) -> String {
    text(&guest["definition"], "uuid").to_owned()
}

/// Takes statistics whose keys begin so from a guest.
fn lose(guest: &mut Value, beginnings: &[&str]) {
    let kept = |stat: &Value| !beginnings.iter().any(|beginning| stat[0].as_str().unwrap().starts_with(beginning));
    guest["stats"].as_array_mut().unwrap().retain(kept);
}

#[test]
fn a_value_comes_from_statistics_by_a_module() {
    let folder = folder("", &["*"]);
    let ran = folder.run(&format!("explain memory.usage {GUEST}")).is(0);
    let ran = ran.says("memory.usage of ").says("memory, a built-in pollster; in the slot: ").says(" fuel for ");
    let ran = ran.says("sources  a, every 1 s, polling.yaml:1").says("balloon.available  balloon  guest  yes");
    assert!(ran.stdout.contains("read, and not used for it: ") && !ran.stdout.contains("No value"), "{}", ran.stdout);

    let said = explained(&folder, "memory.usage", GUEST, 0);
    assert_eq!((&said["reason"], &said["reasons"], &said["slots"]), (&Value::Null, &json!([]), &json!(1)));
    let sample = &said["samples"][0];
    assert_eq!((&sample["unit"], &sample["type"]), (&json!("MiB"), &json!("gauge")));
    assert!(sample["volume"].as_f64().is_some_and(|volume| volume > 0.0), "{sample}");
    assert!(sample["age"].as_f64().is_some_and(|age| (0.0..60.0).contains(&age)), "{sample}");
    for (key, goes_in) in [("balloon.available", true), ("balloon.usable", true), ("balloon.rss", false)] {
        let one = statistic(&said, key);
        assert_eq!((&one["goes_in"], &one["group"]), (&json!(goes_in), &json!("balloon")), "{key}");
        assert!(one["values"][0]["value"].is_u64() && one["needs_process"] == true, "{one}");
    }
    let took = &said["module"]["took"];
    assert!(took["fuel"].as_u64().unwrap() >= took["fuel_each"].as_u64().unwrap(), "{took}");
    assert!(took["fuel_each"].as_u64().is_some_and(|fuel| fuel > 0), "{took}");
}

#[test]
fn a_guest_goes_by_each_of_its_names() {
    let folder = recorded(SIM, |guests| {
        for (guest, name) in guests.iter_mut().zip(["one", "two", "two", "od\u{1b}[2J\nd"]) {
            guest["definition"]["nova"]["display_name"] = name.into();
        }
    });
    let said = explained(&folder, "cpu", "one", 0);
    let guest = &said["guest"];
    assert_eq!(explained(&folder, "cpu", text(guest, "uuid"), 0)["guest"], *guest);
    assert_eq!(explained(&folder, "cpu", text(guest, "name"), 0)["guest"], *guest);
    let said = explained(&folder, "cpu", "two", 64);
    assert_eq!((&said["reason"], said["guests"].as_array().unwrap().len()), (&json!("ambiguous-guest"), 2));
    let second = text(&said["guests"][1], "uuid");
    folder.run("explain cpu two").is(64).complains("error: 2 guests are called two. ").complains(second);
    let none = folder.run("explain cpu three").is(64).complains("error: there is no guest three on this host. ");
    let odd = none.stderr.chars().find(|c| c.is_control() && *c != '\n');
    assert!(none.stderr.contains("two") && odd.is_none(), "{}", none.stderr);
    let said = explained(&folder, "cpu", "three", 64);
    let odd = said["guests"].as_array().unwrap().iter().find(|guest| text(guest, "display_name").starts_with("od"));
    let plain = folder.run(&format!("explain cpu {}", text(odd.unwrap(), "uuid"))).is(0).stdout;
    assert!(plain.starts_with("cpu of od\u{fffd}[2J\u{fffd}d\nguest "), "{plain}");
}

#[test]
fn a_delta_takes_two_slots() {
    let said = explained(&folder("", &["*"]), "network.incoming.bytes.delta", GUEST, 0);
    assert_eq!((&said["slots"], &said["samples"][0]["type"]), (&json!(2), &json!("delta")));
    assert_eq!(statistic(&said, "net.*.rx.bytes")["goes_in"], true);
    assert_eq!(statistic(&said, "net.*.tx.bytes")["goes_in"], false);
}

/// A transformer that gives `cpu.delta`.
const DELTA: &str = "transform:\n  - {meters: [cpu], module: delta, config: {target: {name: cpu.delta}}}";

#[test]
fn what_a_transformer_gives_comes_from_a_pollster() {
    let folder = folder(DELTA, &["cpu"]);
    let said = explained(&folder, "cpu.delta", GUEST, 0);
    assert_eq!((&said["module"]["name"], &said["module"]["world"]), (&json!("delta"), &json!("transformer")));
    assert_eq!((&said["inputs"][0]["meter"], &said["inputs"][0]["module"]), (&json!("cpu"), &json!("cpu")));
    assert_eq!((&said["slots"], &said["sources"][0]["name"]), (&json!(2), &json!("a")));
    assert_eq!(
        (&statistic(&said, "vcpu.*.time")["goes_in"], &said["samples"][0]["unit"]),
        (&json!(true), &json!("ns"))
    );
    let stands_in = statistic(&said, "cpu.time");
    assert_eq!((&stands_in["absent"], &stands_in["goes_in"]), (&json!("stands-in"), &Value::Null));
    let ran =
        folder.run(&format!("explain cpu.delta {GUEST}")).is(0).says("delta, a built-in transformer; in the second");
    ran.says("handed to the transformer").says("cpu.time: it stands in for vcpu.*.time and vcpu.*.wait");
}

#[test]
fn what_the_configuration_leaves_out_is_measured_all_the_same() {
    let folder = folder("", &["cpu"]);
    let said = explained(&folder, "memory.usage", GUEST, 1);
    assert_eq!((&said["reason"], said["samples"].as_array().unwrap().len()), (&json!("no-source"), 1));
    let line = "`- {name: \"memory.usage\", interval: 300, meters: [\"memory.usage\"]}` to polling.yaml";
    folder.run(&format!("explain memory.usage {GUEST}")).is(1).says("No value: no source wants ").says(line);

    folder.write("polling.yaml", "sources: [{name: a, interval: 1, meters: ['*'], discovery: [local_node]}]");
    let said = explained(&folder, "memory.usage", GUEST, 1);
    assert_eq!((&said["reason"], &said["sources"][0]["of_guests"]), (&json!("source-excludes-guests"), &json!(false)));

    folder.poll(&["*"]);
    let said = explained(&folder, "instance", GUEST, 1);
    assert_eq!((&said["reason"], said["samples"].as_array().unwrap().len()), (&json!("module-off"), 1));
    let enable = "`modules: {mitaka: {enabled: true}}`";
    folder.run(&format!("explain instance {GUEST}")).is(1).says("module mitaka, which is off").says(enable);
    folder.configure(&format!("hypervisor: {SIM}\npolling: polling.yaml\nmodules: {{mitaka: {{enabled: true}}}}"));
    assert_eq!(explained(&folder, "instance", GUEST, 0)["reason"], Value::Null);
}

#[test]
fn a_meter_that_nobody_has_is_told_from_one_that_was_meant() {
    let folder = folder(DELTA, &["*"]);
    let said = explained(&folder, "cpu_delta", GUEST, 64);
    assert_eq!((&said["reason"], &said["near"][0]), (&json!("unknown-meter"), &json!("cpu.delta")));
    folder
        .run(&format!("explain memory.usgae {GUEST}"))
        .is(64)
        .complains("no module gives a meter memory.usgae. Did you");
    folder.run(&format!("explain xyz {GUEST}")).is(64).complains("See wasmeter module list");
}

/// It is the sink's transformers that make it, which the daemon runs.
#[test]
fn what_a_sink_makes_is_told_with_the_sink() {
    let folder = folder("pipeline: pipeline.yaml", &["cpu"]);
    let pipeline = "sources: [{name: s, meters: [cpu], sinks: [k]}, {name: r, meters: [disk.*], sinks: [rates]}]
sinks:
  - {name: k, publishers: [test], transformers: [{name: rate_of_change, parameters: {target: {name: cpu_util}}},
     {name: threshold, parameters: {above: 5, target: {name: cpu_alarm}}}]}
  - {name: rates, publishers: [test], transformers: [{name: rate_of_change, parameters: {
     source: {map_from: {name: '(.+)'}}, target: {map_to: {name: '\\1.rate'}}}}]}
";
    folder.write("pipeline.yaml", pipeline);
    let said = explained(&folder, "cpu_alarm", GUEST, 1);
    assert_eq!(said["reason"], "of-a-sink");
    let why = "error: cpu_alarm is made by the transformers of the sink k, of cpu; they run in the daemon alone.";
    let ran = folder.run(&format!("explain cpu_alarm {GUEST}")).is(1).complains(why);
    ran.complains("See wasmeter tap 'sink:k' --meter cpu_alarm, and explain what goes in");
    let rate = "disk.device.read.bytes.rate";
    folder
        .run(&format!("explain {rate} {GUEST}"))
        .is(1)
        .complains(&format!("{rate} is made by the transformers of the sink rates"));
    // What only goes from one transformer to the next does not come out, and what a pollster gives is measured.
    folder.run(&format!("explain cpu_util {GUEST}")).is(64).complains("no module gives a meter cpu_util. ");
    assert_eq!(explained(&folder, "cpu", GUEST, 0)["reason"], Value::Null);
    let near = folder.run(&format!("explain cpu_alram {GUEST}")).is(64);
    near.complains("no module gives a meter cpu_alram. Did you mean cpu_alarm");
}

/// What goes to a sink with transformers may be refused by them.
#[test]
fn the_line_that_adds_a_source_breaks_nothing() {
    let pipeline = "sources: [{name: s, interval: 1, meters: [cpu], sinks: [k]}]
sinks:
  - {name: k, publishers: [test], transformers: [{name: rate_of_change, parameters: {target: {name: x, type: gauge}}}]}
";
    let folder = Folder::new("hypervisor: sim://?domains=4&calm=true\npipeline: pipeline.yaml\n");
    for (more, line) in [
        ("  - {name: raw, publishers: [test]}\n", r#"sinks: ["raw"]}` to pipeline.yaml, under `sources:`"#),
        (
            "",
            "sinks: [\"memory\"]}` to pipeline.yaml, under `sources:`, and a sink such as `- {name: \"memory\", \
             publishers: [notifier://]}` under `sinks:`",
        ),
    ] {
        folder.write("pipeline.yaml", format!("{pipeline}{more}"));
        folder.run(&format!("explain memory {GUEST}")).is(1).says(line);
    }
}

/// They are told by the names that they were granted; how they are, the daemon knows.
#[test]
fn meters_of_tenants_are_told_from_those_that_nobody_has() {
    let folder = Folder::measuring("sim://?domains=4&calm=true", "deployments: deployments.d\n");
    let digest = wasmeter::digest::Digest::of(&std::fs::read(crate::support::resources()).unwrap());
    std::fs::create_dir(folder.path("deployments.d")).unwrap();
    std::fs::copy(crate::support::resources(), folder.path("deployments.d/probe.wasm")).unwrap();
    let text = format!(
        "tenant: acme\nname: probe\nfile: probe.wasm\ndigest: {digest}\ninterval: 1\ngrants: {{names: [probe.]}}\n"
    );
    folder.write("deployments.d/probe.yaml", text);
    let explain = |words: &str| folder.run("explain probe.up x").is(1).complains(words);
    explain("probe.up may be of the deployment acme/probe, which is written in ")
        .stderr
        .contains("no daemon was found");
    let daemon = folder.start("run");
    until("it to run", || {
        folder.run("explain probe.up x").stderr.contains("which runs version 1; it gave ").then_some(())
    });
    explain("See wasmeter module show acme/probe");
    let said = folder.run("explain probe.up x --json").is(1).json();
    assert_eq!(said["reason"], "of-a-tenant");
    let said =
        folder.run("explain probe.pu x").is(64).complains("no module gives a meter probe.pu. Did you mean probe.up");
    assert!(!said.stderr.contains("it is new"), "{}", said.stderr);
    let other = format!("probe.up may be of the deployment acme/probe, and {GUEST} is no guest of acme. ");
    folder.run(&format!("explain probe.up {GUEST}")).is(1).complains(&other);
    daemon.end();
    folder.run("explain prober.up x").is(64).complains("no module gives a meter prober.up");
}

#[test]
fn a_guest_that_hangs_is_why() {
    let folder = folder("", &["*"]);
    let explain = |meter: &str, code| {
        folder.run(&format!("explain {meter} {GUEST} --hypervisor sim://?domains=4&freeze=1 --json")).is(code).json()
    };
    let said = explain("memory.usage", 1);
    assert_eq!((&said["reason"], &said["slots"]), (&json!("guest-stuck"), &json!(1)));
    let usable = statistic(&said, "balloon.usable");
    assert_eq!((&usable["absent"], &usable["goes_in"]), (&json!("guest-stuck"), &json!(true)), "tried with another");
    assert_eq!(explain("power.state", 0)["reason"], Value::Null);
}

#[test]
fn what_no_process_answered_in_a_slot_is_missing() {
    // Half of the guests are read by one call, in which one after the other is found to hang.
    let config = "reader: {watchdog: 1m, max_stuck: 3}";
    let folder = Folder::measuring("sim://?domains=24&calm=true&freeze=8", config);
    let said = explained(&folder, "memory.usage", "instance-0000000c", 1);
    assert_eq!(
        (&said["reason"], &statistic(&said, "balloon.usable")["absent"]),
        (&json!("statistics-missing"), &json!("missing"))
    );
}

#[test]
fn a_guest_that_is_off_is_why() {
    let mut off = String::new();
    let folder = recorded("sim://?domains=300&freeze=0", |guests| {
        let is_off = |guest: &&Value| guest["stats"].as_array().unwrap().contains(&json!(["state.state", 0, 5]));
        off = uuid(guests.iter().find(is_off).unwrap());
    });
    let said = explained(&folder, "cpu", &off, 1);
    assert_eq!((&said["reason"], &said["guest"]["status"]), (&json!("guest-off"), &json!("stopped")));
    assert_eq!(statistic(&said, "vcpu.*.time")["absent"], "guest-off");
    folder.run(&format!("explain cpu {off}")).is(1).says("the guest is shut off").says("report_stopped: true");
    assert_eq!(explained(&folder, "disk.root.size", &off, 0)["reason"], Value::Null);
    folder.configure("hypervisor: recording:host.jsonl\npolling: polling.yaml\nguests: {report_stopped: true}");
    assert_eq!(explained(&folder, "vcpus", &off, 0)["reason"], Value::Null);
}

#[test]
fn what_the_hypervisor_does_not_give_is_why() {
    let mut first = String::new();
    let folder = recorded(SIM, |guests| {
        let guest = &mut guests[0];
        first = uuid(guest);
        lose(guest, &["balloon.available", "vcpu.", "cpu.", "perf.", "net.", "block."]);
        guest["definition"]["nics"] = json!([]);
        guest["definition"]["disks"][0]["has_source"] = false.into();
    });
    for (meter, reason, words) in [
        ("memory.usage", "no-balloon", "balloon driver says nothing: balloon.available\n"),
        ("cpu", "no-statistic", "gives no value of this guest: "),
        ("perf.instructions", "no-counter", "are off for the guest: perf.instructions"),
        ("network.incoming.bytes", "no-device", "the guest has no network device"),
        ("disk.device.read.bytes", "no-medium", "no drive of the guest has a medium: vda"),
    ] {
        let said = explained(&folder, meter, &first, 1);
        assert_eq!((&said["reason"], &said["slots"]), (&json!(reason), &json!(2)), "{meter}");
        folder.run(&format!("explain {meter} {first}")).is(1).says(words.trim_end());
    }
}

#[test]
fn nobodys_guest_is_why() {
    let mut first = String::new();
    let folder = recorded(SIM, |guests| {
        guests[0]["definition"]["nova"] = Value::Null;
        first = uuid(&guests[0]);
    });
    let said = explained(&folder, "cpu", &first, 1);
    assert_eq!((&said["reason"], &said["guest"]["standing"]), (&json!("guest-nobodys"), &json!("nobodys")));
    assert_eq!(statistic(&said, "vcpu.*.time")["absent"], "not-metered");
    folder.run(&format!("explain cpu {first}")).is(1).says("without_nova: meter");
}

#[test]
fn a_module_that_fails_is_why() {
    let folder = folder("modules: {mine: {file: hostile.wasm, config: 'run: panic'}}", &["*"]);
    folder.write("hostile.wasm", hostile());
    let said = explained(&folder, "hostile.time", GUEST, 70);
    assert_eq!((&said["reason"], &said["module"]["failed"][0]["cause"]), (&json!("module-failed"), &json!("trap")));
    assert!(text(&said["module"], "file").ends_with(".wasm"), "{said}");
    let ran = folder.run(&format!("explain hostile.time {GUEST}")).is(70);
    ran.says("No value: the module mine failed: trap: ").says("stderr: ");
}

#[test]
fn a_host_that_does_not_answer_is_a_reason_too() {
    let folder = folder("", &["*"]);
    let ran = folder.run("explain cpu x --json --hypervisor recording:nowhere").is(69);
    assert_eq!(ran.json()["reason"], "unreachable");
}
