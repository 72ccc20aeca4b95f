//! A pollster of three meters, with two joins and state, is a matter of forty lines.

#[path = "short/latency.rs"]
mod latency;

use latency::Latency;
use wasmeter_sdk::testing::Host;

#[test]
fn three_meters_are_forty_lines() {
    assert!(include_str!("short/latency.rs").lines().count() <= 40);
}

#[test]
fn latency_is_time_by_requests() {
    let slot = |host: Host, reqs: u64, times: u64| {
        let host = host.stat("block.*.rd.bytes", [(1, 512)]);
        let host = host.stat("block.*.rd.reqs", [(1, reqs)]).stat("block.*.rd.times", [(1, times)]);
        host.stat("block.*.wr.reqs", [(1, 7)]).stat("block.*.wr.times", [(1, 9)])
    };
    let mut host = slot(Host::new(), 10, 1_000);
    assert_eq!(host.poll::<Latency>().unwrap().names(), ["disk.device.read.bytes"]);
    host = slot(host, 12, 1_500);
    let samples = host.poll::<Latency>().unwrap();
    assert_eq!(samples.reals("disk.device.read.latency"), [(1, 250.0)]);
    assert_eq!(samples.names(), ["disk.device.read.bytes", "disk.device.read.latency"]);
}
