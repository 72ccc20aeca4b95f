//! A restart costs no transformer what it remembers, be the daemon terminated or killed.

use std::collections::BTreeMap;

use rustix::process::Signal;
use serde_json::Value;

use super::pipelines::{growth, is_rate, piping, volumes};
use crate::delivery::samples_of_killed;
use crate::support::program::{Folder, of_meter, samples_so_far, text, until};

const GUESTS: usize = 5;
/// Slots that come out together.
const TOGETHER: usize = 7;

const PIPELINE: &str = r#"
sources:
    - {name: network, meters: [network.incoming.bytes], sinks: [rates, deltas, held, sums, scaled, named, crossed]}
    - {name: both, meters: [memory, vcpus], sinks: [product]}
sinks:
    - name: rates
      transformers: [{name: rate_of_change, parameters: {target: {name: net.rate}}}]
      publishers: ["file://FOLDER/rates?json"]
    - name: deltas
      transformers: [{name: delta, parameters: {target: {name: net.delta}}}]
      publishers: ["file://FOLDER/deltas?json"]
    - name: held
      transformers: [{name: accumulator, parameters: {size: 35}}]
      publishers: ["file://FOLDER/held?json"]
    - name: sums
      transformers: [{name: delta, parameters: {target: {name: net.sum}}}, {name: aggregator, parameters: {size: 35}}]
      publishers: ["file://FOLDER/sums?json"]
    - name: scaled
      transformers: [{name: unit_conversion, parameters: {target: {name: net.bits, unit: bit, scale: 8}}}]
      publishers: ["file://FOLDER/scaled?json"]
    - name: named
      transformers: [{name: relabel, parameters: {rules: [{rename: {from: '$', to: .named}}]}}]
      publishers: ["file://FOLDER/named?json"]
    - name: crossed
      transformers: [{name: threshold, parameters: {above: 0, target: {name: net.busy}}}]
      publishers: ["file://FOLDER/crossed?json"]
    - name: product
      transformers:
          - name: arithmetic
            parameters: {target: {name: product, unit: '', type: gauge, expr: '$(memory) * $(vcpus)'}}
      publishers: ["file://FOLDER/product?json"]
"#;

/// Runs, is ended by a signal with samples of some slots held back, and runs again until they have come out.
fn restarted(signal: Signal) -> Folder {
    let folder = piping(PIPELINE, "polling: polling.yaml\noutputs: [{file: measured}]");
    folder.poll(&["network.incoming.bytes", "memory"]);
    let count = |file: &str, meter: &str| of_meter(&samples_so_far(&folder.read(file)), meter).len();
    let daemon = folder.start("run");
    until("some slots", || (count("measured", "network.incoming.bytes") >= 3 * GUESTS).then_some(()));
    daemon.signal(signal);
    if signal == Signal::KILL {
        daemon.kill()
    } else {
        daemon.wait(0)
    };
    assert_eq!((count("product", "product"), count("held", "network.incoming.bytes") % (TOGETHER * GUESTS)), (0, 0));
    // What waits for the other meter is of the run before.
    folder.poll(&["network.incoming.bytes", "vcpus"]);
    let out = || [count("held", "network.incoming.bytes"), count("sums", "net.sum")];
    let before = out();
    let daemon = folder.start("run");
    until("what was held back", || out().iter().zip(before).all(|(now, before)| *now > before).then_some(()));
    until("what waited", || (count("product", "product") > 0).then_some(()));
    let log = daemon.end();
    assert!(!log.contains("is forgotten") && !log.contains("dropped"), "{log}");
    folder
}

/// What each resource has of a meter, in order of time.
fn by_resource(samples: &[Value], meter: &str) -> BTreeMap<String, Vec<f64>> {
    let mut all: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for sample in of_meter(samples, meter) {
        let volume = sample["counter_volume"].as_f64().unwrap();
        all.entry(text(sample, "resource_id").to_owned()).or_default().push(volume);
    }
    assert_eq!(all.len(), GUESTS, "{meter}");
    all
}

fn all_go_on_after(signal: Signal) {
    let folder = restarted(signal);
    let of = |file: &str| samples_of_killed(&folder.read(file), usize::from(signal == Signal::KILL));
    let measured = of("measured");
    let bytes = by_resource(&measured, "network.incoming.bytes");
    let slots = bytes.values().next().unwrap().len();
    assert!(slots >= TOGETHER, "{slots}");

    // Each slot but the first has its rate and its delta, that of the restart as well.
    assert_eq!(is_rate(&measured, "network.incoming.bytes", &of("rates"), "net.rate", |_| 1.0), GUESTS * (slots - 1));
    let (grown, deltas) = (growth(&measured, "network.incoming.bytes"), volumes(&of("deltas"), "net.delta"));
    assert_eq!(deltas.len(), GUESTS * (slots - 1));
    assert!(deltas.iter().all(|(key, delta)| grown[key].0 == *delta));

    // What was held back came out with what followed, none of it twice.
    let held = by_resource(&of("held"), "network.incoming.bytes");
    let sums = by_resource(&of("sums"), "net.sum");
    for (id, bytes) in &bytes {
        let out = slots / TOGETHER * TOGETHER;
        assert_eq!(held[id], bytes[..out], "{id}");
        // Deltas begin a slot later.
        let out = (slots - 1) / TOGETHER;
        let grown = |block: usize| bytes[(block + 1) * TOGETHER] - bytes[block * TOGETHER];
        assert_eq!(sums[id], (0..out).map(grown).collect::<Vec<_>>(), "{id}");
    }

    // What has no memory has no gap, and what is raised is not raised again.
    let scaled = by_resource(&of("scaled"), "net.bits");
    assert!(bytes.iter().all(|(id, bytes)| scaled[id] == bytes.iter().map(|bytes| bytes * 8.0).collect::<Vec<_>>()));
    assert_eq!(by_resource(&of("named"), "network.incoming.bytes.named"), bytes);
    let crossed = by_resource(&of("crossed"), "net.busy");
    assert!(crossed.values().all(|changes| *changes == [1.0]), "{crossed:?}");

    // The samples that waited were of before, and those that they waited for came after.
    let (memory, vcpus) = (by_resource(&measured, "memory"), by_resource(&measured, "vcpus"));
    for (id, product) in by_resource(&of("product"), "product") {
        assert_eq!(product, [memory[&id][0] * vcpus[&id][0]], "{id}");
    }
}

#[test]
fn transformers_go_on_after_a_restart() {
    all_go_on_after(Signal::TERM);
}

#[test]
fn transformers_go_on_after_they_were_killed() {
    all_go_on_after(Signal::KILL);
}
