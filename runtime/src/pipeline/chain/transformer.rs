//! One transformer and what it remembers: handed samples of a slot, it gives others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::batches::Batches;
use super::work::{Done, Work};
use super::{Made, Surroundings};
use crate::agent::report::ModuleReport;
use crate::clock::Moment;
use crate::contract::{Batch, Meter};
use crate::discovery::{Directory, Ident, Resources, Snapshot};
use crate::pipeline::Route;
use crate::pipeline::parts::{Declarer, Parts};
use crate::pipeline::samples::{NoteColumn, Samples};
use crate::publish::id::Ids;
use crate::sandbox::halves::Answers;
use crate::sandbox::host::Gives;
use crate::sandbox::host::state::State;
use crate::sandbox::host::texts::Text;
use crate::sandbox::ledger;
use crate::sandbox::{Cause, Failure, Landed, Module, Names};

/// Sets of inputs of which is kept what a transformer makes of them.
const MOST_DESCRIBED: usize = 64;

/// A transformer.
#[derive(Debug)]
pub struct Transformer {
    module: Arc<Module>,
    /// The work that its state belongs to.
    work: String,
    state: Arc<State>,
    /// What it said that it gives, by its inputs.
    described: HashMap<Vec<String>, Arc<Gives>>,
}

/// Samples that are handed to a transformer.
#[derive(Debug, Clone, Copy)]
pub struct Handed<'a> {
    /// The samples.
    pub samples: &'a [&'a Samples],
    /// The slot's resources, with the parts that were declared so far.
    pub resources: &'a Arc<Resources>,
    /// The slot's time.
    pub at: Moment,
}

// === impl Transformer ===

impl Transformer {
    /// One whose work is for these meters.
    pub fn new(module: Arc<Module>, meters: &[String]) -> Self {
        Self { work: module.work(meters), module, state: Arc::default(), described: HashMap::new() }
    }

    /// Its module.
    pub fn module(&self) -> &Arc<Module> {
        &self.module
    }

    /// The work that its state belongs to.
    pub fn work(&self) -> &str {
        &self.work
    }

    /// What it remembers.
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Whether samples wait in it, so that it is to be called even if nothing comes.
    pub fn holds(&self) -> bool {
        self.state.waiting() > 0
    }

    /// Remembers something else.
    pub fn set_state(&mut self, state: Arc<State>) {
        self.state = state;
    }

    /// Goes on with what another one remembers, if both are the same work.
    pub fn take_over(&mut self, old: &mut Vec<Self>) {
        if let Some(place) = old.iter().position(|old| old.work == self.work) {
            self.state = old.swap_remove(place).state;
        }
    }

    /// Forgets cells whose identities will be somebody else's.
    pub fn forget(&mut self, gone: &[Ident]) {
        if !gone.is_empty() {
            Arc::make_mut(&mut self.state).forget(gone);
        }
    }

    /// Has it transform samples, of which there are some unless it [`holds`](Self::holds) others. Names of its meters
    /// are taken among `names`, and what comes out goes where `route` says.
    pub async fn run(
        &mut self,
        around: &Surroundings,
        directory: &mut Directory,
        names: &mut Arc<Names>,
        ids: &mut Ids,
        Handed { samples, resources, at }: Handed<'_>,
        route: &Route,
    ) -> Made {
        let began = around.clock.now().monotonic;
        let entries = u32::try_from(samples.iter().map(|samples| samples.column.len()).sum::<usize>());
        let entries = entries.unwrap_or(u32::MAX);
        let batches = Batches::of(samples);
        let key = batches.key();
        let work = Work {
            sandbox: Arc::clone(&around.sandbox),
            ledger: Arc::clone(&around.ledger),
            tenant: Arc::clone(&self.module.payer),
            module: Arc::clone(&self.module),
            // Not taken away: a cycle that is given up must leave what there was.
            state: Arc::clone(&self.state),
            gives: self.described.get(&key).cloned(),
            batches,
            snapshot: Arc::new(Snapshot::empty(Arc::clone(resources), at)),
            roots: vec![resources.roots()],
            names: Arc::clone(names),
            entries,
            // Whoever pays, the operator wants it so.
            sure: ledger::Sure::ALL,
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
        let (gives, mut parts, mut made) = (gives.unwrap_or_default(), Parts::beside(resources), Vec::new());
        for mut landed in landed {
            let of = |batch: &Batch| (batch.meter, batch.column.len());
            failures.extend(Arc::make_mut(names).land(self.module.giver(), &gives.meters, &mut landed, of));
            made.extend(self.samples(directory, &mut parts, (ids, at), landed, &gives, (&around.tenant, route)));
        }
        let report = ModuleReport {
            name: Arc::clone(&self.module.name),
            tenant: Arc::clone(&self.module.payer),
            samples: made.iter().map(|samples: &Samples| samples.column.len()).sum(),
            fuel,
            resources: entries,
            memory,
            took: Duration::from_nanos(around.clock.now().monotonic.saturating_sub(began)),
            failures,
            calls,
            granted: ledger::allowance(&self.module.limits, 1, entries),
            lines,
            at: at.wall,
            of: None,
        };
        Made { report, samples: made, declared: parts.into_declared() }
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
        (tenant, route): (&Arc<str>, &Route),
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
            all.push(Samples {
                module,
                tenant: Arc::clone(tenant),
                meter,
                at,
                column,
                notes,
                first_id,
                route: route.clone(),
                sink: None,
            });
        }
        all
    }
}

/// The meter of a batch: described, or declared in the call.
fn meter<'a>(position: u32, gives: &'a Gives, landed: &'a Landed<Vec<Batch>>) -> Option<&'a Meter> {
    gives.meters.iter().chain(&landed.meters).nth(position as usize)
}
