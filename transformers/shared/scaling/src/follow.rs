//! The sample before.

use std::collections::BTreeMap;

use expression::Volume;
use wasmeter_sdk::{Batch, Call, Column, Converting, Failure, Meter, Values};

use crate::clocks::{Clocks, Since};
use crate::volumes::{Numbers as _, Volumes, at};

/// The last samples of the meters of a call.
#[derive(Debug)]
pub struct Follow<'a> {
    clocks: Clocks,
    /// Which of the names each input has. Two meters of one name are one here.
    names: Vec<usize>,
    meters: Vec<(&'a str, Known)>,
}

/// The last sample of each resource of the call, if there is one.
#[derive(Debug)]
struct Known {
    /// As many numbers as there are resources.
    column: Column,
    /// When each was read, by the wall clock; [`NEVER`] if it was not.
    times: Vec<i64>,
    /// The type of what comes in.
    like: Values,
}

/// No sample has this time.
const NEVER: i64 = i64::MIN;

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
        // Resources and batches by name.
        let mut of_names: Vec<(Vec<u32>, Vec<&Batch>)> = Vec::new();
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
            if let Some((resources, of_name)) = name.and_then(|name| of_names.get_mut(*name)) {
                unite(resources, &batch.column.resources);
                of_name.push(batch);
            }
        }
        for ((name, known), (resources, of_name)) in follow.meters.iter_mut().zip(of_names) {
            if !resources.is_empty() {
                *known = Known::load(call, name, resources, of_name.into_iter());
                follow.clocks.release(&known.times);
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
        let place = known.as_ref().map_or(0, |known| known.column.resources.partition_point(|known| *known < first));
        Steps { known, since, batch, row: 0, place }
    }

    /// Keeps what was remembered for the next call.
    pub fn save(mut self, call: &Call<'_, Converting>) -> Result<(), Failure> {
        for (name, known) in self.meters {
            let (column, times) = known.kept();
            if !column.is_empty() {
                self.clocks.hold(&times);
                let [volume, time] = cells(name);
                call.save(&volume, &column)?;
                call.save(&time, &Column::new(column.resources, times))?;
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
    ["value", "time"].map(|what| format!("{what} {meter}"))
}

// === impl Known ===

impl Default for Known {
    fn default() -> Self {
        Self { column: Column::default(), times: Vec::new(), like: Values::Counts(Vec::new()) }
    }
}

impl Known {
    fn load<'b>(
        call: &Call<'_, Converting>,
        name: &str,
        resources: Vec<u32>,
        mut batches: impl Iterator<Item = &'b Batch>,
    ) -> Self {
        let like = batches.next().map_or(Values::Counts(Vec::new()), |first| empty(&first.column.values));
        let alike = |values: &Values| std::mem::discriminant(values) == std::mem::discriminant(&like);
        let all_alike = batches.all(|batch| alike(&batch.column.values));
        let [volumes, times] = cells(name).map(|name| call.load(&name, &resources));
        let (volumes, times) = match times.values {
            // Whatever is loaded is among what was asked for, so as many are the same.
            Values::Integers(moments)
                if all_alike && moments.len() == resources.len() && volumes.len() == resources.len() =>
            {
                if alike(&volumes.values) {
                    return Self { column: volumes, times: moments, like };
                }
                (volumes, moments)
            }
            Values::Integers(moments) if times.resources == volumes.resources => (volumes, moments),
            // Both are written at once, so this is nothing of ours.
            _ => (Column::default(), Vec::new()),
        };
        let one_type = all_alike && (volumes.is_empty() || alike(&volumes.values));
        let wide = if one_type { empty(&like) } else { Values::Reals(Vec::new()) };
        let mut filled = Volumes::like(&wide, resources.len());
        let (mut moments, mut place) = (Vec::with_capacity(resources.len()), 0);
        for resource in resources {
            let known = at(&volumes.resources, resource, &mut place);
            let volume = known.and_then(|place| volumes.values.number(place));
            let time = known.and_then(|place| times.get(place).copied());
            moments.push(time.filter(|_| volume.is_some()).unwrap_or(NEVER));
            filled.push(
                resource,
                volume.unwrap_or(match wide {
                    Values::Integers(_) => Volume::Integer(0),
                    _ => Volume::Count(0),
                }),
            );
        }
        Self { column: filled.into_column(), times: moments, like }
    }

    /// Puts another volume in the place of one.
    #[inline]
    fn replace(&mut self, place: usize, volume: Volume, time: i64) {
        if let Some(at) = self.times.get_mut(place) {
            *at = time;
        }
        match (&mut self.column.values, volume) {
            (Values::Counts(values), Volume::Count(volume)) => set(values, place, volume),
            (Values::Integers(values), Volume::Integer(volume)) => set(values, place, volume),
            (Values::Reals(values), volume) => set(values, place, volume.real()),
            // All that comes has the type of the column, or the column is one of reals.
            _ => {}
        }
    }

    /// Without resources that have no sample yet, and in whole numbers where whole numbers come in.
    fn kept(self) -> (Column, Vec<i64>) {
        let Self { column, times, like } = self;
        if std::mem::discriminant(&like) == std::mem::discriminant(&column.values) && !times.contains(&NEVER) {
            return (column, times);
        }
        let volume = |row| column.values.number(row).map(|volume| (volume, whole(volume)));
        let rows = || (0..column.len()).filter(|row| times.get(*row).is_some_and(|time| *time != NEVER));
        let all_whole = rows().filter_map(volume).all(|(_, whole)| whole.is_some());
        let like = if all_whole { like } else { empty(&column.values) };
        let mut volumes = Volumes::like(&like, column.len());
        for row in rows() {
            if let (Some(resource), Some((volume, whole))) = (column.resources.get(row), volume(row)) {
                volumes.push(*resource, whole.filter(|_| all_whole).unwrap_or(volume));
            }
        }
        (volumes.into_column(), rows().filter_map(|row| times.get(row).copied()).collect())
    }
}

/// A volume as one of a whole type, if it is one or was one: after a meter has changed its type.
fn whole(volume: Volume) -> Option<Volume> {
    match volume {
        #[allow(clippy::cast_possible_truncation, reason = "it is in range")]
        Volume::Real(real) => (real.fract() == 0.0 && real.abs() < 2f64.powi(63)).then(|| Volume::of(real as i128)),
        volume => Some(volume),
    }
}

/// No values of the same type.
fn empty(values: &Values) -> Values {
    match values {
        Values::Integers(_) => Values::Integers(Vec::new()),
        Values::Reals(_) => Values::Reals(Vec::new()),
        Values::Counts(_) | Values::Interned(_) => Values::Counts(Vec::new()),
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
            let Some(place) = at(&known.column.resources, resource, &mut self.place) else { continue };
            let time = known.times.get(place).copied().unwrap_or(NEVER);
            let (before, now) = (known.column.values.number(place)?, self.batch.column.values.number(row)?);
            let nanos = if time == NEVER { 0 } else { self.since.nanos(time) };
            if nanos < 0 {
                continue;
            }
            known.replace(place, now, self.batch.at.wall);
            if time != NEVER {
                return Some(Step { row, resource, before, now, nanos });
            }
        }
    }
}
