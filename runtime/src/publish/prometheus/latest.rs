//! The latest value of every series.
//!
//! Values stay as the columns in which they were measured. What comes after a slot is made beside what was before, so
//! that whoever reads has all of one of them and waits for neither.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashSet;

use super::meter::{self, MeterText};
use super::resource::{Entry, Texts};
use crate::agent::OPERATOR;
use crate::contract::{Column, Meter, Values};
use crate::discovery::resource::Ident;
use crate::pipeline::{Samples, Slot};
use crate::sandbox::names::built_in;

/// A value is told for so many of its intervals. One or two slots may be lost to a host that does not answer, which
/// shall not look like guests that are gone.
const INTERVALS: u32 = 3;

/// The latest value of every series.
#[derive(Debug, Default)]
pub struct Latest {
    /// By metric and meter, in their order.
    pub series: Vec<Arc<Series>>,
}

/// The series of one meter.
#[derive(Debug)]
pub struct Series {
    meter: Arc<Meter>,
    /// The tenant's deployment that they come from; none for the operator's.
    deployment: Option<String>,
    /// What all of them say.
    pub text: Arc<MeterText>,
    /// Those that were measured together, the latest last.
    pub blocks: Vec<Arc<Block>>,
}

/// Values that were measured together.
#[derive(Debug)]
pub struct Block {
    /// The resources of their slot.
    pub texts: Arc<Texts>,
    /// The values.
    pub column: Column,
    /// Until then, on the clock that only runs forwards, nobody expected them anew: whoever measured their meter did so
    /// for another source, which has resources of its own.
    fresh: u64,
    /// When they are too old to be told.
    until: u64,
}

// === impl Latest ===

impl Latest {
    /// What there is after a slot, whose resources are these. `interval` says how often a meter is measured.
    ///
    /// A value stays until its meter is measured again, with another value or with none. It goes with its guest, in the
    /// first slot that does not have the guest.
    #[must_use]
    pub fn after(&self, slot: &Slot, texts: &Arc<Texts>, interval: impl Fn(&str) -> Duration) -> Self {
        let mut measured: BTreeMap<Key<'_>, Vec<&Samples>> = BTreeMap::new();
        // Two meters of one name would take turns.
        let is_another = |samples: &&Samples| !samples.route.is_measured && built_in::has(&samples.meter.name);
        for samples in slot.samples.iter().filter(|samples| !is_another(samples)) {
            let name = samples.meter.name.as_str();
            measured.entry((meter::metric(name), name.into(), deployment(samples))).or_default().push(samples);
        }
        let now = slot.at.monotonic;
        let mut series: BTreeMap<Key<'_>, Arc<Series>> = BTreeMap::new();
        for known in &self.series {
            let name = Cow::from(known.meter.name.as_str());
            let key = (known.text.metric.clone(), name, known.deployment.clone());
            let again = measured.get(&key);
            let blocks = known.staying(texts, now, again.map(Vec::as_slice));
            if !blocks.is_empty() || again.is_some() {
                let (meter, text, deployment) =
                    (Arc::clone(&known.meter), Arc::clone(&known.text), known.deployment.clone());
                series.insert(key, Arc::new(Series { meter, deployment, text, blocks }));
            }
        }
        for (key, all) in measured {
            let Some(first) = all.first() else { continue };
            let interval = interval(&key.1);
            let [fresh, until] = [interval / 2, interval.saturating_mul(INTERVALS)]
                .map(|age| now.saturating_add(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX)));
            let block = |samples: &&Samples| {
                Arc::new(Block { texts: Arc::clone(texts), column: samples.column.clone(), fresh, until })
            };
            let blocks: Vec<_> = all.iter().map(block).collect();
            let text = || Arc::new(MeterText::of(&first.meter, key.2.as_deref()));
            let (text, mut all_blocks) = match series.remove(&key) {
                Some(known) if is_same(&known.meter, &first.meter) => (Arc::clone(&known.text), known.blocks.clone()),
                Some(known) => (text(), known.blocks.clone()),
                None => (text(), Vec::new()),
            };
            all_blocks.extend(blocks);
            let (meter, deployment) = (Arc::clone(&first.meter), key.2.clone());
            series.insert(key, Arc::new(Series { meter, deployment, text, blocks: all_blocks }));
        }
        Self { series: series.into_values().collect() }
    }

    /// How many series there are, those that are too old among them.
    pub fn len(&self) -> usize {
        self.series.iter().flat_map(|series| &series.blocks).map(|block| block.column.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A meter's metric, its name, and the tenant's deployment that gives it.
type Key<'a> = (String, Cow<'a, str>, Option<String>);

/// The tenant's deployment that gave these.
fn deployment(samples: &Samples) -> Option<String> {
    (*samples.tenant != *OPERATOR).then(|| samples.source().into_owned())
}

fn is_same(a: &Meter, b: &Meter) -> bool {
    (&a.name, &a.unit, a.kind) == (&b.name, &b.unit, b.kind)
}

// === impl Series ===

impl Series {
    /// What stays of these after a slot, in which they may have been measured again.
    fn staying(&self, texts: &Texts, now: u64, again: Option<&[&Samples]>) -> Vec<Arc<Block>> {
        let until = |block: &Block| if again.is_some() { block.fresh } else { block.until };
        let young: Vec<_> = self.blocks.iter().filter(|block| now <= until(block)).collect();
        if young.is_empty() {
            // As ever where a meter has one source.
            return Vec::new();
        }
        let numbers = again.into_iter().flatten().flat_map(|samples| &samples.column.resources);
        let idents = numbers.filter_map(|number| texts.get(*number)).map(|entry| entry.ident);
        let measured: FxHashSet<Ident> = idents.collect();
        let is_here = |entry: &Entry| texts.contains(entry.root) && (again.is_none() || texts.contains(entry.ident));
        let stays = |entry: &Entry| !measured.contains(&entry.ident) && is_here(entry);
        young.into_iter().filter_map(|block| block.only(stays)).collect()
    }
}

// === impl Block ===

impl Block {
    /// What is left with some resources alone; `None` if that is nothing.
    fn only(self: &Arc<Self>, stays: impl Fn(&Entry) -> bool) -> Option<Arc<Self>> {
        let stays = |number: u32| self.texts.get(number).is_some_and(&stays);
        let staying = self.column.resources.iter().filter(|number| stays(**number)).count();
        match staying {
            0 => None,
            all if all == self.column.len() => Some(Arc::clone(self)),
            _ => {
                let mut column = self.column.clone();
                column.retain(stays);
                Some(Arc::new(Self { texts: Arc::clone(&self.texts), column, fresh: self.fresh, until: self.until }))
            }
        }
    }

    /// Whether it is told now. Its values are numbers, as all are that modules give.
    pub fn is_told(&self, now: u64) -> bool {
        now <= self.until && !matches!(self.column.values, Values::Interned(_))
    }
}
