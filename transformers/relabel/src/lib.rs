//! Samples by other names, with other metadata, or left out, by rules.
//!
//! ```json
//! {"rules": [
//!   {"drop": {"name": "disk\\.device\\..*", "resource_metadata.status": "stopped"}},
//!   {"rename": {"from": "^disk\\.device\\.(.*)$", "to": "storage.\\1"}},
//!   {"set": {"tier": "gold"}, "when": {"resource_metadata.flavor.name": "m1\\..*"}}
//! ]}
//! ```
//!
//! Each sample goes through the rules in their order.

mod conditions;
mod rules;

use scaling::{Facts, Positions, merged};
use wasmeter_sdk::{Batch, Call, Column, Converting, Failure, Meter, Note, Outputs, Transformer, register_transformer};

use self::conditions::Held;
use self::rules::{Action, Rule, Rules};

/// The transformer.
#[derive(Debug)]
pub struct Relabel;

/// Samples of a batch to which the same rules applied.
#[derive(Debug)]
struct Group {
    meter: Meter,
    resources: Vec<u32>,
    /// What was set, the last of one key alone: the key, and the value as JSON.
    set: Vec<(String, String)>,
}

impl Transformer for Relabel {
    fn describe(config: &str, inputs: &[Meter]) -> Result<Outputs, String> {
        Ok(Rules::of(config)?.positions(inputs)?.into_meters().into())
    }

    fn convert(call: &Call<'_, Converting>, inputs: &[Meter], batches: Vec<Batch>) -> Result<Vec<Batch>, Failure> {
        let rules = Rules::of(call.config())?;
        let mut positions = rules.positions(inputs)?;
        let mut given = Vec::with_capacity(batches.len());
        let facts = Facts::of(call);
        for batch in merged(batches) {
            let Some(input) = inputs.get(batch.meter as usize) else { continue };
            let resources = batch.column.resources.clone();
            let mut groups = vec![Group { meter: input.clone(), resources, set: Vec::new() }];
            for rule in &rules.0 {
                groups = apply(&facts, rule, &batch, groups)?;
            }
            for group in groups {
                given.push(group.batch(call, &batch, &mut positions)?);
            }
        }
        Ok(given)
    }
}

/// What a rule makes of groups.
fn apply(facts: &Facts<'_>, rule: &Rule, batch: &Batch, groups: Vec<Group>) -> Result<Vec<Group>, Failure> {
    let mut after = Vec::with_capacity(groups.len());
    for group in groups {
        let (hit, missed) = match rule.conditions.of_meter(&group.meter) {
            Held::Always => (group.resources, Vec::new()),
            Held::Never => (Vec::new(), group.resources),
            Held::Depends => rule.conditions.split(facts, &group.meter, batch, group.resources)?,
        };
        let part = |resources| Group { meter: group.meter.clone(), resources, set: group.set.clone() };
        let (hit, missed) = (part(hit), part(missed));
        match &rule.action {
            Action::Keep => after.push(hit),
            Action::Drop => after.push(missed),
            Action::Rename(pattern) => {
                let name = pattern.replace(&hit.meter.name);
                after.push(Group { meter: Meter { name, ..hit.meter }, ..hit });
                after.push(missed);
            }
            Action::Set(entries) => {
                let mut hit = hit;
                hit.set.retain(|(known, _)| entries.iter().all(|(key, _)| key != known));
                hit.set.extend(entries.iter().cloned());
                after.push(hit);
                after.push(missed);
            }
        }
        after.retain(|group| !group.resources.is_empty());
    }
    Ok(after)
}

// === impl Group ===

impl Group {
    fn batch(self, call: &Call<'_, Converting>, batch: &Batch, positions: &mut Positions) -> Result<Batch, Failure> {
        let Self { meter, resources, set } = self;
        let meter = positions.of(meter)?;
        let mut notes: Vec<Note> = Vec::new();
        let keys = call.intern(&set.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>())?;
        let values = call.intern_json(&set.into_iter().map(|(_, value)| value).collect::<Vec<_>>())?;
        notes.extend(batch.notes.iter().filter(|note| !keys.contains(&note.key)).cloned());
        for (key, value) in keys.into_iter().zip(values) {
            notes.push(Note { key, column: Column::new(resources.clone(), vec![value; resources.len()]) });
        }
        let all = resources.len() == batch.column.len();
        let column = if all { batch.column.clone() } else { batch.column.at(&resources) };
        Ok(Batch { meter, at: batch.at, column, notes })
    }
}

register_transformer!(Relabel);

#[cfg(test)]
mod tests;
