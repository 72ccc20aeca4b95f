//! Bounds on everything that a module can make grow.

use std::time::Duration;

use wasmtime::ResourceLimiter;

use super::failure::{Cause, Stop};
use super::price;
use crate::config::daemon::CallLimits;

/// What one call of a module may use. The operator sets these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Limits {
    /// Fuel for a call, whatever it is handed.
    pub fuel_base: u64,
    /// Fuel for each resource that it is handed.
    pub fuel_per_resource: u64,
    /// Bytes of memory, summed over all memories of the instance.
    pub memory: usize,
    /// How long a call may take by the wall clock.
    pub deadline: Duration,
}

/// The largest file that is looked at. Built-in modules take 50 to 100 KiB, one with an interpreter inside 10 MiB.
pub const FILE_BYTES: usize = 16 << 20;
/// Memory that any module can be given; the pool reserves slots of this size.
pub const MEMORY_CEILING: usize = 64 << 20;
/// Elements of all tables together. A Rust module has a few hundred.
pub const TABLE_ELEMENTS: usize = 10_000;
/// Core instances in a component: the module itself, its adapters, and room.
pub const CORE_INSTANCES: usize = 16;
/// Memories in a component. Rust makes one.
pub const MEMORIES: usize = 2;
/// Tables in a component. Rust makes two.
pub const TABLES: usize = 8;
/// Resource handles of WASI streams and errors that are open at once.
pub const HANDLES: usize = 64;
/// Bytes that cross the boundary in one crossing: 10,000 guests in columns take about 12 MiB.
pub const CROSSING_BYTES: usize = 16 << 20;
/// Meters that a module may describe.
pub const METERS: usize = 1_000;
/// Statistics or attributes that a module may read.
pub const READS: usize = 256;
/// Patterns of meters that a module may declare; each is compared with each name that it declares.
pub const PATTERNS: usize = 16;
/// Bytes of a name: a meter's, a unit's, a key's, a state's.
pub const NAME_BYTES: usize = 255;
/// Meters that a call may declare.
pub const DECLARED_METERS: usize = 1_000;
/// Meters that a module declared and that stay its own from slot to slot.
pub const OWN_NAMES: usize = 10_000;
/// Parts that a call may declare of each root that it is handed.
pub const DECLARED_PARTS_PER_ROOT: usize = 64;
/// Texts that a call may intern for each resource that it is handed, and for itself.
pub const TEXTS_PER_RESOURCE: usize = 16;
/// Texts that a call may intern whatever it is handed.
pub const TEXTS_BASE: usize = 4_096;
/// Bytes of all texts that a call may intern.
pub const TEXT_BYTES: usize = 4 << 20;
/// Bytes of a JSON value that a call may intern.
pub const JSON_BYTES: usize = 64 << 10;
/// Samples that a call may give for each resource that it is handed.
pub const SAMPLES_PER_RESOURCE: usize = 200;
/// Samples that a call may give whatever it is handed.
pub const SAMPLES_BASE: usize = 10_000;
/// Metadata that a series may carry.
pub const NOTES: usize = 16;
/// Bytes of a text that is metadata of a sample.
pub const NOTE_BYTES: usize = 4 << 10;
/// Bytes that the results of a call may make of samples, beside what the host adds to each.
pub const RESULT_BYTES: usize = 32 << 20;
/// Names under which a module of the operator's may keep state: a few for each meter of a transformer that is for all of
/// them.
pub const STATE_NAMES: usize = 16_384;
/// Names under which a tenant's module may, or the operator's for what a tenant's gives: a few for each of the meters
/// that one may describe.
pub const TENANTS_STATE_NAMES: usize = 4_096;
/// Bytes of the state of a module of the operator's.
pub const STATE_BYTES: usize = 16 << 20;
/// Bytes of the state of a tenant's module: 65,000 numbers. Whenever some of it changes, a record has all of it, beside
/// everybody's samples.
pub const TENANTS_STATE_BYTES: usize = 1 << 20;
/// Random bytes that a module gets at once.
pub const RANDOM_BYTES: u64 = 64 << 10;
/// Bytes of memory that modules which make requests may have together: while they wait for servers they keep it. Twice
/// the longest answer counts for each, beside the memory of its instance.
pub const ASKING_MEMORY: u64 = 512 << 20;
/// Lines that a call may log, and all calls of a module in a cycle.
pub const LOG_LINES: usize = 32;
/// Bytes of a line that is logged.
pub const LOG_LINE_BYTES: usize = 1_024;
/// Bytes of a failure's particulars.
pub const DETAIL_BYTES: usize = 1_024;
/// What is kept of a call's standard error for its failure.
pub const STDERR_TAIL: usize = 4 << 10;

impl Default for Limits {
    fn default() -> Self {
        Self { fuel_base: 50_000_000, fuel_per_resource: 20_000, memory: 32 << 20, deadline: Duration::from_secs(1) }
    }
}

impl From<CallLimits> for Limits {
    fn from(limits: CallLimits) -> Self {
        let CallLimits { fuel_base, fuel_per_resource, memory, deadline } = limits;
        Self { fuel_base, fuel_per_resource, memory: usize::try_from(memory.bytes()).unwrap_or(usize::MAX), deadline }
    }
}

impl Limits {
    /// The fuel of asking a module what it gives, which is done twice: a transformer, for so many inputs.
    pub fn describing(&self, inputs: usize) -> u64 {
        self.fuel(u32::try_from(inputs).unwrap_or(u32::MAX)).saturating_mul(2)
    }

    /// The fuel of a call that is handed so many resources.
    pub fn fuel(&self, resources: u32) -> u64 {
        self.fuel_base.saturating_add(self.fuel_per_resource.saturating_mul(u64::from(resources)))
    }
}

/// Counts what an instance takes, and refuses more.
#[derive(Debug)]
pub struct Limiter {
    memory: usize,
    memory_used: usize,
    tables_used: usize,
    /// Fuel owed for memory that grew.
    pub debt: u64,
}

// === impl Limiter ===

impl Limiter {
    /// For an instance with so many bytes of memory.
    pub fn new(memory: usize) -> Self {
        Self { memory: memory.min(MEMORY_CEILING), memory_used: 0, tables_used: 0, debt: 0 }
    }

    /// Bytes of memory that the instance has.
    pub fn memory_used(&self) -> usize {
        self.memory_used
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, declared: Option<usize>) -> wasmtime::Result<bool> {
        let grown = desired.saturating_sub(current);
        let total = self.memory_used.saturating_add(grown);
        if total > self.memory {
            let detail = format!("it wanted {total} bytes of memory and may have {}", self.memory);
            return Err(Stop::new(Cause::Memory, detail).into());
        }
        if beyond(desired, declared) {
            return Ok(false);
        }
        if current > 0 {
            self.debt = self.debt.saturating_add(price::memory(grown));
        }
        self.memory_used = total;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, declared: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.tables_used.saturating_add(desired.saturating_sub(current));
        if total > TABLE_ELEMENTS {
            let detail = format!("it wanted {total} elements in tables and may have {TABLE_ELEMENTS}");
            return Err(Stop::new(Cause::Table, detail).into());
        }
        if beyond(desired, declared) {
            return Ok(false);
        }
        self.tables_used = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES
    }

    fn tables(&self) -> usize {
        TABLES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}

/// Whether a module wants more than it said itself that it ever will. It is told no, as anywhere, and nothing counts.
fn beyond(desired: usize, declared: Option<usize>) -> bool {
    declared.is_some_and(|most| desired > most)
}
