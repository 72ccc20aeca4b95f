//! `state`: what a module remembers from call to call, by lasting identity.

mod remembered;

use std::sync::Arc;

use rustc_hash::FxHashSet;

use self::remembered::CELL_BYTES;
pub use self::remembered::{State, Writes};
use super::{Context, forged};
use crate::agent::OPERATOR;
use crate::contract::pollster::wasmeter::plugin::state::Host;
use crate::contract::{Column, LimitReached, Values};
use crate::discovery::Ident;
use crate::sandbox::failure::{Cause, Stop};
use crate::sandbox::limits::{NAME_BYTES, STATE_BYTES, STATE_NAMES, TENANTS_STATE_BYTES, TENANTS_STATE_NAMES};
use crate::sandbox::price;

/// State as a call sees it: what was remembered before, and what it wrote.
#[derive(Debug)]
pub struct StateAccess {
    before: Arc<State>,
    written: Writes,
    /// Names that there were not before.
    new_names: FxHashSet<String>,
    /// Bytes that it wrote, names repeated or not.
    size: usize,
    /// Whether the module is the operator's.
    operators: bool,
}

// === impl StateAccess ===

impl StateAccess {
    /// Access to what a module of this tenant's remembered.
    pub fn to(before: Arc<State>, tenant: &str) -> Self {
        Self {
            before,
            written: Writes::default(),
            new_names: FxHashSet::default(),
            size: 0,
            operators: tenant == OPERATOR,
        }
    }

    /// What was written.
    pub fn into_writes(self) -> Writes {
        self.written
    }

    /// Room for so many bytes under a name? What they replace does not count, except what this call wrote itself.
    fn admit(&mut self, name: &str, bytes: usize) -> Result<(), LimitReached> {
        let most = if self.operators { STATE_NAMES } else { TENANTS_STATE_NAMES };
        if !self.before.has(name) && !self.new_names.contains(name) {
            if self.before.names() + self.new_names.len() >= most {
                return Err(LimitReached { what: format!("{most} names of state") });
            }
            self.new_names.insert(name.to_owned());
        }
        let kept = self.before.size() - self.before.size_of(name).min(bytes);
        let most = self.most();
        if kept + self.size + bytes > most {
            return Err(LimitReached { what: format!("{most} bytes of state") });
        }
        self.size += bytes;
        Ok(())
    }

    /// Room for how many bytes, whatever they replace?
    fn room(&self) -> usize {
        self.most().saturating_sub(self.before.size().saturating_add(self.size))
    }

    fn most(&self) -> usize {
        if self.operators { STATE_BYTES } else { TENANTS_STATE_BYTES }
    }

    /// What it costs that these bytes are kept. Once some of what a tenant's module remembers changes, a record has all
    /// of it; making one of it costs about what fresh memory does. The operator's spool is the operator's own.
    fn price(&self, bytes: usize) -> u64 {
        if self.operators {
            return 0;
        }
        let before = if self.written.is_empty() { self.before.size() } else { 0 };
        price::memory(before.saturating_add(bytes))
    }
}

impl Context {
    fn idents(&self, resources: &[u32]) -> wasmtime::Result<Vec<Ident>> {
        let (all, view) = (&self.input.snapshot.resources, &self.input.view);
        if let Err(error) = view.admits(resources) {
            let first = view.resources();
            let declared = |number: &&u32| number.checked_sub(first).is_some_and(|n| self.declared.guest(n).is_some());
            return match resources.iter().find(declared) {
                Some(part) => forged(format!(
                    "state: {part} is a part that this call declared, and has no cells; remember it in bytes, or in \
                     its guest's cells under a name of the part's own"
                )),
                None => forged(format!("state: {error}")),
            };
        }
        let mut numbers = resources.to_vec();
        view.take_back(&mut numbers);
        Ok(numbers.into_iter().filter_map(|number| all.get(number)).map(|resource| resource.ident).collect())
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
        let bytes = cells.len() * CELL_BYTES;
        if let Err(limit) = self.state.admit(&name, bytes) {
            return Ok(Err(limit));
        }
        self.charge(self.state.price(bytes)).await;
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
        self.charge(self.state.price(bytes.len())).await;
        self.state.written.bytes.push((name, bytes));
        Ok(Ok(()))
    }

    async fn is_part(&mut self) -> wasmtime::Result<bool> {
        Ok(self.input.part)
    }

    async fn room(&mut self) -> wasmtime::Result<u64> {
        Ok(self.state.room() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenants_module_remembers_less_than_the_operators() {
        let (tenants, operators) =
            (|| StateAccess::to(Arc::default(), "acme"), || StateAccess::to(Arc::default(), OPERATOR));
        assert!(tenants().admit("name", TENANTS_STATE_BYTES).is_ok());
        assert_eq!((tenants().room(), operators().room()), (TENANTS_STATE_BYTES, STATE_BYTES));
        let limit = tenants().admit("name", TENANTS_STATE_BYTES + 1).unwrap_err();
        assert_eq!(limit.what, "1048576 bytes of state");
        assert!(operators().admit("name", STATE_BYTES).is_ok());
        assert_eq!(operators().admit("name", STATE_BYTES + 1).unwrap_err().what, "16777216 bytes of state");
        // What was there before counts too.
        let mut before = State::default();
        before.commit(Writes { cells: Vec::new(), bytes: vec![("other".to_owned(), vec![1; TENANTS_STATE_BYTES])] });
        let mut after = StateAccess::to(Arc::new(before), "acme");
        assert!(after.admit("name", 1).is_err());
        assert_eq!(after.room(), 0);
        assert!(after.admit("other", TENANTS_STATE_BYTES).is_ok());
    }

    #[test]
    fn whoever_changes_a_byte_pays_for_all_that_a_record_has_then() {
        let mut before = State::default();
        before.commit(Writes { cells: Vec::new(), bytes: vec![("other".to_owned(), vec![1; 512 << 10])] });
        let before = Arc::new(before);
        let mut access = StateAccess::to(Arc::clone(&before), "acme");
        assert_eq!(access.price(1 << 10), price::memory(513 << 10));
        access.written.bytes.push(("name".to_owned(), vec![1; 1 << 10]));
        assert_eq!(access.price(2 << 10), price::memory(2 << 10), "once in a call");
        assert_eq!(StateAccess::to(before, OPERATOR).price(1 << 10), 0);
    }
}
