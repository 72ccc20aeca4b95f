//! What a module remembers in one tenant, between calls.

use std::ops::Range;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::contract::{Column, Values};
use crate::discovery::Ident;

/// What one module remembers in one tenant.
#[derive(Debug, Default, Clone)]
pub struct State {
    cells: FxHashMap<String, Cells>,
    bytes: FxHashMap<String, Vec<u8>>,
}

/// Numbers by identity, in the order in which they were written first: mostly all of them are written again in that
/// order, and read. So that a module pays for its own cells, however many identities there are, a map knows their places.
#[derive(Debug, Clone)]
struct Cells {
    /// Shared with earlier states, which differ in numbers only.
    idents: Arc<Idents>,
    /// As many as there are identities; never texts.
    values: Values,
}

/// Identities and their places.
#[derive(Debug, Default, Clone)]
struct Idents {
    all: Vec<Ident>,
    places: FxHashMap<Ident, u32>,
}

/// What a call wrote, to be remembered when it lands.
#[derive(Debug, Default)]
pub struct Writes {
    /// Cells by name.
    pub cells: Vec<(String, Vec<Ident>, Values)>,
    /// Bytes by name.
    pub bytes: Vec<(String, Vec<u8>)>,
}

/// What a cell takes, about.
pub const CELL_BYTES: usize = 16;
/// The bytes under this name say how many samples wait in what is remembered.
const WAITING: &str = "samples waiting";

// === impl Writes ===

impl Writes {
    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty() && self.bytes.is_empty()
    }
}

// === impl State ===

impl State {
    /// Remembers what a call wrote.
    pub fn commit(&mut self, writes: Writes) {
        for (name, idents, values) in writes.cells {
            self.cells.entry(name).or_default().put(&idents, values);
        }
        for (name, bytes) in writes.bytes {
            if bytes.is_empty() {
                self.bytes.remove(&name);
            } else {
                self.bytes.insert(name, bytes);
            }
        }
    }

    /// Everything, as if it was written at once; in an order that does not depend on chance.
    pub fn all(&self) -> Writes {
        let mut cells: Vec<_> = self.cells.iter().map(|(name, cells)| (name.clone(), cells)).collect();
        cells.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let cells = cells.into_iter().map(|(name, cells)| (name, cells.idents.all.clone(), cells.values.clone()));
        let mut bytes: Vec<_> = self.bytes.iter().map(|(name, bytes)| (name.clone(), bytes.clone())).collect();
        bytes.sort_unstable();
        Writes { cells: cells.collect(), bytes }
    }

    /// The identities of all cells, once for each name.
    pub fn idents(&self) -> impl Iterator<Item = Ident> {
        self.cells.values().flat_map(|cells| cells.idents.all.iter().copied())
    }

    /// Forgets cells whose identities will be somebody else's.
    pub fn forget(&mut self, gone: &[Ident]) {
        self.cells.retain(|_, cells| {
            cells.forget(gone);
            cells.len() > 0
        });
    }

    /// The cells of these resources that exist under a name; `None` if there is nothing under it.
    pub fn load(&self, name: &str, resources: &[u32], idents: &[Ident]) -> Option<Column> {
        Some(self.cells.get(name)?.of(resources, idents))
    }

    /// The bytes under a name.
    pub fn load_bytes(&self, name: &str) -> Option<&Vec<u8>> {
        self.bytes.get(name)
    }

    /// How many samples wait in it, which will never come out if it is forgotten.
    pub fn waiting(&self) -> u64 {
        let bytes = self.bytes.get(WAITING).and_then(|bytes| bytes.as_slice().try_into().ok());
        bytes.map_or(0, u64::from_le_bytes)
    }

    /// About how much memory this takes.
    pub fn size(&self) -> usize {
        let cells: usize = self.cells.values().map(Cells::len).sum();
        cells * CELL_BYTES + self.bytes.values().map(Vec::len).sum::<usize>()
    }

    /// About how much of that is under a name, and may be replaced.
    pub fn size_of(&self, name: &str) -> usize {
        let cells = self.cells.get(name).map_or(0, Cells::len);
        cells * CELL_BYTES + self.bytes.get(name).map_or(0, Vec::len)
    }

    /// About how much of a record it takes: names too, which may be all that there is.
    pub fn recorded(&self) -> usize {
        self.cells.keys().chain(self.bytes.keys()).map(String::len).sum::<usize>() + self.size()
    }

    /// Whether anything is under a name.
    pub fn has(&self, name: &str) -> bool {
        self.cells.contains_key(name) || self.bytes.contains_key(name)
    }

    /// How many names there are.
    pub fn names(&self) -> usize {
        self.cells.len() + self.bytes.len()
    }
}

// === impl Idents ===

impl Idents {
    /// Where these stand, if they stand there one behind the other.
    fn run(&self, idents: &[Ident]) -> Option<Range<usize>> {
        let first = *self.places.get(idents.first()?)? as usize;
        let run = first..first.checked_add(idents.len())?;
        (self.all.get(run.clone())? == idents).then_some(run)
    }

    fn push(&mut self, ident: Ident) {
        self.places.insert(ident, u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        self.all.push(ident);
    }
}

// === impl Cells ===

impl Default for Cells {
    fn default() -> Self {
        Self { idents: Arc::default(), values: Values::Counts(Vec::new()) }
    }
}

impl Cells {
    fn len(&self) -> usize {
        self.idents.all.len()
    }

    /// The cells of these resources that exist.
    fn of(&self, resources: &[u32], idents: &[Ident]) -> Column {
        if let Some(run) = self.idents.run(idents) {
            return Column { resources: resources.to_vec(), values: picked(&self.values, run) };
        }
        let found = resources.iter().zip(idents).filter_map(|(number, ident)| Some((*number, self.place(ident)?)));
        let (resources, places): (Vec<u32>, Vec<usize>) = found.unzip();
        Column { resources, values: picked(&self.values, places.into_iter()) }
    }

    fn place(&self, ident: &Ident) -> Option<usize> {
        self.idents.places.get(ident).map(|place| *place as usize)
    }

    /// Numbers of another type than before replace them all.
    fn put(&mut self, idents: &[Ident], values: Values) {
        match (&mut self.values, values) {
            (Values::Counts(old), Values::Counts(new)) => put(&mut self.idents, old, idents, &new),
            (Values::Integers(old), Values::Integers(new)) => put(&mut self.idents, old, idents, &new),
            (Values::Reals(old), Values::Reals(new)) => put(&mut self.idents, old, idents, &new),
            (_, Values::Interned(_)) => {}
            (old, new) => {
                let mut all = Idents::default();
                idents.iter().for_each(|ident| all.push(*ident));
                (*old, self.idents) = (new, Arc::new(all));
            }
        }
    }

    fn forget(&mut self, gone: &[Ident]) {
        if !gone.iter().any(|ident| self.idents.places.contains_key(ident)) {
            return;
        }
        let gone: FxHashSet<Ident> = gone.iter().copied().collect();
        let stays = (0..self.len()).filter(|place| self.idents.all.get(*place).is_some_and(|one| !gone.contains(one)));
        let places: Vec<usize> = stays.collect();
        let mut left = Idents::default();
        places.iter().filter_map(|place| self.idents.all.get(*place)).for_each(|ident| left.push(*ident));
        self.values = picked(&self.values, places.into_iter());
        self.idents = Arc::new(left);
    }
}

/// Takes new numbers in the places of old ones, and behind them.
fn put<T: Copy>(known: &mut Arc<Idents>, old: &mut Vec<T>, idents: &[Ident], new: &[T]) {
    if let Some(run) = known.run(idents) {
        if let Some(old) = old.get_mut(run).filter(|old| old.len() == new.len()) {
            old.copy_from_slice(new);
        }
        return;
    }
    for (ident, value) in idents.iter().zip(new) {
        let place = known.places.get(ident).map(|place| *place as usize);
        match place.and_then(|place| old.get_mut(place)) {
            Some(old) => *old = *value,
            None => {
                Arc::make_mut(known).push(*ident);
                old.push(*value);
            }
        }
    }
}

/// The numbers at these places.
fn picked(values: &Values, places: impl Iterator<Item = usize>) -> Values {
    fn pick<T: Copy>(values: &[T], places: impl Iterator<Item = usize>) -> Vec<T> {
        places.filter_map(|place| values.get(place).copied()).collect()
    }
    match values {
        Values::Counts(values) => Values::Counts(pick(values, places)),
        Values::Integers(values) => Values::Integers(pick(values, places)),
        Values::Reals(values) => Values::Reals(pick(values, places)),
        Values::Interned(values) => Values::Interned(pick(values, places)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// A step in the life of cells: numbers for these identities, or these are gone.
    #[derive(Debug, Clone)]
    enum Step {
        Put(Vec<u32>, bool),
        Forget(Vec<u32>),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        // Runs, as mostly all are written; and any others.
        let run = (0..20_u32, 0..20_u32).prop_map(|(from, to)| (from..to).collect());
        let some = prop::collection::btree_set(0..20_u32, 0..20).prop_map(|some| some.into_iter().rev().collect());
        let idents = prop_oneof![2 => run, 1 => some].boxed();
        let put = (idents.clone(), prop::bool::weighted(0.8)).prop_map(|(idents, counts)| Step::Put(idents, counts));
        prop::collection::vec(prop_oneof![4 => put, 1 => idents.prop_map(Step::Forget)], 0..20)
    }

    #[test]
    fn what_waits_is_a_number_or_nothing() {
        let mut state = State::default();
        for (bytes, waiting) in [(300_u64.to_le_bytes().to_vec(), 300), (vec![1, 2], 0), (Vec::new(), 0)] {
            state.commit(Writes { cells: Vec::new(), bytes: vec![(WAITING.into(), bytes)] });
            assert_eq!(state.waiting(), waiting);
        }
    }

    proptest! {
        #[test]
        fn cells_are_a_map(steps in steps(), asked in prop::collection::btree_set(0..25_u32, 0..25)) {
            let (mut cells, mut model, mut counts_now) = (Cells::default(), BTreeMap::new(), true);
            for (number, step) in (0..).zip(steps) {
                let before = cells.clone();
                let of_before = cells.values.clone();
                match step {
                    Step::Put(idents, counts) => {
                        if counts != counts_now {
                            (model, counts_now) = (BTreeMap::new(), counts);
                        }
                        let values: Vec<u64> = idents.iter().map(|ident| u64::from(ident * 1000 + number)).collect();
                        model.extend(idents.iter().copied().zip(values.iter().copied()));
                        let idents: Vec<Ident> = idents.into_iter().map(Ident).collect();
                        #[allow(clippy::cast_precision_loss, reason = "they are small")]
                        let reals = || Values::Reals(values.iter().map(|value| *value as f64).collect());
                        cells.put(&idents, if counts { Values::Counts(values.clone()) } else { reals() });
                    }
                    Step::Forget(gone) => {
                        model.retain(|ident, _| !gone.contains(ident));
                        cells.forget(&gone.into_iter().map(Ident).collect::<Vec<_>>());
                    }
                }
                prop_assert_eq!(format!("{of_before:?}"), format!("{:?}", before.values), "what was before stays");
            }
            let idents: Vec<Ident> = asked.iter().copied().map(Ident).collect();
            let numbers: Vec<u32> = (0..).take(idents.len()).collect();
            let Column { resources, values } = cells.of(&numbers, &idents);
            let values: Vec<u64> = match values {
                Values::Counts(values) => values,
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "they were counts")]
                Values::Reals(values) => values.into_iter().map(|value| value as u64).collect(),
                _ => panic!("others were never written"),
            };
            let found: Vec<(u32, u64)> =
                resources.iter().map(|number| idents[*number as usize].0).zip(values).collect();
            let wanted: Vec<(u32, u64)> = asked.iter().filter_map(|ident| Some((*ident, *model.get(ident)?))).collect();
            prop_assert_eq!(found, wanted);
            prop_assert_eq!(cells.len(), model.len());
        }
    }
}
