//! What a module remembers in one tenant, between calls.

use rustc_hash::FxHashMap;

use crate::contract::{Column, Values};
use crate::discovery::Ident;

/// What one module remembers in one tenant.
#[derive(Debug, Default, Clone)]
pub struct State {
    cells: FxHashMap<String, Cells>,
    bytes: FxHashMap<String, Vec<u8>>,
}

/// Numbers by identity. A map, so that a module pays for its own cells, however many identities there are.
#[derive(Debug, Clone)]
enum Cells {
    Counts(FxHashMap<Ident, u64>),
    Integers(FxHashMap<Ident, i64>),
    Reals(FxHashMap<Ident, f64>),
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

/// Does the same with cells, whatever their type.
macro_rules! cells {
    ($cells:expr, $name:ident => $body:expr) => {
        match $cells {
            Cells::Counts($name) => $body,
            Cells::Integers($name) => $body,
            Cells::Reals($name) => $body,
        }
    };
}

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
            self.cells.entry(name).or_insert_with(|| Cells::for_values(&values)).put(&idents, values);
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
        let cells = cells.into_iter().map(|(name, cells)| {
            let (idents, values) = cells.all();
            (name, idents, values)
        });
        let mut bytes: Vec<_> = self.bytes.iter().map(|(name, bytes)| (name.clone(), bytes.clone())).collect();
        bytes.sort_unstable();
        Writes { cells: cells.collect(), bytes }
    }

    /// Forgets cells whose identities will be somebody else's.
    pub fn forget(&mut self, gone: &[Ident]) {
        for cells in self.cells.values_mut() {
            cells!(cells, cells => for ident in gone {
                cells.remove(ident);
            });
        }
    }

    /// The cells of these resources that exist under a name; `None` if there is nothing under it.
    pub fn load(&self, name: &str, resources: &[u32], idents: &[Ident]) -> Option<Column> {
        Some(match self.cells.get(name)? {
            Cells::Counts(cells) => pick(cells, resources, idents, Values::Counts),
            Cells::Integers(cells) => pick(cells, resources, idents, Values::Integers),
            Cells::Reals(cells) => pick(cells, resources, idents, Values::Reals),
        })
    }

    /// The bytes under a name.
    pub fn load_bytes(&self, name: &str) -> Option<&Vec<u8>> {
        self.bytes.get(name)
    }

    /// About how much memory this takes.
    pub fn size(&self) -> usize {
        let cells: usize = self.cells.values().map(|cells| cells!(cells, cells => cells.len())).sum();
        cells * CELL_BYTES + self.bytes.values().map(Vec::len).sum::<usize>()
    }

    /// About how much of that is under a name, and may be replaced.
    pub fn size_of(&self, name: &str) -> usize {
        let cells = self.cells.get(name).map_or(0, |cells| cells!(cells, cells => cells.len()));
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

fn pick<T: Copy>(
    cells: &FxHashMap<Ident, T>,
    resources: &[u32],
    idents: &[Ident],
    values: impl Fn(Vec<T>) -> Values,
) -> Column {
    let (mut found, mut numbers) = (Vec::with_capacity(resources.len()), Vec::with_capacity(resources.len()));
    for (resource, ident) in resources.iter().zip(idents) {
        if let Some(number) = cells.get(ident) {
            found.push(*resource);
            numbers.push(*number);
        }
    }
    Column { resources: found, values: values(numbers) }
}

// === impl Cells ===

impl Cells {
    fn for_values(values: &Values) -> Self {
        match values {
            Values::Counts(_) | Values::Interned(_) => Self::Counts(FxHashMap::default()),
            Values::Integers(_) => Self::Integers(FxHashMap::default()),
            Values::Reals(_) => Self::Reals(FxHashMap::default()),
        }
    }

    fn all(&self) -> (Vec<Ident>, Values) {
        fn sorted<T: Copy>(cells: &FxHashMap<Ident, T>) -> (Vec<Ident>, Vec<T>) {
            let mut all: Vec<_> = cells.iter().map(|(ident, value)| (*ident, *value)).collect();
            all.sort_unstable_by_key(|(ident, _)| *ident);
            all.into_iter().unzip()
        }
        match self {
            Self::Counts(cells) => {
                let (idents, values) = sorted(cells);
                (idents, Values::Counts(values))
            }
            Self::Integers(cells) => {
                let (idents, values) = sorted(cells);
                (idents, Values::Integers(values))
            }
            Self::Reals(cells) => {
                let (idents, values) = sorted(cells);
                (idents, Values::Reals(values))
            }
        }
    }

    /// Numbers of another type than before replace them all.
    fn put(&mut self, idents: &[Ident], values: Values) {
        let idents = idents.iter().copied();
        match (&mut *self, values) {
            (Self::Counts(cells), Values::Counts(values)) => cells.extend(idents.zip(values)),
            (Self::Integers(cells), Values::Integers(values)) => cells.extend(idents.zip(values)),
            (Self::Reals(cells), Values::Reals(values)) => cells.extend(idents.zip(values)),
            (cells, Values::Counts(values)) => *cells = Self::Counts(idents.zip(values).collect()),
            (cells, Values::Integers(values)) => *cells = Self::Integers(idents.zip(values).collect()),
            (cells, Values::Reals(values)) => *cells = Self::Reals(idents.zip(values).collect()),
            (_, Values::Interned(_)) => {}
        }
    }
}
