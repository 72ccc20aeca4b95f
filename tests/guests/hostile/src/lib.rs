//! A pollster that does whatever wrong its configuration names.
//!
//! `describe: ...` goes wrong in `describe` ([`saying`]); `run: ...` in running at all ([`running`]), `ask: ...` in
//! what it asks of the host ([`asking`]), `give: ...` in what it answers ([`giving`]). Without a configuration it is
//! honest: it gives the CPU time of each guest.

#![allow(clippy::panic, clippy::infinite_iter, reason = "that is its purpose")]

mod asking;
mod giving;
mod running;
mod saying;

use std::collections::HashMap;

use wasmeter_sdk::bindings::pollster::wasmeter::plugin::{clock, state};
use wasmeter_sdk::{
    Call, Declared, Description, Failure, Kind, Meter, Pollster, Samples, Wanted, gauge, read, register_pollster,
};

/// The pollster.
pub struct Hostile;

/// No resource, meter or text has such a number.
const NOWHERE: u32 = 1_000_000;
/// A text that is longer than any log should be.
const LONG: usize = 1 << 20;

impl Pollster for Hostile {
    const METERS: &'static [Declared] = &[gauge("hostile.time", "ns")];
    const READS: &'static [Wanted] = &[read("cpu.time")];

    fn describe(config: &str) -> Result<Description, String> {
        match config.strip_prefix("describe: ") {
            Some(wrong) => saying::describe(wrong),
            None => Ok(saying::honest()),
        }
    }

    fn poll(call: &Call<'_>, out: &mut Samples) -> Result<(), Failure> {
        let times = call.column("cpu.time")?;
        match call.config().split_once(": ") {
            None | Some(("describe", _)) => {}
            Some(("run", wrong)) => running::run(wrong)?,
            Some(("ask", wrong)) => asking::ask(wrong, call, &times)?,
            Some(("give", wrong)) => return giving::give(wrong, call, times, out),
            Some((other, _)) => return Err(unknown(other)),
        }
        out.emit(0, times);
        Ok(())
    }
}

register_pollster!(Hostile);

fn unknown(wrong: &str) -> Failure {
    format!("there is no misbehaviour {wrong:?}").into()
}

fn meter(name: &str) -> Meter {
    Meter { name: name.into(), kind: Kind::Gauge, unit: String::new() }
}

/// A digest of everything that could differ from call to call: the time, memory of before, the order of a hash
/// table, the environment, addresses.
fn see() -> u32 {
    let at = clock::read_at();
    let order: Vec<u32> = (0..100).map(|n| (n, n)).collect::<HashMap<u32, u32>>().into_values().collect();
    let environment: Vec<_> = std::env::vars().map(|(name, _)| name).chain(std::env::args()).collect();
    let place = (&raw const at).addr();
    let seen = format!("{at:?} {:?} {order:?} {environment:?} {place}", state::load_bytes("bytes"));
    seen.bytes().fold(7, |digest: u32, byte| digest.wrapping_mul(31).wrapping_add(byte.into()))
}
