//! What modules remember, under names that outlive this run of the daemon.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::missed::Missed;
use crate::contract::Values;
use crate::discovery::{Directory, Ident, Identity};
use crate::sandbox::host::state::{State, Writes};

/// What some modules remember.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// The resources that cells belong to.
    pub identities: Vec<Identity>,
    /// What each module remembers of them.
    pub modules: Vec<Remembered>,
    /// Samples that the spool could not take, if that changed.
    pub missed: Option<Missed>,
    /// Publishers that are not served any more, and the number of the record that says so: what they lost by that is
    /// among the missed. A cursor of theirs that is not behind that record has not been removed yet, and counts twice.
    #[serde(skip)]
    pub closed: Vec<(String, u64)>,
}

/// What one module remembers: all of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// The module and what it was configured for: nobody else would know what to make of this.
    pub work: String,
    /// Cells by name: places among the identities, and as many numbers.
    pub cells: Vec<(String, Vec<u32>, Numbers)>,
    /// Bytes by name.
    pub bytes: Vec<(String, Vec<u8>)>,
}

/// Numbers of one type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Numbers {
    /// From zero up.
    Counts(Vec<u64>),
    /// Of either sign.
    Integers(Vec<i64>),
    /// Reals.
    Reals(Vec<f64>),
}

// === impl Memory ===

impl Memory {
    /// Of these modules.
    pub fn of<'a>(directory: &Directory, states: impl IntoIterator<Item = (String, &'a State)>) -> Self {
        let (mut memory, mut places) = (Self::default(), FxHashMap::default());
        for (work, state) in states {
            let writes = state.all();
            let mut remembered = Remembered { work, cells: Vec::new(), bytes: writes.bytes };
            for (name, idents, values) in writes.cells {
                // What has no identity any more is nobody's.
                let named: Vec<_> = idents.iter().map(|ident| memory.place(&mut places, directory, *ident)).collect();
                let numbers = Numbers::of(values, &named);
                remembered.cells.push((name, named.into_iter().flatten().collect(), numbers));
            }
            memory.modules.push(remembered);
        }
        memory
    }

    fn place(&mut self, places: &mut FxHashMap<Ident, u32>, directory: &Directory, ident: Ident) -> Option<u32> {
        if let Some(place) = places.get(&ident) {
            return Some(*place);
        }
        let place = u32::try_from(self.identities.len()).ok()?;
        self.identities.push(directory.identity(ident)?.clone());
        places.insert(ident, place);
        Some(place)
    }

    /// Takes over what is newer.
    pub fn update(&mut self, newer: Self) {
        let shift = u32::try_from(self.identities.len()).unwrap_or(u32::MAX);
        self.identities.extend(newer.identities);
        for mut remembered in newer.modules {
            for (_, places, _) in &mut remembered.cells {
                places.iter_mut().for_each(|place| *place = place.saturating_add(shift));
            }
            match self.modules.iter_mut().find(|known| known.work == remembered.work) {
                Some(known) => *known = remembered,
                None => self.modules.push(remembered),
            }
        }
        if newer.missed.is_some() {
            self.missed = newer.missed;
        }
        self.closed.extend(newer.closed);
        self.tidy();
    }

    /// Lets go of identities that no cell belongs to.
    fn tidy(&mut self) {
        let (mut places, mut used): (FxHashMap<u32, u32>, Vec<Identity>) = Default::default();
        for (_, cells, _) in self.modules.iter_mut().flat_map(|module| &mut module.cells) {
            for cell in cells {
                *cell = *places.entry(*cell).or_insert_with_key(|place| {
                    // A place that there is not stays one.
                    let Some(identity) = self.identities.get(*place as usize) else { return u32::MAX };
                    used.push(identity.clone());
                    u32::try_from(used.len() - 1).unwrap_or(u32::MAX)
                });
            }
        }
        self.identities = used;
    }

    /// As state of this run, by work.
    pub fn into_states(self, directory: &mut Directory) -> Vec<(String, State)> {
        let idents: Vec<Ident> = self.identities.into_iter().map(|identity| directory.expect(identity)).collect();
        let state = |remembered: Remembered| {
            let mut writes = Writes { cells: Vec::new(), bytes: remembered.bytes };
            for (name, places, numbers) in remembered.cells {
                let cells: Option<Vec<Ident>> =
                    places.iter().map(|place| idents.get(*place as usize).copied()).collect();
                // Both follow from one writing; where they do not fit each other, nothing is believed.
                if let Some(cells) = cells.filter(|cells| cells.len() == numbers.len()) {
                    writes.cells.push((name, cells, numbers.into()));
                }
            }
            let mut state = State::default();
            state.commit(writes);
            (remembered.work, state)
        };
        self.modules.into_iter().map(state).collect()
    }
}

// === impl Numbers ===

impl Numbers {
    /// Those that are somebody's.
    fn of(values: Values, named: &[Option<u32>]) -> Self {
        fn kept<T>(values: Vec<T>, named: &[Option<u32>]) -> Vec<T> {
            values.into_iter().zip(named).filter(|(_, place)| place.is_some()).map(|(value, _)| value).collect()
        }
        match values {
            Values::Counts(values) => Self::Counts(kept(values, named)),
            Values::Integers(values) => Self::Integers(kept(values, named)),
            Values::Reals(values) => Self::Reals(kept(values, named)),
            Values::Interned(values) => Self::Counts(kept(values.into_iter().map(u64::from).collect(), named)),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Counts(values) => values.len(),
            Self::Integers(values) => values.len(),
            Self::Reals(values) => values.len(),
        }
    }
}

impl From<Numbers> for Values {
    fn from(numbers: Numbers) -> Self {
        match numbers {
            Numbers::Counts(values) => Self::Counts(values),
            Numbers::Integers(values) => Self::Integers(values),
            Numbers::Reals(values) => Self::Reals(values),
        }
    }
}
