//! What a host answers, natively.
//!
//! Inside the sandbox there is one host, and modules call it directly: a table of functions would make every module
//! import all that there is. Natively there are several: the one of tests, and those of programs that link modules.

use std::fmt::Debug;

use crate::bindings::pollster::wasmeter::plugin::types::{LimitReached, ReadError};
use crate::http::{self, Request, Response};
use crate::{Column, Level, Meter, Moment};

/// A host of modules that are linked natively: the functions of the contract, under the names that `Call` uses.
#[allow(missing_docs, reason = "the contract documents each of them")]
pub trait Answers: Debug {
    fn stat_column(&self, key: &str) -> Result<Column, ReadError>;
    fn parents_of(&self, resources: &[u32]) -> Vec<u32>;
    fn attribute_column(&self, key: &str) -> Result<Column, ReadError>;
    fn intern(&self, texts: &[String]) -> Result<Vec<u32>, LimitReached>;
    fn intern_json(&self, texts: &[String]) -> Result<Vec<u32>, LimitReached>;
    fn resolve(&self, indexes: &[u32]) -> Vec<String>;
    fn declare_meters(&self, meters: &[Meter]) -> Result<Vec<u32>, LimitReached>;
    fn declare_parts(&self, guests: &[u32], suffixes: &[u32]) -> Result<Vec<u32>, LimitReached>;
    fn time(&self) -> Moment;
    fn load(&self, name: &str, resources: &[u32]) -> Option<Column>;
    fn save(&self, name: &str, cells: &Column) -> Result<(), LimitReached>;
    fn load_bytes(&self, name: &str) -> Option<Vec<u8>>;
    fn save_bytes(&self, name: &str, bytes: &[u8]) -> Result<(), LimitReached>;
    fn is_part(&self) -> bool;
    fn room(&self) -> u64;
    fn log(&self, level: Level, text: &str);
    fn dropped(&self, samples: u32);
    fn request(&self, request: &Request) -> Result<Response, http::Error>;
}
