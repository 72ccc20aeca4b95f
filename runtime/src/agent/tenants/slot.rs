//! A slot of tenants' modules: what begins, and how it lands.

use std::sync::Arc;

use super::{Deployed, Landing};
use crate::agent::Agent;
use crate::agent::polling::{Poll, Polled};
use crate::agent::report::ModuleReport;
use crate::contract::Series;
use crate::discovery::resource::Ident;
use crate::discovery::{Snapshot, View};
use crate::modules::audit::Who;
use crate::modules::deploying::Ready;
use crate::modules::deployment::Key;
use crate::modules::life::{Instance, Outcome, Ran, Run, StateId};
use crate::pipeline::Slot;
use crate::pipeline::stamp::Stamper;
use crate::sandbox::host::state::State;
use crate::sandbox::{Cause, Landed};
use crate::schedule::plan::Work;

/// What a deployment gave in a slot, which may be over.
#[derive(Debug)]
pub(super) struct Answer {
    /// Whose it is.
    pub(super) key: Key,
    /// Which one of this key.
    number: u64,
    /// What was read in its slot.
    pub(super) snapshot: Arc<Snapshot>,
    /// What was to run.
    run: Run,
    /// How it went.
    ran: Ran,
    trial: Option<Gave>,
    current: Option<Gave>,
    /// How many resources it was about.
    resources: u32,
}

/// What a version gave.
#[derive(Debug)]
struct Gave {
    instance: Instance,
    /// What ran, whatever was deployed since.
    ready: Arc<Ready>,
    polled: Polled,
}

/// What is left to land of what a version gave.
#[derive(Debug)]
struct Left {
    landed: Vec<Landed<Vec<Series>>>,
    state: Arc<State>,
}

// === impl Answer ===

impl Answer {
    /// What of it counts, if anything does, and what failed its trial and does not.
    fn counts(self) -> (Option<Gave>, Option<Gave>) {
        let failed = self.ran.trial.is_some_and(|(_, outcome)| self.run.falls_back(outcome));
        if failed { (self.current, self.trial) } else { (self.trial.or(self.current), None) }
    }

    /// What failed last.
    fn why(&self) -> Option<String> {
        let mut failures = self.current.iter().chain(&self.trial).flat_map(|gave| &gave.polled.failures);
        failures.next_back().map(|(failure, _)| failure.on_one_line().to_string())
    }

    /// At most so many samples.
    fn given(&self) -> usize {
        let polled = self.trial.iter().chain(&self.current).flat_map(|gave| &gave.polled.landed);
        polled.flat_map(|landed| &landed.output).map(|series| series.column.len()).sum()
    }
}

/// How it went.
fn outcome(polled: &Polled, resources: u32) -> Outcome {
    match polled.failures.last() {
        _ if resources == 0 => Outcome::NotRun,
        None => Outcome::Good,
        Some((failure, _)) if polled.landed.is_empty() => Outcome::Failed(failure.cause),
        Some((failure, _)) => {
            let failed = polled.failures.iter().fold(0, |sum: u32, (_, resources)| sum.saturating_add(*resources));
            Outcome::Partly { failed, cause: failure.cause }
        }
    }
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
}

// === impl Agent ===

impl Agent {
    /// Has tenants' modules that are due begin with what was read. One that is still at an earlier slot does not.
    pub(in crate::agent) fn begin(&mut self, due: Vec<(Key, Run)>, snapshot: &Arc<Snapshot>) {
        for (key, run) in due {
            let Some(deployed) = self.tenants.deployed.get(&key) else { continue };
            if deployed.busy {
                self.skip(&key);
                continue;
            }
            let projects = Arc::clone(&deployed.projects);
            let roots = snapshot.resources.guests_of(|project| projects.contains(project));
            let view = View::of(&snapshot.resources, roots);
            let poll = |instance: &Instance| {
                let ready = Arc::clone(deployed.ready.get(&instance.version)?);
                let poll = Poll {
                    sandbox: Arc::clone(&self.sandbox),
                    ledger: Arc::clone(&self.ledger),
                    tenant: Arc::clone(&deployed.tenant),
                    module: Arc::clone(&ready.module),
                    snapshot: Arc::clone(snapshot),
                    names: Arc::clone(&deployed.names),
                    view: view.clone(),
                    chunk: u32::try_from(self.config.sandbox.chunk).unwrap_or(u32::MAX),
                    state: deployed.states.get(&instance.state).cloned().unwrap_or_default(),
                    clock: Arc::clone(&self.clock),
                };
                Some((ready, poll))
            };
            let (on_trial, current) = match &run {
                Run::Nothing(_) => continue,
                Run::Current(current) => (None, *current),
                Run::Trial { trial, current, .. } => (Some(*trial), *current),
            };
            let (first, then) = (on_trial.and_then(|trial| Some((trial, poll(&trial)?))), poll(&current));
            let (resources, snapshot, asked) = (view.resources(), Arc::clone(snapshot), key.clone());
            let read_at = snapshot.at.monotonic;
            let number = deployed.number;
            // Who waits for a server keeps nobody of its tenant from running.
            let asks = first.iter().map(|(_, poll)| poll).chain(&then).any(|(ready, _)| ready.module.asks());
            let calls = (!asks).then(|| Arc::clone(&deployed.calls));
            let work = async move {
                // Nobody closes it.
                let _call = match &calls {
                    Some(calls) => calls.acquire().await.ok(),
                    None => None,
                };
                let (ran, trial) = (Ran::default(), None);
                let mut answer = Answer { key: asked, number, snapshot, run, ran, trial, current: None, resources };
                match first {
                    Some((instance, (ready, poll))) => {
                        let polled = poll.run().await;
                        answer.ran.trial = Some((instance.state, outcome(&polled, resources)));
                        answer.trial = Some(Gave { instance, ready, polled });
                    }
                    // What is not ready since the last start would be on trial for ever.
                    None => answer.ran.trial = on_trial.map(|it| (it.state, Outcome::Failed(Cause::Host))),
                }
                let falls_back = answer.ran.trial.is_none_or(|(_, outcome)| answer.run.falls_back(outcome));
                if let Some((ready, poll)) = then.filter(|_| falls_back) {
                    let polled = poll.run().await;
                    answer.ran.current = Some((current.state, outcome(&polled, resources)));
                    answer.current = Some(Gave { instance: current, ready, polled });
                }
                answer
            };
            let turns = self.tenants.gate.in_turns(&deployed.tenant, work);
            let task = self.tenants.running.spawn_on(turns, &self.guests);
            self.tenants.tasks.insert(task.id(), (key.clone(), number, read_at));
            if let Some(deployed) = self.tenants.deployed.get_mut(&key) {
                deployed.busy = true;
            }
        }
    }

    fn skip(&mut self, key: &Key) {
        if let Some(deployed) = self.tenants.deployed.get_mut(key) {
            deployed.skipped += 1;
            if deployed.skipped == 1 {
                let (tenant, module) = (&*deployed.tenant, key.name.as_str());
                tracing::warn!(tenant, module, "A module is slower than its interval, and leaves out slots.");
            }
        }
    }

    /// Lands what tenants' modules gave in one slot; `None` if nothing is done. Samples, states and what becomes of
    /// deployments belong together.
    pub fn land(&mut self) -> Option<Landing> {
        let answers = self.tenants.take();
        let snapshot = Arc::clone(&answers.first()?.snapshot);
        let (at, most) = (snapshot.at, answers.iter().map(Answer::given).sum());
        let first_id = self.ids.take(at, most);
        let mut stamper = Stamper::new(&snapshot.resources, &[], Arc::clone(&self.tenant), at, first_id);
        let (mut reports, mut changes) = (Vec::new(), Vec::new());
        let since = self.tenants.gone.iter().filter(|(when, _)| *when > at.monotonic);
        let gone: Vec<Ident> = since.map(|(_, ident)| *ident).collect();
        for answer in answers {
            let Answer { key, ran, number, .. } = &answer;
            // It may have been withdrawn meanwhile, and another one of its name be there.
            let found = self.tenants.deployed.get_mut(key).filter(|deployed| deployed.number == *number);
            let Some(deployed) = found else { continue };
            deployed.busy = false;
            let (next, changed) = deployed.deployment.outcome(ran, &self.tenants.rules, at.wall);
            if next.is_worth_saving(&deployed.deployment) {
                self.tenants.unsaved.insert(key.clone());
            }
            deployed.deployment = next;
            if !changed.is_empty() {
                let happened = changed.iter().map(|change| (key.clone(), Who::Daemon, change.to_string()));
                self.tenants.happened.extend(happened);
                changes.push((key.clone(), changed, answer.why()));
            }
            let (resources, run) = (answer.resources, answer.run);
            let (counts, fallen) = answer.counts();
            if let Some(Gave { instance, polled, .. }) = fallen {
                self.tally.all_failed(&deployed.owner, &polled.failures);
                reports.push(ModuleReport { resources, ..deployed.report(instance.version, polled, at.wall).1 });
            }
            let Some(Gave { instance, ready, polled }) = counts else { continue };
            let (Left { landed, mut state }, mut report) = deployed.report(instance.version, polled, at.wall);
            if !gone.is_empty() {
                Arc::make_mut(&mut state).forget(&gone);
            }
            // What began while this ran has a copy of what was remembered before it.
            let life = &deployed.deployment.life;
            let is_new = |id: &StateId| run.instances().all(|there| there.state != *id);
            let is_copy = |id: &StateId| life.origins(*id).any(|origin| origin == instance.state);
            for id in life.states().filter(is_new).filter(is_copy) {
                deployed.states.insert(id, Arc::clone(&state));
            }
            deployed.states.insert(instance.state, state);
            deployed.tidy();
            let names = Arc::make_mut(&mut deployed.names);
            names.reserve(&self.names);
            names.next_slot();
            let module = &ready.module;
            let work = Work::of(module, &[&ready.source]);
            stamper.turn_to(&deployed.tenant);
            let before = stamper.samples.len();
            for mut landed in landed {
                let names = Arc::make_mut(&mut deployed.names);
                let of = |series: &Series| (series.meter, series.column.len());
                report.failures.extend(names.land(&module.name, &module.description.meters, &mut landed, of));
                stamper.stamp(&mut self.directory, &work, landed);
            }
            self.tally.all_failed(&deployed.owner, &report.failures);
            report.samples = stamper.samples.iter().skip(before).map(|samples| samples.column.len()).sum();
            reports.push(ModuleReport { resources, ..report });
        }
        self.tenants.let_go();
        let (samples, declared) = stamper.finish();
        let mut slot = Slot { at, resources: Arc::clone(&snapshot.resources), samples };
        slot.declare(declared);
        self.tally.samples += slot.len() as u64;
        Some(Landing { slot, reports, changes })
    }
}
