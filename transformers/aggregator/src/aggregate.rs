//! Samples that became one.

use std::collections::BTreeMap;

use expression::Volume;
use scaling::{Numbers as _, Volumes};
use wasmeter_sdk::{Call, Column, Converting, Failure, Kind, Values};

use crate::book::Book;

/// Of one meter, by resource, ascending.
#[derive(Debug, Default)]
pub struct Aggregates(Vec<(u32, Aggregate)>);

/// Samples of one resource that became one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Aggregate {
    /// Their sum, or the last one if they are of a counter.
    total: Volume,
    count: u64,
    /// Nanoseconds since 1970: when the first was read, or the last.
    time: i64,
}

/// How many samples one aggregate counts; above that stands which flush it waits for.
const COUNTS: u64 = 1 << 24;

// === impl Aggregate ===

impl Aggregate {
    /// What comes out: the mean, if it is a gauge.
    #[allow(clippy::cast_precision_loss, reason = "a mean is a real number")]
    pub fn volume(&self, kind: Kind) -> Volume {
        match kind {
            Kind::Gauge => Volume::Real(self.total.real() / self.count.max(1) as f64),
            Kind::Cumulative | Kind::Delta => self.total,
        }
    }

    fn add(&mut self, later: Self, kind: Kind, last_time: bool) {
        self.total = match (kind, self.total.whole(), later.total.whole()) {
            (Kind::Cumulative, ..) => later.total,
            (_, Some(a), Some(b)) => Volume::of(a + b),
            _ => Volume::Real((self.total.real() + later.total.real()).clamp(f64::MIN, f64::MAX)),
        };
        self.count = (self.count + later.count).min(COUNTS - 1);
        if last_time {
            self.time = later.time;
        }
    }
}

// === impl Aggregates ===

impl Aggregates {
    /// Adds a sample.
    pub fn add(&mut self, resource: u32, volume: Volume, time: i64, kind: Kind, last_time: bool) {
        let sample = Aggregate { total: volume, count: 1, time };
        let behind = self.0.last().is_none_or(|(last, _)| *last < resource);
        if behind {
            return self.0.push((resource, sample));
        }
        match self.0.binary_search_by_key(&resource, |(known, _)| *known) {
            Ok(place) => self.0.iter_mut().skip(place).take(1).for_each(|(_, at)| at.add(sample, kind, last_time)),
            Err(place) => self.0.insert(place, (resource, sample)),
        }
    }

    /// Adds these samples to those of earlier calls: of the resources of this call, or of all if they come out now.
    pub fn join_kept(
        &mut self,
        call: &Call<'_, Converting>,
        book: &Book,
        name: &str,
        kind: Kind,
        (last_time, all): (bool, bool),
    ) -> Result<(), Failure> {
        let Some(round) = book.round(name) else { return Ok(()) };
        let resources = match all {
            true => call.attribute("id")?.resources,
            false => self.0.iter().map(|(resource, _)| *resource).collect(),
        };
        let [totals, counts, times] = cells(name).map(|cell| call.load(&cell, &resources));
        let (Values::Counts(numbers), Values::Integers(moments)) = (&counts.values, &times.values) else {
            return Ok(());
        };
        if totals.resources != counts.resources || times.resources != counts.resources {
            return Ok(());
        }
        let mut kept = Vec::with_capacity(counts.len());
        for (row, resource) in counts.resources.iter().enumerate() {
            let (number, time) = (numbers.get(row).copied().unwrap_or(0), moments.get(row).copied().unwrap_or(0));
            // What waited for an earlier flush has come out.
            if let Some(total) = totals.values.number(row).filter(|_| number / COUNTS == round) {
                kept.push((*resource, Aggregate { total, count: number % COUNTS, time }));
            }
        }
        let mut new = std::mem::take(&mut self.0).into_iter().peekable();
        for (resource, mut aggregate) in kept {
            while let Some(before) = new.next_if(|(other, _)| *other < resource) {
                self.0.push(before);
            }
            if let Some((_, later)) = new.next_if(|(other, _)| *other == resource) {
                aggregate.add(later, kind, last_time);
            }
            self.0.push((resource, aggregate));
        }
        self.0.extend(new);
        Ok(())
    }

    /// Keeps them for the next call.
    pub fn save(self, call: &Call<'_, Converting>, book: &Book, name: &str) -> Result<(), Failure> {
        let Some((_, first)) = self.0.first() else { return Ok(()) };
        let round = book.round_to_be(name);
        let like = match first.total {
            Volume::Count(_) => Values::Counts(Vec::new()),
            Volume::Integer(_) => Values::Integers(Vec::new()),
            Volume::Real(_) => Values::Reals(Vec::new()),
        };
        let mut totals = Volumes::like(&like, self.0.len());
        self.0.iter().for_each(|(resource, aggregate)| totals.push(*resource, aggregate.total));
        let counts = self.0.iter().map(|(resource, aggregate)| (*resource, round * COUNTS + aggregate.count));
        let times = self.0.iter().map(|(resource, aggregate)| (*resource, aggregate.time));
        let (counts, times): (Column, Column) = (counts.collect(), times.collect());
        let [total, count, time] = cells(name);
        call.save(&total, &totals.into_column())?;
        call.save(&count, &counts)?;
        call.save(&time, &times)
    }

    /// By the time that they have.
    pub fn by_time(self) -> BTreeMap<i64, Vec<(u32, Aggregate)>> {
        let mut times: BTreeMap<i64, Vec<_>> = BTreeMap::new();
        for (resource, aggregate) in self.0 {
            times.entry(aggregate.time).or_default().push((resource, aggregate));
        }
        times
    }
}

/// The names under which aggregates of a meter are remembered.
fn cells(name: &str) -> [String; 3] {
    ["total", "count", "time"].map(|what| format!("{what} {name}"))
}
