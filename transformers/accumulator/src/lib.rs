//! Samples held back until there are enough: Ceilometer's transformer `accumulator`.
//!
//! ```json
//! {"size": 1000}
//! ```
//!
//! At the end of a slot all samples come out, if there are `size` of them, of whatever meters and resources. With a
//! size of 0 they pass.

mod held;

use scaling::{Keys, LONGEST, Losses, is_enough, merged};
use wasmeter_sdk::{Batch, Call, Converting, Failure, Meter, Outputs, Transformer, register_transformer};

use self::held::Held;

/// The transformer.
#[derive(Debug)]
pub struct Accumulator;

impl Transformer for Accumulator {
    fn describe(config: &str, inputs: &[Meter]) -> Result<Outputs, String> {
        size(config)?;
        // Whatever waits comes out, whether more of its meter comes in or not.
        Ok(Outputs { meters: inputs.to_vec(), declares: vec!["*".into()] })
    }

    fn convert(call: &Call<'_, Converting>, inputs: &[Meter], batches: Vec<Batch>) -> Result<Vec<Batch>, Failure> {
        let size = size(call.config())?;
        let Some(now) = batches.iter().map(|batch| batch.at.wall).max() else { return Ok(batches) };
        let batches = merged(batches);
        let mut held = Held::load(call);
        let new: usize = batches.iter().map(|batch| batch.column.len()).sum();
        let new = new as u64;
        let is_old = held.since().is_some_and(|since| now.saturating_sub(since) >= LONGEST);
        let has_room = held.has_room(call, &batches);
        if !is_old && has_room && !is_enough(call, size, held.samples().saturating_add(new), new) {
            held.keep(call, inputs, batches)?;
            held.save(call)?;
            return Ok(Vec::new());
        }
        let mut losses = Losses::default();
        let mut given = Vec::new();
        if !held.is_empty() || !has_room {
            given = held.give(call, inputs, now, &mut losses)?;
            if !has_room && !call.is_part() {
                held.clear(call)?;
            }
            held.save(call)?;
        }
        losses.tell(call);
        given.extend(batches);
        Ok(given)
    }
}

/// How many samples come out together.
fn size(config: &str) -> Result<u64, String> {
    let mut keys = Keys::of(config)?;
    let size = if keys.has("size") { keys.whole_or_nothing("size")?.unwrap_or(0) } else { 1 };
    keys.end()?;
    Ok(size)
}

register_transformer!(Accumulator);

#[cfg(test)]
mod tests;
