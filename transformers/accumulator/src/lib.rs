//! Samples held back until there are enough: Ceilometer's transformer `accumulator`.
//!
//! ```json
//! {"size": 1000}
//! ```
//!
//! At the end of a slot all samples come out, if there are `size` of them, of whatever meters and resources. With a
//! size of 0 they pass.

mod held;

use scaling::{Keys, LONGEST, Losses, Said, is_enough, merged};
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
        let now = batches.iter().map(|batch| batch.at.wall).max().unwrap_or_else(|| call.read_at().wall);
        let batches = merged(batches);
        let (mut held, mut said) = (Held::load(call), Said::load(call));
        let new: usize = batches.iter().map(|batch| batch.column.len()).sum();
        let new = new as u64;
        let mut losses = Losses::default();
        let mut given = held.give_left(call, inputs, (now, &said), &mut losses)?;
        // What a part lacks is another part's.
        if !call.is_part() {
            held.give_up_old(now, &mut losses);
        }
        let is_old = held.fresh_since().is_some_and(|since| now.saturating_sub(since) >= LONGEST);
        let are_to_wait = !is_old && !is_enough(call, size, held.fresh().saturating_add(new), new);
        let mut sayings: Vec<Vec<u64>> = Vec::new();
        if are_to_wait {
            sayings = batches.iter().map(|batch| said.numbers(call, batch)).collect::<Result<_, _>>()?;
        }
        if are_to_wait && held.has_room(call, &batches, &said) {
            held.keep(call, inputs, batches.into_iter().zip(sayings))?;
            said.save(call)?;
        } else {
            let gives_up = !call.is_part() && are_to_wait;
            given.extend(held.give(call, inputs, (now, &said), gives_up, &mut losses)?);
            // There is no room for more.
            if are_to_wait && !call.is_part() {
                held.clear(call)?;
            }
            if held.is_empty() {
                said.clear();
                said.save(call)?;
            }
            given.extend(batches);
        }
        held.save(call)?;
        losses.tell(call);
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
