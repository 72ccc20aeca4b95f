//! The sample before.

use std::collections::BTreeMap;

use expression::Volume;
use wasmeter_sdk::{Batch, Call, Column, Converting, Failure, Meter, Values};

use crate::clocks::{Clocks, SPARE, Since};
use crate::volumes::{Numbers as _, at};

/// The last samples of the meters of a call.
#[derive(Debug)]
pub struct Follow<'a> {
    clocks: Clocks,
    /// Which of the names each input has. Two meters of one name are one here.
    names: Vec<usize>,
    meters: Vec<(&'a str, Known)>,
}

/// The last sample of each resource of the call, if there is one.
///
/// Samples of a meter may be whole numbers now and real ones then, and those of some resources these and of others those.
/// Cells are of one type, so volumes are kept as bits.
#[derive(Debug, Default)]
struct Known {
    /// Ascending.
    resources: Vec<u32>,
    /// The volume of each.
    bits: Vec<u64>,
    /// When each was read, by the wall clock, and the volume's type where times have [bits to spare](SPARE); [`NEVER`]
    /// if it was not.
    reads: Vec<i64>,
}

/// No sample has this time.
const NEVER: i64 = i64::MIN;
/// Types of volumes, beside their times.
const COUNT: i64 = 0;
const INTEGER: i64 = 1;
const REAL: i64 = 2;

/// A sample that has one before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The place of the sample in its batch.
    pub row: usize,
    /// Its resource.
    pub resource: u32,
    /// The volume before.
    pub before: Volume,
    /// The volume now.
    pub now: Volume,
    /// Nanoseconds between them, none or more.
    pub nanos: i64,
}

/// The samples of a batch that have one before them, in their order. Each takes the place of the one before.
#[derive(Debug)]
pub struct Steps<'s> {
    known: Option<&'s mut Known>,
    since: Since<'s>,
    batch: &'s Batch,
    row: usize,
    place: usize,
}

// === impl Follow ===

impl<'a> Follow<'a> {
    /// What is remembered of the resources of these samples.
    pub fn begin(call: &Call<'_, Converting>, inputs: &'a [Meter], batches: &[Batch]) -> Self {
        let mut follow = Self { clocks: Clocks::of(call, batches), names: Vec::new(), meters: Vec::new() };
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        // Resources by name.
        let mut of_names: Vec<Vec<u32>> = Vec::new();
        for input in inputs {
            let place = *places.entry(&input.name).or_insert(follow.meters.len());
            follow.names.push(place);
            if place == follow.meters.len() {
                follow.meters.push((&input.name, Known::default()));
                of_names.push(Default::default());
            }
        }
        for batch in batches {
            let name = follow.names.get(batch.meter as usize);
            if let Some(resources) = name.and_then(|name| of_names.get_mut(*name)) {
                unite(resources, &batch.column.resources);
            }
        }
        for ((name, known), resources) in follow.meters.iter_mut().zip(of_names) {
            if !resources.is_empty() {
                *known = Known::load(call, name, resources);
                follow.clocks.release(&known.reads);
            }
        }
        follow
    }

    /// The samples of a batch that have one before them, which are to be gone through to the end. Batches come in
    /// order of time; a sample that is older than what is remembered is passed over.
    pub fn steps<'s>(&'s mut self, batch: &'s Batch) -> Steps<'s> {
        let known = self.names.get(batch.meter as usize).and_then(|name| self.meters.get_mut(*name));
        let (known, since) = (known.map(|(_, known)| known), self.clocks.since(batch));
        let first = batch.column.resources.first().copied().unwrap_or(0);
        let place = known.as_ref().map_or(0, |known| known.resources.partition_point(|known| *known < first));
        Steps { known, since, batch, row: 0, place }
    }

    /// Keeps what was remembered for the next call.
    pub fn save(mut self, call: &Call<'_, Converting>) -> Result<(), Failure> {
        for (name, known) in self.meters {
            let Known { resources, bits, reads } = known.without_unread();
            if !resources.is_empty() {
                self.clocks.hold(&reads);
                let [volume, read] = cells(name);
                let volumes = Column::new(resources, bits);
                call.save(&volume, &volumes)?;
                call.save(&read, &Column::new(volumes.resources, reads))?;
            }
        }
        self.clocks.save(call)
    }
}

/// Adds resources to others, both ascending. Mostly they are the same, or follow upon them.
fn unite(all: &mut Vec<u32>, more: &[u32]) {
    if all.last() < more.first() {
        all.extend(more);
    } else if all != more {
        all.extend(more);
        all.sort_unstable();
        all.dedup();
    }
}

/// The names under which the last samples of a meter are remembered.
fn cells(meter: &str) -> [String; 2] {
    ["last", "read"].map(|what| format!("{what} {meter}"))
}

// === impl Known ===

impl Known {
    fn load(call: &Call<'_, Converting>, name: &str, resources: Vec<u32>) -> Self {
        let [volumes, reads] = cells(name).map(|name| call.load(&name, &resources));
        let known = match (volumes.values, reads.values) {
            (Values::Counts(bits), Values::Integers(times)) if volumes.resources == reads.resources => {
                Self { resources: reads.resources, bits, reads: times }
            }
            // Both are written at once, so this is nothing of ours.
            _ => Self::default(),
        };
        // Whatever is loaded is among what was asked for, so as many are the same.
        if known.resources.len() == resources.len() {
            return known;
        }
        let mut all = Self { bits: vec![0; resources.len()], reads: vec![NEVER; resources.len()], resources };
        let mut place = 0;
        for (resource, (bits, read)) in known.resources.into_iter().zip(known.bits.into_iter().zip(known.reads)) {
            if let Some(place) = at(&all.resources, resource, &mut place) {
                set(&mut all.bits, place, bits);
                set(&mut all.reads, place, read);
            }
        }
        all
    }

    /// The volume at a place.
    #[inline]
    fn volume(&self, place: usize, read: i64) -> Option<Volume> {
        let bits = *self.bits.get(place)?;
        Some(match read & SPARE {
            COUNT => Volume::Count(bits),
            INTEGER => Volume::Integer(bits.cast_signed()),
            _ => Volume::Real(f64::from_bits(bits)),
        })
    }

    /// Puts another sample in the place of one.
    #[inline]
    fn replace(&mut self, place: usize, volume: Volume, time: i64) {
        let (bits, kind) = match volume {
            Volume::Count(volume) => (volume, COUNT),
            Volume::Integer(volume) => (volume.cast_unsigned(), INTEGER),
            Volume::Real(volume) => (volume.to_bits(), REAL),
        };
        set(&mut self.bits, place, bits);
        set(&mut self.reads, place, time & !SPARE | kind);
    }

    /// The same without resources that have no sample yet.
    fn without_unread(self) -> Self {
        if !self.reads.contains(&NEVER) {
            return self;
        }
        let rows = self.resources.into_iter().zip(self.bits).zip(self.reads).filter(|(_, read)| *read != NEVER);
        let mut known = Self::default();
        for ((resource, bits), read) in rows {
            known.resources.push(resource);
            known.bits.push(bits);
            known.reads.push(read);
        }
        known
    }
}

#[inline]
fn set<T>(values: &mut [T], place: usize, value: T) {
    if let Some(at) = values.get_mut(place) {
        *at = value;
    }
}

// === impl Steps ===

impl Iterator for Steps<'_> {
    type Item = Step;

    #[inline]
    fn next(&mut self) -> Option<Step> {
        let known = self.known.as_deref_mut()?;
        loop {
            let row = self.row;
            let resource = *self.batch.column.resources.get(row)?;
            self.row += 1;
            let Some(place) = at(&known.resources, resource, &mut self.place) else { continue };
            let (read, now) = (*known.reads.get(place)?, self.batch.column.values.number(row)?);
            let before = known.volume(place, read)?;
            let nanos = if read == NEVER { 0 } else { self.since.nanos(read) };
            if nanos < 0 {
                continue;
            }
            known.replace(place, now, self.batch.at.wall);
            if read != NEVER {
                return Some(Step { row, resource, before, now, nanos });
            }
        }
    }
}
