//! The latest value of every series.
//!
//! Values stay as the columns in which they were measured. What comes after a slot is made beside what was before, so
//! that whoever reads has all of one of them and waits for neither.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::fed::{Fed, Feed};
use super::meter::{self, MeterText};
use super::plan::{Maker, Plan, Planned};
use super::resource::{Entry, Texts};
use crate::agent::OPERATOR;
use crate::contract::{Column, Meter, Values};
use crate::discovery::resource::Ident;
use crate::pipeline::{Samples, Slot};
use crate::sandbox::names::built_in;

/// The most values that were made in earlier slots. Transformers may give other names in every slot; a large host has a
/// fifth as many series.
pub const MOST_MADE: usize = 500_000;
/// What a block takes beside its values, as so many of these.
const BLOCK: usize = 16;

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
    /// Those that came together, the latest last.
    pub blocks: Vec<Block>,
}

/// Values that came together.
#[derive(Debug, Clone)]
pub struct Block {
    /// The resources of their slot, or theirs alone.
    pub texts: Arc<Texts>,
    /// The values.
    pub column: Arc<Column>,
    /// Whose transformers made them; none if they were measured.
    maker: Option<Maker>,
    /// Until then, on the clock that only runs forwards, nobody expected them anew: whoever measured their meter did so
    /// for another source, which has resources of its own. Of those that were made, when they came.
    fresh: u64,
    /// When they are too old to be told.
    until: u64,
}

// === impl Latest ===

impl Latest {
    /// What there is after a slot, whose resources are these.
    ///
    /// A measured value stays until its meter is measured again, with another value or with none. One that was made
    /// stays until the next one of its resource is, as long as samples of this go to its maker. Each goes with its
    /// guest, in the first slot that does not have the guest.
    #[must_use]
    pub fn after(&self, slot: &Slot, texts: &Arc<Texts>, plan: &Plan, fed: &Fed) -> Self {
        let mut came: BTreeMap<Key<'_>, Vec<&Samples>> = BTreeMap::new();
        // Two meters of one name would take turns.
        let (now, unplanned) = (slot.at.monotonic, Planned::default());
        let is_measured =
            |name: &str| built_in::has(name) || plan.meter(name).is_some_and(|known| known.is_measured(now));
        let is_another = |samples: &&Samples| !samples.route.is_measured && is_measured(&samples.meter.name);
        for samples in slot.samples.iter().filter(|samples| !is_another(samples)) {
            let name = samples.meter.name.as_str();
            came.entry((meter::metric(name), name.into(), deployment(samples))).or_default().push(samples);
        }
        let mut series: BTreeMap<Key<'_>, Series> = BTreeMap::new();
        for known in &self.series {
            let name = Cow::from(known.meter.name.as_str());
            let key = (known.text.metric.clone(), name, known.deployment.clone());
            let again = came.get(&key);
            let blocks = known.staying(texts, now, again.map(Vec::as_slice), fed, is_measured(&known.meter.name));
            if !blocks.is_empty() || again.is_some() {
                let (meter, text) = (Arc::clone(&known.meter), Arc::clone(&known.text));
                series.insert(key, Series { meter, deployment: known.deployment.clone(), text, blocks });
            }
        }
        for (key, all) in came {
            let Some(first) = all.first() else { continue };
            let planned = plan.meter(&key.1).unwrap_or(&unplanned);
            let blocks = all.iter().map(|samples| Block::of(samples, texts, now, planned, plan.maker(samples), fed));
            let blocks = latest(blocks.collect());
            let (text, mut of_key) = match series.remove(&key) {
                Some(known) => (known.text_of(&first.meter), known.blocks),
                None => (None, Vec::new()),
            };
            of_key.extend(blocks);
            let text = text.unwrap_or_else(|| Arc::new(MeterText::of(&first.meter, key.2.as_deref())));
            let (meter, deployment) = (Arc::clone(&first.meter), key.2.clone());
            series.insert(key, Series { meter, deployment, text, blocks: of_key });
        }
        bound(&mut series, now);
        Self { series: series.into_values().map(Arc::new).collect() }
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

/// Of several values of one resource that were made in one slot the last alone: there can be but one series of it.
fn latest(mut blocks: Vec<Block>) -> Vec<Block> {
    if blocks.len() < 2 || blocks.iter().all(|block| block.maker.is_none()) {
        return blocks;
    }
    let mut later = FxHashSet::default();
    blocks.reverse();
    let last = |block: Block| {
        let block = block.only(|entry| !later.contains(&entry.ident))?;
        later.extend(block.idents());
        Some(block)
    };
    let mut blocks: Vec<Block> = blocks.into_iter().filter_map(last).collect();
    blocks.reverse();
    blocks
}

/// Lets go of the oldest values that were made in earlier slots, if there are too many.
fn bound(series: &mut BTreeMap<Key<'_>, Series>, now: u64) {
    let is_earlier = |block: &Block| block.maker.is_some() && block.fresh < now;
    let earlier = series.values().flat_map(|series| &series.blocks).filter(|block| is_earlier(block));
    let mut earlier: Vec<(u64, usize)> = earlier.map(|block| (block.fresh, BLOCK + block.column.len())).collect();
    if earlier.iter().map(|(_, size)| size).sum::<usize>() <= MOST_MADE {
        return;
    }
    earlier.sort_unstable_by(|a, b| b.cmp(a));
    let (mut room, mut too_old) = (MOST_MADE, 0);
    for (came, size) in earlier {
        let Some(left) = room.checked_sub(size) else {
            too_old = came;
            break;
        };
        room = left;
    }
    for series in series.values_mut() {
        series.blocks.retain(|block| !is_earlier(block) || block.fresh > too_old);
    }
    series.retain(|_, series| !series.blocks.is_empty());
}

// === impl Series ===

impl Series {
    /// What all say, if they are of this meter as it is now.
    fn text_of(&self, meter: &Meter) -> Option<Arc<MeterText>> {
        let known = &self.meter;
        let is_same = (&known.name, &known.unit, known.kind) == (&meter.name, &meter.unit, meter.kind);
        is_same.then(|| Arc::clone(&self.text))
    }

    /// What stays of these after a slot, in which more of them may have come. Of what is measured nothing does that a
    /// sink made before that was known.
    fn staying(&self, texts: &Texts, now: u64, again: Option<&[&Samples]>, fed: &Fed, is_measured: bool) -> Vec<Block> {
        let until = |block: &Block| if again.is_some() { block.fresh } else { block.until };
        let is_over = |block: &Block| match &block.maker {
            None => until(block) < now,
            Some(maker) => is_measured && matches!(maker, Maker::Sink(_)),
        };
        let mut young: Vec<_> = self.blocks.iter().filter(|block| !is_over(block)).collect();
        if let Some([samples]) = again {
            // As nearly ever: the same resources again.
            young.retain(|block| !block.idents().eq(entries(&samples.column, texts).map(|entry| entry.ident)));
        }
        if young.is_empty() {
            return Vec::new();
        }
        let again_entries = again.into_iter().flatten().flat_map(|samples| entries(&samples.column, texts));
        let came: FxHashSet<Ident> = again_entries.map(|entry| entry.ident).collect();
        let stays = |entry: &Entry| !came.contains(&entry.ident) && texts.contains(entry.root);
        let left = |block: &Block| match &block.maker {
            Some(maker) => block.fed(fed.of(maker)?, texts, stays),
            None => block.only(|entry| stays(entry) && (again.is_none() || texts.contains(entry.ident))),
        };
        young.into_iter().filter_map(left).collect()
    }
}

fn entries<'a>(column: &'a Column, texts: &'a Texts) -> impl Iterator<Item = &'a Entry> {
    column.resources.iter().filter_map(|number| texts.get(*number))
}

// === impl Block ===

impl Block {
    /// The values of a slot, whose resources are these.
    fn of(samples: &Samples, texts: &Arc<Texts>, now: u64, planned: &Planned, maker: Option<Maker>, fed: &Fed) -> Self {
        let feed = maker.as_ref().and_then(|maker| fed.of(maker));
        let until = feed.map_or_else(|| planned.until(now), Feed::until);
        let fresh = if maker.is_some() { now } else { planned.fresh(now) };
        Self { texts: Arc::clone(texts), column: Arc::new(samples.column.clone()), maker, fresh, until }
    }

    /// What is left with some resources alone; `None` if that is nothing.
    fn only(&self, stays: impl Fn(&Entry) -> bool) -> Option<Self> {
        let stays = |number: u32| self.texts.get(number).is_some_and(&stays);
        let staying = self.column.resources.iter().filter(|number| stays(**number)).count();
        match staying {
            0 => None,
            all if all == self.column.len() => Some(self.clone()),
            _ => {
                let mut column = Column::clone(&self.column);
                column.retain(stays);
                Some(Self { column: Arc::new(column), ..self.clone() })
            }
        }
    }

    /// What is left of values that were made: those of some resources of which samples go to their maker.
    fn fed(&self, feed: &Feed, texts: &Texts, stays: impl Fn(&Entry) -> bool) -> Option<Self> {
        let left = self.only(|entry| feed.has(entry.ident) && stays(entry))?;
        Some(Self { until: feed.until(), ..left.settled(texts) })
    }

    /// The same for values that may stay for long: their resources are called as they are in this slot, and those of
    /// their own slot that they are not of are let go, if they are many.
    fn settled(self, texts: &Texts) -> Self {
        let now = |entry: &Entry| texts.of(entry.ident).cloned().unwrap_or_else(|| entry.clone());
        let is_renamed = |entry: &Entry| texts.of(entry.ident).is_some_and(|now| !Arc::ptr_eq(&now.text, &entry.text));
        let is_small = self.texts.count() > 2 * self.column.len();
        if !is_small && !self.entries().any(is_renamed) {
            return self;
        }
        let texts = Texts::only(self.entries().map(now).collect());
        let mut column = Column::clone(&self.column);
        column.resources = (0..).take(column.len()).collect();
        Self { texts, column: Arc::new(column), ..self }
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        entries(&self.column, &self.texts)
    }

    fn idents(&self) -> impl Iterator<Item = Ident> {
        self.entries().map(|entry| entry.ident)
    }

    /// Whether it is told now. Its values are numbers, as all are that modules give.
    pub fn is_told(&self, now: u64) -> bool {
        now <= self.until && !matches!(self.column.values, Values::Interned(_))
    }
}
