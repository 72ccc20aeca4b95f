//! Samples that became one.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use expression::Volume;
use scaling::at;
use wasmeter_sdk::{Call, Column, Converting, Failure, Kind, Values};

/// Of one meter.
#[derive(Debug, Default)]
pub struct Aggregates {
    /// By resource, ascending.
    all: Vec<(u32, Aggregate)>,
    /// Whether any of its samples said anything itself.
    says: bool,
}

/// Samples of one resource that became one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Aggregate {
    /// Their sum, or the last one if they are of a counter.
    total: Volume,
    count: u64,
    /// Nanoseconds since 1970: when the first was read, or the last.
    time: i64,
    /// The number of what the first says itself, or the last.
    said: u64,
}

/// Aggregates of earlier calls that were found again.
#[derive(Debug, Default)]
pub struct Found {
    /// Their resources, ascending.
    pub resources: Vec<u32>,
    /// When they were read.
    pub times: Vec<i64>,
    /// How many aggregates and samples they are, by the flush that they waited for.
    pub rounds: BTreeMap<u64, (usize, u64)>,
}

/// How samples become one.
#[derive(Debug, Clone, Copy)]
pub struct How {
    /// What they are.
    pub kind: Kind,
    /// Whether it has the time of the last, not of the first.
    pub last_time: bool,
    /// Whether it says what the last says, not the first.
    pub last_said: bool,
}

/// How many samples one aggregate counts; above that stands the type of its total.
const COUNTS: u64 = 1 << 24;
/// Above that stands which flush it waits for.
const ROUNDS: u64 = COUNTS << 2;
/// Numbers of what samples say; above that stands the flush again.
const SAYINGS: u64 = 1 << 24;

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

    /// One sample.
    pub fn of(volume: Volume, time: i64, said: u64) -> Self {
        Self { total: volume, count: 1, time, said }
    }

    /// How many samples became this one.
    pub fn samples(&self) -> u64 {
        self.count
    }

    /// The number of what it says.
    pub fn said(&self) -> u64 {
        self.said
    }

    fn add(&mut self, later: Self, how: How) {
        self.total = match (how.kind, self.total.whole(), later.total.whole()) {
            (Kind::Cumulative, ..) => later.total,
            (_, Some(a), Some(b)) => Volume::of(a + b),
            _ => Volume::Real((self.total.real() + later.total.real()).clamp(f64::MIN, f64::MAX)),
        };
        self.count = (self.count + later.count).min(COUNTS - 1);
        if how.last_time {
            self.time = later.time;
        }
        if how.last_said {
            self.said = later.said;
        }
    }
}

// === impl Found ===

impl Found {
    /// How many samples became these.
    pub fn samples(&self) -> u64 {
        self.rounds.values().map(|(_, samples)| samples).sum()
    }

    fn push(&mut self, resource: u32, round: u64, aggregate: &Aggregate) {
        self.resources.push(resource);
        self.times.push(aggregate.time);
        let (aggregates, known) = self.rounds.entry(round).or_default();
        (*aggregates, *known) = (*aggregates + 1, known.saturating_add(aggregate.count));
    }
}

// === impl Aggregates ===

impl Aggregates {
    /// Adds a sample.
    pub fn add(&mut self, resource: u32, sample: Aggregate, how: How) {
        self.says |= sample.said > 0;
        let behind = self.all.last().is_none_or(|(last, _)| *last < resource);
        if behind {
            return self.all.push((resource, sample));
        }
        match self.all.binary_search_by_key(&resource, |(known, _)| *known) {
            Ok(place) => self.all.iter_mut().skip(place).take(1).for_each(|(_, at)| at.add(sample, how)),
            Err(place) => self.all.insert(place, (resource, sample)),
        }
    }

    /// The resources that it has.
    pub fn resources(&self) -> Vec<u32> {
        self.all.iter().map(|(resource, _)| *resource).collect()
    }

    /// When they were read.
    pub fn times(&self) -> Vec<i64> {
        self.all.iter().map(|(_, aggregate)| aggregate.time).collect()
    }

    /// How many samples became these.
    pub fn samples(&self) -> u64 {
        self.all.iter().map(|(_, aggregate)| aggregate.count).sum()
    }

    /// Whether any of its samples said anything itself.
    pub fn say(&self) -> bool {
        self.says
    }

    /// How many resources it has.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Adds these samples to those that these resources have from earlier calls and these rounds, which it gives.
    pub fn join_kept(
        &mut self,
        call: &Call<'_, Converting>,
        (number, rounds): (usize, &RangeInclusive<u64>),
        resources: &[u32],
        how: How,
    ) -> Found {
        let mut found = Found::default();
        let [totals, counts, times, sayings] = cells(number).map(|cell| call.load(&cell, resources));
        let (Values::Counts(bits), Values::Counts(numbers), Values::Integers(moments)) =
            (&totals.values, &counts.values, &times.values)
        else {
            return found;
        };
        // They are written at once, but for the last, where nothing is said.
        if totals.resources != counts.resources || times.resources != counts.resources {
            return found;
        }
        let mut new = std::mem::take(&mut self.all).into_iter().peekable();
        let mut from = 0;
        for ((resource, number), (bits, time)) in counts.resources.iter().zip(numbers).zip(bits.iter().zip(moments)) {
            // What waited for an earlier flush has come out.
            let round = number / ROUNDS;
            if !rounds.contains(&round) {
                continue;
            }
            let total = match number % ROUNDS / COUNTS {
                0 => Volume::Count(*bits),
                1 => Volume::Integer(bits.cast_signed()),
                _ => Volume::Real(f64::from_bits(*bits)),
            };
            let said = match (at(&sayings.resources, *resource, &mut from), &sayings.values) {
                (Some(place), Values::Counts(sayings)) => sayings.get(place).copied().unwrap_or_default(),
                _ => 0,
            };
            let is_said = said / SAYINGS == round;
            self.says |= is_said;
            let said = if is_said { said % SAYINGS } else { 0 };
            let mut aggregate = Aggregate { total, count: number % COUNTS, time: *time, said };
            found.push(*resource, round, &aggregate);
            while let Some(before) = new.next_if(|(other, _)| other < resource) {
                self.all.push(before);
            }
            if let Some((_, later)) = new.next_if(|(other, _)| other == resource) {
                aggregate.add(later, how);
            }
            self.all.push((*resource, aggregate));
        }
        self.all.extend(new);
        found
    }

    /// Keeps them for the next call.
    pub fn save(self, call: &Call<'_, Converting>, (number, round): (usize, u64)) -> Result<(), Failure> {
        if self.all.is_empty() {
            return Ok(());
        }
        let (mut totals, mut counts) = (Vec::with_capacity(self.len()), Vec::with_capacity(self.len()));
        for (_, Aggregate { total, count, .. }) in &self.all {
            let (kind, bits) = match *total {
                Volume::Count(volume) => (0, volume),
                Volume::Integer(volume) => (1, volume.cast_unsigned()),
                Volume::Real(volume) => (2, volume.to_bits()),
            };
            totals.push(bits);
            counts.push(round * ROUNDS + kind * COUNTS + count);
        }
        let (resources, times) = (self.resources(), self.times());
        let [total, count, time, said] = cells(number);
        if self.says {
            let sayings: Vec<u64> = self.all.iter().map(|(_, aggregate)| round * SAYINGS + aggregate.said).collect();
            call.save(&said, &Column::new(resources.clone(), sayings))?;
        }
        call.save(&total, &Column::new(resources.clone(), totals))?;
        call.save(&count, &Column::new(resources.clone(), counts))?;
        call.save(&time, &Column::new(resources, times))
    }

    /// Forgets what these resources have, and nobody else's.
    pub fn forget(call: &Call<'_, Converting>, number: usize, resources: Vec<u32>) -> Result<(), Failure> {
        let [_, count, ..] = cells(number);
        let nothing = vec![0_u64; resources.len()];
        if resources.is_empty() { Ok(()) } else { call.save(&count, &Column::new(resources, nothing)) }
    }

    /// By the time that they have.
    pub fn by_time(self) -> BTreeMap<i64, Vec<(u32, Aggregate)>> {
        let mut times: BTreeMap<i64, Vec<_>> = BTreeMap::new();
        for (resource, aggregate) in self.all {
            times.entry(aggregate.time).or_default().push((resource, aggregate));
        }
        times
    }
}

/// The names under which aggregates of a meter are remembered.
pub fn cells(number: usize) -> [String; 4] {
    ["total", "count", "time", "said"].map(|what| format!("{what} {number}"))
}
