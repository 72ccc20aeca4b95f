//! Whether guests run: `power.state`, libvirt's number of a domain's state.

use wasmeter_sdk::{Call, Declared, Failure, Pollster, Samples, Wanted, gauge, read, register_pollster};

/// The pollster.
pub struct Power;

impl Pollster for Power {
    const METERS: &'static [Declared] = &[gauge("power.state", "")];
    const READS: &'static [Wanted] = &[read("state.state")];

    fn poll(call: &Call<'_>, out: &mut Samples) -> Result<(), Failure> {
        out.emit(0, call.column_or_empty("state.state")?);
        Ok(())
    }
}

register_pollster!(Power);

#[cfg(test)]
mod tests {
    use super::*;
    use wasmeter_sdk::testing::Host;

    #[test]
    fn gives_the_state() {
        let mut host = Host::new().stat("state.state", [(0, 1), (2, 3)]);
        assert_eq!(host.poll::<Power>().unwrap().counts("power.state"), [(0, 1), (2, 3)]);
    }

    #[test]
    fn gives_nothing_of_guests_that_are_off() {
        assert!(Host::new().poll::<Power>().unwrap().names().is_empty());
    }
}
