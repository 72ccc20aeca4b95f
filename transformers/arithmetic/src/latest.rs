//! The latest samples of the meters of an expression.

use expression::{Root, Value, Volume};
use scaling::{Facts, Numbers as _, Sampled, at};
use wasmeter_sdk::{Batch, Call, Column, Converting, Failure, Meter, Moment, Note, Values};

use crate::Config;
use crate::ages::Ages;
use crate::known::Known;
use crate::pending::Pending;

/// The latest samples, resource by resource.
#[derive(Debug)]
pub struct Latest<'a> {
    /// Resources that have a sample of one of the meters in this call.
    resources: Vec<u32>,
    meters: Vec<OfMeter<'a>>,
    batches: &'a [Batch],
    /// What the samples of each batch say, and under which paths of the expression.
    sampled: Vec<Option<(Sampled<'a>, Vec<usize>)>>,
    /// What stands under the paths for the resource at hand.
    values: Vec<Value>,
}

/// What stands under the paths of an expression, or why that is not known any more.
pub type Complete<'v> = Result<&'v [Value], String>;

/// The latest samples of one meter.
#[derive(Debug)]
struct OfMeter<'a> {
    /// For each resource the batch of this call and the place in it.
    rows: Vec<Option<(usize, usize)>>,
    /// What earlier calls left.
    pending: Pending,
    /// What their meter and the host say of samples that wait.
    known: Option<Sampled<'a>>,
    /// Resources that got their result, and have to be forgotten.
    done: Vec<bool>,
}

/// No samples, of which the host is asked for what it knows of resources.
static NO_SAMPLES: Batch = Batch {
    meter: 0,
    at: Moment { wall: 0, monotonic: None },
    column: Column { resources: Vec::new(), values: Values::Counts(Vec::new()) },
    notes: Vec::new(),
};

// === impl Latest ===

impl<'a> Latest<'a> {
    pub fn of(
        call: &Call<'_, Converting>,
        config: &Config,
        (inputs, known): (&'a [Meter], &Known),
        ages: &Ages,
        batches: &'a [Batch],
    ) -> Result<Self, Failure> {
        let meter_of = |batch: &Batch| {
            let input = inputs.get(batch.meter as usize)?;
            config.meters.iter().position(|meter| *meter == input.name)
        };
        let mut resources: Vec<u32> = Vec::new();
        for batch in batches.iter().filter(|batch| meter_of(batch).is_some()) {
            if resources != batch.column.resources {
                resources.extend(&batch.column.resources);
            }
        }
        resources.sort_unstable();
        resources.dedup();
        let paths = config.expression.paths();
        let slots = |meter: &str| -> Vec<usize> {
            let of = |root: &Root| matches!(root, Root::Meter(name) if name == meter);
            paths.iter().enumerate().filter(|(_, path)| of(&path.root)).map(|(slot, _)| slot).collect()
        };
        let facts = Facts::of(call);
        let mut meters = Vec::new();
        for (number, name) in config.meters.iter().enumerate() {
            let of_meter = slots(name);
            let wanted = of_meter.iter().filter_map(|slot| paths.get(*slot));
            let named = of_meter.iter().filter_map(|slot| Some((*slot, paths.get(*slot)?.names()))).collect();
            let pending = Pending::load(call, ages, (number, name), named, &resources);
            let known = match pending.is_any() {
                true => Some(Sampled::of(&facts, &known.meter(name), &NO_SAMPLES, wanted)?),
                false => None,
            };
            let (rows, done) = (vec![None; resources.len()], vec![false; resources.len()]);
            meters.push(OfMeter { rows, pending, known, done });
        }
        let mut sampled = Vec::with_capacity(batches.len());
        for (place, batch) in batches.iter().enumerate() {
            let (Some(meter), Some(input)) = (meter_of(batch), inputs.get(batch.meter as usize)) else {
                sampled.push(None);
                continue;
            };
            let first = batch.column.resources.first().copied().unwrap_or(0);
            let mut from = resources.partition_point(|resource| *resource < first);
            let Some(of_meter) = meters.get_mut(meter) else { continue };
            for (row, resource) in batch.column.resources.iter().enumerate() {
                if let Some(at) = at(&resources, *resource, &mut from).and_then(|at| of_meter.rows.get_mut(at)) {
                    *at = Some((place, row));
                }
            }
            let slots = slots(&input.name);
            let wanted = slots.iter().filter_map(|slot| paths.get(*slot));
            sampled.push(Some((Sampled::of(&facts, input, batch, wanted)?, slots)));
        }
        let values = vec![Value::Missing; paths.len()];
        Ok(Self { resources, meters, batches, sampled, values })
    }

    pub fn resources(&self) -> &[u32] {
        &self.resources
    }

    /// What stands under the paths for the resource at a place, if it has a sample of each meter. Places only advance.
    pub fn complete(&mut self, place: usize) -> Option<(u32, Complete<'_>)> {
        let resource = *self.resources.get(place)?;
        let known =
            |meter: &OfMeter<'_>| meter.rows.get(place).is_some_and(Option::is_some) || meter.pending.has(place);
        if !self.meters.iter().all(known) {
            return None;
        }
        let mut unknown = None;
        for meter in &mut self.meters {
            match meter.rows.get(place).copied().flatten() {
                Some((batch, row)) => {
                    let (sampled, slots) = self.sampled.get_mut(batch)?.as_mut()?;
                    for (slot, value) in slots.iter().zip(sampled.at(row, resource)) {
                        if let Some(at) = self.values.get_mut(*slot) {
                            at.clone_from(value);
                        }
                    }
                }
                None => {
                    let known = meter.known.as_mut().map(|known| known.at(0, resource)).unwrap_or_default();
                    if let Err(error) = meter.pending.say(place, known, &mut self.values) {
                        unknown.get_or_insert(error);
                    }
                }
            }
            if let Some(done) = meter.done.get_mut(place) {
                *done = true;
            }
        }
        Some((resource, unknown.map_or(Ok(&self.values), Err)))
    }

    /// Metadata of the first meter's samples.
    pub fn notes(&self) -> Vec<Note> {
        let Some(first) = self.meters.first() else { return Vec::new() };
        let mut places: Vec<usize> = first.rows.iter().flatten().map(|(batch, _)| *batch).collect();
        places.dedup();
        places.sort_unstable();
        places.dedup();
        let mut notes: Vec<Note> = Vec::new();
        for note in places.into_iter().rev().filter_map(|place| self.batches.get(place)).flat_map(|batch| &batch.notes)
        {
            match notes.iter_mut().find(|known| known.key == note.key) {
                Some(known) => known.column = std::mem::take(&mut known.column).or(&note.column),
                None => notes.push(note.clone()),
            }
        }
        notes
    }

    /// Keeps the samples that wait for others, and forgets those that do not any more.
    pub fn save(mut self, call: &Call<'_, Converting>, ages: &mut Ages) -> Result<(), Failure> {
        for meter in 0..self.meters.len() {
            for (place, resource) in self.resources.iter().enumerate() {
                let Some(OfMeter { rows, pending, done, .. }) = self.meters.get_mut(meter) else { continue };
                match (done.get(place), rows.get(place).copied().flatten()) {
                    (Some(true), _) => pending.forget((place, *resource), ages),
                    (_, Some((batch, row))) => {
                        let volume = self.batches.get(batch).and_then(|batch| batch.column.values.number(row));
                        let at = self.batches.get(batch).map_or((0, None), |batch| (batch.at.wall, batch.at.monotonic));
                        if let Some((sampled, _)) = self.sampled.get_mut(batch).and_then(Option::as_mut) {
                            pending.keep((place, *resource), volume.unwrap_or(Volume::Count(0)), at, sampled, ages);
                        }
                    }
                    _ => {}
                }
            }
        }
        self.meters.into_iter().try_for_each(|meter| meter.pending.save(call))
    }
}
