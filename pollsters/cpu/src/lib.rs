//! Processor time of guests, and their virtual CPUs.
//!
//! `cpu` is what the virtual CPUs ran and waited, if both are known of as many as the guest has; libvirt may number
//! them with holes. Otherwise it is the time that libvirt gives for the guest as a whole.

use wasmeter_sdk::{
    Call, Declared, Failure, Pollster, Samples, Wanted, cumulative, gauge, instead_of, read, register_pollster,
};

/// The pollster.
pub struct Cpu;

impl Pollster for Cpu {
    const METERS: &'static [Declared] = &[cumulative("cpu", "ns"), gauge("vcpus", "vcpu")];
    const READS: &'static [Wanted] = &[
        read("vcpu.current"),
        read("vcpu.*.time"),
        read("vcpu.*.wait"),
        instead_of("cpu.time", &["vcpu.*.time", "vcpu.*.wait"]),
    ];

    fn poll(call: &Call<'_>, out: &mut Samples) -> Result<(), Failure> {
        let vcpus = call.column_or_empty("vcpu.current")?;
        let (time, wait) = (call.column_or_empty("vcpu.*.time")?, call.column_or_empty("vcpu.*.wait")?);
        let pairs = time.join_counts(&wait, u64::checked_add)?;
        let guests = call.parents(&pairs.resources);
        let complete = vcpus.join_counts(&pairs.count_by(&guests), |all, known| (all == known).then_some(all))?;
        let sums = pairs.sum_by(&guests).join_counts(&complete, |sum, _| Some(sum))?;
        let cpu = sums.or(&call.column_or_empty("cpu.time")?);
        out.emit_with(0, cpu, vec![call.note("cpu_number", vcpus.clone())?]);
        out.emit(1, vcpus);
        Ok(())
    }
}

register_pollster!(Cpu);

#[cfg(test)]
mod tests {
    use super::*;
    use wasmeter_sdk::testing::{Host, Polled};

    /// Guests 0 and 1 with two virtual CPUs each, numbered 2 to 5.
    fn host() -> Host {
        Host::new()
            .parents([(2, 0), (3, 0), (4, 1), (5, 1)])
            .stat("vcpu.current", [(0, 2), (1, 2)])
            .stat("cpu.time", [(0, 7000), (1, 8000)])
    }

    fn poll(mut host: Host) -> Polled {
        host.poll::<Cpu>().unwrap()
    }

    #[test]
    fn sums_complete_pairs() {
        let samples = poll(
            host()
                .stat("vcpu.*.time", [(2, 1), (3, 10), (4, 100), (5, 1000)])
                .stat("vcpu.*.wait", [(2, 2), (3, 20), (4, 200), (5, 2000)]),
        );
        assert_eq!(samples.counts("cpu"), [(0, 33), (1, 3300)]);
        assert_eq!(samples.counts("vcpus"), [(0, 2), (1, 2)]);
        assert_eq!(samples.note("cpu", "cpu_number"), [(0, "2".to_owned()), (1, "2".to_owned())]);
    }

    #[test]
    fn numbers_may_have_holes() {
        // Of three virtual CPUs the middle one, 3, is not plugged.
        let samples = poll(
            host().parents([(4, 0)]).stat("vcpu.*.time", [(2, 1), (4, 10)]).stat("vcpu.*.wait", [(2, 2), (4, 20)]),
        );
        assert_eq!(samples.counts("cpu"), [(0, 33), (1, 8000)]);
    }

    #[test]
    fn falls_back_where_a_pair_is_incomplete() {
        let samples = poll(
            host()
                .stat("vcpu.*.time", [(2, 1), (3, 10), (4, 100), (5, 1000)])
                .stat("vcpu.*.wait", [(2, 2), (4, 200), (5, 2000)]),
        );
        assert_eq!(samples.counts("cpu"), [(0, 7000), (1, 3300)]);
        assert_eq!(poll(host()).counts("cpu"), [(0, 7000), (1, 8000)]);
    }

    #[test]
    fn is_exact_to_the_last_bit() {
        let host = host().stat("vcpu.*.time", [(2, u64::MAX - 6), (3, 1)]).stat("vcpu.*.wait", [(2, 2_u64), (3, 3)]);
        assert_eq!(poll(host).counts("cpu"), [(0, u64::MAX), (1, 8000)]);
    }

    #[test]
    fn knows_guests_by_their_time_alone() {
        let samples = poll(Host::new().stat("cpu.time", [(0, 5)]));
        assert_eq!((samples.counts("cpu"), samples.names()), (vec![(0, 5)], vec!["cpu"]));
    }
}
