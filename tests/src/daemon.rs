//! `wasmeter run`: samples slot by slot, whatever happens meanwhile.

mod apart;
mod chaining;
mod crowd;
pub mod dashboards;
mod deploying;
mod failing;
mod numbers;
mod outputs;
mod pipelines;
mod reloading;
pub mod requests;
mod resources;
mod restarting;
mod service;
mod signals;
mod tenants;
mod transforming;
mod trying;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::program::{Folder, of_meter, samples_in, slots, text};

/// The keys of a sample, in Ceilometer's order.
const KEYS: [&str; 14] = [
    "source",
    "counter_name",
    "counter_type",
    "counter_unit",
    "counter_volume",
    "user_id",
    "user_name",
    "project_id",
    "project_name",
    "resource_id",
    "timestamp",
    "resource_metadata",
    "message_id",
    "monotonic_time",
];

/// Guests that only run, with disks and network devices that stay.
const CALM: &str = "sim://?domains=5&calm=true&disks=2&nics=1";

/// The names of all guests, as JSON.
fn names() -> Vec<Value> {
    let once = Folder::measuring(CALM, "").run("once --format json").is(0);
    let samples = samples_in(&once.stdout);
    of_meter(&samples, "cpu").iter().map(|sample| sample["resource_metadata"]["display_name"].clone()).collect()
}

#[test]
fn a_sample_is_ceilometers() {
    let folder = Folder::measuring(CALM, "");
    folder.run("run --cycles 2 --output samples").is(0);
    let samples = folder.samples("samples");
    for sample in &samples {
        let keys: Vec<&String> = sample.as_object().unwrap().keys().collect();
        assert_eq!(keys, KEYS, "{sample}");
        assert!(sample["counter_volume"].is_number(), "{sample}");
        let is_counter = sample["counter_type"] == "cumulative" && sample["counter_unit"] != "MiB";
        assert!(!is_counter || sample["counter_volume"].is_u64(), "{sample}");
        assert!(sample["resource_metadata"].is_object() && sample["monotonic_time"].is_f64(), "{sample}");
        assert!(is_time(text(sample, "timestamp")), "{sample}");
    }
    for meter in ["cpu", "memory.usage", "disk.device.read.bytes", "network.incoming.bytes"] {
        assert!(of_meter(&samples, meter).len() >= 10, "{meter}");
    }
}

#[test]
fn a_slot_has_one_time_and_every_sample_its_own_id() {
    let folder = Folder::measuring(CALM, "");
    folder.run("run --cycles 3 --output samples").is(0);
    let samples = folder.samples("samples");
    let slots = slots(&samples);
    assert_eq!(slots.len(), 3);
    for slot in &slots {
        assert_eq!(slot.len(), slots[0].len());
        assert!(slot.iter().all(|sample| sample["monotonic_time"] == slot[0]["monotonic_time"]));
    }
    let ids: BTreeSet<&str> = samples.iter().map(|sample| text(sample, "message_id")).collect();
    assert_eq!(ids.len(), samples.len());
    for id in ids {
        let groups: Vec<usize> = id.split('-').map(str::len).collect();
        let hexadecimal = id.chars().all(|c| c == '-' || matches!(c, '0'..='9' | 'a'..='f'));
        assert!(groups == [8, 4, 4, 4, 12] && hexadecimal, "{id}");
        assert!(id[14..].starts_with('1') && id[19..].starts_with(['8', '9', 'a', 'b']), "{id} is not version 1");
    }
}

/// As Python writes it: `2026-01-02T03:04:05.000678`, or without the fraction if that is nothing.
fn is_time(time: &str) -> bool {
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    matches!(&*shape, "0000-00-00T00:00:00" | "0000-00-00T00:00:00.000000") && !time.ends_with(".000000")
}
