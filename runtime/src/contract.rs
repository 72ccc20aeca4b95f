//! The contract between host and modules, as Rust: generated from `wit/plugin.wit`.
//!
//! Columns are the common currency of the whole daemon, so its types are used as they come.

mod column;

use crate::clock;

#[allow(missing_docs, clippy::all, clippy::pedantic, clippy::restriction, reason = "generated code")]
pub mod pollster {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "pollster",
        imports: { default: async | trappable },
        exports: { default: async },
    });
}

#[allow(missing_docs, clippy::all, clippy::pedantic, clippy::restriction, reason = "generated code")]
pub mod transformer {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "transformer",
        imports: { default: async | trappable },
        exports: { default: async },
        with: {
            "wasmeter:plugin/types": crate::contract::pollster::wasmeter::plugin::types,
            "wasmeter:plugin/attributes": crate::contract::pollster::wasmeter::plugin::attributes,
            "wasmeter:plugin/texts": crate::contract::pollster::wasmeter::plugin::texts,
            "wasmeter:plugin/declare": crate::contract::pollster::wasmeter::plugin::declare,
            "wasmeter:plugin/clock": crate::contract::pollster::wasmeter::plugin::clock,
            "wasmeter:plugin/state": crate::contract::pollster::wasmeter::plugin::state,
            "wasmeter:plugin/log": crate::contract::pollster::wasmeter::plugin::log,
        },
    });
}

pub use pollster::exports::wasmeter::plugin::poller::{Description, Wanted};
pub use pollster::wasmeter::plugin::types::{
    Column, Failure as ModuleFailure, Kind, LimitReached, Meter, Moment, Note, ReadError, Series, Values,
};
pub use transformer::exports::wasmeter::plugin::converter::{Batch, Outputs};

/// The package that this host serves.
pub const PACKAGE: &str = "wasmeter:plugin";
/// The version that this host serves. A module that wants a later one, or another minor line, is refused by name.
pub const VERSION: (u64, u64, u64) = (0, 1, 1);

impl From<clock::Moment> for Moment {
    fn from(at: clock::Moment) -> Self {
        Self { wall: at.wall, monotonic: Some(at.monotonic) }
    }
}

impl Kind {
    /// The word that samples carry.
    pub fn word(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Cumulative => "cumulative",
            Self::Delta => "delta",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}
