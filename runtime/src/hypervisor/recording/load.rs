//! Reading a recording's file, which may be damaged, cut off or none at all.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::{Recorded, RecordedGuest};
use crate::hypervisor::devices::{DEVICES, VCPUS};
use crate::hypervisor::{KeyId, Stat};

/// The longest file: all of it is kept in memory.
pub const FILE_BYTES: u64 = 256 << 20;

/// The longest line: as many statistics as there may be, and what ten thousand guests are made of.
const LINE_BYTES: u64 = 64 << 20;

/// The most statistics in a line.
const STATS: usize = 1_000_000;

/// The longest message of the JSON parser, which repeats whatever text it does not like.
const MESSAGE_CHARS: usize = 200;

const HOW: &str = "make one with `wasmeter record FILE --slots N`";

/// All slots of a file; at least one. An error says in which line, and what to do about it.
pub(super) fn file(path: &Path) -> Result<Vec<Recorded>, String> {
    let unreadable = |error: std::io::Error| format!("{error}; name a readable recording, or {HOW}");
    let about = fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() {
        return Err(format!("it is no file; name a recording, or {HOW}"));
    }
    let mut input = BufReader::new(File::open(path).map_err(unreadable)?);
    let (mut slots, mut line, mut bytes) = (Vec::new(), Vec::new(), 0_u64);
    for number in 1_u64.. {
        line.clear();
        let length = (&mut input).take(LINE_BYTES + 1).read_until(b'\n', &mut line).map_err(unreadable)?;
        bytes = bytes.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        if length == 0 {
            break;
        }
        if about.len().max(bytes) > FILE_BYTES {
            return Err(format!("it has more than {} MiB; record fewer slots", FILE_BYTES >> 20));
        }
        if !line.trim_ascii().is_empty() {
            let damaged = |reason| format!("line {number}: {reason}; take the line out, or {HOW}");
            slots.push(slot(&line).map_err(damaged)?);
        }
    }
    if slots.is_empty() { Err(format!("it has no slots; {HOW}")) } else { Ok(slots) }
}

fn slot(line: &[u8]) -> Result<Recorded, String> {
    check_length(line.len())?;
    let slot: Recorded = serde_json::from_slice(line).map_err(|error| {
        let message = error.to_string();
        // It counts lines of its own, of which there is only one.
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        let message: String = message.chars().take(MESSAGE_CHARS).collect();
        format!("column {}: {message}", error.column())
    })?;
    check(&slot, line.len())?;
    Ok(slot)
}

/// Whether a slot that takes so many bytes is one that can be read.
pub(super) fn check(slot: &Recorded, bytes: usize) -> Result<(), String> {
    check_length(bytes)?;
    let stats: usize = slot.guests.iter().map(|guest| guest.stats.len()).sum();
    if stats > STATS {
        return Err(format!("the slot has {stats} statistics, and at most {STATS} are read"));
    }
    let of_vcpus = KeyId::map_all(|name| name.starts_with("vcpu.*."));
    slot.guests.iter().try_for_each(|guest| check_devices(guest, &of_vcpus))?;
    let mut seen = HashSet::new();
    match slot.guests.iter().map(|guest| guest.definition.uuid).find(|uuid| !seen.insert(*uuid)) {
        Some(twice) => Err(format!("the slot has the guest {twice} twice")),
        None => Ok(()),
    }
}

/// Whether a guest has as many devices as one may; `of_vcpus` says by key whether it is one of virtual CPUs.
fn check_devices(guest: &RecordedGuest, of_vcpus: &[bool]) -> Result<(), String> {
    let of_vcpu = |stat: &&Stat| of_vcpus.get(stat.key.index()).copied().unwrap_or(false);
    let mut vcpus: Vec<u32> = guest.stats.iter().filter(of_vcpu).map(|stat| stat.number).collect();
    vcpus.sort_unstable();
    vcpus.dedup();
    let about = &guest.definition;
    for (what, count, most) in [
        ("disks", about.disks.len(), DEVICES),
        ("network devices", about.nics.len(), DEVICES),
        ("virtual CPUs", vcpus.len(), VCPUS),
    ] {
        if count > most {
            return Err(format!("the guest {} has {count} {what}, and at most {most} are read", about.uuid));
        }
    }
    Ok(())
}

fn check_length(bytes: usize) -> Result<(), String> {
    if u64::try_from(bytes).is_ok_and(|bytes| bytes <= LINE_BYTES) {
        return Ok(());
    }
    Err(format!("the line has more than {} MiB", LINE_BYTES >> 20))
}
