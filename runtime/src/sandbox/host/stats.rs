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
        let mut parents = Vec::with_capacity(resources.len());
        for number in resources {
            match self.input.snapshot.resources.get(number) {
                Some(resource) if self.input.view.contains(number) => parents.push(resource.root),
                _ => return forged(format!("it asked for the parent of resource {number}, which it was not handed")),
            }
        }
        Ok(parents)
    }
}
