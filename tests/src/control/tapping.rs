//! Samples as they pass a point in a daemon that runs.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use serde_json::Value;

use super::measured;
use crate::support::program::{Folder, of_meter, samples_in, text, until};

const PIPELINE: &str = "sources:
  - {name: a, interval: 1, meters: ['*'], sinks: [plain]}
  - {name: b, interval: 1, meters: [disk.device.read.bytes], sinks: [rates]}
sinks:
  - {name: plain, publishers: ['file://FOLDER/plain?json']}
  - name: rates
    transformers: [{name: delta, parameters: {target: {name: Grown}}}]
    publishers: ['file://FOLDER/rates?json']
";

/// Guests with two disks each.
const HOST: &str = "sim://?domains=3&calm=true&disks=2&nics=1";

fn folder() -> Folder {
    let folder = Folder::new(&format!("hypervisor: {HOST}\npipeline: pipeline.yaml\noutputs: [{{file: samples}}]\n"));
    let here = folder.path("").display().to_string();
    folder.write("pipeline.yaml", PIPELINE.replace("FOLDER", here.trim_end_matches('/')));
    folder
}

/// Somebody who looks, until this is ended.
fn looking(folder: &Folder, line: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = folder.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    (child, stdout)
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn samples_are_seen_as_they_pass() {
    let folder = folder();
    let daemon = folder.start("run");
    measured(&folder, &daemon, 1);
    let seen = folder.run("tap --json --meter cpu,disk.* --count 30").is(0);
    let seen = samples_in(&seen.stdout);
    assert_eq!(seen.len(), 30);
    assert!(
        seen.iter()
            .all(|sample| text(sample, "counter_name").starts_with("disk.") || text(sample, "counter_name") == "cpu")
    );
    // What comes out of a sink comes out of it alone.
    let rates = folder.run("tap sink:rates --json --meter Grown --count 6").is(0);
    assert_eq!(of_meter(&samples_in(&rates.stdout), "Grown").len(), 6);
    let plain = samples_in(&folder.run("tap sink:plain --json --count 200").is(0).stdout);
    assert!(of_meter(&plain, "Grown").is_empty() && of_meter(&plain, "cpu").len() >= 3);
    // One guest with its disks, for people.
    let guest = text(of_meter(&plain, "cpu")[0], "resource_id").to_owned();
    let ran = folder.run(&format!("tap --meter disk.device.read.bytes --resource {guest} --count 2")).is(0);
    assert!(
        ran.stdout.lines().all(|line| line.contains(&guest) && line.contains("  disk.device.read.bytes  ")),
        "{}",
        ran.stdout
    );
    let status = folder.run("status --json").is(0).json();
    let names = status["publishers"].as_array().unwrap().iter().map(|publisher| text(publisher, "name").to_owned());
    let output = names.into_iter().find(|name| name.ends_with("/rates")).unwrap();
    let handed = samples_in(&folder.run(&format!("tap output:{output} --json --count 6")).is(0).stdout);
    assert_eq!(of_meter(&handed, "Grown").len(), 6);
    daemon.end();
    // What was seen is what was delivered, to the last letter.
    let delivered = folder.samples("samples");
    assert!(seen.iter().all(|sample| delivered.contains(sample)));
    let delivered = folder.samples("rates");
    assert!(handed.iter().all(|sample| delivered.contains(sample)));
}

#[test]
fn a_tap_ends_with_the_daemon() {
    let folder = folder();
    let daemon = folder.start("run");
    measured(&folder, &daemon, 1);
    let (mut child, mut stdout) = looking(&folder, "tap --json");
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert!(serde_json::from_str::<Value>(&line).unwrap()["counter_name"].is_string(), "{line}");
    daemon.end();
    stdout.read_to_string(&mut line).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("The daemon ended."), "{said}");
    folder.run("tap").is(69).complains("nobody answers at ");
}

/// Who looks for what cannot come is told at once, and waits all the same: the next reload may bring it.
#[test]
fn what_is_looked_for_in_vain_is_said() {
    let folder = folder();
    let daemon = folder.start("run");
    measured(&folder, &daemon, 1);
    let said = |line: &str| {
        let mut child = folder.command(line).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        end(child);
        line
    };
    let unknown = said("tap --meter cpuu");
    assert!(unknown.contains("the tap matches no meter of any module that is on. Did you mean `cpu`? "), "{unknown}");
    assert!(said("tap --meter Grown").contains(" What sinks make is seen at sink:NAME."));
    let off = said("tap output:file:samples --json --meter cpu,disk.usage");
    assert!(off.contains("the tap: the module mitaka, which is off, gives disk.usage. Turn it on in "), "{off}");
    assert!(said("tap sink:rates --tenant acme").contains("No module of acme runs; there are such of operator."));
    // What a sink makes is not known beforehand, and what matches something is not doubted.
    for line in ["tap sink:rates --meter Grown --count 1", "tap --meter cpu,disk.* --count 1 --tenant operator"] {
        assert_eq!(folder.run(line).is(0).stderr, "");
    }
    daemon.end();
}

#[test]
fn there_are_a_few_taps_at_most_and_those_that_are_not_understood_are_refused() {
    let folder = folder();
    let daemon = folder.start("run");
    measured(&folder, &daemon, 1);
    for (line, words) in [
        ("tap sink:none", "there is no sink none; there are plain, rates."),
        ("tap output:none", "there is no output none; there are "),
        ("tap cpu", "there is no point cpu; write measured, sink:NAME or output:NAME."),
        ("tap --meter !a,b", "Both included and excluded meters specified"),
    ] {
        folder.run(line).is(64).complains(words);
    }
    let mut looking: Vec<_> = (0..4).map(|_| looking(&folder, "tap --json --meter cpu")).collect();
    let mut line = String::new();
    looking.iter_mut().for_each(|(_, stdout)| assert!(stdout.read_line(&mut line).unwrap() > 0));
    folder.run("tap").is(69).complains("4 others look at samples already. End one of them.");
    let (child, _) = looking.pop().unwrap();
    end(child);
    until("room for another", || (folder.run("tap --count 1").code == Some(0)).then_some(()));
    looking.into_iter().for_each(|(child, _)| end(child));
    daemon.end();
}

/// Whoever looks and does not read keeps nobody from measuring.
#[test]
fn who_does_not_read_is_not_waited_for() {
    let folder = Folder::measuring("sim://?domains=300&calm=true", "outputs: [{test: true}]");
    let daemon = folder.start("run");
    measured(&folder, &daemon, 1);
    let (child, mut stdout) = looking(&folder, "tap --json");
    let mut line = String::new();
    assert!(stdout.read_line(&mut line).unwrap() > 0);
    // A slot is more than a pipe holds.
    let status = || folder.run("status --json").is(0).json();
    let before = status()["counters"]["cycles"].as_u64().unwrap();
    measured(&folder, &daemon, before + 5);
    end(child);
    daemon.end();
}

/// What goes through pipelines is counted, and shown with them.
#[test]
fn the_graph_says_how_much_goes_through_it() {
    let folder = folder();
    let offline = folder.run("pipeline graph").is(0).complains("this is what is configured");
    assert!(!offline.stdout.contains("in the last slot"), "{}", offline.stdout);
    folder.run("pipeline graph --socket control.sock").is(69).complains("nobody answers at control.sock");
    let daemon = folder.start("run");
    let rated = until("two slots in which something came out", || {
        let graph = folder.run("pipeline graph --format json").is(0).json();
        // It answers before it has pipelines.
        let sink = graph["nodes"].as_array().unwrap().iter().find(|node| node["name"] == "rates").cloned()?;
        (sink["flow"]["last_slot"].as_u64() > Some(0) && sink["flow"]["per_second"].as_f64() > Some(0.0))
            .then_some(graph)
    });
    let of = |kind: &str, name: &str| {
        let is_it = |node: &&Value| node["kind"] == kind && text(node, "name").contains(name);
        rated["nodes"].as_array().unwrap().iter().find(is_it).unwrap_or_else(|| panic!("no {name} in {rated}")).clone()
    };
    // All that is measured, and what comes out of each sink.
    assert_eq!(of("source", "a")["flow"], of("sink", "plain")["flow"]);
    assert_eq!(of("transformer", "delta")["flow"], of("sink", "rates")["flow"]);
    assert!(of("publisher", "/plain")["books"]["delivered"].is_u64() && of("output", "samples")["books"].is_object());
    let shown = folder.run("pipeline graph").is(0);
    assert!(shown.stderr.is_empty(), "{}", shown.stderr);
    shown.says(" in the last slot, ").says("/s)").says(" delivered, ").says(" lost)");
    folder.run("pipeline graph --format dot").is(0).says(" in the last slot, ");
    assert_eq!(folder.run("pipeline graph --offline").is(0).stdout, offline.stdout);
    daemon.end();
}
