//! What a module gave when it was tried out, by meter.

use std::collections::BTreeMap;

use crate::contract::{Column, Meter, Values};
use crate::control::deployments::DryMeter;
use crate::discovery::Resources;
use crate::sandbox::names::Giver;
use crate::sandbox::{Failure, Landed, Names};

/// Meters of which there were samples.
pub(super) struct Meters<'a> {
    names: Names,
    resources: &'a Resources,
    of: BTreeMap<String, DryMeter>,
}

// === impl Meters ===

impl<'a> Meters<'a> {
    /// None yet, of these resources. `names` are others'.
    pub(super) fn of(names: Names, resources: &'a Resources) -> Self {
        Self { names, resources, of: BTreeMap::new() }
    }

    /// Counts what is wanted of a call, where `of` is the meter and the values of what it gave. What it may not give
    /// comes back as failures.
    pub(super) fn count<T>(
        &mut self,
        giver: Giver<'_>,
        gives: &[Meter],
        mut landed: Landed<Vec<T>>,
        of: impl Fn(&T) -> (u32, &Column),
        wanted: impl Fn(&str) -> bool,
    ) -> Vec<(Failure, u32)> {
        let size = |given: &T| {
            let (meter, column) = of(given);
            (meter, column.len())
        };
        let failures = self.names.land(giver, gives, &mut landed, size);
        for given in &landed.output {
            let (position, column) = of(given);
            let meter = gives.iter().chain(&landed.meters).nth(position as usize);
            if let Some(meter) = meter.filter(|meter| wanted(&meter.name)) {
                self.add(meter, column);
            }
        }
        failures
    }

    fn add(&mut self, meter: &Meter, column: &Column) {
        let new = || DryMeter {
            name: meter.name.clone(),
            unit: meter.unit.clone(),
            kind: meter.kind.word().to_owned(),
            samples: 0,
            example: None,
        };
        let known = self.of.entry(meter.name.clone()).or_insert_with(new);
        known.samples += column.len() as u64;
        if known.example.is_none() {
            known.example = first(column, self.resources);
        }
    }

    /// Meters, each once, with what was counted.
    pub(super) fn into_counted(self) -> Vec<DryMeter> {
        self.of.into_values().collect()
    }
}

#[allow(clippy::cast_precision_loss, reason = "an example for people")]
fn first(column: &Column, resources: &Resources) -> Option<(String, f64)> {
    let resource = resources.get(*column.resources.first()?)?;
    let value = match &column.values {
        Values::Counts(values) => *values.first()? as f64,
        Values::Integers(values) => *values.first()? as f64,
        Values::Reals(values) => *values.first()?,
        Values::Interned(values) => f64::from(*values.first()?),
    };
    Some((resource.label.id.clone(), value))
}
