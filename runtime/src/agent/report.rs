//! What one cycle did.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::discovery::Snapshot;
use crate::modules::deployment::Key;
use crate::pipeline::Slot;
use crate::sandbox::Failure;
use crate::sandbox::host::log::Lines;

/// One cycle: its samples, and what it took.
#[derive(Debug)]
pub struct Report {
    /// What was measured.
    pub slot: Slot,
    /// What was read for it.
    pub snapshot: Arc<Snapshot>,
    /// How long reading the host took.
    pub read: Duration,
    /// How long everything took.
    pub whole: Duration,
    /// Guests that there are.
    pub guests: u32,
    /// Guests that are nobody's, and are not metered for that.
    pub nobodys: usize,
    /// Guests of which it could not be read what they are.
    pub undefined: usize,
    /// Guests that gave only what does not need their process.
    pub stuck: BTreeSet<Uuid>,
    /// Why statistics are missing, if they are.
    pub missing: Option<String>,
    /// What each module did.
    pub modules: Vec<ModuleReport>,
}

/// What a module did in one cycle.
#[derive(Debug)]
pub struct ModuleReport {
    /// Its name.
    pub name: Arc<str>,
    /// Whose it is.
    pub tenant: Arc<str>,
    /// Samples that it gave and that were wanted.
    pub samples: usize,
    /// Fuel that it used.
    pub fuel: u64,
    /// Resources that it was handed.
    pub resources: u32,
    /// The most memory that one of its instances had.
    pub memory: usize,
    /// How long its calls took.
    pub took: Duration,
    /// Calls that came to nothing, with the number of resources that each was about.
    pub failures: Vec<(Failure, u32)>,
    /// Calls.
    pub calls: u64,
    /// Fuel that it might have used.
    pub granted: u64,
    /// What it logged.
    pub lines: Lines,
    /// Of which slot, in nanoseconds since 1970.
    pub at: i64,
    /// Of which deployment it is, and which version of it; none if it is the operator's.
    pub of: Option<(Key, u64)>,
}

// === impl ModuleReport ===

impl ModuleReport {
    /// Adds it to others, or to the one that is about the same module for the same tenant.
    pub fn join(self, others: &mut Vec<Self>) {
        let Some(same) = others.iter_mut().find(|other| (&other.name, &other.tenant) == (&self.name, &self.tenant))
        else {
            others.push(self);
            return;
        };
        same.samples += self.samples;
        same.fuel = same.fuel.saturating_add(self.fuel);
        same.resources = same.resources.saturating_add(self.resources);
        same.memory = same.memory.max(self.memory);
        same.took += self.took;
        same.failures.extend(self.failures);
        same.calls += self.calls;
        same.granted = same.granted.saturating_add(self.granted);
        same.lines.append(self.lines);
    }
}
