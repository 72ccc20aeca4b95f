//! How a slot of tenants' modules lands: samples, what is remembered, and what becomes of deployments by it.

use std::ops::Range;
use std::sync::Arc;

use super::answer::{Answer, Chained, Gave};
use super::converting::Converted;
use super::deployed::At;
use super::{Deployed, Happened, Landing, Source, part_with};
use crate::agent::Agent;
use crate::agent::polling::Polled;
use crate::agent::report::ModuleReport;
use crate::contract::{Batch, Series};
use crate::discovery::moved::Moved;
use crate::discovery::resource::Ident;
use crate::modules::deployment::Key;
use crate::modules::life::{Instance, Run, StateId};
use crate::pipeline::Slot;
use crate::pipeline::stamp::Stamper;
use crate::sandbox::Landed;
use crate::sandbox::host::state::State;

/// What is left to land of what a version gave.
#[derive(Debug)]
struct Left {
    landed: Vec<Landed<Vec<Series>>>,
    state: Arc<State>,
}

// === impl Deployed ===

impl Deployed {
    /// What a version of it did, and what of it is left to land.
    fn report(&self, version: u64, polled: Polled, at: i64) -> (Left, ModuleReport) {
        let Polled { landed, failures, state, fuel, memory, took, calls, granted, lines } = polled;
        let (name, tenant) = self.named();
        let of = Some((self.deployment.key.clone(), version));
        let (samples, resources) = (0, 0);
        let report = ModuleReport {
            name,
            tenant,
            samples,
            fuel,
            resources,
            memory,
            took,
            failures,
            calls,
            granted,
            lines,
            at,
            of,
        };
        (Left { landed, state }, report)
    }

    /// From now on an instance remembers this, and so does what began as a copy of it while it ran.
    fn goes_on_with(&mut self, instance: Instance, state: Arc<State>, run: Run) {
        let life = &self.deployment.life;
        let is_new = |id: &StateId| run.instances().all(|there| there.state != *id);
        let is_copy = |id: &StateId| life.origins(*id).any(|origin| origin == instance.state);
        for id in life.states().filter(is_new).filter(is_copy) {
            self.states.insert(id, Arc::clone(&state));
        }
        self.states.insert(instance.state, state);
    }
}

// === impl Agent ===

impl Agent {
    /// Has what would remember more than there is room for come to nothing.
    fn fit(&mut self, answers: &mut [Answer]) {
        // Most remember nothing new, and looking at what everybody remembers takes its time.
        let mut room = None;
        for answer in answers {
            let is_there = |deployed: &&Deployed| deployed.number == answer.number && answer.remembers(deployed);
            if self.tenants.deployed.get(&answer.key).filter(is_there).is_none() {
                continue;
            }
            let room = match &mut room {
                Some(room) => room,
                none => none.insert(self.room()),
            };
            if let Some(deployed) = self.tenants.deployed.get(&answer.key) {
                answer.fit(room, deployed);
            }
        }
    }

    /// Lands what tenants' modules gave in one slot; `None` if nothing is done. Samples, states and what becomes of
    /// deployments belong together.
    pub fn land(&mut self) -> Option<Landing> {
        self.begin_next();
        let mut answers = self.tenants.take();
        self.fit(&mut answers);
        let first = answers.first()?;
        self.tenants.room = None;
        let (at, resources) = (first.at, Arc::clone(&first.of));
        // Of transformers there is one.
        let source = match &first.chain {
            Some(Chained { sink, .. }) => Source::Chain(first.key.clone(), Arc::clone(sink)),
            None => Source::Tenants,
        };
        let most = answers.iter().map(Answer::given).sum();
        let first_id = self.ids.take(at, most);
        let mut stamper = Stamper::new(&resources, &[], Arc::clone(&self.tenant), at, first_id);
        let mut gave: Vec<(Key, u64, Range<usize>)> = Vec::new();
        let (mut reports, mut changes, mut removed) = (Vec::new(), Vec::new(), false);
        let since = self.tenants.gone.iter().filter(|(when, _)| *when > at.monotonic);
        let gone: Vec<Ident> = since.map(|(_, ident)| *ident).collect();
        let since = self.tenants.moved.iter().filter(|(when, _)| *when > at.monotonic);
        let moved: Vec<Arc<Moved>> = since.map(|(_, moved)| Arc::clone(moved)).collect();
        for answer in answers {
            let (key, number, began) = (answer.key.clone(), answer.number, stamper.samples.len());
            gave.push((key.clone(), number, began..began));
            // It may have been withdrawn meanwhile, and another one of its name be there.
            let found = self.tenants.deployed.get_mut(&key).filter(|deployed| deployed.number == number);
            let Some(deployed) = found else {
                removed = true;
                if let Some(Chained { taken, .. }) = answer.chain {
                    self.tenants.lose(&key, taken);
                }
                continue;
            };
            deployed.at = At::Nothing;
            let (changed, is_worth_saving) = deployed.deployment.land(&answer.ran, &self.tenants.rules, at.wall);
            if is_worth_saving {
                self.tenants.unsaved.insert(key.clone());
            }
            deployed.copy_states(&changed);
            let has_changed = !changed.is_empty();
            if has_changed {
                let why = answer.why();
                let happened = |change| Happened::by_itself(&deployed.deployment, change, why.as_deref());
                self.tenants.happened.extend(changed.iter().map(happened));
                changes.push((key.clone(), changed, why));
            }
            let (entries, run, taken) = (answer.resources, answer.run, answer.chain.as_ref().map(|chain| chain.taken));
            let (counts, fallen) = answer.counts();
            if let Some(Gave { instance, polled, .. }) = fallen {
                // Nothing is left out by this where the version before it ran.
                for (failure, resources) in &polled.failures {
                    let lost = if counts.is_some() { 0 } else { *resources };
                    self.tally.failed(&deployed.owner, failure.cause.word(), lost);
                }
                reports
                    .push(ModuleReport { resources: entries, ..deployed.report(instance.version, polled, at.wall).1 });
            }
            let Some(Gave { instance, ready, polled, converted }) = counts else {
                if has_changed {
                    deployed.tidy();
                }
                self.tenants.lose(&key, taken.unwrap_or_default());
                continue;
            };
            let (Left { landed, mut state }, mut report) = deployed.report(instance.version, polled, at.wall);
            if !gone.is_empty() {
                Arc::make_mut(&mut state).forget(&gone);
            }
            moved.iter().for_each(|moved| part_with(&mut state, moved, &deployed.projects));
            deployed.goes_on_with(instance, state, run);
            // What ran may have been withdrawn meanwhile.
            if has_changed || deployed.deployment.life.states().all(|id| id != instance.state) {
                deployed.tidy();
            }
            let names = Arc::make_mut(&mut deployed.names);
            names.reserve(&self.names);
            names.next_slot();
            let module = &ready.module;
            stamper.turn_to(&deployed.tenant);
            let before = stamper.samples.len();
            for mut landed in landed {
                let names = Arc::make_mut(&mut deployed.names);
                let of = |series: &Series| (series.meter, series.column.len());
                report.failures.extend(names.land(module.giver(), &module.description.meters, &mut landed, of));
                stamper.stamp(&mut self.directory, &ready.work, landed);
            }
            if let Some(Converted { inputs, gives: Some(gives), landed }) = converted {
                for mut landed in landed {
                    let names = Arc::make_mut(&mut deployed.names);
                    let of = |batch: &Batch| (batch.meter, batch.column.len());
                    report.failures.extend(names.land(module.giver(), &gives.meters, &mut landed, of));
                    stamper.convert(&mut self.directory, &module.name, &gives.meters, landed);
                }
                deployed.described(instance.version, inputs, gives);
            } else if let Some((.., range)) = gave.last_mut() {
                range.end = stamper.samples.len();
            }
            self.tally.all_failed(&deployed.owner, &report.failures);
            if taken.is_some() {
                self.sinks.lost(&key, report.failures.iter().map(|(_, samples)| *samples).sum());
            }
            report.samples = stamper.samples.iter().skip(before).map(|samples| samples.column.len()).sum();
            self.ledger.gave(&report.name, &report.tenant, report.samples, report.took, report.memory);
            reports.push(ModuleReport { resources: entries, ..report });
        }
        if removed {
            // It may have opened an account since.
            self.forget_removed();
        }
        self.tenants.let_go();
        let (samples, declared) = stamper.finish();
        self.tenants.hand_on(at, &gave, &samples, resources.len(), &declared);
        self.begin_next();
        let mut slot = Slot { at, resources, samples };
        slot.declare(declared);
        Some(Landing { slot, reports, changes, source })
    }
}
