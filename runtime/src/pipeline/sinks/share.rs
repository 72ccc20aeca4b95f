//! What tenants' transformers are handed of what comes to them in a chain: samples of their tenant's guests, and of the
//! meters that they are for. Everything else passes by.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::config::MeterFilter;
use crate::discovery::{Resources, View};
use crate::modules::deployment::Key;
use crate::pipeline::samples::Samples;

/// Samples by the deployments that are to be handed them.
pub type Held = BTreeMap<Key, Portion>;

/// What a deployment is to be handed of a slot.
#[derive(Debug, Default)]
pub struct Portion {
    /// What it transforms, which goes on as it gives it.
    pub taken: Vec<Samples>,
    /// What passes by it, and is for a version that is tried out.
    pub passing: Vec<Samples>,
}

/// What each deployment in a chain is handed.
#[derive(Debug, Default)]
pub struct Shares(BTreeMap<Key, Share>);

/// What a deployment is handed.
#[derive(Debug)]
pub struct Share {
    /// Its tenant's guests, as ascending ranges.
    pub guests: Vec<Range<u32>>,
    /// The meters that it is for; `None` if nobody knows, as there is no such deployment: it is held back then, rather
    /// than delivered as it must not be.
    pub meters: Option<MeterFilter>,
    /// The meters that a version is for that is tried out, if there is one.
    pub tried: Option<MeterFilter>,
    /// Whether samples wait in it, so that it is to be called in this slot even if nothing comes.
    pub holds: bool,
}

// === impl Shares ===

impl Shares {
    /// What these are handed. Whoever is not among them transforms nothing.
    pub fn of(shares: impl Iterator<Item = (Key, Share)>) -> Self {
        Self(shares.collect())
    }

    /// Whether samples wait in a deployment that is to be called in this slot.
    pub(super) fn holds(&self, key: &Key) -> bool {
        self.0.get(key).is_some_and(|share| share.holds)
    }

    /// Holds what a deployment is to be handed of a batch, and gives back what passes by it.
    pub(super) fn split(&self, key: &Key, batch: Vec<Samples>, resources: &Resources, held: &mut Held) -> Vec<Samples> {
        let Some(Share { guests, meters, tried, holds }) = self.0.get(key) else { return batch };
        let theirs = View::of(resources, guests.clone());
        let others = theirs.others(resources);
        let is_taken = |samples: &Samples| meters.as_ref().is_none_or(|meters| meters.matches(&samples.meter.name));
        let (taken, mut passing): (Vec<Samples>, Vec<Samples>) = batch.into_iter().partition(is_taken);
        let is_tried = |samples: &&Samples| tried.as_ref().is_some_and(|meters| meters.matches(&samples.meter.name));
        let also: Vec<_> = passing.iter().filter(is_tried).filter_map(|samples| samples.seen_by(&theirs)).collect();
        passing.extend(taken.iter().filter_map(|samples| samples.seen_by(&others)));
        let taken: Vec<_> = taken.iter().filter_map(|samples| samples.seen_by(&theirs)).collect();
        if !taken.is_empty() || !also.is_empty() || *holds {
            let portion = held.entry(key.clone()).or_default();
            portion.taken.extend(taken);
            portion.passing.extend(also);
        }
        passing
    }
}
