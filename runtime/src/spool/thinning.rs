//! What goes first where there is no room for all that waits.
//!
//! 1. What was handed in to be delivered again: whoever did has it.
//! 2. Of a tenant whose modules' samples are more than their share of what waits: its oldest.
//! 3. Of all tenants: older points of a series, where a newer one waits beside them. A delta is added to the next one.
//! 4. All samples of tenants.
//! 5. Of the operator: older points of cumulative counters, where a newer one waits. A delta is added to the next one.
//! 6. Of the operator: older points of gauges, likewise.
//!
//! Each is done over what is oldest first, segment by segment, until there is room. Then the last is done over segments
//! that follow one another, which become one. Only what that does not make room for goes as a whole, the oldest first.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::log::{Counts, Record, Thin, Thinned};
use super::memory::Memory;
use super::record::{self, Content};
use crate::agent::OPERATOR;
use crate::contract::{Column, Kind, Meter, Values};
use crate::discovery::Resources;
use crate::discovery::resource::Resource;
use crate::pipeline::{NoteColumn, Samples, Slot};

/// A tenant's share of the samples that wait: one of so many.
const SHARES: u64 = 10;

/// What goes first; see the module.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rule;

/// The steps, in their order.
const PASSES: [Pass; 6] =
    [Pass::HandedIn, Pass::BeyondShare, Pass::OlderOfTenants, Pass::Tenants, Pass::OlderCounters, Pass::OlderGauges];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    HandedIn,
    BeyondShare,
    OlderOfTenants,
    Tenants,
    OlderCounters,
    OlderGauges,
}

/// The samples of a meter at one time, and which of them stay.
struct List {
    samples: Samples,
    resources: Arc<Resources>,
    stays: Vec<bool>,
}

/// Numbers for texts, so that series are told apart quickly.
#[derive(Default)]
struct Numbers(HashMap<String, usize>);

// === impl Rule ===

impl Thin for Rule {
    fn passes(&self) -> usize {
        PASSES.len()
    }

    fn may_thin(&self, pass: usize, segment: &Counts, held: &Counts) -> bool {
        let any = |is: fn(&record::Kind) -> bool| segment.iter().any(|(key, _)| is(&record::Kind::of(key)));
        let tenants = || any(|kind| kind.tenant != OPERATOR);
        match PASSES.get(pass) {
            Some(Pass::HandedIn) => any(record::Kind::is_replayed),
            Some(Pass::BeyondShare) => tenants() && !beyond_share(held).is_empty(),
            Some(Pass::OlderOfTenants | Pass::Tenants) => tenants(),
            Some(Pass::OlderCounters | Pass::OlderGauges) => true,
            None => false,
        }
    }

    fn thin(&mut self, pass: usize, records: &[Record], held: &Counts) -> Option<Thinned> {
        let pass = *PASSES.get(pass)?;
        let (mut slots, mut memory) = (Vec::with_capacity(records.len()), Memory::default());
        for found in records {
            let (content, after) = record::read_whole(&found.payload).ok()?;
            memory.update(after);
            // What was handed in goes in the first pass, and does not come back in a later one.
            if let Content::Slot(slot) = content {
                slots.push(Arc::unwrap_or_clone(slot));
            }
        }
        let Some(at) = slots.last().map(|slot| slot.at) else {
            return Some(Thinned { counts: Counts::new(), payload: record::of_samples(None, &[]) });
        };
        let mut lists: Vec<List> = slots.into_iter().flat_map(List::of).collect();
        let is_tenants = |samples: &Samples| &*samples.tenant != OPERATOR;
        match pass {
            Pass::HandedIn => {}
            Pass::BeyondShare => {
                let tenants = beyond_share(held);
                lists.retain(|list| !tenants.contains(&*list.samples.tenant));
            }
            Pass::Tenants => lists.retain(|list| !is_tenants(&list.samples)),
            Pass::OlderOfTenants => drop_older(&mut lists, is_tenants),
            Pass::OlderCounters => drop_older(&mut lists, |samples| samples.meter.kind != Kind::Gauge),
            Pass::OlderGauges => drop_older(&mut lists, |_| true),
        }
        let (resources, samples) = joined(lists);
        let slot = Slot { at, resources: Arc::new(Resources::listed(resources)), samples };
        let (counts, payload) = record::of_slot(&slot, &memory);
        Some(Thinned { counts, payload })
    }
}

/// Tenants with more than their share of what waits.
fn beyond_share(held: &Counts) -> HashSet<String> {
    let (mut by_tenant, most): (HashMap<String, u64>, u64) = (HashMap::new(), held.samples() / SHARES);
    for (key, number) in held.iter() {
        *by_tenant.entry(record::Kind::of(key).tenant).or_default() += number;
    }
    by_tenant.retain(|tenant, number| tenant != OPERATOR && *number > most);
    by_tenant.into_keys().collect()
}

/// Leaves the newest of each series, as far as older ones may go: a counter that was greater was reset since, and says
/// what was before that.
fn drop_older(lists: &mut [List], may_go: impl Fn(&Samples) -> bool) {
    let (mut meters, mut ids) = (Numbers::default(), Numbers::default());
    let mut newest: HashMap<(usize, usize), (usize, usize)> = HashMap::new();
    // From the newest to the oldest.
    for number in (0..lists.len()).rev() {
        let Some(list) = lists.get(number).filter(|list| may_go(&list.samples)) else { continue };
        let Samples { tenant, module, meter, route, sink, .. } = &list.samples;
        let (kind, route, sink) = (meter.kind, route.text(), sink.as_deref().unwrap_or_default());
        let Meter { name, unit, .. } = &**meter;
        let meter = meters.of(&format!("{tenant}\0{module}\0{name}\0{unit}\0{kind:?}\0{route}\0{sink}"));
        for place in 0..list.stays.len() {
            let Some(list) = lists.get(number) else { continue };
            let Some(id) = list.id(place).map(|id| ids.of(id)) else { continue };
            let Some((newer, at)) = newest.get(&(meter, id)).copied() else {
                newest.insert((meter, id), (number, place));
                continue;
            };
            let value = number_at(&list.samples.column.values, place);
            let Some(Samples { column: Column { values: next, .. }, .. }) =
                lists.get_mut(newer).map(|newer| &mut newer.samples)
            else {
                continue;
            };
            let goes = match kind {
                Kind::Gauge => true,
                Kind::Cumulative => !is_greater(value, number_at(next, at)),
                Kind::Delta => add(next, at, value),
            };
            if !goes {
                newest.insert((meter, id), (number, place));
            }
            if let Some(stays) = lists.get_mut(number).and_then(|list| list.stays.get_mut(place)) {
                *stays = !goes;
            }
        }
    }
}

/// A number of a column, in its type.
#[derive(Clone, Copy)]
enum Number {
    Count(u64),
    Integer(i64),
    Real(f64),
}

fn number_at(values: &Values, place: usize) -> Option<Number> {
    match values {
        Values::Counts(values) => values.get(place).copied().map(Number::Count),
        Values::Integers(values) => values.get(place).copied().map(Number::Integer),
        Values::Reals(values) => values.get(place).copied().map(Number::Real),
        Values::Interned(_) => None,
    }
}

/// Whether this is more than that. What cannot be compared is not known to be less.
fn is_greater(this: Option<Number>, that: Option<Number>) -> bool {
    match (this, that) {
        (Some(Number::Count(this)), Some(Number::Count(that))) => this > that,
        (Some(Number::Integer(this)), Some(Number::Integer(that))) => this > that,
        (Some(Number::Real(this)), Some(Number::Real(that))) => this > that,
        _ => true,
    }
}

/// Adds to a number of the same type, if the sum is one.
fn add(values: &mut Values, place: usize, more: Option<Number>) -> bool {
    fn put<T>(value: &mut T, sum: Option<T>) -> bool {
        sum.map(|sum| *value = sum).is_some()
    }
    match (values, more) {
        (Values::Counts(values), Some(Number::Count(more))) => {
            values.get_mut(place).is_some_and(|value| put(value, value.checked_add(more)))
        }
        (Values::Integers(values), Some(Number::Integer(more))) => {
            values.get_mut(place).is_some_and(|value| put(value, value.checked_add(more)))
        }
        (Values::Reals(values), Some(Number::Real(more))) => {
            let sum = |value: f64| Some(value + more).filter(|sum| sum.is_finite());
            values.get_mut(place).is_some_and(|value| put(value, sum(*value)))
        }
        _ => false,
    }
}

/// What stays, as samples of one slot. Each keeps its id.
fn joined(lists: Vec<List>) -> (Vec<Resource>, Vec<Samples>) {
    let (mut resources, mut samples) = (Vec::new(), Vec::new());
    let mut last: Option<(*const Resources, u32)> = None;
    for list in lists {
        let at = Arc::as_ptr(&list.resources);
        let first = match last {
            Some((known, first)) if known == at => first,
            _ => {
                // Slots follow each other, so the resources of each stand behind those of the one before.
                let first = u32::try_from(resources.len()).unwrap_or(u32::MAX);
                resources.extend((0..list.resources.len()).filter_map(|number| list.resources.get(number).cloned()));
                last = Some((at, first));
                first
            }
        };
        samples.extend(list.runs(first));
    }
    (resources, samples)
}

// === impl List ===

impl List {
    fn of(slot: Slot) -> impl Iterator<Item = Self> {
        let resources = slot.resources;
        slot.samples.into_iter().map(move |samples| {
            let stays = vec![true; samples.column.len()];
            Self { samples, resources: Arc::clone(&resources), stays }
        })
    }

    /// The id of a sample's resource.
    fn id(&self, place: usize) -> Option<&str> {
        let number = self.samples.column.resources.get(place)?;
        Some(&self.resources.get(*number)?.label.id)
    }

    /// What stays, in pieces without gaps: ids are counted from the first. Resources are numbered from `first` on.
    fn runs(self, first: u32) -> Vec<Samples> {
        let (Self { samples, stays, .. }, mut runs, mut from) = (self, Vec::new(), 0);
        for run in stays.chunk_by(|a, b| a == b) {
            let to = from + run.len();
            if run.first() == Some(&true) {
                let mut column = piece(&samples.column, from, to);
                let notes = samples.notes.iter().map(|note| note_on(note, &column.resources, first)).collect();
                column.resources.iter_mut().for_each(|number| *number = number.saturating_add(first));
                runs.push(Samples { column, notes, first_id: samples.first_id.from(from), ..samples.clone() });
            }
            from = to;
        }
        runs
    }
}

/// A note as far as it is on these resources, which are numbered from `first` on.
fn note_on(note: &NoteColumn, resources: &[u32], first: u32) -> NoteColumn {
    let on = &note.column.resources;
    let from = resources.first().map_or(on.len(), |least| on.partition_point(|number| number < least));
    let to = resources.last().map_or(from, |most| on.partition_point(|number| number <= most));
    let mut column = piece(&note.column, from, to);
    column.resources.iter_mut().for_each(|number| *number = number.saturating_add(first));
    NoteColumn { column, ..note.clone() }
}

fn piece(column: &Column, from: usize, to: usize) -> Column {
    fn cut<T: Copy>(values: &[T], from: usize, to: usize) -> Vec<T> {
        values.get(from..to).unwrap_or_default().to_vec()
    }
    let values = match &column.values {
        Values::Counts(values) => Values::Counts(cut(values, from, to)),
        Values::Integers(values) => Values::Integers(cut(values, from, to)),
        Values::Reals(values) => Values::Reals(cut(values, from, to)),
        Values::Interned(values) => Values::Interned(cut(values, from, to)),
    };
    Column { resources: cut(&column.resources, from, to), values }
}

// === impl Numbers ===

impl Numbers {
    fn of(&mut self, text: &str) -> usize {
        if let Some(number) = self.0.get(text) {
            return *number;
        }
        let number = self.0.len();
        self.0.insert(text.to_owned(), number);
        number
    }
}

#[cfg(test)]
mod tests;
