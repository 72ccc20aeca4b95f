//! What comes out of a pipeline, for every kind of receiver at once.

use std::collections::BTreeMap;

use serde_json::Value;
use wasmeter_rig::{Proxy, Rabbit, or_say};

use super::receiver::Receiver;
use crate::support::program::{Folder, samples_so_far, text, until};

const PIPELINE: &str = r"
sources:
    - {name: cpu_source, meters: [cpu], sinks: [cpu_sink]}
sinks:
    - name: cpu_sink
      transformers:
          - name: rate_of_change
            parameters:
                target:
                    name: cpu_util
                    unit: '%'
                    type: gauge
                    scale: '100.0 / (10**9 * (resource_metadata.cpu_number or 1))'
      publishers: PUBLISHERS
";

/// A resource at a time, which tells samples of one meter apart, and the volume.
type Point = ((String, i64), f64);

/// Somebody who gets samples.
struct Recipient {
    receiver: Receiver,
    /// Whether it says what arrived. Who does not may lack what was under way when a connection broke.
    confirms: bool,
    /// What stands between.
    proxy: Option<Proxy>,
    /// What it wrote down of a sample.
    point: fn(&Value) -> Point,
}

fn micros(timestamp: &str) -> i64 {
    let time: jiff::civil::DateTime = timestamp.parse().unwrap();
    jiff::tz::TimeZone::UTC.to_timestamp(time).unwrap().as_microsecond()
}

fn of_sample(sample: &Value, prefix: &str) -> Point {
    assert_eq!(sample[&*format!("{prefix}name")], "cpu_util", "{sample}");
    assert_eq!(
        (&sample[&*format!("{prefix}type")], &sample[&*format!("{prefix}unit")]),
        (&"gauge".into(), &"%".into())
    );
    let at = (text(sample, "resource_id").to_owned(), micros(text(sample, "timestamp")));
    (at, sample[&*format!("{prefix}volume")].as_f64().unwrap())
}

fn of_point(point: &Value) -> Point {
    assert_eq!((text(point, "name"), text(point, "kind"), text(point, "unit")), ("cpu_util", "gauge", "%"), "{point}");
    let at = (text(&point["attributes"], "resource_id").to_owned(), point["time"].as_i64().unwrap() / 1000);
    (at, point["value"].as_f64().unwrap())
}

impl Recipient {
    fn seen(&self) -> BTreeMap<(String, i64), f64> {
        self.receiver.received().iter().map(self.point).collect()
    }
}

/// Each is away, answers nobody, and comes and goes, while the others get what there is; in the end all
/// that say what arrived have all of it.
#[test]
fn each_receiver_has_every_rate() {
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    let behind = |kind: &str, point: fn(&Value) -> Point| {
        let receiver = or_say(Receiver::start(kind, &[]))?;
        let proxy = Proxy::start(receiver.port()).unwrap();
        Some(Recipient { receiver, confirms: kind != "tcp", proxy: Some(proxy), point })
    };
    let Some(http) = behind("http", |line| of_sample(&line["sample"], "")) else { return };
    let Some(otlp_http) = behind("otlp-http", of_point) else { return };
    let Some(otlp_grpc) = behind("otlp-grpc", of_point) else { return };
    let Some(tcp) = behind("tcp", |sample| of_sample(sample, "counter_")) else { return };
    let Some(udp) = or_say(Receiver::start("udp", &[])) else { return };
    let udp = Recipient { receiver: udp, confirms: false, proxy: None, point: |sample| of_sample(sample, "counter_") };
    let Some(oslo) = or_say(Receiver::start("oslo", &[&vhost.url(), "metering"])) else { return };
    let proxy = Proxy::start(vhost.rabbit().port()).unwrap();
    let notifier = vhost.url_at(proxy.port()).replace("rabbit://", "notifier://");
    let oslo = Recipient {
        receiver: oslo,
        confirms: true,
        proxy: Some(proxy),
        point: |line| of_sample(&line["sample"], "counter_"),
    };
    let port = |recipient: &Recipient| recipient.proxy.as_ref().map_or(recipient.receiver.port(), Proxy::port);
    let publishers = [
        format!("{notifier}?per_meter_topic=0"),
        format!("http://127.0.0.1:{}/in?timeout=2", port(&http)),
        format!("opentelemetryhttp://127.0.0.1:{}/v1/metrics?timeout=2", port(&otlp_http)),
        format!("opentelemetrygrpc://127.0.0.1:{}?timeout=2", port(&otlp_grpc)),
        format!("tcp://127.0.0.1:{}", port(&tcp)),
        format!("udp://127.0.0.1:{}", port(&udp)),
        "file://FOLDER/rates?json".to_owned(),
    ];
    // Its secret is what samples over UDP and TCP are signed with.
    let signing = format!("broker: {{url: '{}', secret: hush-hush}}", vhost.url());
    let folder = Folder::measuring(super::GUESTS, &format!("{signing}\npipeline: pipeline.yaml\n"));
    folder.pipe_samples(&PIPELINE.replace("PUBLISHERS", &format!("{publishers:?}")));
    let daemon = folder.start("run");
    let all = [http, otlp_http, otlp_grpc, tcp, udp, oslo];
    let counts = || all.iter().map(|recipient| recipient.seen().len()).collect::<Vec<usize>>();
    until("rates everywhere", || counts().iter().all(|count| *count > 0).then_some(()));
    for (place, troubled) in all.iter().enumerate() {
        let Some(proxy) = &troubled.proxy else { continue };
        for trouble in [Proxy::refuse, Proxy::stall, Proxy::refuse] {
            trouble(proxy);
            proxy.cut();
            let before = counts();
            let grew = |(other, (now, before)): (usize, (&usize, &usize))| other == place || now > before;
            until("more for the others", || counts().iter().zip(&before).enumerate().all(grew).then_some(()));
            proxy.heal().unwrap();
        }
        let before = troubled.seen().len();
        until("more again", || (troubled.seen().len() > before).then_some(()));
    }
    let rates: BTreeMap<_, _> =
        samples_so_far(&folder.read("rates")).iter().map(|one| of_sample(one, "counter_")).collect();
    for (recipient, publisher) in all.iter().zip([1, 2, 3, 4, 5, 0]) {
        let publisher = &publishers[publisher];
        let seen = until(publisher, || {
            let seen = recipient.seen();
            (!recipient.confirms || rates.keys().all(|at| seen.contains_key(at))).then_some(seen)
        });
        for (at, volume) in rates.iter().filter(|(at, _)| recipient.confirms || seen.contains_key(*at)) {
            assert_eq!(seen.get(at), Some(volume), "{at:?} from {publisher}");
        }
    }
    daemon.end();
}
