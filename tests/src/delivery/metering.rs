//! What pipelines of Ceilometer publish, for whoever collects with oslo.messaging.

use std::collections::BTreeMap;

use serde_json::Value;
use wasmeter_rig::{Rabbit, or_say};

use super::receiver::Receiver;
use super::{GUESTS, account, books, sending};
use crate::support::program::{Folder, mitaka_to, of_meter, text, until};

#[test]
fn collectors_get_lists_of_samples() {
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    let Some(receiver) = or_say(Receiver::start("oslo", &[&vhost.url(), "metering"])) else { return };
    let notifier =
        format!("- {{name: metering, notifier: {{url: '{}', format: metering, batch_size: 20}}}}", vhost.url());
    let folder = sending(GUESTS, &notifier, "host: compute-1");
    let daemon = folder.start("run");
    until("samples", || (folder.read("samples").lines().count() > 300).then_some(()));
    daemon.end();
    let measured = folder.samples("samples");
    assert_eq!(books(&folder, "metering", &measured), (0, BTreeMap::new()));
    let received = until("all of it", || {
        let received = receiver.received();
        (received.len() >= measured.len()).then_some(received)
    });
    let mut arrived = BTreeMap::new();
    for line in received {
        assert_eq!((text(&line, "event"), text(&line, "publisher")), ("metering", "telemetry.publisher.compute-1"));
        let mut sample = line["sample"].clone();
        let signature = sample.as_object_mut().unwrap().remove("message_signature");
        assert_eq!(signature.as_ref().and_then(Value::as_str).unwrap().len(), 64);
        arrived.insert(text(&sample, "message_id").to_owned(), sample);
    }
    assert_eq!(arrived.len(), measured.len());
    assert!(measured.iter().all(|sample| arrived[text(sample, "message_id")] == *sample));
}

/// They name no broker, and neither does an output, which would get all that is measured a second time.
#[test]
fn mitakas_pipelines_send_each_sample_once() {
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    let Some(receiver) = or_say(Receiver::start("oslo", &[&vhost.url(), "metering"])) else { return };
    let broker = format!("broker: {{url: '{}', topics: [metering]}}", vhost.url());
    let folder =
        Folder::new(&format!("hypervisor: {GUESTS}\nschedule: {{drain: 60s}}\npipeline: pipeline.yaml\n{broker}"));
    folder.pipe_samples(&mitaka_to("notifier://"));
    folder.run("run --cycles 3").is(0);
    let account = account(&folder.path("spool"), "pipeline:notifier://");
    assert_eq!((account.held.counts.samples(), account.lost().counts.samples()), (0, 0));
    let delivered = account.acknowledged.counts.samples();
    let received = until("all of it", || {
        let received = receiver.received();
        (received.len() as u64 >= delivered).then_some(received)
    });
    assert_eq!(received.len() as u64, delivered);
    let samples: Vec<Value> = received.into_iter().map(|line| line["sample"].clone()).collect();
    let mut times: BTreeMap<_, usize> = BTreeMap::new();
    for sample in &samples {
        let [meter, resource, at] =
            ["counter_name", "resource_id", "timestamp"].map(|key| text(sample, key).to_owned());
        *times.entry((meter, resource, at)).or_default() += 1;
    }
    let again: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(again.is_empty(), "{again:?}");
    for (meter, expected) in [("cpu", 15), ("vcpus", 15), ("cpu_util", 10), ("network.incoming.bytes.rate", 10)] {
        assert_eq!(of_meter(&samples, meter).len(), expected, "{meter}");
    }
}
