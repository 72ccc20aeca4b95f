//! `attributes`: what is known of the resources themselves.

use super::{Context, forged};
use crate::contract::pollster::wasmeter::plugin::attributes::Host;
use crate::contract::{Column, ReadError, Values};
use crate::discovery::Label;
use crate::discovery::view::Forged;
use crate::sandbox::price;

/// What the key of an entry of metadata begins with.
const METADATA: &str = "resource_metadata.";
/// The entry that names the node. Nova does not tell tenants either.
const NODE: &str = "instance_host";

impl Context {
    /// An entry of the metadata of those resources that have it, as JSON.
    async fn metadata(&mut self, path: &str) -> Column {
        let (snapshot, view) = (self.input.snapshot.clone(), self.input.view.clone());
        let (mut resources, mut interned, mut bytes) = (Vec::new(), Vec::new(), 0);
        let may_read = path != NODE || self.reads.node;
        for (own, number) in (0..).zip(view.numbers()) {
            let Some(metadata) = snapshot.resources.get(number).map(|resource| &resource.label.metadata) else {
                continue;
            };
            bytes += metadata.len();
            if let Some(entry) = metadata.entry(path).filter(|_| may_read) {
                interned.push(self.texts.hand_out(&entry));
                resources.push(own);
            }
        }
        let column = Column { resources, values: Values::Interned(interned) };
        // All of each is looked through.
        self.charge(price::bytes(bytes) + price::bytes(column.bytes()) + price::TEXT * column.len() as u64).await;
        column
    }
}

impl Host for Context {
    async fn read(&mut self, key: String) -> wasmtime::Result<Result<Column, ReadError>> {
        self.charge(price::bytes(key.len())).await;
        if let Some(path) = key.strip_prefix(METADATA).filter(|_| self.reads.metadata) {
            return Ok(Ok(self.metadata(path).await));
        }
        if !self.reads.attributes.contains(&key) {
            self.refuse(key);
            return Ok(Err(ReadError::Undeclared));
        }
        if !Label::ATTRIBUTES.contains(&key.as_str()) {
            return Ok(Err(ReadError::Unavailable));
        }
        let (snapshot, view) = (self.input.snapshot.clone(), self.input.view.clone());
        let (mut resources, mut interned) = (Vec::new(), Vec::new());
        for (own, number) in (0..).zip(view.numbers()) {
            let text = snapshot.resources.get(number).and_then(|resource| resource.label.attribute(&key));
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                // What the host itself hands out is not counted against what the module may intern.
                interned.push(self.texts.hand_out(text));
                resources.push(own);
            }
        }
        let column = Column { resources, values: Values::Interned(interned) };
        self.charge(price::bytes(column.bytes()) + price::TEXT * column.len() as u64).await;
        Ok(Ok(column))
    }

    async fn parents(&mut self, resources: Vec<u32>) -> wasmtime::Result<Vec<u32>> {
        self.charge(price::bytes(resources.len() * 8)).await;
        let (all, view) = (&self.input.snapshot.resources, &self.input.view);
        let mut parents = Vec::with_capacity(resources.len());
        for number in resources {
            let parent = match view.of_slot(number) {
                Some(number) => all.get(number).and_then(|resource| view.own(resource.root)),
                None => number.checked_sub(view.resources()).and_then(|place| self.declared.guest(place)),
            };
            match parent {
                Some(parent) => parents.push(parent),
                None => return forged(format!("parents: {}", Forged::Unseen(number))),
            }
        }
        Ok(parents)
    }
}
