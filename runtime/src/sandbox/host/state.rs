//! `state`: what a module remembers from call to call, by lasting identity.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Context, forged};
use crate::contract::pollster::wasmeter::plugin::state::Host;
use crate::contract::{Column, LimitReached, Values};
use crate::discovery::Ident;
use crate::sandbox::failure::{Cause, Stop};
use crate::sandbox::limits::{NAME_BYTES, STATE_BYTES, STATE_NAMES};
use crate::sandbox::price;

/// What one module remembers in one tenant.
#[derive(Debug, Default, Clone)]
pub struct State {
    cells: HashMap<String, Cells>,
    bytes: HashMap<String, Vec<u8>>,
}

/// Numbers by identity.
#[derive(Debug, Clone)]
enum Cells {
    Counts(Vec<Option<u64>>),
    Integers(Vec<Option<i64>>),
    Reals(Vec<Option<f64>>),
}

/// State as a call sees it: what was remembered before, and what it wrote.
#[derive(Debug, Default)]
pub struct StateAccess {
    before: Arc<State>,
    written: Writes,
}

/// What a call wrote, to be remembered when it lands.
#[derive(Debug, Default)]
pub struct Writes {
    cells: Vec<(String, Vec<Ident>, Values)>,
    bytes: Vec<(String, Vec<u8>)>,
    size: usize,
}

// === impl State ===

impl State {
    /// Remembers what a call wrote.
    pub fn commit(&mut self, writes: Writes) {
        for (name, idents, values) in writes.cells {
            match values {
                Values::Counts(values) => self.counts(name, &idents, &values),
                Values::Integers(values) => self.integers(name, &idents, &values),
                Values::Reals(values) => self.reals(name, &idents, &values),
                Values::Interned(_) => {}
            }
        }
        for (name, bytes) in writes.bytes {
            if bytes.is_empty() {
                self.bytes.remove(&name);
            } else {
                self.bytes.insert(name, bytes);
            }
        }
    }

    /// Forgets cells whose identities will be somebody else's.
    pub fn forget(&mut self, gone: &[Ident]) {
        fn clear<T>(cells: &mut [Option<T>], gone: &[Ident]) {
            for ident in gone {
                if let Some(cell) = cells.get_mut(ident.0 as usize) {
                    *cell = None;
                }
            }
        }
        for cells in self.cells.values_mut() {
            match cells {
                Cells::Counts(cells) => clear(cells, gone),
                Cells::Integers(cells) => clear(cells, gone),
                Cells::Reals(cells) => clear(cells, gone),
            }
        }
    }

    /// About how much memory this takes.
    pub fn size(&self) -> usize {
        let cells = self.cells.values().map(|cells| match cells {
            Cells::Counts(cells) => cells.len() * 16,
            Cells::Integers(cells) => cells.len() * 16,
            Cells::Reals(cells) => cells.len() * 16,
        });
        cells.sum::<usize>() + self.bytes.values().map(Vec::len).sum::<usize>()
    }

    fn names(&self) -> usize {
        self.cells.len() + self.bytes.len()
    }
}

macro_rules! cells {
    ($($method:ident: $case:ident($number:ty)),*) => {
        impl State {
            $(fn $method(&mut self, name: String, idents: &[Ident], values: &[$number]) {
                let cells = self.cells.entry(name).or_insert_with(|| Cells::$case(Vec::new()));
                if !matches!(cells, Cells::$case(_)) {
                    *cells = Cells::$case(Vec::new());
                }
                if let Cells::$case(cells) = cells {
                    put(cells, idents, values);
                }
            })*
        }
    };
}
cells!(counts: Counts(u64), integers: Integers(i64), reals: Reals(f64));

fn put<T: Copy>(cells: &mut Vec<Option<T>>, idents: &[Ident], values: &[T]) {
    let needed = idents.iter().map(|ident| ident.0 as usize + 1).max().unwrap_or(0);
    if cells.len() < needed {
        cells.resize(needed, None);
    }
    for (ident, value) in idents.iter().zip(values) {
        if let Some(cell) = cells.get_mut(ident.0 as usize) {
            *cell = Some(*value);
        }
    }
}

fn pick<T: Copy>(cells: &[Option<T>], resources: &[u32], idents: &[Ident]) -> (Vec<u32>, Vec<T>) {
    let (mut found, mut values) = (Vec::with_capacity(resources.len()), Vec::with_capacity(resources.len()));
    for (number, ident) in resources.iter().zip(idents) {
        if let Some(Some(value)) = cells.get(ident.0 as usize) {
            found.push(*number);
            values.push(*value);
        }
    }
    (found, values)
}

// === impl StateAccess ===

impl StateAccess {
    /// Access to what was remembered.
    pub fn to(before: Arc<State>) -> Self {
        Self { before, written: Writes::default() }
    }

    /// What was written.
    pub fn into_writes(self) -> Writes {
        self.written
    }

    /// Room for so many more bytes under a name?
    fn admit(&mut self, name: &str, bytes: usize) -> Result<(), LimitReached> {
        let known = self.before.cells.contains_key(name)
            || self.before.bytes.contains_key(name)
            || self.written.cells.iter().any(|(written, ..)| written == name)
            || self.written.bytes.iter().any(|(written, _)| written == name);
        if !known && self.before.names() + self.written.cells.len() + self.written.bytes.len() >= STATE_NAMES {
            return Err(LimitReached { what: format!("{STATE_NAMES} names of state") });
        }
        if self.before.size() + self.written.size + bytes > STATE_BYTES {
            return Err(LimitReached { what: format!("{STATE_BYTES} bytes of state") });
        }
        self.written.size += bytes;
        Ok(())
    }
}

impl Context {
    fn idents(&self, resources: &[u32]) -> wasmtime::Result<Vec<Ident>> {
        if let Err(error) = self.input.view.admits(resources) {
            return forged(format!("state: {error}"));
        }
        let all = &self.input.snapshot.resources;
        Ok(resources.iter().filter_map(|number| all.get(*number)).map(|resource| resource.ident).collect())
    }
}

fn named(name: &str) -> wasmtime::Result<()> {
    if name.is_empty() || name.len() > NAME_BYTES {
        let detail = format!("a name of state has 1 to {NAME_BYTES} bytes, not {}", name.len());
        return Err(Stop::new(Cause::BadData, detail).into());
    }
    Ok(())
}

impl Host for Context {
    async fn load(&mut self, name: String, resources: Vec<u32>) -> wasmtime::Result<Option<Column>> {
        self.charge(price::bytes(resources.len() * 16) + price::CELL * resources.len() as u64).await;
        named(&name)?;
        let idents = self.idents(&resources)?;
        let Some(cells) = self.state.before.cells.get(&name) else { return Ok(None) };
        macro_rules! column {
            ($case:path, $cells:expr) => {{
                let (resources, values) = pick($cells, &resources, &idents);
                Column { resources, values: $case(values) }
            }};
        }
        Ok(Some(match cells {
            Cells::Counts(cells) => column!(Values::Counts, cells),
            Cells::Integers(cells) => column!(Values::Integers, cells),
            Cells::Reals(cells) => column!(Values::Reals, cells),
        }))
    }

    async fn save(&mut self, name: String, cells: Column) -> wasmtime::Result<Result<(), LimitReached>> {
        self.charge(price::bytes(cells.bytes()) + price::CELL * cells.len() as u64).await;
        named(&name)?;
        let idents = self.idents(&cells.resources)?;
        if cells.values.len() != idents.len() || matches!(cells.values, Values::Interned(_)) {
            let detail = format!("state {name:?}: cells are numbers, as many as resources");
            return Err(Stop::new(Cause::BadData, detail).into());
        }
        if let Err(limit) = self.state.admit(&name, cells.len() * 16) {
            return Ok(Err(limit));
        }
        self.state.written.cells.push((name, idents, cells.values));
        Ok(Ok(()))
    }

    async fn load_bytes(&mut self, name: String) -> wasmtime::Result<Option<Vec<u8>>> {
        named(&name)?;
        let bytes = self.state.before.bytes.get(&name).cloned();
        self.charge(price::bytes(bytes.as_ref().map_or(0, Vec::len))).await;
        Ok(bytes)
    }

    async fn save_bytes(&mut self, name: String, bytes: Vec<u8>) -> wasmtime::Result<Result<(), LimitReached>> {
        self.charge(price::bytes(bytes.len())).await;
        named(&name)?;
        if let Err(limit) = self.state.admit(&name, bytes.len()) {
            return Ok(Err(limit));
        }
        self.state.written.bytes.push((name, bytes));
        Ok(Ok(()))
    }
}
