//! What a module remembers, by lasting identity.

use std::collections::BTreeMap;

use crate::{Column, Values};

/// Everything that one module remembers.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Cells by name.
    pub cells: BTreeMap<String, Cells>,
    /// Bytes by name.
    pub bytes: BTreeMap<String, Vec<u8>>,
}

/// Numbers of one type by the identity of their resource.
#[derive(Debug, Clone)]
pub enum Cells {
    /// Whole numbers from zero up.
    Counts(BTreeMap<String, u64>),
    /// Whole numbers of either sign.
    Integers(BTreeMap<String, i64>),
    /// Real numbers.
    Reals(BTreeMap<String, f64>),
}

/// What a cell takes.
pub const CELL_BYTES: u64 = 16;

// === impl State ===

impl State {
    /// How many bytes it takes.
    pub fn size(&self) -> u64 {
        let bytes = self.bytes.values().map(|bytes| bytes.len() as u64).sum::<u64>();
        self.cells.values().map(Cells::size).sum::<u64>() + bytes
    }

    /// How many of them are under a name.
    pub fn size_of(&self, name: &str) -> u64 {
        let bytes = self.bytes.get(name).map_or(0, |bytes| bytes.len() as u64);
        self.cells.get(name).map_or(0, Cells::size) + bytes
    }

    /// The cells of these resources under a name.
    pub fn load(&self, name: &str, resources: &[u32], id: impl Fn(u32) -> String) -> Option<Column> {
        fn pick<T: Copy>(cells: &BTreeMap<String, T>, resources: &[u32], id: impl Fn(u32) -> String) -> Column
        where
            Values: From<Vec<T>>,
        {
            resources.iter().filter_map(|r| Some((*r, *cells.get(&id(*r))?))).collect()
        }
        Some(match self.cells.get(name)? {
            Cells::Counts(cells) => pick(cells, resources, id),
            Cells::Integers(cells) => pick(cells, resources, id),
            Cells::Reals(cells) => pick(cells, resources, id),
        })
    }

    /// Stores cells; another type of numbers replaces what is there.
    pub fn save(&mut self, name: &str, column: &Column, id: impl Fn(u32) -> String) {
        let ids = column.resources.iter().map(|r| id(*r));
        let cells = self.cells.entry(name.to_owned()).or_insert_with(|| Cells::Counts(BTreeMap::new()));
        match (&mut *cells, &column.values) {
            (Cells::Counts(cells), Values::Counts(values)) => cells.extend(ids.zip(values.iter().copied())),
            (Cells::Integers(cells), Values::Integers(values)) => cells.extend(ids.zip(values.iter().copied())),
            (Cells::Reals(cells), Values::Reals(values)) => cells.extend(ids.zip(values.iter().copied())),
            (_, Values::Counts(values)) => *cells = Cells::Counts(ids.zip(values.iter().copied()).collect()),
            (_, Values::Integers(values)) => *cells = Cells::Integers(ids.zip(values.iter().copied()).collect()),
            (_, Values::Reals(values)) => *cells = Cells::Reals(ids.zip(values.iter().copied()).collect()),
            (_, Values::Interned(_)) => panic!("state {name}: texts are no numbers"),
        }
    }
}

// === impl Cells ===

impl Cells {
    fn size(&self) -> u64 {
        let cells = match self {
            Self::Counts(cells) => cells.len(),
            Self::Integers(cells) => cells.len(),
            Self::Reals(cells) => cells.len(),
        };
        cells as u64 * CELL_BYTES
    }
}
