//! `state`: what a module remembers from call to call, by lasting identity.

mod remembered;

use std::sync::Arc;

use self::remembered::CELL_BYTES;
pub use self::remembered::{State, Writes};
use super::{Context, forged};
use crate::contract::pollster::wasmeter::plugin::state::Host;
use crate::contract::{Column, LimitReached, Values};
use crate::discovery::Ident;
use crate::sandbox::failure::{Cause, Stop};
use crate::sandbox::limits::{NAME_BYTES, STATE_BYTES, STATE_NAMES};
use crate::sandbox::price;

/// State as a call sees it: what was remembered before, and what it wrote.
#[derive(Debug, Default)]
pub struct StateAccess {
    before: Arc<State>,
    written: Writes,
    /// Bytes that it wrote, names repeated or not.
    size: usize,
}

// === impl StateAccess ===

impl StateAccess {
    /// Access to what was remembered.
    pub fn to(before: Arc<State>) -> Self {
        Self { before, ..Self::default() }
    }

    /// What was written.
    pub fn into_writes(self) -> Writes {
        self.written
    }

    /// Room for so many bytes under a name? What they replace does not count, except what this call wrote itself.
    fn admit(&mut self, name: &str, bytes: usize) -> Result<(), LimitReached> {
        let known = self.before.has(name)
            || self.written.cells.iter().any(|(written, ..)| written == name)
            || self.written.bytes.iter().any(|(written, _)| written == name);
        if !known && self.before.names() + self.written.cells.len() + self.written.bytes.len() >= STATE_NAMES {
            return Err(LimitReached { what: format!("{STATE_NAMES} names of state") });
        }
        let kept = self.before.size() - self.before.size_of(name).min(bytes);
        if kept + self.size + bytes > STATE_BYTES {
            return Err(LimitReached { what: format!("{STATE_BYTES} bytes of state") });
        }
        self.size += bytes;
        Ok(())
    }
}

impl Context {
    fn idents(&self, resources: &[u32]) -> wasmtime::Result<Vec<Ident>> {
        let all = &self.input.snapshot.resources;
        if let Err(error) = self.input.view.admits(resources) {
            let first = all.len();
            let declared = |number: &&u32| number.checked_sub(first).is_some_and(|n| self.declared.guest(n).is_some());
            return match resources.iter().find(declared) {
                Some(part) => forged(format!(
                    "state: {part} is a part that this call declared, and has no cells; remember it in bytes, or in \
                     its guest's cells under a name of the part's own"
                )),
                None => forged(format!("state: {error}")),
            };
        }
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
        Ok(self.state.before.load(&name, &resources, &idents))
    }

    async fn save(&mut self, name: String, cells: Column) -> wasmtime::Result<Result<(), LimitReached>> {
        self.charge(price::bytes(cells.bytes()) + price::CELL * cells.len() as u64).await;
        named(&name)?;
        let idents = self.idents(&cells.resources)?;
        if cells.values.len() != idents.len() || matches!(cells.values, Values::Interned(_)) {
            let detail = format!("state {name:?}: cells are numbers, as many as resources");
            return Err(Stop::new(Cause::BadData, detail).into());
        }
        if let Err(limit) = self.state.admit(&name, cells.len() * CELL_BYTES) {
            return Ok(Err(limit));
        }
        self.state.written.cells.push((name, idents, cells.values));
        Ok(Ok(()))
    }

    async fn load_bytes(&mut self, name: String) -> wasmtime::Result<Option<Vec<u8>>> {
        named(&name)?;
        let bytes = self.state.before.load_bytes(&name).cloned();
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
