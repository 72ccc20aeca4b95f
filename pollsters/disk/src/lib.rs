//! Traffic, latency and sizes of guests' disks.

use wasmeter_sdk::{Call, Declared, Failure, Pollster, Samples, Wanted, cumulative, gauge, read, register_pollster};

/// The pollster.
pub struct Disk;

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
    /// As many as meters, and in their order.
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
    ];

    fn poll(call: &Call<'_>, out: &mut Samples) -> Result<(), Failure> {
        for (meter, wanted) in Self::READS.iter().enumerate() {
            let mut column = call.column_or_empty(wanted.key)?;
            if wanted.key == "block.*.capacity" {
                // A medium may take more room than it shows, and libvirt does not know the size of every one.
                let physical = call.column_or_empty("block.*.physical")?;
                column = column.join_counts(&physical, |shown, taken| Some(shown.max(taken)))?.or(&column);
            }
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
        let keys = Disk::READS.iter().map(|wanted| wanted.key);
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

    #[test]
    fn gives_what_there_is() {
        assert!(Host::new().poll::<Disk>().unwrap().names().is_empty());
    }
}
