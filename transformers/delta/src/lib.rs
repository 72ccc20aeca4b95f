//! By how much meters grew: Ceilometer's transformer `delta`.
//!
//! ```json
//! {"target": {"name": "cpu.delta"}, "growth_only": true}
//! ```
//!
//! The first sample of a resource gives nothing, and so does one that is older than the last. With `growth_only` a
//! value below the last one gives nothing either, but is what the next is compared with.

use wasmeter_sdk::config::{self, Deserialize, serde};
use wasmeter_sdk::{
    Batch, Call, Column, Converting, Failure, Kind, Meter, Outputs, Transformer, Values, register_transformer,
};

/// The transformer.
pub struct Delta;

#[derive(Deserialize, Default)]
#[serde(crate = "serde", default, deny_unknown_fields)]
struct Config {
    target: Target,
    source: Option<serde::de::IgnoredAny>,
    growth_only: bool,
}

#[derive(Deserialize, Default)]
#[serde(crate = "serde", default, deny_unknown_fields)]
struct Target {
    name: Option<String>,
    map_to: Option<serde::de::IgnoredAny>,
}

/// The last samples of one meter: what they were, and when.
#[derive(Default)]
struct Last {
    values: Column,
    times: Column,
}

impl Transformer for Delta {
    fn describe(config: &str, inputs: &[Meter]) -> Result<Outputs, String> {
        let config: Config = config::parse(config)?;
        if config.source.is_some() || config.target.map_to.is_some() {
            return Err("delta: source.map_from and target.map_to are not supported; set target.name".into());
        }
        let target = config.target.name.as_ref();
        if let ([first, second, ..], Some(name)) = (inputs, target) {
            let (first, second) = (&first.name, &second.name);
            return Err(format!("delta: target.name is {name}, but {first}, {second} and perhaps others come in"));
        }
        let grown = |input: &Meter| {
            let name = target.unwrap_or(&input.name).clone();
            Meter { name, kind: Kind::Delta, unit: input.unit.clone() }
        };
        Ok(inputs.iter().map(grown).collect::<Vec<_>>().into())
    }

    fn convert(call: &Call<'_, Converting>, inputs: &[Meter], mut batches: Vec<Batch>) -> Result<Vec<Batch>, Failure> {
        let config: Config = config::parse(call.config())?;
        for (meter, input) in (0..).zip(inputs) {
            let mut last = Last::default();
            for batch in batches.iter_mut().filter(|batch| batch.meter == meter) {
                last.load(call, &input.name, &batch.column.resources);
                last.advance(batch, config.growth_only);
            }
            last.save(call, &input.name)?;
        }
        batches.retain(|batch| !batch.column.is_empty());
        Ok(batches)
    }
}

// === impl Last ===

impl Last {
    /// Learns of more resources. What is known of a resource already is newer.
    fn load(&mut self, call: &Call<'_, Converting>, meter: &str, resources: &[u32]) {
        let [values, times] = cells(meter).map(|name| call.load(&name, resources));
        self.values = std::mem::take(&mut self.values).or(&values);
        self.times = std::mem::take(&mut self.times).or(&times);
    }

    fn save(&self, call: &Call<'_, Converting>, meter: &str) -> Result<(), Failure> {
        if self.values.is_empty() {
            return Ok(());
        }
        let [values, times] = cells(meter);
        call.save(&values, &self.values)?;
        call.save(&times, &self.times)
    }

    /// Turns a batch into what was added since the last one, and remembers it as the last.
    fn advance(&mut self, batch: &mut Batch, growth_only: bool) {
        let (at, mut now) = (batch.at.wall, std::mem::take(&mut batch.column));
        let newer = self.newer_than(at);
        if !newer.is_empty() {
            now = now.filter(|resource, _| newer.binary_search(&resource).is_err());
        }
        let added = now.minus(&self.values);
        batch.column = if growth_only { added.filter(|_, added| added >= 0.0) } else { added };
        self.times = Column::new(now.resources.clone(), vec![at; now.len()]).or(&self.times);
        self.values = now.or(&self.values);
    }

    /// Resources of which something is known from a later time than this.
    fn newer_than(&self, at: i64) -> Vec<u32> {
        let Values::Integers(times) = &self.times.values else { return Vec::new() };
        let known = self.times.resources.iter().zip(times);
        known.filter(|(_, time)| **time > at).map(|(resource, _)| *resource).collect()
    }
}

/// The names under which the last samples of a meter are remembered.
fn cells(meter: &str) -> [String; 2] {
    ["value", "time"].map(|what| format!("{what} {meter}"))
}

register_transformer!(Delta);

#[cfg(test)]
mod tests;
