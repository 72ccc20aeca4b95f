//! `stats`: the statistics of this slot.

use super::Context;
use crate::contract::pollster::wasmeter::plugin::stats::Host;
use crate::contract::{Column, ReadError};
use crate::hypervisor::Groups;
use crate::sandbox::price;

impl Host for Context {
    async fn read(&mut self, key: String) -> wasmtime::Result<Result<Column, ReadError>> {
        if !self.reads.stats.contains(&key) {
            self.charge(price::bytes(key.len())).await;
            self.refuse(key);
            return Ok(Err(ReadError::Undeclared));
        }
        let snapshot = &self.input.snapshot;
        let slice = match snapshot.column(&key) {
            Some(column) => Some(self.input.view.hand(column)),
            None => snapshot.was_read(&key).then(Column::empty),
        };
        if slice.as_ref().is_none_or(Column::is_empty) {
            self.missed = self.missed | Groups::of_key(&key).unwrap_or_default();
        }
        self.charge(price::bytes(key.len() + slice.as_ref().map_or(0, Column::bytes))).await;
        Ok(slice.ok_or(ReadError::Unavailable))
    }
}
