//! Tests of wasmeter as a whole: a file for each behaviour.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod admission;
mod agent;
mod cache;
mod commandline;
mod compiling;
mod control;
mod daemon;
mod deadline;
mod delivery;
mod deployments;
mod docs;
mod exporter;
mod fairness;
mod fuel;
mod guests;
mod hostile;
mod identity;
mod memory;
#[cfg(feature = "libvirt")]
mod real;
mod support;
mod transaction;
mod transformers;
mod units;
mod versions;
