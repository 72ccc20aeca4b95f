//! `clock`: the time of this slot, and no other.

use super::Context;
use crate::contract::Moment;
use crate::contract::pollster::wasmeter::plugin::clock::Host;

impl Host for Context {
    async fn read_at(&mut self) -> wasmtime::Result<Moment> {
        self.charge(0).await;
        let at = self.input.snapshot.at;
        Ok(at.into())
    }
}
