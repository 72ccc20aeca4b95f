//! `stats`: the statistics of this slot.

use super::{Context, forged};
use crate::contract::pollster::wasmeter::plugin::stats::Host;
use crate::contract::{Column, ReadError};
use crate::sandbox::price;

impl Host for Context {
    async fn read(&mut self, key: String) -> wasmtime::Result<Result<Column, ReadError>> {
        if !self.declared_reads.stats.contains(&key) {
            self.charge(price::bytes(key.len())).await;
            self.refuse(key);
            return Ok(Err(ReadError::Undeclared));
        }
        let snapshot = &self.input.snapshot;
        let slice = match snapshot.column(&key) {
            Some(column) => Some(self.input.view.slice(column)),
            None => snapshot.was_read(&key).then(Column::empty),
        };
        self.charge(price::bytes(key.len() + slice.as_ref().map_or(0, Column::bytes))).await;
        Ok(slice.ok_or(ReadError::Unavailable))
    }

    async fn parents(&mut self, resources: Vec<u32>) -> wasmtime::Result<Vec<u32>> {
        self.charge(price::bytes(resources.len() * 8)).await;
        if let Err(error) = self.input.view.admits_any_order(&resources) {
            return forged(format!("parents: {error}"));
        }
        let all = &self.input.snapshot.resources;
        Ok(resources.into_iter().map(|number| all.get(number).map_or(number, |resource| resource.root)).collect())
    }
}
