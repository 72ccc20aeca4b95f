//! Receivers of MessagePack that read with Python, and check signatures with Ceilometer.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use wasmeter::spool::log::Cause;
use wasmeter_rig::{Proxy, or_say};

use super::receiver::Receiver;
use super::{GUESTS, account, books, said, sending, until_measured, until_said};
use crate::support::program::{text, until};

const WAITS: &str = "Samples cannot be sent; they wait in the spool.";
const AGAIN: &str = "Samples are sent again.";

/// The samples that came, by their ids, without what is not in a file.
fn arrived(received: Vec<Value>, publisher: Option<&str>) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for mut sample in received {
        let entries = sample.as_object_mut().unwrap();
        assert_eq!(entries.remove("message_signature").unwrap().as_str().unwrap().len(), 64);
        assert_eq!(entries.remove("publisher_id").as_ref().and_then(Value::as_str), publisher);
        all.insert(text(&sample, "message_id").to_owned(), sample);
    }
    all
}

/// What came was measured. Returns what did not come.
fn missing<'a>(arrived: &BTreeMap<String, Value>, measured: &'a [Value]) -> Vec<&'a Value> {
    let all: BTreeMap<&str, &Value> = measured.iter().map(|sample| (text(sample, "message_id"), sample)).collect();
    for (id, sample) in arrived {
        assert_eq!(sample, all[id.as_str()]);
    }
    all.into_iter().filter(|(id, _)| !arrived.contains_key(*id)).map(|(_, sample)| sample).collect()
}

/// What fits arrives; what does not is lost, and counted. Where nobody listens, samples wait once that is known.
#[test]
fn datagrams() {
    let Some(receiver) = or_say(Receiver::start("udp", &[])) else { return };
    let port = receiver.port();
    let udp = format!("- {{name: udp, udp: {{host: 127.0.0.1, port: {port}, secret: hush-hush}}}}");
    let folder = sending(GUESTS, &udp, "");
    // So few that no buffer is too small for them.
    folder.poll(&["cpu", "memory.usage"]);
    let daemon = folder.start("run");
    receiver.until_received(5);
    until_measured(&folder, 1);
    let mut large = folder.samples("samples").remove(0);
    large["message_id"] = "9f3c0f6e-8f57-11f0-a1f6-7d6a54a320de".into();
    large["resource_metadata"]["long"] = "x".repeat(70_000).into();
    folder.write("large", format!("{large}\n"));
    folder.run("spool replay large --to udp").is(0);
    until("the loss", || folder.run("losses").stdout.contains("oversize").then_some(()));
    let measured_so_far = folder.samples("samples");
    until("all of it", || missing(&arrived(receiver.received(), None), &measured_so_far).is_empty().then_some(()));

    let mut arrived_in_all = arrived(receiver.end(), None);
    until_said(&daemon, WAITS, 1);
    until_measured(&folder, 3);
    let receiver = Receiver::start("udp", &[&port.to_string()]).unwrap();
    until_said(&daemon, AGAIN, 1);
    receiver.until_received(5);
    let log = daemon.end();
    assert_eq!((said(&log, WAITS), said(&log, AGAIN)), (1, 1), "each is said once: {log}");
    let measured = folder.samples("samples");
    // What waits in its socket when a receiver ends is gone with it.
    let slot = |sample: &Value| text(sample, "timestamp").to_owned();
    until("all but what was on the way when it ended", || {
        arrived_in_all.extend(arrived(receiver.received(), None));
        let slots: BTreeSet<String> = missing(&arrived_in_all, &measured).into_iter().map(slot).collect();
        (slots.len() <= 1).then_some(())
    });
    let books = account(&folder.path("spool"), "udp");
    assert!(books.balances(), "{books:?}");
    let lost: Vec<_> = books.dropped.iter().map(|(cause, total)| (*cause, total.counts.samples())).collect();
    assert_eq!((books.held.counts.samples(), lost), (0, vec![(Cause::Oversize, 1)]));
    assert_eq!(books.acknowledged.counts.samples(), measured.len() as u64);
}

/// Nothing of what is written while nobody listens is lost; what is on the way when a connection ends may be.
#[test]
fn streams() {
    let Some(receiver) = or_say(Receiver::start("tcp", &[])) else { return };
    let proxy = Proxy::start(receiver.port()).unwrap();
    proxy.refuse();
    let tcp = format!("- {{name: tcp, tcp: {{host: 127.0.0.1, port: {}, secret: hush-hush}}}}", proxy.port());
    let folder = sending(GUESTS, &tcp, "host: compute-1");
    let daemon = folder.start("run");
    until_said(&daemon, WAITS, 1);
    until_measured(&folder, 2);
    proxy.heal().unwrap();
    until_said(&daemon, AGAIN, 1);
    // In the middle of a sample, and then between two slots.
    let mut cuts = 1;
    proxy.cut_after(proxy.bytes_to_server() + 100_000);
    receiver.until_received(500);
    proxy.cut();
    cuts += 1;
    receiver.until_received(500);
    daemon.end();
    let measured = folder.samples("samples");
    let missing = || missing(&arrived(receiver.received(), Some("compute-1")), &measured);
    let last = text(measured.last().unwrap(), "timestamp");
    until("the last slot", || missing().iter().all(|sample| sample["timestamp"] != last).then_some(()));
    let slots: BTreeSet<&str> = missing().into_iter().map(|sample| text(sample, "timestamp")).collect();
    assert!(slots.len() <= cuts, "of {slots:?} samples did not come");
    let first = text(&measured[0], "timestamp");
    assert!(!slots.contains(first), "nobody listened then");
    assert_eq!(books(&folder, "tcp", &measured), (0, BTreeMap::new()));
    assert_eq!(account(&folder.path("spool"), "tcp").acknowledged.counts.samples(), measured.len() as u64);
}
