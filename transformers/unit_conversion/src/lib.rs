//! Meters in other units and by other names: Ceilometer's transformer `unit_conversion`.
//!
//! ```json
//! {"source": {"unit": "B"}, "target": {"name": "disk.size.mb", "unit": "MB", "scale": "volume / 1048576", "max": 100}}
//! ```
//!
//! Samples in another unit than `source.unit` pass unchanged.

use scaling::{Facts, Keys, Losses, Naming, Positions, Scale, Volumes, merged};
use wasmeter_sdk::{Batch, Call, Converting, Failure, Meter, Outputs, Transformer, register_transformer};

/// The transformer.
#[derive(Debug)]
pub struct UnitConversion;

#[derive(Debug)]
struct Config {
    /// The unit that it is for, if not for all.
    unit: Option<String>,
    naming: Naming,
    scale: Scale,
}

impl Transformer for UnitConversion {
    fn describe(config: &str, inputs: &[Meter]) -> Result<Outputs, String> {
        Ok(Config::of(config)?.positions(inputs)?.0.into_meters().into())
    }

    fn convert(call: &Call<'_, Converting>, inputs: &[Meter], batches: Vec<Batch>) -> Result<Vec<Batch>, Failure> {
        let config = Config::of(call.config())?;
        let (_, positions) = config.positions(inputs)?;
        let (mut batches, facts) = (merged(batches), Facts::of(call));
        let mut losses = Losses::default();
        for batch in &mut batches {
            let place = batch.meter as usize;
            let (Some(input), Some(position)) = (inputs.get(place), positions.get(place)) else { continue };
            if config.is_for(input) && !config.scale.is_nothing() {
                let mut volumes = Volumes::like(&batch.column.values, batch.column.len());
                let mut scaling = config.scale.begin(&facts, input, batch)?;
                for (row, resource) in batch.column.resources.iter().enumerate() {
                    match scaling.volume(row, *resource) {
                        Ok(volume) => volumes.push(*resource, config.scale.limited(volume)),
                        Err(error) => losses.count(&input.name, || format!("target.scale: {error}")),
                    }
                }
                batch.column = volumes.into_column();
            }
            batch.meter = *position;
        }
        losses.tell(call);
        batches.retain(|batch| !batch.column.is_empty());
        Ok(batches)
    }
}

// === impl Config ===

impl Config {
    fn of(config: &str) -> Result<Self, String> {
        let mut keys = Keys::of(config)?;
        let (mut source, mut target) = (keys.keys("source")?, keys.keys("target")?);
        let unit = source.text("unit")?;
        let (naming, scale) = (Naming::of(&mut source, &mut target)?, Scale::of(&mut target)?);
        source.end()?;
        target.end()?;
        keys.end()?;
        Ok(Self { unit, naming, scale })
    }

    fn is_for(&self, input: &Meter) -> bool {
        self.unit.as_ref().is_none_or(|unit| *unit == input.unit)
    }

    /// What comes out, and the position in it for each input.
    fn positions(&self, inputs: &[Meter]) -> Result<(Positions, Vec<u32>), String> {
        self.naming.suffices(inputs.iter().filter(|input| self.is_for(input)))?;
        let mut positions = Positions::default();
        let named = |input: &Meter| if self.is_for(input) { self.naming.meter(input) } else { input.clone() };
        let of = |input: &Meter| positions.of_input(input, named(input));
        let places = inputs.iter().map(of).collect::<Result<_, _>>()?;
        Ok((positions, places))
    }
}

register_transformer!(UnitConversion);

#[cfg(test)]
mod tests;
