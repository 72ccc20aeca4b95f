//! wasmeter meters virtual machines: a daemon that owns the hypervisor, the scheduler and the outputs, and runs
//! everything that turns a reading into a meter as a sandboxed WebAssembly component.
//!
//! # Layout
//!
//! Folders stand in the order in which data meets them.
//!
//! - [`config`]: every file that the daemon reads.
//! - [`hypervisor`]: hosts of guests, real and simulated, behind one trait.
//! - [`discovery`]: which resources exist and whose they are.
//! - [`schedule`]: when to measure, and what.
//! - [`sandbox`]: where modules run.
//! - [`modules`]: which modules run.
//! - [`pipeline`]: samples, stamped and transformed.
//! - [`spool`]: samples that are not delivered yet.
//! - [`publish`]: where samples go.
//! - [`http`]: how the daemon answers those who ask it.
//! - [`agent`]: all of this, cycle after cycle.
//! - [`control`]: how it is, for whoever asks.
//! - [`cli`]: the command line.
//! - [`quoting`]: what of others' texts is copied from a remedy.
//! - [`terminal`]: what of others' texts a terminal is shown.

pub mod agent;
pub mod cli;
pub mod clock;
pub mod config;
pub mod contract;
pub mod control;
pub mod digest;
pub mod discovery;
mod files;
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
pub mod hypervisor;
pub mod json;
#[cfg(target_os = "linux")]
pub mod memory;
pub mod modules;
pub mod pipeline;
pub mod publish;
pub mod quoting;
pub mod sandbox;
pub mod schedule;
pub mod spool;
pub mod terminal;
