//! Fuel that a module owes for the host's work.
//!
//! The debt is settled by a hook when a host function returns, and only a slice at a time: setting the fuel restarts
//! the engine's own countdown to the next yield, and a module that calls the host in a loop would otherwise never
//! give way to its deadline. Elsewhere the counter lives in a register, so elsewhere it must not be set.

use wasmtime::{CallHook, StoreContextMut, Trap};

use super::Context;
use crate::sandbox::price;

/// Fuel after which a tenant's module lets others run, about 0.1 ms.
pub const SLICE: u64 = 1_000_000;
/// The same of the operator's modules. They take no turns with others, and whenever they give way another thread is
/// woken to go on with them, which takes 10 µs.
pub const OPERATORS_SLICE: u64 = 10 * SLICE;

/// Fuel that is owed.
#[derive(Debug)]
pub struct Debt {
    /// After so much others run.
    pub slice: u64,
    owed: u64,
    /// What there was when one of our own functions was called.
    left: u64,
    since_yield: u64,
    /// One of our own functions is being called.
    ours: bool,
}

// === impl Debt ===

impl Debt {
    /// Nothing yet.
    pub fn none(slice: u64) -> Self {
        Self { slice, owed: 0, left: 0, since_yield: 0, ours: false }
    }

    /// Adds to what is owed; true if it is time to let others run.
    pub fn add(&mut self, fuel: u64) -> bool {
        self.ours = true;
        self.owed = self.owed.saturating_add(fuel);
        self.since_yield = self.since_yield.saturating_add(fuel).saturating_add(price::HOST_CALL);
        let due = self.since_yield >= self.slice;
        if due {
            self.since_yield = 0;
        }
        due
    }

    /// What is left in the function that is being called.
    pub fn left(&self) -> u64 {
        self.left.saturating_sub(self.owed)
    }

    /// What is owed and not settled.
    pub fn owed(&self) -> u64 {
        self.owed
    }
}

/// Runs at every crossing between module and host.
pub fn hook(mut store: StoreContextMut<'_, Context>, crossing: CallHook) -> wasmtime::Result<()> {
    match crossing {
        CallHook::CallingHost => {
            let left = store.get_fuel()?;
            let context = store.data_mut();
            context.debt.ours = false;
            context.debt.left = left;
            context.debt.owed = context.debt.owed.saturating_add(price::HOST_CALL);
            Ok(())
        }
        CallHook::ReturningFromHost => settle(&mut store),
        CallHook::CallingWasm | CallHook::ReturningFromWasm => Ok(()),
    }
}

fn settle(store: &mut StoreContextMut<'_, Context>) -> wasmtime::Result<()> {
    let left = store.get_fuel()?;
    let context = store.data_mut();
    context.debt.owed = context.debt.owed.saturating_add(std::mem::take(&mut context.limiter.debt));
    let Debt { slice, owed, ours, .. } = context.debt;
    if owed > left {
        return Err(Trap::OutOfFuel.into());
    }
    if ours && owed >= slice {
        context.debt.owed = 0;
        store.set_fuel(left - owed)?;
    }
    Ok(())
}
