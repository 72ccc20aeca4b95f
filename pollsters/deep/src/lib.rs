//! Meters of guests that Ceilometer never had:
//!
//! | meter | what it tells |
//! |---|---|
//! | `cpu.steal` | how long virtual CPUs were ready to run and the host ran something else |
//! | `cpu.wait` | how long they waited for I/O |
//! | `memory.balloon.age` | how old the balloon driver's figures are; a driver that died leaves them as they were |
//! | `memory.faults.major` | page faults in the guest that needed its disk |
//! | `memory.faults.minor` | page faults in the guest that did not |
//! | `disk.device.flush.requests` | how often the guest had a disk make its writes durable |
//! | `disk.device.flush.latency` | how long that took, all together |

use wasmeter_sdk::{Call, Declared, Failure, Pollster, Samples, Wanted, cumulative, gauge, read, register_pollster};

/// The pollster.
pub struct Deep;

impl Pollster for Deep {
    const METERS: &'static [Declared] = &[
        cumulative("cpu.steal", "ns"),
        cumulative("cpu.wait", "ns"),
        gauge("memory.balloon.age", "s"),
        cumulative("memory.faults.major", "fault"),
        cumulative("memory.faults.minor", "fault"),
        cumulative("disk.device.flush.requests", "request"),
        cumulative("disk.device.flush.latency", "ns"),
    ];
    /// In the order of the meters.
    const READS: &'static [Wanted] = &[
        read("vcpu.*.delay"),
        read("vcpu.*.wait"),
        read("balloon.last-update"),
        read("balloon.major_fault"),
        read("balloon.minor_fault"),
        read("block.*.fl.reqs"),
        read("block.*.fl.times"),
    ];

    fn poll(call: &Call<'_>, out: &mut Samples) -> Result<(), Failure> {
        let now = call.read_at().wall;
        for (meter, wanted) in Self::READS.iter().enumerate() {
            let column = call.column_or_empty(wanted.key)?;
            match wanted.key {
                "vcpu.*.delay" | "vcpu.*.wait" => out.emit(meter, column.sum_by_parent(call)),
                "balloon.last-update" => out.emit(meter, column.map_counts(|updated| age(now, updated))?),
                _ => out.emit(meter, column),
            }
        }
        Ok(())
    }
}

/// Seconds between an update, in whole seconds since 1970, and now. Zero stands for a guest that never gave one.
#[allow(clippy::cast_precision_loss, reason = "ages are far below 2^53 ns")]
fn age(now: i64, updated: u64) -> Option<f64> {
    let updated = i64::try_from(updated).ok().filter(|seconds| *seconds > 0)?.checked_mul(1_000_000_000)?;
    Some(now.checked_sub(updated)?.max(0) as f64 / 1e9)
}

register_pollster!(Deep);

#[cfg(test)]
mod tests {
    use super::*;
    use wasmeter_sdk::testing::Host;

    #[test]
    fn virtual_cpus_are_summed() {
        let mut host = Host::new().parents([(2, 0), (3, 0), (5, 1)]);
        host = host.stat("vcpu.*.delay", [(2, 1), (3, 2), (5, 4)]).stat("vcpu.*.wait", [(3, u64::MAX)]);
        let samples = host.poll::<Deep>().unwrap();
        assert_eq!(samples.counts("cpu.steal"), [(0, 3), (1, 4)]);
        assert_eq!(samples.counts("cpu.wait"), [(0, u64::MAX)]);
        assert_eq!(samples.names(), ["cpu.steal", "cpu.wait"]);
    }

    #[test]
    fn the_balloon_ages() {
        let host = Host::new().read_at(1_800_000_010);
        let mut host = host.stat("balloon.last-update", [(0, 1_800_000_000), (1, 0), (2, 1_800_000_011)]);
        assert_eq!(host.poll::<Deep>().unwrap().reals("memory.balloon.age"), [(0, 10.0), (2, 0.0)]);
    }

    #[test]
    fn counters_pass_through() {
        let mut host = Host::new();
        for (value, wanted) in (1..).zip(&Deep::READS[3..]) {
            host = host.stat(wanted.key, [(4, value)]);
        }
        let samples = host.poll::<Deep>().unwrap();
        for (value, meter) in (1..).zip(&Deep::METERS[3..]) {
            assert_eq!(samples.counts(meter.name), [(4, value)], "{}", meter.name);
        }
    }
}
