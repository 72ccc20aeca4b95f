//! What transformers that hold samples back have in common.

use std::collections::BTreeMap;

use wasmeter_sdk::{Call, Column, Converting, Failure, Meter, Moment, Values};

/// What a cell of state takes.
pub const CELL_BYTES: u64 = 16;

/// How long samples are held back at most, in nanoseconds: the host takes none that is older than a day.
pub const LONGEST: i64 = 23 * 3_600 * 1_000_000_000;
/// Samples that are older cannot come out any more.
pub const OLDEST: i64 = 24 * 3_600 * 1_000_000_000 - 60 * 1_000_000_000;

/// Clocks that are read one after the other, and that nobody sets, are apart by less, in nanoseconds.
const APART: u64 = 1_000_000_000;

/// A time of before by the clocks as they are now, as what comes out may have it. Since then the clock on the wall may
/// have been set: the one that is never set knows by how much. A machine that was restarted counts anew.
pub fn remembered(call: &Call<'_, Converting>, then: Moment) -> Moment {
    let now = call.read_at();
    let passed = then.monotonic.zip(now.monotonic).and_then(|(then, now)| now.checked_sub(then));
    let wall = passed.map_or(then.wall, |passed| now.wall.saturating_sub_unsigned(passed));
    let wall = if wall.abs_diff(then.wall) < APART { then.wall } else { wall };
    Moment { wall: wall.min(now.wall), monotonic: then.monotonic.filter(|_| passed.is_some()) }
}

/// Whether enough samples wait, of which some are new.
///
/// A part of a slot cannot tell what all of it has, and lets go of nothing that the whole would not: unless so much
/// waits that there seem to be nothing but parts.
pub fn is_enough(call: &Call<'_, Converting>, size: u64, waiting: u64, new: u64) -> bool {
    if call.is_part() { new >= size || waiting >= size.saturating_mul(2) } else { waiting >= size }
}

/// The meters that come out, by name.
#[derive(Debug)]
pub struct ByName<'a>(BTreeMap<&'a str, Vec<(u32, &'a Meter)>>);

// === impl ByName ===

impl<'a> ByName<'a> {
    /// These, in the order of their positions.
    pub fn of(outputs: &'a [Meter]) -> Self {
        let mut by_name: BTreeMap<&str, Vec<(u32, &Meter)>> = BTreeMap::new();
        for (place, output) in (0..).zip(outputs) {
            by_name.entry(&output.name).or_default().push((place, output));
        }
        Self(by_name)
    }

    /// The position of a meter that comes out, be it described or not; `None` if another of its name comes out.
    pub fn position(&self, call: &Call<'_, Converting>, meter: &Meter) -> Result<Option<u32>, Failure> {
        match self.0.get(&*meter.name) {
            Some(known) => Ok(known.iter().find(|(_, output)| *output == meter).map(|(place, _)| *place)),
            None => Ok(call.declare_meters(std::slice::from_ref(meter))?.first().copied()),
        }
    }
}

/// Removes all cells under a name.
pub fn clear(call: &Call<'_, Converting>, name: &str) -> Result<(), Failure> {
    // Numbers of another type replace what is there, and it has one of these.
    call.save(name, &Column::new(Vec::new(), Values::Counts(Vec::new())))?;
    call.save(name, &Column::new(Vec::new(), Values::Integers(Vec::new())))
}
