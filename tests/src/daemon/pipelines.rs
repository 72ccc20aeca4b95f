//! Ceilometer's pipeline.yaml: which samples become what, and who gets them.

use std::collections::HashMap;

use rustix::process::Signal;
use serde_json::Value;

use super::CALM;
use crate::support::program::{Folder, MITAKA, of_meter, samples_so_far, text, until};
use crate::support::resources;

/// A folder whose `pipeline.yaml` this is, with the folder's path for FOLDER.
pub(super) fn piping(pipeline: &str, config: &str) -> Folder {
    let folder = Folder::new(&format!("hypervisor: {CALM}\npipeline: pipeline.yaml\n{config}"));
    folder.pipe_samples(pipeline);
    folder
}

/// Volumes of a meter by resource and time.
pub(super) fn volumes(samples: &[Value], meter: &str) -> HashMap<(String, String), f64> {
    let at = |sample: &&Value| (text(sample, "resource_id").to_owned(), text(sample, "timestamp").to_owned());
    of_meter(samples, meter).iter().map(|sample| (at(sample), sample["counter_volume"].as_f64().unwrap())).collect()
}

/// By how much a meter of a resource grew between the times of its samples, and in how many seconds.
pub(super) fn growth(samples: &[Value], meter: &str) -> HashMap<(String, String), (f64, f64)> {
    let mut last: HashMap<&str, (f64, f64)> = HashMap::new();
    let mut grown = HashMap::new();
    for sample in of_meter(samples, meter) {
        let (id, at) = (text(sample, "resource_id"), text(sample, "timestamp").to_owned());
        let now = (sample["counter_volume"].as_f64().unwrap(), sample["monotonic_time"].as_f64().unwrap());
        if let Some(last) = last.insert(id, now) {
            grown.insert((id.to_owned(), at), (now.0 - last.0, now.1 - last.1));
        }
    }
    grown
}

/// A meter is the rate of another: as often as that grew, and so much of it.
pub(super) fn is_rate(all: &[Value], meter: &str, rates: &[Value], rate: &str, of: impl Fn(&str) -> f64) -> usize {
    let (grown, rates) = (growth(all, meter), volumes(rates, rate));
    assert_eq!(grown.len(), rates.len(), "{rate}");
    for (key, (grown, seconds)) in &grown {
        let wanted = grown / seconds * of(&key.0);
        let is = rates[key];
        assert!((is - wanted).abs() <= wanted.abs() * 1e-6 + 1e-9, "{rate} of {key:?}: {is}, not {wanted}");
    }
    grown.len()
}

#[test]
fn mitakas_own_file_works() {
    let folder = piping(MITAKA, "outputs: [{file: measured}]");
    folder.run("run --cycles 3").is(0);
    let (all, rates, deltas) = (folder.samples("all"), folder.samples("rates"), folder.samples("deltas"));
    let vcpus = volumes(&all, "vcpus");
    let of = |id: &str| vcpus.iter().find(|((of, _), _)| of == id).map(|(_, vcpus)| 100.0 / (1e9 * vcpus)).unwrap();
    assert_eq!(is_rate(&all, "cpu", &rates, "cpu_util", of), 10);
    let once = |_: &str| 1.0;
    assert_eq!(is_rate(&all, "disk.device.read.bytes", &rates, "disk.device.read.bytes.rate", once), 20);
    assert_eq!(is_rate(&all, "network.incoming.bytes", &rates, "network.incoming.bytes.rate", once), 10);
    assert_eq!(is_rate(&all, "network.outgoing.packets", &rates, "network.outgoing.packets.rate", once), 10);
    for sample in of_meter(&rates, "disk.device.read.bytes.rate") {
        assert_eq!((text(sample, "counter_unit"), text(sample, "counter_type")), ("B/s", "gauge"));
    }
    for sample in of_meter(&rates, "cpu_util") {
        assert_eq!((text(sample, "counter_unit"), text(sample, "counter_type")), ("%", "gauge"));
        assert!(sample["resource_metadata"]["display_name"].is_string(), "{sample}");
    }
    let grown = growth(&all, "cpu");
    let deltas_of = volumes(&deltas, "cpu.delta");
    assert_eq!(deltas_of.len(), 10);
    for (key, delta) in deltas_of {
        assert!((delta - grown[&key].0).abs() < 16.0, "{delta}, and {:?} as reals", grown[&key]);
    }
    assert_eq!(deltas.len(), 10, "a sink gives what comes out of it");
    // Outputs outside of pipelines get what is measured, whatever pipelines do.
    assert_eq!(folder.samples("measured"), all);
}

/// Every sample is somewhere, and each publisher's books are about its own samples.
#[test]
fn books_of_publishers_are_about_their_own_samples() {
    let folder = piping(MITAKA, "outputs: [{file: measured}]");
    let daemon = folder.start("run");
    until("rates", || (!samples_so_far(&folder.read("rates")).is_empty()).then_some(()));
    daemon.signal(Signal::TERM);
    daemon.wait(0);
    let status = folder.run("spool status --json").is(0).json();
    for file in ["all", "rates", "deltas", "measured"] {
        let publishers = status["publishers"].as_array().unwrap();
        let of = |book: &&Value| text(book, "name").ends_with(file);
        let book = publishers.iter().find(of).unwrap_or_else(|| panic!("no {file} in {status}"));
        assert_eq!(book["delivered"].as_u64().unwrap() as usize, folder.samples(file).len(), "{book}");
        assert_eq!(book["measured"], book["delivered"], "{book}");
    }
}

/// What a chain remembers outlives a reload that changes something else.
#[test]
fn a_chain_remembers_over_a_reload() {
    let folder = piping(MITAKA, "");
    let daemon = folder.start("run");
    let rates = || of_meter(&samples_so_far(&folder.read("rates")), "cpu_util").len();
    until("rates", || (rates() > 0).then_some(()));
    folder.pipe_samples(&MITAKA.replace("growth_only: True", "growth_only: False"));
    daemon.signal(Signal::HUP);
    let seen = rates();
    until("more rates", || (rates() >= seen + 15).then_some(()));
    daemon.end();
    let all = folder.samples("all");
    let of = |_: &str| 1.0;
    assert_eq!(growth(&all, "cpu").len(), of_meter(&folder.samples("rates"), "cpu_util").len());
    let _ = is_rate(&all, "network.incoming.bytes", &folder.samples("rates"), "network.incoming.bytes.rate", of);
}

/// A restart of less than an interval costs no rate, and neither does another version of the module. Other parameters
/// begin anew, and that is said.
#[test]
fn a_chain_remembers_over_restarts_and_upgrades() {
    let pipeline = r#"
sources: [{name: a, interval: 1, meters: [network.incoming.bytes], sinks: [rates]}]
sinks: [{name: rates, transformers: [{name: mine, parameters: {target: {name: net.rate}}}],
         publishers: ["file://FOLDER/rates?json"]}]
"#;
    let folder = piping(pipeline, "modules: {mine: {file: mine.wasm}}\noutputs: [{file: measured}]");
    let module = wasmeter::modules::built_in().find(|module| module.name == "rate_of_change").unwrap().wasm;
    folder.write("mine.wasm", module);
    let rates = || folder.samples("rates").len();
    folder.run("run --cycles 2").is(0);
    assert_eq!(rates(), 5, "the first has no one before it");
    folder.run("run --cycles 2").is(0);
    assert_eq!(rates(), 15);
    // The same with other bytes: an empty section that has a name.
    folder.write("mine.wasm", [module, &[0, 2, 1, b'x']].concat());
    folder.run("run --cycles 2").is(0);
    assert_eq!(rates(), 25);
    let of = |_: &str| 1.0;
    assert_eq!(
        is_rate(&folder.samples("measured"), "network.incoming.bytes", &folder.samples("rates"), "net.rate", of),
        25
    );
    folder.pipe_samples(&pipeline.replace("net.rate", "net.speed"));
    let ran = folder.run("run --cycles 2").is(0);
    ran.complains("What some modules remembered is forgotten");
    assert_eq!(rates(), 30);
}

/// Samples that a transformer held back are lost with what it remembered, be that over a reload or a restart, and
/// counted.
#[test]
fn what_waits_in_a_chain_that_becomes_another_is_counted() {
    let pipeline = r#"
sources:
    - {name: a, interval: 1, meters: [cpu], sinks: [held, mean]}
    - {name: b, interval: 1, meters: [vcpus], sinks: [apart]}
sinks:
    - {name: held, transformers: [{name: accumulator, parameters: {size: 1000}}], publishers: [test]}
    - {name: mean, transformers: [{name: aggregator, parameters: {size: 2000}}], publishers: [test]}
    - name: apart
      transformers: [{name: arithmetic, parameters: {target: {name: load, expr: '$(vcpus) + $(cpu)'}}}]
      publishers: ["file://FOLDER/apart?json"]
"#;
    let folder = piping(pipeline, "outputs: [{file: measured}]");
    let daemon = folder.start("run");
    let measured = || of_meter(&samples_so_far(&folder.read("measured")), "cpu").len();
    until("three slots", || (measured() >= 15).then_some(()));
    folder.pipe_samples(&pipeline.replace("1000", "1001").replace("2000", "2001").replace("load", "loads"));
    daemon.signal(Signal::HUP);
    let forgotten = || folder.run("losses --json").is(0).json()["unmeasured"]["forgotten"].clone();
    let counts = until("losses", || forgotten().as_object().filter(|counts| counts.len() == 3).cloned());
    let measured = measured() as u64;
    for (module, least) in [("held:accumulator", 15), ("mean:aggregator", 15), ("apart:arithmetic", 5)] {
        let count = counts[module].as_u64().unwrap();
        assert!(count >= least && count <= measured && count % 5 == 0, "{module}: {count} of {measured}");
    }
    assert_eq!(counts["apart:arithmetic"], 5, "a newer sample takes the place of one that waits");
    folder.run("losses").is(0).says("forgotten");
    daemon.end();
    folder.pipe_samples(&pipeline.replace("1000", "1002"));
    let ran = folder.run("run --cycles 1").is(0);
    ran.complains("What some modules remembered is forgotten").complains("samples_forgotten=");
}

/// Nothing is measured for a sink any more: what waits in it comes out in time all the same.
#[test]
fn what_waits_comes_out_though_nothing_comes_in() {
    let pipeline = r#"
sources:
    - {name: a, interval: 1, meters: [cpu], sinks: [last, plain]}
    - {name: b, interval: 1, meters: [vcpus], sinks: [others]}
sinks:
    - name: last
      transformers: [{name: aggregator, parameters: {size: 0, retention_time: 10, timestamp: last}}]
      publishers: ["file://FOLDER/last?json"]
    - {name: plain, publishers: ["file://FOLDER/plain?json"]}
    - {name: others, publishers: ["file://FOLDER/others?json"]}
"#;
    let folder = piping(pipeline, "");
    let daemon = folder.start("run");
    let volumes = |file: &str| volumes(&samples_so_far(&folder.read(file)), "cpu");
    until("slots", || (volumes("plain").len() >= 10).then_some(()));
    folder.pipe_samples(&pipeline.replace("interval: 1, meters: [cpu]", "interval: 3600, meters: [cpu]"));
    daemon.signal(Signal::HUP);
    // Each guest's last sample is let go of, in a slot of the other source.
    until("what waits", || {
        let (plain, last) = (volumes("plain"), volumes("last"));
        let latest = plain.keys().map(|(_, time)| time).max()?;
        let mut of_latest = plain.iter().filter(|((_, time), _)| time == latest);
        of_latest.all(|(at, volume)| last.get(at) == Some(volume)).then_some(())
    });
    daemon.end();
}

#[test]
fn one_that_is_refused_is_named_with_its_line() {
    let pipeline = r#"
sources:
    - {name: a, interval: 1, meters: [cpu, memory], sinks: [bad]}
sinks:
    - name: bad
      transformers:
          - {name: delta, parameters: {target: {name: both}}}
          - {name: disk, parameters: {}}
          - {name: nothing, parameters: {}}
      publishers: ["udp://", "nothing://"]
"#;
    let ran = piping(pipeline, "").run("run --cycles 1").is(64);
    ran.complains("pipeline.yaml:10:20: error:").complains("there is no publisher `nothing`");
    let ran = piping(&pipeline.replace(r#""udp://", "nothing://""#, "test"), "").run("run --cycles 1").is(64);
    ran.complains("pipeline.yaml:7:49: error: the transformer delta of the sink bad: target.name is both")
        .complains("pipeline.yaml:9:14: error: sink `bad`: No transformer named nothing loaded");
}

/// A transformer that fails loses its own output only.
#[test]
fn one_that_fails_costs_its_own_output() {
    let pipeline = r#"
sources:
    - {name: a, interval: 1, meters: [probe.dynamic.*], sinks: [good, bad]}
    - {name: b, interval: 1, meters: [cpu], sinks: [good]}
sinks:
    - {name: good, publishers: ["file://FOLDER/good?json"]}
    - name: bad
      transformers: [{name: delta, parameters: {target: {name: both}}}]
      publishers: ["file://FOLDER/bad?json"]
"#;
    let config = format!(
        "modules: {{probe: {{file: {}, config: {{meters: [probe.dynamic.one, probe.dynamic.two]}}}}}}",
        resources()
    );
    let folder = piping(pipeline, &config);
    let ran = folder.run("run --cycles 2").is(0);
    ran.complains("target.name is both, but probe.dynamic.one, probe.dynamic.two").complains("module=bad:delta");
    let good = folder.samples("good");
    assert_eq!((of_meter(&good, "cpu").len(), of_meter(&good, "probe.dynamic.one").len()), (10, 10));
    assert_eq!(folder.read("bad"), "");
}

/// Transformers that hold samples back lose nothing where their calls are cut because fuel is tight.
#[test]
fn samples_that_wait_outlast_calls_that_are_cut() {
    let pipeline = r#"
sources: [{name: a, interval: 1, meters: [cpu], sinks: [waits, sums, grown, plain]}]
sinks:
    - name: waits
      transformers: [{name: accumulator, parameters: {size: 900}}]
      publishers: ["file://FOLDER/waits?json"]
    - name: sums
      transformers:
          - {name: delta, parameters: {growth_only: false}}
          - {name: aggregator, parameters: {size: 900}}
      publishers: ["file://FOLDER/sums?json"]
    - name: grown
      transformers: [{name: delta, parameters: {growth_only: false}}]
      publishers: ["file://FOLDER/grown?json"]
    - {name: plain, publishers: ["file://FOLDER/plain?json"]}
"#;
    let folder = Folder::new("");
    folder.pipe_samples(pipeline);
    let configure = |limits: &str| {
        let hypervisor = "sim://?domains=600&calm=true&disks=1&nics=1";
        let modules = format!("{{accumulator: {{{limits}}}, aggregator: {{{limits}}}}}");
        folder.configure(&format!("hypervisor: {hypervisor}\npipeline: pipeline.yaml\nmodules: {modules}\n"));
    };
    // Enough for some guests, and not for all of them.
    configure("fuel_base: 1000000, fuel_per_resource: 1, deadline: 30s");
    let ran = folder.run("run --cycles 4").is(0);
    ran.complains("resources_lost=0");
    let (plain, waits) = (folder.samples("plain").len(), folder.samples("waits").len());
    // What comes out of calls with all guests is what came in, in the second slot and in the fourth.
    assert!(plain == 2_400 && waits < plain, "{waits} of {plain}");
    // Calls with all guests let go of the rest.
    configure("deadline: 30s");
    folder.run("run --cycles 2").is(0).complains("resources_lost=0");
    let all = folder.samples("plain");
    let last = all.iter().map(|sample| text(sample, "timestamp")).max().unwrap();
    let at = |sample: &Value| (text(sample, "timestamp").to_owned(), text(sample, "resource_id").to_owned());
    let sorted = |mut times: Vec<(String, String)>| {
        times.sort_unstable();
        times
    };
    let waits = sorted(folder.samples("waits").iter().map(at).collect());
    let plain = sorted(all.iter().map(at).collect());
    // Only what the last slot brought may still wait.
    let before: Vec<_> = plain.iter().filter(|(time, _)| time != last).cloned().collect();
    assert!(waits == plain || waits == before, "{} of {}", waits.len(), plain.len());
    let (sums, grown) = (folder.samples("sums"), folder.samples("grown"));
    let sum = |samples: &[Value], until: &str| -> f64 {
        let before = samples.iter().filter(|sample| text(sample, "timestamp") < until);
        before.map(|sample| sample["counter_volume"].as_f64().unwrap()).sum()
    };
    let came = sum(&sums, "9");
    let is = |wanted: f64| (came / wanted - 1.0).abs() < 1e-9;
    assert!(is(sum(&grown, "9")) || is(sum(&grown, last)), "{came} of {}", sum(&grown, "9"));
}

#[test]
fn chains_hand_samples_on() {
    let pipeline = r#"
sources:
    - {name: a, interval: 1, meters: [network.incoming.bytes], sinks: [chain, plain]}
    - {name: b, interval: 1, meters: ["!cpu"], sinks: [plain]}
sinks:
    - name: chain
      transformers:
          - {name: delta, parameters: {target: {name: Grown}}}
          - {name: unit_conversion, parameters: {target: {name: grown.kib, unit: KiB, scale: "volume / 1024.0"}}}
      publishers: ["file://FOLDER/chain?json"]
    - {name: plain, publishers: ["file://FOLDER/plain?json", "gnocchi://"]}
"#;
    let folder = piping(pipeline, "");
    let ran = folder.run("run --cycles 3").is(0);
    ran.complains("the publisher gnocchi:// is not there yet; the sink does without");
    let (chain, plain) = (folder.samples("chain"), folder.samples("plain"));
    assert_eq!((chain.len(), of_meter(&chain, "grown.kib").len()), (10, 10), "{chain:?}");
    assert!(of_meter(&plain, "cpu").is_empty() && !of_meter(&plain, "memory").is_empty());
    let grown = growth(&plain, "network.incoming.bytes");
    for (key, kib) in volumes(&chain, "grown.kib") {
        assert!((kib - grown[&key].0 / 1024.0).abs() < 1e-6);
    }
    assert_eq!(of_meter(&plain, "network.incoming.bytes").len(), 15, "two pipelines, one publisher: each sample once");
}
