//! Hardware counters of guests. Most hosts do not count them, and then there are no samples.

use wasmeter_sdk::{Call, Declared, Failure, Pollster, Samples, Wanted, gauge, read, register_pollster};

/// The pollster.
pub struct Perf;

impl Pollster for Perf {
    const METERS: &'static [Declared] = &[
        gauge("perf.cpu.cycles", ""),
        gauge("perf.instructions", ""),
        gauge("perf.cache.references", ""),
        gauge("perf.cache.misses", ""),
    ];
    /// In the order of the meters.
    const READS: &'static [Wanted] =
        &[read("perf.cpu_cycles"), read("perf.instructions"), read("perf.cache_references"), read("perf.cache_misses")];

    fn poll(call: &Call<'_>, out: &mut Samples) -> Result<(), Failure> {
        for (meter, wanted) in Self::READS.iter().enumerate() {
            out.emit(meter, call.column_or_empty(wanted.key)?);
        }
        Ok(())
    }
}

register_pollster!(Perf);

#[cfg(test)]
mod tests {
    use super::*;
    use wasmeter_sdk::testing::Host;

    #[test]
    fn gives_what_is_counted() {
        let mut host = Host::new().stat("perf.cpu_cycles", [(0, u64::MAX)]).stat("perf.cache_misses", [(1, 3)]);
        let samples = host.poll::<Perf>().unwrap();
        assert_eq!(samples.names(), ["perf.cpu.cycles", "perf.cache.misses"]);
        assert_eq!(samples.counts("perf.cpu.cycles"), [(0, u64::MAX)]);
        assert_eq!(samples.counts("perf.cache.misses"), [(1, 3)]);
    }

    #[test]
    fn hosts_that_do_not_count_are_no_failure() {
        assert!(Host::new().poll::<Perf>().unwrap().names().is_empty());
    }
}
