//! Real guests in a private libvirtd. Where there cannot be one, each test says so.

mod changes;
mod leaks;
mod lost;
mod reach;
mod stuck;
mod truth;

use std::collections::BTreeSet;

use serde_json::Value;
use wasmeter_rig::{Guest, Libvirtd};

use crate::support::program::{Folder, samples_so_far, slots, text, until};

/// So many guests of the smallest kind.
fn fleet(guests: u32) -> Vec<Guest> {
    (1..=guests).map(Guest::new).collect()
}

/// The folder of a daemon that reads this host every second.
fn metering(libvirtd: &Libvirtd, config: &str) -> Folder {
    Folder::measuring(&format!("'{}'", libvirtd.uri()), config)
}

/// The guests of which a slot has samples of a meter.
fn guests_with(slot: &[&Value], meter: &str) -> BTreeSet<String> {
    let found = slot.iter().filter(|sample| sample["counter_name"] == meter);
    found.map(|sample| text(&sample["resource_metadata"], "instance_id").to_owned()).collect()
}

/// What a log says beyond what is normal. That a busy machine misses a slot is.
fn complaints(log: &str) -> Vec<&str> {
    let bad = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR"));
    bad.filter(|line| !line.contains("Slots were left out")).collect()
}

/// Waits for so many whole slots more than there are now.
fn wait_for_slots(folder: &Folder, more: usize) {
    let count = || slots(&samples_so_far(&folder.read("samples"))).len();
    let before = count();
    // The last slot may still be written.
    until("more slots", || (count() > before + more).then_some(()));
}
