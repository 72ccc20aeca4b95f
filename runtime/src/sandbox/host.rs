//! What a module finds on the other side: one file for each interface that it may import, each with its part of the
//! context, its functions and its limits.

pub mod attributes;
pub mod clock;
pub mod debt;
pub mod declare;
pub mod http;
pub mod log;
pub mod output;
pub mod random;
pub mod state;
pub mod stats;
pub mod texts;
pub mod wasi;

use std::sync::Arc;

use self::debt::Debt;
use self::declare::Declared;
use self::http::Asking;
use self::log::Lines;
use self::random::Random;
use self::state::StateAccess;
use self::texts::Texts;
use self::wasi::Wasi;
use super::failure::{Cause, Stop};
use super::granted::Granted;
use super::limits::{Limiter, NAME_BYTES};
use super::names::Names;
use crate::config::Glob;
use crate::contract::Meter;
use crate::contract::pollster::wasmeter::plugin::types;
use crate::discovery::{Snapshot, View};
use crate::hypervisor::Groups;

/// Everything that one instance can reach.
#[derive(Debug)]
pub struct Context {
    /// What the module is called.
    pub module: Arc<str>,
    /// What it may do that others may not.
    pub granted: Arc<Granted>,
    /// Standard streams and the handles of WASI.
    pub wasi: Wasi,
    /// Memory and tables.
    pub limiter: Limiter,
    /// Fuel owed for what the host did.
    pub debt: Debt,
    /// What the call is about.
    pub input: Input,
    /// What the module said that it reads.
    pub reads: Arc<Reads>,
    /// The first thing that it read all the same.
    pub undeclared: Option<String>,
    /// Groups of statistics of which it asked for something and was handed nothing.
    pub missed: Groups,
    /// Interned texts.
    pub texts: Texts,
    /// Meters and parts declared at run time.
    pub declared: Declared,
    /// What is remembered, and what will be.
    pub state: StateAccess,
    /// What it logged.
    pub lines: Lines,
    /// Samples that it was handed and that gave nothing, as it says.
    pub dropped: u32,
    /// What it may request, if anything.
    pub asking: Option<Asking>,
    /// Where its random numbers come from.
    pub random: Random,
}

/// What a call is about.
#[derive(Debug, Clone)]
pub struct Input {
    /// The slot's statistics and resources.
    pub snapshot: Arc<Snapshot>,
    /// The resources that this call is handed.
    pub view: Arc<View>,
    /// Whether other calls are handed other resources of the same slot.
    pub part: bool,
    /// Names of meters that are others'.
    pub names: Arc<Names>,
}

/// What a module said that it reads.
#[derive(Debug, Default)]
pub struct Reads {
    /// Keys of statistics.
    pub stats: Vec<String>,
    /// Keys of attributes.
    pub attributes: Vec<String>,
    /// Whether it may read entries of metadata, whatever they are.
    pub metadata: bool,
    /// Whether that includes which node a resource is on.
    pub node: bool,
}

/// What a module said that it gives.
#[derive(Debug, Default)]
pub struct Gives {
    /// Meters, in the order of their positions.
    pub meters: Vec<Meter>,
    /// Patterns of meters that it may declare.
    pub declares: Vec<Glob>,
}

// === impl Gives ===

impl Gives {
    /// What a description says, which was checked.
    pub fn new(meters: Vec<Meter>, declares: &[String]) -> Self {
        Self { meters, declares: declares.iter().filter_map(|pattern| Glob::new(pattern).ok()).collect() }
    }
}

// === impl Context ===

impl Context {
    /// Adds to the fuel that is owed, and lets others run when a slice is used up.
    pub async fn charge(&mut self, fuel: u64) {
        if self.debt.add(fuel) {
            tokio::task::yield_now().await;
        }
    }

    /// Whether the host read nothing of these resources in a whole group of which the module asked for something.
    pub(super) fn misses_a_group(&self) -> bool {
        let Input { snapshot, view, .. } = &self.input;
        !self.missed.but(snapshot.groups_of(view)).is_empty()
    }

    /// Notes that the module read what it did not declare.
    fn refuse(&mut self, mut key: String) {
        key.truncate(key.floor_char_boundary(NAME_BYTES));
        key.shrink_to_fit();
        self.undeclared.get_or_insert(key);
    }
}

impl types::Host for Context {}

/// Ends the call: the module named something that it was never given.
fn forged<T>(detail: impl Into<String>) -> wasmtime::Result<T> {
    Err(Stop::new(Cause::Forged, detail).into())
}
