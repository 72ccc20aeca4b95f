//! Ceilometer's notification agent at work.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use wasmeter_peer::{Notification, NotificationOptions, python};
use wasmeter_rig::lapin::BasicProperties;
use wasmeter_rig::{Rabbit, or_say};

/// For what takes a second.
const SOON: Duration = Duration::from_secs(60);

/// What a compute agent sends, as oslo.messaging wraps it.
fn message(number: u32) -> Value {
    let sample = json!({
        "counter_name": "cpu", "counter_type": "cumulative", "counter_unit": "ns", "counter_volume": number,
        "user_id": "u", "project_id": "p", "resource_id": "r", "timestamp": "2026-11-20T12:00:00+00:00",
        "resource_metadata": {"name": "é"}, "message_id": format!("message-{number}"), "source": "openstack",
        "message_signature": "", "monotonic_time": null,
    });
    let notification = json!({
        "message_id": format!("notification-{number}"), "publisher_id": "ceilometer.polling",
        "event_type": "telemetry.polling", "priority": "SAMPLE", "payload": {"samples": [sample.clone(), sample]},
        "timestamp": "2026-11-20 12:00:00.000000", "_unique_id": format!("unique-{number}"),
    });
    json!({"oslo.version": "2.0", "oslo.message": notification.to_string()})
}

#[test]
fn ceilometer_reads_samples() {
    let python = python(Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap());
    let (Some(python), Some(vhost)) = (or_say(python), or_say(Rabbit::shared())) else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = NotificationOptions { python: &python, folder: folder.path(), url: &vhost.url() };
    let mut agent = Notification::start(options, &vhost).unwrap();
    for number in 1..=3 {
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_content_encoding("utf-8".into())
            .with_delivery_mode(2);
        let body = message(number).to_string();
        vhost.publish("", "notifications.sample", properties, body.as_bytes()).unwrap();
    }
    let samples = agent.samples(6, SOON).unwrap();
    let mut volumes: Vec<_> = samples.iter().filter_map(|sample| sample.get("volume")?.as_u64()).collect();
    volumes.sort_unstable();
    assert_eq!(volumes, [1, 1, 2, 2, 3, 3]);
    assert!(samples.iter().all(|sample| sample.pointer("/resource_metadata/name") == Some(&json!("é"))), "{samples:?}");
    assert!(agent.file().starts_with(folder.path()));
    agent.stop().unwrap();
    // It took them out.
    assert_eq!(vhost.drain("notifications.sample").unwrap(), []);
}
