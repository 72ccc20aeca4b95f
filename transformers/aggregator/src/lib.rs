//! Several samples as one: Ceilometer's transformer `aggregator`.
//!
//! ```json
//! {"size": 0, "retention_time": 60, "timestamp": "last", "target": {"scale": "volume / 1024", "unit": "KB"}}
//! ```
//!
//! Samples of one meter and resource become one: gauges their mean, deltas their sum, counters their last value. They
//! come out when there are `size` samples of all meters and resources together, or when the first is `retention_time`
//! seconds old, at the end of a slot.

mod aggregate;
mod book;
mod config;

use std::collections::BTreeMap;

use scaling::{Facts, Losses, Positions, Volumes, merged};
use wasmeter_sdk::{
    Batch, Call, Converting, Failure, Meter, Moment, Note, Outputs, Transformer, Values, register_transformer,
};

use self::aggregate::Aggregates;
use self::book::Book;
use self::config::{Config, Policy};

/// The transformer.
#[derive(Debug)]
pub struct Aggregator;

impl Transformer for Aggregator {
    fn describe(config: &str, inputs: &[Meter]) -> Result<Outputs, String> {
        Ok(Positions::named(&Config::of(config)?.naming, inputs)?.0.into_meters().into())
    }

    fn convert(call: &Call<'_, Converting>, inputs: &[Meter], batches: Vec<Batch>) -> Result<Vec<Batch>, Failure> {
        let config = Config::of(call.config())?;
        let (positions, places) = Positions::named(&config.naming, inputs)?;
        let outputs = positions.into_meters();
        let Some(now) = batches.last().map(|last| last.at.wall) else { return Ok(Vec::new()) };
        let (batches, facts) = (merged(batches), Facts::of(call));
        let mut book = Book::load(call);
        let mut losses = Losses::default();
        let mut meters: BTreeMap<&str, (Aggregates, &Meter, u32)> = BTreeMap::new();
        for (batch, input) in batches.iter().filter_map(|batch| Some((batch, inputs.get(batch.meter as usize)?))) {
            let place = places.get(batch.meter as usize).copied().unwrap_or(u32::MAX);
            let (aggregates, ..) = meters.entry(&input.name).or_insert_with(|| (Aggregates::default(), input, place));
            book.count(&input.name, batch.column.len(), batch.at.wall);
            let mut scaling = config.scale.begin(&facts, input, batch)?;
            for (row, resource) in batch.column.resources.iter().enumerate() {
                match scaling.volume(row, *resource) {
                    Ok(volume) => aggregates.add(*resource, volume, batch.at.wall, input.kind, config.last_time),
                    Err(error) => losses.count(&input.name, || format!("target.scale: {error}")),
                }
            }
        }
        losses.tell(call);
        let flush = book.is_full(config.size) || book.is_expired(now, config.retention);
        let mut given = Vec::new();
        for (name, (mut aggregates, input, place)) in meters {
            aggregates.join_kept(call, &book, name, input.kind, (config.last_time, flush))?;
            if !flush {
                aggregates.save(call, &book, name)?;
                continue;
            }
            book.close(name);
            let Some(output) = outputs.get(place as usize) else { continue };
            let notes = notes(config.metadata, &batches, inputs, name);
            for (time, aggregates) in aggregates.by_time() {
                let mut volumes = Volumes::like(&Values::Counts(Vec::new()), aggregates.len());
                for (resource, aggregate) in aggregates {
                    volumes.push(resource, config.scale.limited(aggregate.volume(output.kind)));
                }
                let at = moment(time, &batches);
                given.push(Batch { meter: place, at, column: volumes.into_column(), notes: notes.clone() });
            }
        }
        book.save(call)?;
        Ok(given)
    }
}

/// The moment of a time: by both clocks if it is one of this slot.
fn moment(wall: i64, batches: &[Batch]) -> Moment {
    let known = batches.iter().find(|batch| batch.at.wall == wall);
    known.map_or(Moment { wall, monotonic: None }, |batch| batch.at)
}

/// Metadata that the samples of a meter carried in this slot.
fn notes(policy: Policy, batches: &[Batch], inputs: &[Meter], name: &str) -> Vec<Note> {
    let of_name = |batch: &&Batch| inputs.get(batch.meter as usize).is_some_and(|input| input.name == name);
    let mut of_name: Vec<&Batch> = batches.iter().filter(of_name).collect();
    match policy {
        Policy::Drop => return Vec::new(),
        Policy::First => {}
        Policy::Last => of_name.reverse(),
    }
    let mut notes: Vec<Note> = Vec::new();
    for note in of_name.into_iter().flat_map(|batch| &batch.notes) {
        match notes.iter_mut().find(|known| known.key == note.key) {
            Some(known) => known.column = std::mem::take(&mut known.column).or(&note.column),
            None => notes.push(note.clone()),
        }
    }
    notes
}

register_transformer!(Aggregator);

#[cfg(test)]
mod tests;
