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
mod left;
mod moments;

use std::collections::BTreeMap;

use scaling::{
    ByName, CELL_BYTES, CHANGED, Facts, GONE, LATE, LONGEST, Losses, OLDEST, Positions, Said, Volumes, clear,
    is_enough, merged,
};
use wasmeter_sdk::{
    Batch, Call, Converting, Failure, Kind, Meter, Moment, Outputs, Transformer, Values, register_transformer,
};

use self::aggregate::{Aggregate, Aggregates, Found, cells};
use self::book::{Book, Waiting};
use self::config::{Config, Policy};

/// The transformer.
#[derive(Debug)]
pub struct Aggregator;

impl Transformer for Aggregator {
    fn describe(config: &str, inputs: &[Meter]) -> Result<Outputs, String> {
        let meters = Positions::named(&Config::of(config)?.naming, inputs)?.0.into_meters();
        // Whatever waits comes out, whether more of its meter comes in or not.
        Ok(Outputs { meters, declares: vec!["*".into()] })
    }

    fn convert(call: &Call<'_, Converting>, inputs: &[Meter], batches: Vec<Batch>) -> Result<Vec<Batch>, Failure> {
        let config = Config::of(call.config())?;
        let outputs = Positions::named(&config.naming, inputs)?.0.into_meters();
        let now = batches.last().map_or_else(|| call.read_at(), |last| last.at);
        let (batches, facts) = (merged(batches), Facts::of(call));
        let (mut book, mut said) = (Book::load(call, &batches), Said::load(call));
        let mut losses = Losses::default();
        let mut meters: BTreeMap<usize, Aggregates> = BTreeMap::new();
        let mut new = 0;
        for (batch, input) in batches.iter().filter_map(|batch| Some((batch, inputs.get(batch.meter as usize)?))) {
            let number = book.number(input);
            let aggregates = meters.entry(number).or_default();
            let sayings = match config.metadata {
                Policy::Drop => vec![0; batch.column.len()],
                Policy::First | Policy::Last => said.numbers(call, batch)?,
            };
            let mut scaling = config.scale.begin(&facts, input, batch)?;
            let mut samples = 0;
            for ((row, resource), said) in batch.column.resources.iter().enumerate().zip(sayings) {
                match scaling.volume(row, *resource) {
                    Ok(volume) => {
                        let sample = Aggregate::of(volume, batch.at.wall, said);
                        aggregates.add(*resource, sample, config.how(input.kind));
                        samples += 1;
                    }
                    Err(error) => losses.count(&input.name, || format!("target.scale: {error}")),
                }
            }
            book.count(number, samples, batch.at);
            new += samples;
        }
        let outputs = ByName::of(&outputs);
        let mut flush = Flush { call, config: &config, outputs, said: &said, now, gives_up: false };
        let mut given = flush.give_left(&mut book, &mut losses)?;
        // What a part lacks is another part's.
        if !call.is_part() {
            book.give_up_old(now.wall, &mut losses);
        }
        let is_full = config.size.is_some_and(|size| is_enough(call, size, book.fresh(), new));
        let patience = if call.is_part() { 2 } else { 1 };
        let is_expired =
            config.retention.is_some_and(|most| book.age(now.wall) >= most.saturating_mul(patience).min(LONGEST));
        let has_room = has_room(call, &meters, &book, &said);
        flush.gives_up = !call.is_part() && !has_room;
        if is_full || is_expired || book.age(now.wall) >= LONGEST || !has_room {
            given.extend(flush.give(&mut book, meters, &mut losses)?);
            if book.samples() == 0 {
                said.clear();
            }
            if !has_room && !call.is_part() {
                for name in (0..book.take_used()).flat_map(cells) {
                    clear(call, &name)?;
                }
            }
        } else {
            for (number, mut aggregates) in meters {
                let kind = book.meter(number).map_or(Kind::Gauge, |meter| meter.kind);
                let resources = aggregates.resources();
                let found = match book.has_kept(number) {
                    true => aggregates.join_kept(call, (number, &book.next()), &resources, config.how(kind)),
                    false => Found::default(),
                };
                book.add(aggregates.len() - found.resources.len());
                book.release(&found);
                book.hold(&aggregates.times());
                aggregates.save(call, (number, *book.next().start()))?;
            }
            book.keep();
        }
        said.save(call)?;
        book.save(call)?;
        losses.tell(call);
        Ok(given)
    }
}

/// What waits comes out.
#[derive(Debug)]
struct Flush<'a> {
    call: &'a Call<'a, Converting>,
    config: &'a Config,
    outputs: ByName<'a>,
    said: &'a Said,
    now: Moment,
    /// Whether what waits of resources that are absent waits no longer.
    gives_up: bool,
}

/// Whether there is room for what would have to be kept: three cells for each aggregate that came, and one for what it
/// says. Each that waits, whenever it came, has one more marked when it comes out and others do not.
fn has_room(call: &Call<'_, Converting>, meters: &BTreeMap<usize, Aggregates>, book: &Book, said: &Said) -> bool {
    // Where nothing came, nothing more has to be kept.
    if meters.is_empty() {
        return true;
    }
    let cells = |aggregates: &Aggregates| aggregates.len() * if aggregates.say() { 4 } else { 3 };
    let cells: usize = meters.values().map(cells).sum();
    let new: usize = meters.values().map(Aggregates::len).sum();
    let marks = book.aggregates() + new;
    let bytes = (cells + marks) as u64 * CELL_BYTES + said.bytes() + book.bytes();
    // A slot may bring few of those that wait.
    bytes <= call.room() && !said.is_full(book.aggregates().max(new))
}

// === impl Flush ===

impl Flush<'_> {
    /// What was left when others came out, of the resources of this call.
    fn give_left(&self, book: &mut Book, losses: &mut Losses) -> Result<Vec<Batch>, Failure> {
        let Self { call, config, .. } = self;
        let mut given = Vec::new();
        let Some(rounds) = book.left_by() else { return Ok(given) };
        let resources = call.attribute("id")?.resources;
        let kept: Vec<(usize, Waiting)> = book.meters().map(|(number, waiting)| (number, waiting.clone())).collect();
        for (number, Waiting { meter, .. }) in kept.into_iter().filter(|(_, waiting)| waiting.kept > 0) {
            let mut left = Aggregates::default();
            let found = left.join_kept(call, (number, &rounds), &resources, config.how(meter.kind));
            book.take_left(number, &found);
            Aggregates::forget(call, number, found.resources)?;
            self.put(&meter, left, book, &mut given, losses)?;
        }
        Ok(given)
    }

    /// What waits of the resources of this call, with what is new. What waits of others waits on, unless it is given up.
    fn give(
        &self,
        book: &mut Book,
        mut meters: BTreeMap<usize, Aggregates>,
        losses: &mut Losses,
    ) -> Result<Vec<Batch>, Failure> {
        let Self { call, config, .. } = self;
        let resources = match book.meters().any(|(_, waiting)| waiting.kept > 0) {
            true => call.attribute("id")?.resources,
            false => Vec::new(),
        };
        let all: Vec<(usize, Waiting)> = book.meters().map(|(number, waiting)| (number, waiting.clone())).collect();
        let (mut given, mut out) = (Vec::new(), Vec::new());
        for (number, Waiting { meter, samples, kept }) in all {
            let mut aggregates = meters.remove(&number).unwrap_or_default();
            let found = match kept {
                0 => Found::default(),
                _ => aggregates.join_kept(call, (number, &book.next()), &resources, config.how(meter.kind)),
            };
            book.discount(number, samples.saturating_sub(kept).saturating_add(found.samples()));
            book.release(&found);
            out.push((number, found.resources));
            self.put(&meter, aggregates, book, &mut given, losses)?;
        }
        if self.gives_up {
            for (_, Waiting { meter, samples, .. }) in book.meters() {
                losses.count_many(*samples, &meter.name, || GONE.into());
            }
        }
        if self.gives_up || book.samples() == 0 {
            book.close();
            return Ok(given);
        }
        for (number, had) in out {
            book.remove(had.len());
            Aggregates::forget(call, number, had)?;
        }
        if !call.is_part() {
            book.leave(self.now);
        }
        Ok(given)
    }

    /// What comes out of a meter's samples.
    fn put(
        &self,
        meter: &Meter,
        aggregates: Aggregates,
        book: &Book,
        given: &mut Vec<Batch>,
        losses: &mut Losses,
    ) -> Result<(), Failure> {
        let Self { call, config, outputs, said, now, .. } = self;
        if aggregates.len() == 0 {
            return Ok(());
        }
        let output = config.naming.meter(meter);
        let Some(place) = outputs.position(call, &output)? else {
            losses.count_many(aggregates.samples(), &meter.name, || CHANGED.into());
            return Ok(());
        };
        for (time, aggregates) in aggregates.by_time() {
            let at = book.moment(call, time);
            if now.wall.saturating_sub(at.wall) > OLDEST {
                let samples = aggregates.iter().map(|(_, aggregate)| aggregate.samples()).sum();
                losses.count_many(samples, &meter.name, || LATE.into());
                continue;
            }
            let sayings: Vec<(u32, u64)> =
                aggregates.iter().map(|(resource, aggregate)| (*resource, aggregate.said())).collect();
            let mut volumes = Volumes::like(&Values::Counts(Vec::new()), aggregates.len());
            for (resource, aggregate) in aggregates {
                volumes.push(resource, config.scale.limited(aggregate.volume(output.kind)));
            }
            given.push(Batch { meter: place, at, column: volumes.into_column(), notes: said.notes(call, &sayings)? });
        }
        Ok(())
    }
}

register_transformer!(Aggregator);

#[cfg(test)]
mod tests;
