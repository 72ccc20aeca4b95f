//! The host as the sandbox shows it: what the contract imports, under the names that `Call` uses.

use crate::bindings::pollster::wasmeter::plugin::http::{self, Request, Response};
use crate::bindings::pollster::wasmeter::plugin::types::{LimitReached, ReadError};
use crate::bindings::pollster::wasmeter::plugin::{attributes, clock, declare, log, state, stats, texts};
use crate::{Column, Level, Meter, Moment};

/// The only host that a module in the sandbox has.
#[derive(Debug)]
pub struct Host;

// === impl Host ===

impl Host {
    pub(crate) fn stat_column(&self, key: &str) -> Result<Column, ReadError> {
        stats::read(key)
    }

    pub(crate) fn parents_of(&self, resources: &[u32]) -> Vec<u32> {
        attributes::parents(resources)
    }

    pub(crate) fn attribute_column(&self, key: &str) -> Result<Column, ReadError> {
        attributes::read(key)
    }

    pub(crate) fn intern(&self, texts: &[String]) -> Result<Vec<u32>, LimitReached> {
        texts::intern(texts)
    }

    pub(crate) fn intern_json(&self, texts: &[String]) -> Result<Vec<u32>, LimitReached> {
        texts::intern_json(texts)
    }

    pub(crate) fn resolve(&self, indexes: &[u32]) -> Vec<String> {
        texts::resolve(indexes)
    }

    pub(crate) fn declare_meters(&self, meters: &[Meter]) -> Result<Vec<u32>, LimitReached> {
        declare::meters(meters)
    }

    pub(crate) fn declare_parts(&self, guests: &[u32], suffixes: &[u32]) -> Result<Vec<u32>, LimitReached> {
        declare::parts(guests, suffixes)
    }

    pub(crate) fn time(&self) -> Moment {
        clock::read_at()
    }

    pub(crate) fn load(&self, name: &str, resources: &[u32]) -> Option<Column> {
        state::load(name, resources)
    }

    pub(crate) fn save(&self, name: &str, cells: &Column) -> Result<(), LimitReached> {
        state::save(name, cells)
    }

    pub(crate) fn load_bytes(&self, name: &str) -> Option<Vec<u8>> {
        state::load_bytes(name)
    }

    pub(crate) fn save_bytes(&self, name: &str, bytes: &[u8]) -> Result<(), LimitReached> {
        state::save_bytes(name, bytes)
    }

    pub(crate) fn is_part(&self) -> bool {
        state::is_part()
    }

    pub(crate) fn room(&self) -> u64 {
        state::room()
    }

    pub(crate) fn request(&self, request: &Request) -> Result<Response, http::Error> {
        http::send(request)
    }

    pub(crate) fn log(&self, level: Level, text: &str) {
        log::log(level, text);
    }

    pub(crate) fn dropped(&self, samples: u32) {
        log::dropped(samples);
    }
}
