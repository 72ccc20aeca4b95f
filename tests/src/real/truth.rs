//! What is measured of a guest that works is what it did, as the kernel and QEMU count it.

use std::slice;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use wasmeter::control::time::Time;
use wasmeter_rig::{Devices, Guest, Libvirtd, System, Truth, Work, or_say};

use super::metering;
use crate::support::program::{MITAKA, of_meter, samples_so_far, text, until};
use crate::support::target;

/// How far a rate may be from the truth.
const OFF: f64 = 0.02;
/// Rates are of so long a time at least: one of a second cannot be known that well from outside.
const LONG: f64 = 15.0;

/// A meter, and what it tells in truth.
type Told = (&'static str, fn(&Truth) -> f64);

/// A number of what devices did.
macro_rules! device {
    ($meter:literal, $field:ident) => {
        ($meter, |truth| count(&truth.devices, |devices| devices.$field))
    };
}

const METERS: [Told; 9] = [
    ("cpu", cpu),
    device!("disk.device.read.bytes", read_bytes),
    device!("disk.device.read.requests", read_requests),
    device!("disk.device.write.bytes", written_bytes),
    device!("disk.device.write.requests", write_requests),
    device!("network.incoming.bytes", incoming_bytes),
    device!("network.incoming.packets", incoming_packets),
    device!("network.outgoing.bytes", outgoing_bytes),
    device!("network.outgoing.packets", outgoing_packets),
];

#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn count(devices: &Devices, of: fn(&Devices) -> u64) -> f64 {
    of(devices) as f64
}

/// Nanoseconds.
fn cpu(truth: &Truth) -> f64 {
    (truth.vcpus.ran + truth.vcpus.waited).as_secs_f64() * 1e9
}

/// Seconds since 1970.
fn seconds(moment: SystemTime) -> f64 {
    moment.duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// The truth at a moment, between those that were read before and after.
fn at(truths: &[Truth], moment: f64, of: fn(&Truth) -> f64) -> Option<f64> {
    let next = truths.iter().position(|truth| seconds(truth.from) >= moment)?;
    let (before, after) = (&truths[next.checked_sub(1)?], &truths[next]);
    let part = (moment - seconds(before.from)) / (seconds(after.from) - seconds(before.from));
    Some(of(before) + part * (of(after) - of(before)))
}

/// Values of a meter with their times.
fn measured(samples: &[Value], meter: &str) -> Vec<(f64, f64)> {
    let of = of_meter(samples, meter);
    let time = |sample| Time::read(text(sample, "timestamp"), 0).unwrap().seconds();
    of.iter().map(|sample| (time(sample), sample["counter_volume"].as_f64().unwrap())).collect()
}

/// A meter that Mitaka's pipelines make of another, and the factor to it.
const RATES: [(&str, &str, f64); 13] = [
    ("cpu_util", "cpu", 100.0 / 1e9),
    ("disk.device.read.bytes.rate", "disk.device.read.bytes", 1.0),
    ("disk.device.read.requests.rate", "disk.device.read.requests", 1.0),
    ("disk.device.write.bytes.rate", "disk.device.write.bytes", 1.0),
    ("disk.device.write.requests.rate", "disk.device.write.requests", 1.0),
    ("disk.read.bytes.rate", "disk.device.read.bytes", 1.0),
    ("disk.read.requests.rate", "disk.device.read.requests", 1.0),
    ("disk.write.bytes.rate", "disk.device.write.bytes", 1.0),
    ("disk.write.requests.rate", "disk.device.write.requests", 1.0),
    ("network.incoming.bytes.rate", "network.incoming.bytes", 1.0),
    ("network.incoming.packets.rate", "network.incoming.packets", 1.0),
    ("network.outgoing.bytes.rate", "network.outgoing.bytes", 1.0),
    ("network.outgoing.packets.rate", "network.outgoing.packets", 1.0),
];

/// What rates come to between two moments of theirs, as one.
fn mean(rates: &[(f64, f64)], from: f64, to: f64) -> f64 {
    let pairs = rates.windows(2).filter(|pair| pair[0].0 >= from && pair[1].0 <= to);
    pairs.map(|pair| pair[1].1 * (pair[1].0 - pair[0].0)).sum::<f64>() / (to - from)
}

/// What is measured, and what Mitaka's pipelines make of it.
#[test]
fn what_is_measured_is_true() {
    let Some(system) = or_say(System::below(target())) else { return };
    let Some(libvirtd) = or_say(Libvirtd::start()) else { return };
    let guest = Guest::working(1, &system, Work::default());
    libvirtd.boot_working(slice::from_ref(&guest)).unwrap();
    let folder = metering(&libvirtd, "pipeline: pipeline.yaml\nmodules: {mitaka: {enabled: true}}");
    folder.pipe_samples(MITAKA);
    let daemon = folder.start("run --output samples");
    let mut truths = Vec::new();
    let samples = until("a long time", || {
        truths.push(libvirtd.truth(&guest).unwrap());
        let samples = samples_so_far(&folder.read("samples"));
        // Those of before the first truth and of after the last one cannot be compared.
        let (first, last) = (seconds(truths[0].from), seconds(truths.last().unwrap().from));
        let known = |(at, _): &(f64, f64)| (first..last).contains(at);
        let enough = |meter| {
            let of: Vec<_> = measured(&samples, meter).into_iter().filter(known).collect();
            Some(of.last()?.0 - of.first()?.0 >= LONG)
        };
        METERS.iter().all(|(meter, _)| enough(meter) == Some(true)).then_some(samples)
    });
    daemon.end();
    for (meter, of) in METERS {
        let values = measured(&samples, meter);
        let both: Vec<_> =
            values.iter().filter_map(|&(time, value)| Some((time, value, at(&truths, time, of)?))).collect();
        let (first, last) = (both[0], both[both.len() - 1]);
        let rate = |value: f64, before: f64| (value - before) / (last.0 - first.0);
        let (said, truth) = (rate(last.1, first.1), rate(last.2, first.2));
        println!("{meter}: {said:.1}/s, in truth {truth:.1}/s, {:+.3} %", (said / truth - 1.0) * 100.0);
        assert!(truth > 0.0 && (said / truth - 1.0).abs() < OFF, "{meter}: {said}/s, in truth {truth}/s: {both:?}");
        // And what it is in all.
        assert!((last.1 / last.2 - 1.0).abs() < OFF, "{meter}: {}, in truth {}", last.1, last.2);
    }
    let rates = folder.samples("rates");
    for (rate, meter, factor) in RATES {
        let (_, of) = METERS.into_iter().find(|(known, _)| *known == meter).unwrap();
        let values = measured(&rates, rate);
        let known: Vec<_> = values.iter().filter_map(|(time, _)| Some((*time, at(&truths, *time, of)?))).collect();
        let (first, last) = (known[0], known[known.len() - 1]);
        assert!(last.0 - first.0 >= LONG - 2.0, "{rate}: {known:?}");
        let (said, truth) = (mean(&values, first.0, last.0), factor * (last.1 - first.1) / (last.0 - first.0));
        println!("{rate}: {said:.3}, in truth {truth:.3}, {:+.3} %", (said / truth - 1.0) * 100.0);
        assert!(truth > 0.0 && (said / truth - 1.0).abs() < OFF, "{rate}: {said}, in truth {truth}: {values:?}");
    }
}
