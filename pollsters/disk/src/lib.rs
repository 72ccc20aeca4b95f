//! Traffic, latency and sizes of guests' disks.

use disk_sizes::Sizes;
use wasmeter_sdk::{Call, Declared, Failure, Pollster, Samples, Wanted, cumulative, gauge, read, register_pollster};

/// The pollster.
pub struct Disk;

/// How many meters are of traffic and latency. They come first.
const TRAFFIC: usize = 6;

impl Pollster for Disk {
    const METERS: &'static [Declared] = &[
        cumulative("disk.device.read.requests", "request"),
        cumulative("disk.device.read.bytes", "B"),
        cumulative("disk.device.write.requests", "request"),
        cumulative("disk.device.write.bytes", "B"),
        cumulative("disk.device.read.latency", "ns"),
        cumulative("disk.device.write.latency", "ns"),
        gauge("disk.device.allocation", "B"),
        gauge("disk.device.usage", "B"),
        gauge("disk.device.capacity", "B"),
    ];
    /// Traffic in the order of its meters, then what sizes are made of.
    const READS: &'static [Wanted] = &[
        read("block.*.rd.reqs"),
        read("block.*.rd.bytes"),
        read("block.*.wr.reqs"),
        read("block.*.wr.bytes"),
        read("block.*.rd.times"),
        read("block.*.wr.times"),
        read("block.*.allocation"),
        read("block.*.physical"),
        read("block.*.capacity"),
        read("block.*.length"),
        read("block.*.taken"),
        read("block.*.qcow2"),
    ];

    fn poll(call: &Call<'_>, out: &mut Samples) -> Result<(), Failure> {
        for (meter, wanted) in Self::READS.iter().enumerate().take(TRAFFIC) {
            out.emit(meter, call.column_or_empty(wanted.key)?);
        }
        let Sizes { allocation, usage } = Sizes::read(call)?;
        // A medium may take more room than it shows, and libvirt does not know the size of every one.
        let shown = call.column_or_empty("block.*.capacity")?;
        let capacity = shown.join_counts(&usage, |shown, used| Some(shown.max(used)))?.or(&shown);
        for (meter, column) in (TRAFFIC..).zip([allocation, usage, capacity]) {
            out.emit(meter, column);
        }
        Ok(())
    }
}

register_pollster!(Disk);

#[cfg(test)]
mod tests {
    use super::*;
    use wasmeter_sdk::testing::Host;

    #[test]
    fn every_meter_has_its_key() {
        let keys = Disk::READS.iter().take(9).map(|wanted| wanted.key);
        let mut host = (1..).zip(keys).fold(Host::new(), |host, (value, key)| host.stat(key, [(5, value)]));
        let samples = host.poll::<Disk>().unwrap();
        for (meter, value) in [
            ("disk.device.read.requests", 1),
            ("disk.device.read.bytes", 2),
            ("disk.device.write.requests", 3),
            ("disk.device.write.bytes", 4),
            ("disk.device.read.latency", 5),
            ("disk.device.write.latency", 6),
            ("disk.device.allocation", 7),
            ("disk.device.usage", 8),
            ("disk.device.capacity", 9),
        ] {
            assert_eq!(samples.counts(meter), [(5, value)], "{meter}");
        }
    }

    #[test]
    fn capacity_is_no_less_than_the_room_taken() {
        let host = Host::new().stat("block.*.capacity", [(2, 10), (3, 0), (5, u64::MAX)]);
        let samples = host.stat("block.*.physical", [(2, 4_u64), (3, 7), (4, 1)]).poll::<Disk>().unwrap();
        assert_eq!(samples.counts("disk.device.capacity"), [(2, 10), (3, 7), (5, u64::MAX)]);
        assert_eq!(samples.counts("disk.device.usage"), [(2, 4), (3, 7), (4, 1)]);
    }

    /// A disk as libvirt's bulk statistics have it: whether it is a qcow2 file, where it is a file, how far it was
    /// written, what is physical, and of its file the length and the room that it takes.
    type Bulk = (Option<u64>, Option<u64>, u64, Option<(u64, u64)>);

    fn host(disks: &[Bulk]) -> Host {
        let column = |of: fn(&Bulk) -> Option<u64>| {
            (0_u32..).zip(disks).filter_map(|(disk, bulk)| Some((disk, of(bulk)?))).collect::<Vec<_>>()
        };
        let host = Host::new().stat("block.*.qcow2", column(|bulk| bulk.0));
        let host = host.stat("block.*.allocation", column(|bulk| bulk.1));
        let host = host.stat("block.*.physical", column(|bulk| Some(bulk.2)));
        let host = host.stat("block.*.length", column(|bulk| bulk.3.map(|(length, _)| length)));
        host.stat("block.*.taken", column(|bulk| bulk.3.map(|(_, taken)| taken)))
    }

    #[test]
    fn sizes_are_those_of_single_disks() {
        let cases: &[(Bulk, u64, u64)] = &[
            // qcow2, whatever was written.
            ((Some(1), Some(0), 200, Some((196, 200))), 200, 196),
            ((Some(1), Some(300), 200, Some((400, 200))), 200, 400),
            ((Some(1), Some(300), 200, None), 200, 200),
            // raw: never written, written, written just as far as it takes room, and nothing in it.
            ((Some(0), Some(0), 60, Some((100, 60))), 60, 100),
            ((Some(0), None, 60, Some((100, 60))), 60, 100),
            ((Some(0), Some(0), 60, None), 60, 60),
            ((Some(0), Some(80), 60, Some((100, 60))), 80, 60),
            ((Some(0), Some(60), 60, Some((100, 60))), 60, 100),
            ((Some(0), Some(0), 100, Some((100, 0))), 0, 100),
            // A block device, and a disk of a guest that is off.
            ((None, Some(0), 100, None), 0, 100),
            ((None, Some(60), 100, None), 60, 100),
        ];
        let disks: Vec<Bulk> = cases.iter().map(|case| case.0).collect();
        let samples = host(&disks).poll::<Disk>().unwrap();
        let of = |number: fn(&(Bulk, u64, u64)) -> u64| (0_u32..).zip(cases.iter().map(number)).collect::<Vec<_>>();
        assert_eq!(samples.counts("disk.device.allocation"), of(|case| case.1));
        assert_eq!(samples.counts("disk.device.usage"), of(|case| case.2));
    }

    #[test]
    fn gives_what_there_is() {
        assert!(Host::new().poll::<Disk>().unwrap().names().is_empty());
    }
}
