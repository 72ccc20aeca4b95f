//! For native tests of transformers: samples one by one, as a plain model has them.

use std::collections::BTreeMap;

use expression::Volume;
use wasmeter_sdk::testing::moment;
use wasmeter_sdk::{Batch, Column, Values};

use crate::volumes::{Numbers as _, Volumes};

/// A sample: the meter's position, seconds since 1970, resource and volume.
pub type Sample = (u32, u32, u32, Volume);

/// Volumes at the ends of what there is.
pub const EXTREMES: [Volume; 12] = [
    Volume::Count(0),
    Volume::Count(1),
    Volume::Count(u64::MAX),
    Volume::Count(u64::MAX - 1),
    Volume::Integer(i64::MIN),
    Volume::Integer(i64::MAX),
    Volume::Integer(-1),
    Volume::Real(1e300),
    Volume::Real(-1e300),
    Volume::Real(f64::MAX),
    Volume::Real(5e-324),
    Volume::Real(-0.5),
];

/// Samples in calls of some resources each: those of the first call, of the second and so on.
pub fn cut(samples: &[Sample], call_of: impl Fn(u32) -> usize, calls: usize) -> Vec<Vec<Sample>> {
    (0..calls).map(|call| samples.iter().filter(|(_, _, r, _)| call_of(*r) == call).copied().collect()).collect()
}

/// Samples of one meter and time.
pub fn batch(meter: u32, seconds: u32, volumes: &BTreeMap<u32, Volume>) -> Batch {
    let like = match volumes.values().next() {
        Some(Volume::Integer(_)) => Values::Integers(Vec::new()),
        Some(Volume::Real(_)) => Values::Reals(Vec::new()),
        _ => Values::Counts(Vec::new()),
    };
    let mut column = Volumes::like(&like, volumes.len());
    volumes.iter().for_each(|(resource, volume)| column.push(*resource, *volume));
    Batch { meter, at: moment(seconds), column: column.into_column(), notes: Vec::new() }
}

/// Samples in batches of one meter and time each, in order of time.
pub fn batches(samples: &[Sample]) -> Vec<Batch> {
    let mut all: BTreeMap<(u32, u32), BTreeMap<u32, Volume>> = BTreeMap::new();
    for (meter, seconds, resource, volume) in samples {
        all.entry((*seconds, *meter)).or_default().insert(*resource, *volume);
    }
    all.iter().map(|((seconds, meter), volumes)| batch(*meter, *seconds, volumes)).collect()
}

/// The samples of batches, in their order.
pub fn samples(batches: &[Batch]) -> Vec<Sample> {
    let of = |batch: &Batch| {
        let Column { resources, values } = &batch.column;
        let seconds = u32::try_from(batch.at.wall / 1_000_000_000).unwrap_or(u32::MAX);
        let of = |(row, resource): (usize, &u32)| Some((batch.meter, seconds, *resource, values.number(row)?));
        resources.iter().enumerate().filter_map(of).collect::<Vec<_>>()
    };
    batches.iter().flat_map(of).collect()
}
