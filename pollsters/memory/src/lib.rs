//! Memory of guests, as their balloon drivers see it, in MiB.
//!
//! `memory.usage` is what is neither usable nor, where a driver is too old to know that, unused. What was swapped in
//! and out is known together or not at all.

use wasmeter_sdk::{
    Call, Column, Declared, Failure, Pollster, Samples, Wanted, cumulative, gauge, read, register_pollster,
};

/// The pollster.
pub struct Memory;

impl Pollster for Memory {
    const METERS: &'static [Declared] = &[
        gauge("memory", "MiB"),
        gauge("memory.available", "MiB"),
        gauge("memory.usage", "MiB"),
        gauge("memory.resident", "MiB"),
        cumulative("memory.swap.in", "MiB"),
        cumulative("memory.swap.out", "MiB"),
    ];
    const READS: &'static [Wanted] = &[
        read("balloon.current"),
        read("balloon.available"),
        read("balloon.usable"),
        read("balloon.unused"),
        read("balloon.rss"),
        read("balloon.swap_in"),
        read("balloon.swap_out"),
    ];

    fn poll(call: &Call<'_>, out: &mut Samples) -> Result<(), Failure> {
        let read = |what: &str| call.column_or_empty(&format!("balloon.{what}"));
        let available = read("available")?;
        let free = read("usable")?.or(&read("unused")?);
        let (swap_in, swap_out) = (read("swap_in")?, read("swap_out")?);
        out.emit(0, mib(&read("current")?));
        out.emit(1, mib(&available));
        out.emit(2, available.join_map(&free, |available, free| Some((available - free) / 1024.0)));
        out.emit(3, mib(&read("rss")?));
        out.emit(4, swap_in.join_map(&swap_out, |kib, _| Some(kib / 1024.0)));
        out.emit(5, swap_out.join_map(&swap_in, |kib, _| Some(kib / 1024.0)));
        Ok(())
    }
}

fn mib(kib: &Column) -> Column {
    kib.map(|kib| Some(kib / 1024.0))
}

register_pollster!(Memory);

#[cfg(test)]
mod tests {
    use super::*;
    use wasmeter_sdk::testing::Host;

    #[test]
    fn divides_without_rounding() {
        let samples = Host::new().stat("balloon.current", [(0, 54400), (1, 1024)]).poll::<Memory>().unwrap();
        assert_eq!(samples.reals("memory"), [(0, 53.125), (1, 1.0)]);
        assert_eq!(samples.names(), ["memory"]);
    }

    #[test]
    fn usage_prefers_usable_to_unused() {
        let mut host = Host::new()
            .stat("balloon.available", [(0, 10240), (1, 10240), (2, 10240)])
            .stat("balloon.usable", [(0, 4096), (3, 1)])
            .stat("balloon.unused", [(0, 1024), (1, 2048)]);
        let samples = host.poll::<Memory>().unwrap();
        assert_eq!(samples.reals("memory.usage"), [(0, 6.0), (1, 8.0)]);
        assert_eq!(samples.reals("memory.available").len(), 3);
    }

    #[test]
    fn swap_is_known_together_or_not_at_all() {
        let host = Host::new().stat("balloon.swap_in", [(0, 512), (1, 1024)]);
        let samples = host.stat("balloon.swap_out", [(1, 3072), (2, 5)]).poll::<Memory>().unwrap();
        assert_eq!(samples.reals("memory.swap.in"), [(1, 1.0)]);
        assert_eq!(samples.reals("memory.swap.out"), [(1, 3.0)]);
        assert!(Host::new().stat("balloon.swap_in", [(0, 5)]).poll::<Memory>().unwrap().names().is_empty());
    }
}
