//! Transformers over the samples of a slot. What they give stands beside what they were given.

mod batches;
mod work;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

pub use self::batches::Batches;
pub use self::work::{Done, Work};
use super::parts::{Declarer, Parts};
use super::samples::{NoteColumn, Samples, Slot};
use crate::agent::report::ModuleReport;
use crate::clock::{Clock, Moment};
use crate::config::MeterFilter;
use crate::contract::{Batch, Meter};
use crate::discovery::resource::Resource;
use crate::discovery::{Directory, Ident, Snapshot};
use crate::publish::id::Ids;
use crate::sandbox::halves::Answers;
use crate::sandbox::host::Gives;
use crate::sandbox::host::state::State;
use crate::sandbox::host::texts::Text;
use crate::sandbox::ledger::{self, Ledger};
use crate::sandbox::{Cause, Failure, Landed, Module, Names, Sandbox};

/// Sets of inputs of which is kept what a transformer makes of them.
const MOST_DESCRIBED: usize = 64;

/// One transformer and the meters that it is for.
#[derive(Debug)]
pub struct Chain {
    meters: MeterFilter,
    module: Arc<Module>,
    state: Arc<State>,
    /// What it said that it gives, by its inputs.
    described: HashMap<Vec<String>, Arc<Gives>>,
}

/// What a chain made of a slot.
#[derive(Debug)]
pub struct Made {
    /// How that went.
    pub report: ModuleReport,
    /// What came out, without message ids.
    pub samples: Vec<Samples>,
    /// Parts of guests that it declared.
    pub declared: Vec<Resource>,
}

/// What a chain is called with.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Where it runs.
    pub sandbox: Arc<Sandbox>,
    /// Threads for modules.
    pub guests: Handle,
    /// Where its fuel is booked.
    pub ledger: Arc<Ledger>,
    /// Whose samples these are.
    pub tenant: Arc<str>,
    /// How long it takes is measured with this.
    pub clock: Arc<dyn Clock>,
}

// === impl Chain ===

impl Chain {
    /// A transformer for the meters that match.
    pub fn new(meters: MeterFilter, module: Arc<Module>) -> Self {
        Self { meters, module, state: Arc::default(), described: HashMap::new() }
    }

    /// The transformer.
    pub fn module(&self) -> &Arc<Module> {
        &self.module
    }

    /// The work that its state belongs to.
    pub fn work(&self) -> String {
        self.module.work(self.meters.patterns())
    }

    /// What it remembers.
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Remembers something else.
    pub fn set_state(&mut self, state: Arc<State>) {
        self.state = state;
    }

    /// Goes on with what another chain remembers, if both are the same work.
    pub fn take_over(&mut self, old: &mut Vec<Chain>) {
        let work = self.work();
        if let Some(place) = old.iter().position(|old| old.work() == work) {
            self.state = old.swap_remove(place).state;
        }
    }

    /// Forgets cells whose identities will be somebody else's.
    pub fn forget(&mut self, gone: &[Ident]) {
        if !gone.is_empty() {
            Arc::make_mut(&mut self.state).forget(gone);
        }
    }

    /// Transforms those of the measured samples of a slot, the first in it, that match, if there are any.
    pub async fn run(
        &mut self,
        around: &Surroundings,
        directory: &mut Directory,
        names: &mut Arc<Names>,
        ids: &mut Ids,
        slot: &Slot,
        measured: usize,
    ) -> Option<Made> {
        let measured = slot.samples.get(..measured).unwrap_or_default();
        let taken: Vec<&Samples> = measured.iter().filter(|s| self.meters.matches(&s.meter.name)).collect();
        if taken.is_empty() {
            return None;
        }
        let began = around.clock.now().monotonic;
        let entries = u32::try_from(taken.iter().map(|samples| samples.column.len()).sum::<usize>());
        let entries = entries.unwrap_or(u32::MAX);
        let batches = Batches::of(&taken);
        let key = batches.key();
        let work = Work {
            sandbox: Arc::clone(&around.sandbox),
            ledger: Arc::clone(&around.ledger),
            tenant: Arc::clone(&around.tenant),
            module: Arc::clone(&self.module),
            // Not taken away: a cycle that is given up must leave what there was.
            state: Arc::clone(&self.state),
            gives: self.described.get(&key).cloned(),
            batches,
            snapshot: Arc::new(Snapshot::empty(Arc::clone(&slot.resources), slot.at)),
            roots: vec![slot.resources.roots()],
            names: Arc::clone(names),
            entries,
            sure: 0,
        };
        let Done { gives, answers } = around.guests.spawn(work.run()).await.unwrap_or_else(|error| {
            let failure = Failure::new(Cause::Host, format!("its task was lost: {error}"));
            Done { gives: None, answers: Answers::failed(Arc::default(), failure, entries) }
        });
        if let Some(gives) = &gives {
            self.described(key, gives);
        }
        let Answers { landed, mut failures, state, fuel, memory, calls, lines } = answers;
        self.state = state;
        let (gives, mut parts, mut samples) = (gives.unwrap_or_default(), Parts::beside(&slot.resources), Vec::new());
        for mut landed in landed {
            let of = |batch: &Batch| (batch.meter, batch.column.len());
            failures.extend(Arc::make_mut(names).land(&self.module.name, &gives.meters, &mut landed, of));
            samples.extend(self.samples(directory, &mut parts, (ids, slot.at), landed, &gives, &around.tenant));
        }
        let report = ModuleReport {
            name: Arc::clone(&self.module.name),
            tenant: Arc::clone(&around.tenant),
            samples: samples.iter().map(|samples| samples.column.len()).sum(),
            fuel,
            resources: entries,
            memory,
            took: Duration::from_nanos(around.clock.now().monotonic.saturating_sub(began)),
            failures,
            calls,
            granted: ledger::allowance(&self.module.limits, 1, entries),
            lines,
            at: slot.at.wall,
            of: None,
        };
        Some(Made { report, samples, declared: parts.into_declared() })
    }

    /// Keeps what it said of these inputs.
    fn described(&mut self, key: Vec<String>, gives: &Arc<Gives>) {
        // Inputs change when guests or devices come and go; a few sets of them go round.
        if self.described.len() >= MOST_DESCRIBED && !self.described.contains_key(&key) {
            self.described.clear();
        }
        self.described.insert(key, Arc::clone(gives));
    }

    fn samples(
        &self,
        directory: &mut Directory,
        parts: &mut Parts<'_>,
        (ids, slot): (&mut Ids, Moment),
        mut landed: Landed<Vec<Batch>>,
        gives: &Gives,
        tenant: &Arc<str>,
    ) -> Vec<Samples> {
        let texts: Arc<[Text]> = std::mem::take(&mut landed.texts).into();
        let numbers = parts.declare(directory, Declarer { tenant, module: &self.module.name }, &landed.parts, &texts);
        let mut all = Vec::with_capacity(landed.output.len());
        for Batch { meter: position, at, mut column, notes } in std::mem::take(&mut landed.output) {
            numbers.renumber(&mut column);
            let Some(meter) = meter(position, gives, &landed).filter(|_| !column.is_empty()) else { continue };
            let notes = notes.into_iter().filter_map(|note| NoteColumn::of(note, &numbers, &texts)).collect();
            let (module, meter) = (Arc::clone(&self.module.name), Arc::new(meter.clone()));
            let first_id = ids.take(slot, column.len());
            all.push(Samples { module, tenant: Arc::clone(tenant), meter, at, column, notes, first_id });
        }
        all
    }
}

/// The meter of a batch: described, or declared in the call.
fn meter<'a>(position: u32, gives: &'a Gives, landed: &'a Landed<Vec<Batch>>) -> Option<&'a Meter> {
    gives.meters.iter().chain(&landed.meters).nth(position as usize)
}
