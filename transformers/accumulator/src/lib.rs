//! Samples held back until there are enough: Ceilometer's transformer `accumulator`.
//!
//! ```json
//! {"size": 1000}
//! ```
//!
//! At the end of a slot all samples come out, if there are `size` of them, of whatever meters and resources. With a
//! size of 0 they pass.

mod held;

use scaling::{Keys, merged};
use wasmeter_sdk::{Batch, Call, Converting, Failure, Meter, Outputs, Transformer, register_transformer};

use self::held::{Held, MOST};

/// The transformer.
#[derive(Debug)]
pub struct Accumulator;

impl Transformer for Accumulator {
    fn describe(config: &str, inputs: &[Meter]) -> Result<Outputs, String> {
        size(config)?;
        Ok(inputs.to_vec().into())
    }

    fn convert(call: &Call<'_, Converting>, inputs: &[Meter], batches: Vec<Batch>) -> Result<Vec<Batch>, Failure> {
        let size = size(call.config())?;
        if batches.is_empty() {
            return Ok(batches);
        }
        let batches = merged(batches);
        let held = Held::load(call);
        let new: usize = batches.iter().map(|batch| batch.column.len()).sum();
        let enough = held.samples().saturating_add(new as u64) >= size;
        if enough || held.len() + batches.len() > MOST {
            let mut given = held.give(call, inputs)?;
            given.extend(batches);
            return Ok(given);
        }
        held.keep(call, inputs, batches)?;
        Ok(Vec::new())
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
