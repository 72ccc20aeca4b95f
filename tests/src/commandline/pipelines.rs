//! What is said about `pipeline.yaml` before anything runs.

use crate::support::program::Folder;

const SIM: &str = "sim://?domains=1&calm=true";

/// A folder with this `pipeline.yaml`; all is measured every second.
fn folder(config: &str, pipeline: &str) -> Folder {
    let folder = Folder::measuring(SIM, &format!("pipeline: pipeline.yaml\n{config}"));
    folder.write("pipeline.yaml", pipeline);
    folder
}

const CPU: &str = "sources:
  - {name: all, meters: ['*'], sinks: [everything]}
  - {name: cpu, meters: [cpu], sinks: [cpu_util, everything]}
sinks:
  - {name: everything, publishers: ['http://me:hunter2@host/samples']}
  - name: cpu_util
    transformers: [{name: rate_of_change, parameters: {target: {name: cpu_util}}}]
    publishers: [test, 'http://me:hunter2@host/samples']
";

#[test]
fn pipelines_are_checked_and_shown() {
    let folder = folder("", CPU);
    let ran = folder.run("check").is(0).says("\nready to run\n");
    let ran = ran.says("pipeline    all:everything: * -> http://***@host/samples\n");
    let ran = ran.says("pipeline    cpu:cpu_util: cpu -> rate_of_change -> test://, http://***@host/samples\n");
    let report = folder.run("check --json").is(0).json();
    assert_eq!(
        report["pipelines"][1],
        serde_json::json!({
            "name": "cpu:cpu_util", "source": "cpu", "meters": ["cpu"], "sink": "cpu_util",
            "transformers": ["rate_of_change"], "publishers": ["test://", "http://***@host/samples"],
        })
    );
    assert_eq!(report["config"]["pipeline"]["pipelines"].as_array().map(Vec::len), Some(3));
    let graph = folder.run("pipeline graph").is(0);
    assert_eq!(
        graph.stdout,
        "all: *\n  -> everything -> http://***@host/samples\ncpu: cpu\n  -> cpu_util -> rate_of_change -> test://, \
         http://***@host/samples\n  -> everything -> http://***@host/samples\n"
    );
    let dot = folder.run("pipeline graph --format dot").is(0).says("digraph pipelines {\n");
    let json = folder.run("pipeline graph --format json").is(0);
    assert_eq!(json.json()["nodes"].as_array().map(Vec::len), Some(7));
    for shown in [&ran.stdout, &graph.stdout, &dot.stdout, &json.stdout, &report.to_string()] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn problems_of_pipelines_are_named() {
    for (config, pipeline, words) in [
        ("", "sources: []\n", "pipeline.yaml:1:1: error: Both sources & sinks are required."),
        (
            "",
            &CPU.replace("rate_of_change", "mine"),
            "pipeline.yaml:7:21: error: sink `cpu_util`: No transformer named mine loaded. Name one of accumulator,",
        ),
        (
            "modules: {mine: {}}",
            &CPU.replace("rate_of_change", "mine"),
            "pipeline.yaml:7:21: error: sink `cpu_util`: No transformer named mine loaded.",
        ),
        ("", &CPU.replace("sinks: [cpu_util,", "sinks: [cpu,"), "Dangling sink cpu from source cpu."),
    ] {
        folder(config, pipeline).run("check").is(64).says(words).says("not ready to run");
    }
    let measured = CPU.replace("{name: all,", "{name: all, interval: 60,");
    let words =
        "pipeline.yaml:2:6: warning: source `all`: `interval` has no effect: polling.yaml says what is measured";
    folder("", &measured).run("check").is(0).says(words).says("ready to run, with warnings");
}

/// As a file of Mitaka's does.
#[test]
fn pipelines_may_say_what_is_measured() {
    let folder = Folder::new(&format!("hypervisor: {SIM}\npipeline: pipeline.yaml\n"));
    folder
        .write("pipeline.yaml", CPU.replace("{name: all, meters: ['*']", "{name: all, interval: 5, meters: ['!cpu']"));
    let words =
        "pipeline.yaml:3:6: warning: source `cpu`: other sources have an `interval`; this one is measured every";
    folder.run("check").is(0).says(words);
    let report = folder.run("check --json").is(0).json();
    let sources = report["config"]["polling"]["sources"].as_array().unwrap();
    let intervals: Vec<_> = sources.iter().map(|source| (&source["name"], &source["interval"])).collect();
    assert_eq!(serde_json::json!(intervals), serde_json::json!([["all", 5], ["cpu", 600]]));
    let ran = folder.run("explain cpu instance-00000001");
    assert!(ran.stdout.contains("sources  cpu, every 600 s, pipeline.yaml:3"), "{}{}", ran.stdout, ran.stderr);
}
