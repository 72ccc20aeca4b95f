//! Disk sizes of guests' flavours, in GiB. The root disk is what is not ephemeral.

use wasmeter_sdk::{Call, Declared, Failure, Pollster, Samples, Wanted, gauge, read, register_pollster};

/// The pollster.
pub struct Flavor;

impl Pollster for Flavor {
    const METERS: &'static [Declared] = &[gauge("disk.root.size", "GiB"), gauge("disk.ephemeral.size", "GiB")];
    const READS: &'static [Wanted] = &[read("flavor.disk"), read("flavor.ephemeral")];

    fn poll(call: &Call<'_>, out: &mut Samples) -> Result<(), Failure> {
        let ephemeral = call.column_or_empty("flavor.ephemeral")?;
        out.emit(0, call.column_or_empty("flavor.disk")?.minus(&ephemeral));
        out.emit(1, ephemeral);
        Ok(())
    }
}

register_pollster!(Flavor);

#[cfg(test)]
mod tests {
    use super::*;
    use wasmeter_sdk::testing::Host;

    #[test]
    fn the_root_disk_is_what_is_not_ephemeral() {
        let mut host = Host::new().stat("flavor.disk", [(0, 20), (1, 0), (2, 5)]);
        host = host.stat("flavor.ephemeral", [(0, 5), (1, 10)]);
        let samples = host.poll::<Flavor>().unwrap();
        assert_eq!(samples.integers("disk.root.size"), [(0, 15), (1, -10)]);
        assert_eq!(samples.counts("disk.ephemeral.size"), [(0, 5), (1, 10)]);
    }
}
