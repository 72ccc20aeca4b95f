//! By how much meters grew: Ceilometer's transformer `delta`.
//!
//! ```json
//! {"target": {"name": "cpu.delta"}, "growth_only": true}
//! ```
//!
//! The first sample of a resource gives nothing, and so does one that is older than the last. With `growth_only` a
//! value below the last one gives nothing either, but is what the next is compared with.

use expression::Volume;
use scaling::{Follow, Keys, Naming, Positions, Step, Volumes, merged};
use wasmeter_sdk::{Batch, Call, Converting, Failure, Kind, Meter, Outputs, Transformer, Values, register_transformer};

/// The transformer.
#[derive(Debug)]
pub struct Delta;

#[derive(Debug)]
struct Config {
    naming: Naming,
    growth_only: bool,
}

impl Transformer for Delta {
    fn describe(config: &str, inputs: &[Meter]) -> Result<Outputs, String> {
        Ok(Positions::named(&Config::of(config)?.naming, inputs)?.0.into_meters().into())
    }

    fn convert(call: &Call<'_, Converting>, inputs: &[Meter], batches: Vec<Batch>) -> Result<Vec<Batch>, Failure> {
        let config = Config::of(call.config())?;
        let (_, positions) = Positions::named(&config.naming, inputs)?;
        let mut batches = merged(batches);
        let mut follow = Follow::begin(call, inputs, &batches);
        let mut grown = Vec::with_capacity(batches.len());
        for batch in &batches {
            let mut volumes = Volumes::like(&Values::Integers(Vec::new()), batch.column.len());
            for step in follow.steps(batch) {
                let growth = growth(&step);
                if !(config.growth_only && growth.real() < 0.0) {
                    volumes.push(step.resource, growth);
                }
            }
            grown.push(volumes.into_column());
        }
        follow.save(call)?;
        for (batch, column) in batches.iter_mut().zip(grown) {
            batch.column = column;
            batch.meter = positions.get(batch.meter as usize).copied().unwrap_or(u32::MAX);
        }
        batches.retain(|batch| !batch.column.is_empty());
        Ok(batches)
    }
}

// === impl Config ===

impl Config {
    fn of(config: &str) -> Result<Self, String> {
        let mut keys = Keys::of(config)?;
        let (mut source, mut target) = (keys.keys("source")?, keys.keys("target")?);
        // A difference has the unit of what it is one of, whatever `target` says, as upstream.
        let mut naming = Naming::of(&mut source, &mut target)?;
        naming.keep_units(Kind::Delta);
        let growth_only = keys.flag("growth_only");
        source.end()?;
        target.end()?;
        keys.end()?;
        Ok(Self { naming, growth_only })
    }
}

/// Exact where it fits. Reals that are too far from each other are as far apart as reals can be.
fn growth(step: &Step) -> Volume {
    match (step.now, step.before) {
        (Volume::Count(now), Volume::Count(before)) if now >= before => {
            i64::try_from(now - before).map_or_else(|_| Volume::Count(now - before), Volume::Integer)
        }
        _ => match (step.now.whole(), step.before.whole()) {
            (Some(now), Some(before)) => match i64::try_from(now - before) {
                Ok(growth) => Volume::Integer(growth),
                Err(_) => Volume::of(now - before),
            },
            _ => Volume::Real((step.now.real() - step.before.real()).clamp(f64::MIN, f64::MAX)),
        },
    }
}

register_transformer!(Delta);

#[cfg(test)]
mod tests;
