//! How fast meters grow: Ceilometer's transformer `rate_of_change`.
//!
//! ```json
//! {"target": {"name": "cpu_util", "unit": "%", "type": "gauge",
//!             "scale": "100.0 / (10**9 * (resource_metadata.cpu_number or 1))"}}
//! ```
//!
//! The first sample of a resource gives nothing, and so does one that is older than the last. A cumulative meter that
//! is below its last value was reset: it grew by what it is now. Two samples of one time have the rate zero.

use expression::Volume;
use scaling::{Facts, Follow, Keys, Losses, Naming, Positions, Scale, Step, Volumes, merged};
use wasmeter_sdk::{Batch, Call, Converting, Failure, Kind, Meter, Outputs, Transformer, Values, register_transformer};

/// The transformer.
#[derive(Debug)]
pub struct RateOfChange;

#[derive(Debug)]
struct Config {
    naming: Naming,
    scale: Scale,
}

impl Transformer for RateOfChange {
    fn describe(config: &str, inputs: &[Meter]) -> Result<Outputs, String> {
        Ok(Positions::named(&Config::of(config)?.naming, inputs)?.0.into_meters().into())
    }

    fn convert(call: &Call<'_, Converting>, inputs: &[Meter], batches: Vec<Batch>) -> Result<Vec<Batch>, Failure> {
        let config = Config::of(call.config())?;
        let (_, positions) = Positions::named(&config.naming, inputs)?;
        let (mut batches, facts) = (merged(batches), Facts::of(call));
        let mut losses = Losses::default();
        let mut follow = Follow::begin(call, inputs, &batches);
        let mut rates = Vec::with_capacity(batches.len());
        for batch in &batches {
            let Some(input) = inputs.get(batch.meter as usize) else { continue };
            let mut scaling = config.scale.begin(&facts, input, batch)?;
            let mut volumes = Volumes::like(&Values::Reals(Vec::new()), batch.column.len());
            for step in follow.steps(batch) {
                match scaling.factor(step.row, step.resource).map(|factor| factor * rate(&step, input.kind)) {
                    Ok(rate) if rate.is_finite() => {
                        volumes.push(step.resource, config.scale.limited(Volume::Real(rate)));
                    }
                    Ok(_) => losses.count(&input.name, || "the rate is too large for a real number".into()),
                    Err(error) => losses.count(&input.name, || format!("target.scale: {error}")),
                }
            }
            rates.push(volumes.into_column());
        }
        follow.save(call)?;
        losses.tell(call);
        for (batch, column) in batches.iter_mut().zip(rates) {
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
        // Known and without effect, as upstream.
        source.text("unit")?;
        let (naming, scale) = (Naming::of(&mut source, &mut target)?, Scale::of(&mut target)?);
        source.end()?;
        target.end()?;
        keys.end()?;
        Ok(Self { naming, scale })
    }
}

/// By how much it grew in a second.
#[allow(clippy::cast_precision_loss, reason = "a rate is a real number")]
fn rate(step: &Step, kind: Kind) -> f64 {
    if step.nanos == 0 {
        return 0.0;
    }
    let growth = match (step.now, step.before) {
        (Volume::Count(now), Volume::Count(before)) if before <= now => (now - before) as f64,
        _ => match (step.now.whole(), step.before.whole()) {
            (Some(now), Some(before)) if now < before && kind == Kind::Cumulative => now as f64,
            (Some(now), Some(before)) => (now - before) as f64,
            _ if step.now.real() < step.before.real() && kind == Kind::Cumulative => step.now.real(),
            _ => step.now.real() - step.before.real(),
        },
    };
    growth / (step.nanos as f64 / 1e9)
}

register_transformer!(RateOfChange);

#[cfg(test)]
mod tests;
