//! A pollster that remembers all that ran on its state, and says so.
//!
//! Its configuration is three numbers, `MARK EVERY AT`: it fails in seconds of which the rest by EVERY is AT, so in all of
//! them with `1 0` and never with `0 0`. Of each guest it gives its mark, and the trail of those that ran on its state
//! before it. With a fourth number it remembers so many bytes besides, and with the word `aloud` behind them it logs that
//! trail, too.

use wasmeter_sdk::{Call, Column, Declared, Failure, Level, Pollster, Samples, Wanted, gauge, read, register_pollster};

/// The pollster.
pub struct Remembering;

const NANOSECONDS: i64 = 1_000_000_000;

impl Pollster for Remembering {
    const METERS: &'static [Declared] = &[gauge("remembering.mark", ""), gauge("remembering.trail", "")];
    const READS: &'static [Wanted] = &[read("cpu.time")];

    fn poll(call: &Call<'_>, out: &mut Samples) -> Result<(), Failure> {
        let guests = call.column("cpu.time")?.resources;
        let numbers: Vec<u64> = call.config().split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [mark, every, at, ref load @ ..] = numbers[..] else {
            return Err("my configuration is not three numbers".into());
        };
        let second = (call.read_at().wall / NANOSECONDS).unsigned_abs();
        if every != 0 && second % every == at {
            return Err("I fail in this second".into());
        }
        let trail = call.load_bytes("trail").and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
        if call.config().ends_with("aloud") {
            call.log(Level::Info, &format!("trail {trail}"));
        }
        // As the test does.
        let next = (trail ^ mark.rotate_left(32) ^ second).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
        call.save_bytes("trail", &next.to_le_bytes())?;
        if let Some(bytes) = load.first() {
            call.save_bytes("load", &vec![1; usize::try_from(*bytes).unwrap_or(0)])?;
        }
        let all = |value: u64| Column::new(guests.clone(), vec![value; guests.len()]);
        out.emit(0, all(mark));
        out.emit(1, all(trail));
        Ok(())
    }
}

register_pollster!(Remembering);
