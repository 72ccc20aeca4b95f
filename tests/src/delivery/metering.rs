//! What pipelines of Ceilometer publish, for whoever collects with oslo.messaging.

use std::collections::BTreeMap;

use serde_json::Value;
use wasmeter_rig::{Rabbit, or_say};

use super::receiver::Receiver;
use super::{GUESTS, books, sending};
use crate::support::program::{text, until};

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
