//! When meters cross a line, and when they come back: a sample on each change.
//!
//! ```json
//! {"above": 90, "clear": 80, "target": {"name": "cpu_util.high"}}
//! ```
//!
//! A resource is raised when a volume is above `above`, and no more when one is at `clear` or below. With `below` it
//! is the other way round. A resource that was never seen counts as not raised.

use std::collections::BTreeMap;

use scaling::{Clocks, Keys, Numbers as _, Positions, at, merged};
use wasmeter_sdk::{
    Batch, Call, Column, Converting, Failure, Kind, Meter, Outputs, Transformer, Values, register_transformer,
};

/// The transformer.
#[derive(Debug)]
pub struct Threshold;

#[derive(Debug)]
struct Config {
    /// Where a resource is raised, and where no more.
    raise: f64,
    clear: f64,
    /// Whether low volumes are what is looked for.
    below: bool,
    name: Option<String>,
    unit: String,
}

/// The last sample of some resources.
#[derive(Debug)]
struct Lasts {
    resources: Vec<u32>,
    lasts: Vec<Last>,
}

/// When the last sample was read, and whether it was raised: in one number, so that it is one cell.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
struct Last(i64);

/// Metadata of what comes out: the volume that crossed the line.
const CROSSED: &str = "threshold_volume";

impl Transformer for Threshold {
    fn describe(config: &str, inputs: &[Meter]) -> Result<Outputs, String> {
        Ok(Config::of(config)?.positions(inputs)?.0.into_meters().into())
    }

    fn convert(call: &Call<'_, Converting>, inputs: &[Meter], batches: Vec<Batch>) -> Result<Vec<Batch>, Failure> {
        let config = Config::of(call.config())?;
        let (_, positions) = config.positions(inputs)?;
        let batches = merged(batches);
        let mut clocks = Clocks::of(call, &batches);
        let mut changes = Vec::new();
        let mut by_name: BTreeMap<&str, Vec<&Batch>> = BTreeMap::new();
        for (input, batch) in batches.iter().filter_map(|batch| Some((inputs.get(batch.meter as usize)?, batch))) {
            by_name.entry(&input.name).or_default().push(batch);
        }
        for (name, of_name) in by_name {
            let mut lasts = Lasts::load(call, name, &of_name);
            clocks.release(&lasts.times());
            for batch in of_name {
                let (changed, volumes) = lasts.advance(&config, &clocks, batch);
                if !changed.is_empty() {
                    let mut notes = batch.notes.clone();
                    notes.push(call.note(CROSSED, volumes)?);
                    let meter = positions.get(batch.meter as usize).copied().unwrap_or(u32::MAX);
                    changes.push(Batch { meter, at: batch.at, column: changed, notes });
                }
            }
            clocks.hold(&lasts.times());
            lasts.save(call, name)?;
        }
        clocks.save(call)?;
        Ok(changes)
    }
}

// === impl Config ===

impl Config {
    fn of(config: &str) -> Result<Self, String> {
        let mut keys = Keys::of(config)?;
        let (above, below, clear) = (keys.number("above")?, keys.number("below")?, keys.number("clear")?);
        let mut target = keys.keys("target")?;
        let (name, unit) = (target.text("name")?, target.text("unit")?.unwrap_or_default());
        if name.as_deref() == Some("") {
            return Err("target.name is empty; write a name, or leave it out".into());
        }
        target.end()?;
        keys.end()?;
        let (raise, below) = match (above, below) {
            (Some(above), None) => (above, false),
            (None, Some(below)) => (below, true),
            (None, None) => return Err("above is missing; write the line as above or as below".into()),
            (Some(_), Some(_)) => return Err("above and below are both given; write one of them".into()),
        };
        let clear = clear.unwrap_or(raise);
        if below && clear < raise {
            return Err(format!("clear is {clear}, and below is {raise}; write a clear of {raise} or more"));
        }
        if !below && clear > raise {
            return Err(format!("clear is {clear}, and above is {raise}; write a clear of {raise} or less"));
        }
        Ok(Self { raise, clear, below, name, unit })
    }

    /// What comes out, and the position in it for each input.
    fn positions(&self, inputs: &[Meter]) -> Result<(Positions, Vec<u32>), String> {
        if let (Some(name), [first, rest @ ..]) = (&self.name, inputs)
            && let Some(second) = rest.iter().find(|input| input.name != first.name)
        {
            let (first, second) = (&first.name, &second.name);
            return Err(format!(
                "target.name is {name}, but {first}, {second} and perhaps others come in; leave it out, and each has a \
                 name of its own"
            ));
        }
        let mut positions = Positions::default();
        let of = |input: &Meter| {
            let name = self.name.clone().unwrap_or_else(|| format!("{}.threshold", input.name));
            positions.of_input(input, Meter { name, kind: Kind::Gauge, unit: self.unit.clone() })
        };
        let places = inputs.iter().map(of).collect::<Result<_, _>>()?;
        Ok((positions, places))
    }

    /// Whether a resource is raised that was so, or not, until this volume.
    fn raised(&self, before: bool, volume: f64) -> bool {
        match (before, self.below) {
            (false, false) => volume > self.raise,
            (true, false) => volume > self.clear,
            (false, true) => volume < self.raise,
            (true, true) => volume < self.clear,
        }
    }
}

// === impl Lasts ===

impl Lasts {
    fn load(call: &Call<'_, Converting>, name: &str, batches: &[&Batch]) -> Self {
        let mut resources: Vec<u32> = Vec::new();
        for batch in batches {
            resources.extend(&batch.column.resources);
        }
        if !resources.is_sorted_by(|a, b| a < b) {
            resources.sort_unstable();
            resources.dedup();
        }
        let known = call.load(&cell(name), &resources);
        let mut lasts = vec![Last::NONE; resources.len()];
        if let Values::Integers(values) = &known.values {
            let mut place = 0;
            for (resource, value) in known.resources.iter().zip(values) {
                if let Some(last) = at(&resources, *resource, &mut place).and_then(|place| lasts.get_mut(place)) {
                    *last = Last(*value);
                }
            }
        }
        Self { resources, lasts }
    }

    /// The changes that a batch makes, and the volumes that made them.
    fn advance(&mut self, config: &Config, clocks: &Clocks, batch: &Batch) -> (Column, Column) {
        let (mut changed, mut volumes, mut since) = (Vec::new(), Vec::new(), clocks.since(batch));
        let first = batch.column.resources.first().copied().unwrap_or(0);
        let mut place = self.resources.partition_point(|resource| *resource < first);
        for (row, resource) in batch.column.resources.iter().enumerate() {
            let found = at(&self.resources, *resource, &mut place).and_then(|place| self.lasts.get_mut(place));
            let (Some(last), Some(volume)) = (found, batch.column.values.number(row)) else { continue };
            if since.nanos(last.time()) < 0 {
                continue;
            }
            let (before, volume) = (last.raised(), volume.real());
            let raised = config.raised(before, volume);
            *last = Last::of(batch.at.wall, raised);
            if raised != before {
                changed.push((*resource, u64::from(raised)));
                volumes.push((*resource, volume));
            }
        }
        (changed.into_iter().collect(), volumes.into_iter().collect())
    }

    /// When they were read.
    fn times(&self) -> Vec<i64> {
        self.lasts.iter().map(|last| last.time()).collect()
    }

    fn save(self, call: &Call<'_, Converting>, name: &str) -> Result<(), Failure> {
        let known = self.resources.into_iter().zip(self.lasts).filter(|(_, last)| *last != Last::NONE);
        let column: Column = known.map(|(resource, last)| (resource, last.0)).collect();
        if column.is_empty() { Ok(()) } else { call.save(&cell(name), &column) }
    }
}

/// The name under which the last samples of a meter are remembered.
fn cell(meter: &str) -> String {
    format!("last {meter}")
}

// === impl Last ===

impl Last {
    /// No sample was seen.
    const NONE: Self = Self(i64::MIN);

    /// Times up to the year 2116 fit.
    fn of(time: i64, raised: bool) -> Self {
        Self(time.saturating_mul(2) & !1 | i64::from(raised))
    }

    fn time(self) -> i64 {
        self.0 >> 1
    }

    fn raised(self) -> bool {
        self.0 & 1 == 1
    }
}

register_transformer!(Threshold);

#[cfg(test)]
mod tests;
