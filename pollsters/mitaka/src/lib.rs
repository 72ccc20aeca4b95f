//! Meters that Ceilometer had in its Mitaka release, or got soon after, and lost since: that a guest exists, what all
//! its disks do together, and what it takes of the processor's cache and of the memory's bandwidth. Units are those
//! of these releases.
//!
//! `instance` is given of every guest, also of one that is off: its flavour is all that it needs.
//! Samples of traffic name the disks that they are a sum of, in the metadata `device`.

use std::collections::BTreeMap;

use disk_sizes::Sizes;
use wasmeter_sdk::{
    Call, Column, Declared, Failure, Pollster, Samples, Wanted, cumulative, gauge, read, register_pollster,
};

/// The pollster.
pub struct Mitaka;

impl Pollster for Mitaka {
    const METERS: &'static [Declared] = &[
        cumulative("disk.read.requests", "request"),
        cumulative("disk.read.bytes", "B"),
        cumulative("disk.write.requests", "request"),
        cumulative("disk.write.bytes", "B"),
        gauge("disk.capacity", "B"),
        gauge("disk.allocation", "B"),
        gauge("disk.usage", "B"),
        gauge("memory.bandwidth.total", "B/s"),
        gauge("memory.bandwidth.local", "B/s"),
        gauge("cpu_l3_cache", "B"),
        gauge("instance", "instance"),
    ];
    /// In the order of the meters, of which the last needs only that a guest exists; then what else sizes are made of.
    const READS: &'static [Wanted] = &[
        read("block.*.rd.reqs"),
        read("block.*.rd.bytes"),
        read("block.*.wr.reqs"),
        read("block.*.wr.bytes"),
        read("block.*.capacity"),
        read("block.*.allocation"),
        read("block.*.physical"),
        read("perf.mbmt"),
        read("perf.mbml"),
        read("perf.cmt"),
        read("flavor.vcpus"),
        read("block.*.length"),
        read("block.*.taken"),
        read("block.*.qcow2"),
    ];
    const ATTRIBUTES: &'static [&'static str] = &["device"];

    fn poll(call: &Call<'_>, out: &mut Samples) -> Result<(), Failure> {
        let disks = call.column_or_empty("block.*.rd.reqs")?.resources;
        let device = call.note("device", devices(call, &disks)?)?;
        let Sizes { allocation, usage } = Sizes::read(call)?;
        for (meter, wanted) in Self::READS.iter().enumerate().take(Self::METERS.len()) {
            let column = match wanted.key {
                "block.*.allocation" => allocation.clone(),
                "block.*.physical" => usage.clone(),
                key => call.column_or_empty(key)?,
            };
            match meter {
                0..4 => out.emit_with(meter, column.sum_by_parent(call), vec![device.clone()]),
                4..7 => out.emit(meter, column.sum_by_parent(call)),
                7..10 => out.emit(meter, column),
                _ => out.emit(meter, column.map(|_| Some(1_u64))),
            }
        }
        Ok(())
    }
}

/// The names of each guest's disks as a list in JSON. Guests with disks of the same names share one.
fn devices(call: &Call<'_>, disks: &[u32]) -> Result<Column, Failure> {
    if disks.is_empty() {
        return Ok(Column::default());
    }
    let names = call.attribute("device")?.at(disks);
    let guests = call.parents(&names.resources);
    let mut owned: Vec<(u32, u32)> = guests.into_iter().zip(names.texts()?.iter().copied()).collect();
    owned.sort_by_key(|(guest, _)| *guest);

    let names: Vec<u32> = owned.iter().map(|(_, name)| *name).collect();
    let mut rest = &names[..];
    let mut places = BTreeMap::new();
    let mut texts = Vec::new();
    let mut lists = Vec::with_capacity(owned.len());
    for disks in owned.chunk_by(|a, b| a.0 == b.0) {
        let (list, after) = rest.split_at(disks.len());
        rest = after;
        let place = *places.entry(list).or_insert_with(|| {
            texts.push(json(&call.resolve(list)));
            texts.len() - 1
        });
        lists.extend(disks.first().map(|(guest, _)| (*guest, place)));
    }
    let texts = call.intern_json(&texts)?;
    Ok(lists.into_iter().filter_map(|(guest, place)| Some((guest, *texts.get(place)?))).collect())
}

/// A list of texts in JSON.
fn json(texts: &[String]) -> String {
    let mut list = String::from("[");
    for text in texts {
        list.push_str(if list.len() > 1 { ", \"" } else { "\"" });
        for character in text.chars() {
            match character {
                '"' | '\\' => list.extend(['\\', character]),
                '\0'..' ' => list.push_str(&format!("\\u{:04x}", u32::from(character))),
                _ => list.push(character),
            }
        }
        list.push('"');
    }
    list.push(']');
    list
}

register_pollster!(Mitaka);

#[cfg(test)]
mod tests {
    use super::*;
    use wasmeter_sdk::testing::Host;

    /// Guest 0 has disks 3 and 4, guest 1 has disk 5, guest 2 has disks 6 and 7; 8 is a network device.
    fn host() -> Host {
        Host::new()
            .stat("flavor.vcpus", [(0, 1), (1, 1), (2, 5)])
            .parents([(3, 0), (4, 0), (5, 1), (6, 2), (7, 2), (8, 0)])
            .attribute("device", [(3, "vda"), (4, "vdb"), (5, "vda"), (6, "vda"), (7, "vdb"), (8, "tap0")])
    }

    #[test]
    fn every_guest_is_an_instance() {
        let samples = host().poll::<Mitaka>().unwrap();
        assert_eq!(samples.counts("instance"), [(0, 1), (1, 1), (2, 1)]);
        assert_eq!(samples.names(), ["instance"]);
    }

    #[test]
    fn disks_are_summed_and_named() {
        let requests = [(3, 1), (4, 2), (5, 4), (6, 8), (7, 16)];
        let host = host().stat("block.*.rd.reqs", requests).stat("block.*.wr.bytes", [(3, u64::MAX - 1), (4, 1)]);
        let samples = host.stat("block.*.capacity", requests).poll::<Mitaka>().unwrap();
        assert_eq!(samples.counts("disk.read.requests"), [(0, 3), (1, 4), (2, 24)]);
        assert_eq!(samples.counts("disk.capacity"), [(0, 3), (1, 4), (2, 24)]);
        assert_eq!(samples.counts("disk.write.bytes"), [(0, u64::MAX)]);
        let both = r#"["vda", "vdb"]"#.to_owned();
        let named = [(0, both.clone()), (1, r#"["vda"]"#.to_owned()), (2, both)];
        assert_eq!(samples.note("disk.read.requests", "device"), named);
        assert_eq!(samples.note("disk.write.bytes", "device"), named);
        assert!(samples.note("disk.capacity", "device").is_empty());
    }

    #[test]
    fn sizes_are_summed_as_they_are_of_single_disks() {
        // qcow2, raw and written to, and no file.
        let host = host().stat("block.*.qcow2", [(3, 1), (4, 0)]).stat("block.*.length", [(3, 150), (4, 1_000)]);
        let host = host.stat("block.*.allocation", [(3, 20), (4, 30), (5, 5)]);
        let samples = host.stat("block.*.physical", [(3, 200), (4, 9), (5, 8)]).poll::<Mitaka>().unwrap();
        assert_eq!(samples.counts("disk.allocation"), [(0, 200 + 30), (1, 5)]);
        assert_eq!(samples.counts("disk.usage"), [(0, 150 + 9), (1, 8)]);
        assert!(samples.counts("disk.capacity").is_empty(), "what is used does not count");
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(json(&["a\"b\\c\n".to_owned()]), r#"["a\"b\\c\u000a"]"#);
        assert_eq!(json(&[]), "[]");
    }
}
