//! Receivers of OpenTelemetry's protocol that read by its official definitions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use wasmeter_rig::{Proxy, or_say};

use super::receiver::Receiver;
use super::{GROWTH, GUESTS, books, sending, until_measured, until_said};
use crate::support::program::{Folder, text, until};

const WAITS: &str = "Samples cannot be delivered; they wait in the spool.";
const AGAIN: &str = "Samples are delivered again.";
const LOST: &str = "The server will never take some samples";

/// All go by the name `cpu`: what is measured, and what three sinks make of it.
const ALIKE: &str = r"
sources:
    - {name: cpu_source, meters: [cpu], sinks: [measured, scaled, grown, rated]}
sinks:
    - {name: measured, transformers: [], publishers: ['URL']}
    - name: scaled
      transformers: [{name: unit_conversion, parameters: {target: {name: cpu, unit: us, type: cumulative, scale: 'SCALE'}}}]
      publishers: ['URL']
    - name: grown
      transformers: [{name: delta, parameters: {target: {name: cpu}}}]
      publishers: ['URL']
    - name: rated
      transformers: [{name: rate_of_change, parameters: {target: {name: cpu, unit: '%', type: gauge}}}]
      publishers: ['URL']
";

/// What tells samples apart: the meter, the resource and the time.
type Key = (String, String, i64);

/// What came, by what it is of.
fn arrived(receiver: &Receiver) -> BTreeMap<Key, Value> {
    let key = |point: &Value| {
        let (name, id) = (text(point, "name").to_owned(), text(&point["attributes"], "resource_id").to_owned());
        (name, id, point["time"].as_i64().unwrap() / 1000)
    };
    receiver.received().into_iter().map(|point| (key(&point), point)).collect()
}

/// What was measured, by the same; times are known to the microsecond.
fn known(measured: &[Value]) -> BTreeMap<Key, &Value> {
    let key = |sample: &Value| {
        let time: jiff::civil::DateTime = text(sample, "timestamp").parse().unwrap();
        let time = jiff::tz::TimeZone::UTC.to_timestamp(time).unwrap().as_microsecond();
        (text(sample, "counter_name").to_owned(), text(sample, "resource_id").to_owned(), time)
    };
    measured.iter().map(|sample| (key(sample), sample)).collect()
}

/// A point says what its sample says.
fn is_of(point: &Value, sample: &Value) {
    assert_eq!(point["value"].as_f64(), sample["counter_volume"].as_f64(), "{point} of {sample}");
    assert_eq!(point["value"].is_f64(), sample["counter_volume"].is_f64(), "{point} of {sample}");
    let unit = match text(sample, "counter_unit") {
        "ns" => "ns",
        "B" => "By",
        "MiB" => "MiBy",
        other => panic!("{other}"),
    };
    assert_eq!(point["unit"], unit);
    let (kind, monotonic, temporality) = match text(sample, "counter_type") {
        "cumulative" => ("sum", true, Value::from("AGGREGATION_TEMPORALITY_CUMULATIVE")),
        "delta" => ("sum", false, Value::from("AGGREGATION_TEMPORALITY_DELTA")),
        _ => ("gauge", false, Value::from(false)),
    };
    assert_eq!((&point["kind"], &point["monotonic"]), (&kind.into(), &monotonic.into()), "{point}");
    assert_eq!(point["temporality"], temporality);
    let (start, time) = (point["start"].as_i64().unwrap(), point["time"].as_i64().unwrap());
    if kind == "sum" {
        assert!(0 < start && start <= time, "{point}")
    } else {
        assert_eq!(start, 0)
    }
    assert_eq!((&point["flags"], &point["scope"]), (&0.into(), &"wasmeter".into()));
    assert_eq!(point["scope_attributes"], json!({}), "it was measured");
    let (resource, metadata) = (&point["resource"], &sample["resource_metadata"]);
    assert_eq!(resource["host.id"], metadata["instance_id"], "{point} of {sample}");
    assert_ne!(resource["service.instance.id"], metadata["instance_id"], "the daemon serves, not the guest");
    assert_eq!(resource["host.name"], metadata["display_name"]);
    assert_eq!(resource["cloud.account.id"], sample["project_id"]);
    assert_eq!(point["attributes"]["project_id"], sample["project_id"]);
    assert_eq!(point["attributes"]["user_id"], sample["user_id"]);
}

/// Away, without room, picky, and taking a part: with these statuses for the last two.
fn receives(kind: &str, protocol: &str, later: &str, never: &str) {
    let Some(receiver) = or_say(Receiver::start(kind, &[])) else { return };
    let proxy = Proxy::start(receiver.port()).unwrap();
    proxy.refuse();
    let output = format!(
        "- {{name: otlp, opentelemetry: {{url: 'http://meter:hush%2Fhush@127.0.0.1:{}', protocol: {protocol}, \
         timeout: 2s, batch_size: 15, headers: {{X-Token: s3cret}}}}}}",
        proxy.port()
    );
    let folder = sending(GUESTS, &output, GROWTH);
    folder.poll(&["cpu", "memory.usage", "network.incoming.bytes"]);
    let daemon = folder.start_by_shell("exec env WASMETER_LOG=trace \"$wasmeter\" run -c wasmeter.yaml");
    until_said(&daemon, WAITS, 1);
    until_measured(&folder, 1);
    proxy.heal().unwrap();
    until_said(&daemon, AGAIN, 1);
    receiver.until_received(1);
    receiver.behave(&format!("status {later}"));
    until_said(&daemon, WAITS, 2);
    receiver.behave("most 4");
    until_said(&daemon, AGAIN, 2);
    receiver.until_received(20);
    proxy.cut();
    receiver.behave(&format!("status {never} cpu"));
    until_said(&daemon, LOST, 1);
    receiver.behave("partial 2");
    until_said(&daemon, "not these", 1);
    receiver.behave("take");
    until_measured(&folder, 1);
    let log = daemon.end();
    for secret in ["hush/hush", "hush%2Fhush", "bWV0ZXI6aHVzaC9odXNo", "s3cret"] {
        assert!(!log.contains(secret), "{secret} in:\n{log}");
    }

    let (arrived, measured) = (arrived(&receiver), folder.samples("samples"));
    let known = known(&measured);
    assert_eq!(known.len(), measured.len(), "nothing else tells samples apart");
    let mut kinds = BTreeMap::new();
    for (key, point) in &arrived {
        is_of(point, known[key]);
        *kinds.entry(text(known[key], "counter_type")).or_insert(0) += 1;
    }
    assert_eq!(kinds.len(), 3, "{kinds:?}");
    let missing = measured.len() - arrived.len();
    assert!(missing > 2);
    assert_eq!(books(&folder, "otlp", &measured), (0, [("refused", missing as u64)].into()));
}

#[test]
fn over_http() {
    receives("otlp-http", "http", "503", "400");
}

#[test]
fn over_grpc() {
    receives("otlp-grpc", "grpc", "14", "3");
}

/// When the points of a guest from one writer begin, by their times, as they came first.
fn points(receiver: &Receiver, guest: &str, sink: Option<&str>) -> BTreeMap<i64, i64> {
    let is_of =
        |point: &Value| point["attributes"]["resource_id"] == guest && point["attributes"]["sink"] == json!(sink);
    let mut points = BTreeMap::new();
    for point in receiver.received().into_iter().filter(is_of) {
        points.entry(point["time"].as_i64().unwrap()).or_insert(point["start"].as_i64().unwrap());
    }
    points
}

/// Each stream has one writer, whatever it is called, and goes on over starts of the daemon as its counter does.
#[test]
fn streams_have_one_writer_and_outlive_it() {
    let Some(receiver) = or_say(Receiver::start("otlp-http", &[])) else { return };
    let folder = Folder::measuring("sim://?domains=2&seed=1&calm=true", "outputs: []\npipeline: pipeline.yaml\n");
    folder.poll(&["cpu"]);
    let url = format!("opentelemetryhttp://127.0.0.1:{}/v1/metrics", receiver.port());
    let runs = [("volume / 1000", true), ("volume / 10**6", false), ("volume / 10**9", true)];
    // How many points of each stream came in which run.
    let (mut guest, mut ends) = (String::new(), Vec::new());
    for (scale, ends_well) in runs {
        folder.pipe_samples(&ALIKE.replace("URL", &url).replace("SCALE", scale));
        let daemon = folder.start("run");
        receiver.until_received(1);
        guest = text(&receiver.received()[0]["attributes"], "resource_id").to_owned();
        let rates = || points(&receiver, &guest, Some("rated")).len();
        let before = rates();
        until("rates", || (rates() >= before + 3).then_some(()));
        let log = if ends_well { daemon.end() } else { daemon.kill() };
        let mut warnings = log.lines().filter(|line| line.contains("WARN"));
        assert!(warnings.all(|line| line.contains("Slots were left out")), "{log}");
        ends.push(*points(&receiver, &guest, None).last_key_value().unwrap().0);
    }

    let mut metrics: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut streams: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for mut point in receiver.received() {
        assert_eq!((text(&point, "name"), &point["attributes"]["sink"]), ("cpu", &point["scope_attributes"]["sink"]));
        let metric = format!("{} {}", point["resource"], point["scope_attributes"]);
        let kind = format!("{} {} {} {}", point["kind"], point["unit"], point["monotonic"], point["temporality"]);
        metrics.entry(metric).or_default().insert(kind);
        // Not everybody looks at resources and scopes.
        let stream = format!("{} {}", point["attributes"], point["time"]);
        if point["attributes"]["sink"] == "grown" {
            // Delivered again after it was killed, a difference does not know which one was before it.
            point["start"].take();
        }
        streams.entry(stream).or_default().insert(format!("{point}"));
    }
    assert!(metrics.len() == 8 && metrics.values().all(|kinds| kinds.len() == 1), "{metrics:#?}");
    assert!(streams.values().all(|points| points.len() == 1), "{streams:#?}");

    let starts = |points: &BTreeMap<i64, i64>, run: usize| -> BTreeSet<i64> {
        let after = if run == 0 { 0 } else { ends[run - 1] };
        points.range(after + 1..=ends[run]).map(|(_, start)| *start).collect()
    };
    let measured = points(&receiver, &guest, None);
    let first = *measured.first_key_value().unwrap().0;
    for run in 0..3 {
        assert_eq!(starts(&measured, run), [first].into(), "the counter went on: {measured:?}");
    }
    let scaled = points(&receiver, &guest, Some("scaled"));
    assert_eq!(starts(&scaled, 0), [first].into(), "{scaled:?}");
    assert_eq!(starts(&scaled, 1), [ends[0]].into(), "it fell after that: {scaled:?}");
    // After a kill it may not know when that was.
    let (last, begun) = scaled.last_key_value().unwrap();
    assert!((ends[1]..=*last).contains(begun), "it fell once more: {scaled:?}");
    let grown = points(&receiver, &guest, Some("grown"));
    for ((before, _), (at, start)) in grown.iter().zip(grown.iter().skip(1)) {
        assert!(start == before || (start == at && *at > ends[1]), "{grown:?}");
    }
    assert!(points(&receiver, &guest, Some("rated")).values().all(|start| *start == 0));
}
