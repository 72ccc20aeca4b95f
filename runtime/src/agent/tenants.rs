//! Tenants' modules. They run beside the operator's, in turns, on what was read in the same slot; what they give lands
//! when it is there, and nobody waits for it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::{self, JoinError, JoinSet};

use super::Agent;
use super::polling::{Poll, Polled};
use super::report::ModuleReport;
use crate::config::polling::Source;
use crate::contract::{Series, Wanted};
use crate::discovery::resource::Ident;
use crate::discovery::{Snapshot, View};
use crate::modules::deploying::Prepared;
use crate::modules::deployment::{Deployment, Key};
use crate::modules::life::{Change, Instance, Outcome, Ran, Rules, Run, StateId};
use crate::pipeline::Slot;
use crate::pipeline::stamp::Stamper;
use crate::sandbox::host::state::State;
use crate::sandbox::turns::{Closed, Gate};
use crate::sandbox::{Module, Names};
use crate::schedule::plan::Work;

/// The version of the host, with which a module may work that did not with another one.
const HOST: &str = env!("CARGO_PKG_VERSION");

/// All tenants' modules.
#[derive(Debug)]
pub struct Tenants {
    gate: Arc<Gate>,
    rules: Rules,
    deployed: BTreeMap<Key, Deployed>,
    running: JoinSet<Answer>,
    /// Whose tasks they are.
    tasks: HashMap<task::Id, (Key, u64)>,
    /// What somebody has not landed yet.
    waiting: Vec<Answer>,
    /// How many deployments there were. Answers to one that is gone are not another's of its name.
    deployments: u64,
    /// Resources that were forgotten while something was under way.
    gone: Vec<Ident>,
}

/// Calls of one tenant at once. More would keep instances from others while they wait for their turns.
const CALLS: usize = 2;

/// A deployment with all that it takes to run.
#[derive(Debug)]
pub struct Deployed {
    /// Its versions, and which of them run.
    pub deployment: Deployment,
    /// The projects whose guests are its tenant's.
    pub projects: Arc<BTreeSet<String>>,
    /// What is wanted of it how often.
    pub source: Source,
    /// Its versions that run, by number.
    pub modules: BTreeMap<u64, Arc<Module>>,
    /// What it may call its meters.
    pub names: Arc<Names>,
    /// What it remembers.
    pub states: BTreeMap<StateId, Arc<State>>,
    /// What it remembered after the last slot that was kept.
    kept: BTreeMap<StateId, Arc<State>>,
    /// Where it is written.
    written: PathBuf,
    tenant: Arc<str>,
    /// What no other module of any tenant is called.
    owner: Arc<str>,
    /// The how manieth it is.
    number: u64,
    calls: Arc<Semaphore>,
    /// The slot that it is at, if it is.
    busy: bool,
    /// Slots that it did not get to because it was at one.
    skipped: u64,
}

/// What a deployment gave in a slot, which may be over.
#[derive(Debug)]
struct Answer {
    key: Key,
    /// Which one of this key.
    number: u64,
    snapshot: Arc<Snapshot>,
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
    module: Arc<Module>,
    polled: Polled,
}

/// What landed.
#[derive(Debug)]
pub struct Landing {
    /// Samples of one slot.
    pub slot: Slot,
    /// What each module did.
    pub reports: Vec<ModuleReport>,
    /// What became of deployments by it.
    pub changes: Vec<(Key, Vec<Change>)>,
}

/// Says what became of a deployment, a line for each change.
pub fn say(key: &Key, changes: &[Change]) {
    for change in changes {
        tracing::info!(tenant = key.tenant.as_str(), deployment = key.name.as_str(), "Deployment: {change}.");
    }
}

// === impl Tenants ===

impl Tenants {
    /// None yet. So many slices run at once.
    pub fn new(threads: usize) -> Self {
        Self {
            gate: Gate::new(threads),
            rules: Rules::default(),
            deployed: BTreeMap::new(),
            running: JoinSet::new(),
            tasks: HashMap::new(),
            waiting: Vec::new(),
            deployments: 0,
            gone: Vec::new(),
        }
    }

    /// Has these run and no others. What is another version of one that runs is on trial beside it. One that cannot be
    /// loaded as it is written now, in these files, goes on as it was. What those that are gone are at does not land.
    pub fn deploy(
        &mut self,
        all: Vec<Prepared>,
        failed: &BTreeSet<PathBuf>,
        reserved: &Arc<Names>,
    ) -> Vec<(Key, Vec<Change>)> {
        let mut before = std::mem::take(&mut self.deployed);
        let calls: BTreeMap<_, _> =
            before.values().map(|deployed| (Arc::clone(&deployed.tenant), Arc::clone(&deployed.calls))).collect();
        let mut changes = Vec::new();
        for prepared in all {
            let key = prepared.key.clone();
            let deployed = match before.remove(&key) {
                Some(mut deployed) => {
                    let changed = deployed.follow(prepared, reserved);
                    changes.extend((!changed.is_empty()).then(|| (key.clone(), changed)));
                    deployed
                }
                None => {
                    self.deployments += 1;
                    let others = self.deployed.values().find(|other| *other.tenant == *key.tenant.as_str());
                    let known = others.map(|other| &other.calls).or_else(|| calls.get(key.tenant.as_str()));
                    let calls = known.map_or_else(|| Arc::new(Semaphore::new(CALLS)), Arc::clone);
                    Deployed::new(prepared, reserved, self.deployments, calls)
                }
            };
            self.deployed.insert(key, deployed);
        }
        self.deployed.extend(before.into_iter().filter(|(_, deployed)| failed.contains(&deployed.written)));
        changes
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Deployed> {
        self.deployed.values()
    }

    /// Gives nobody a turn until what this returns is dropped: the operator's modules are at it.
    pub fn hold(&self) -> Closed {
        self.gate.close()
    }

    /// Those that are due and may run.
    pub fn due(&self, intervals: &[u64], now: i64) -> Vec<Key> {
        let due = self.deployed.iter().filter(|(_, deployed)| {
            let is_due = intervals.contains(&deployed.source.interval.as_secs());
            is_due && !matches!(deployed.deployment.plan(&self.rules, now), Run::Nothing(_))
        });
        due.map(|(key, _)| key.clone()).collect()
    }

    /// What those read, and of whose guests.
    pub fn reads(&self, intervals: &[u64], now: i64) -> Vec<(Vec<Wanted>, Arc<BTreeSet<String>>)> {
        let due = self.due(intervals, now);
        let deployed = due.iter().filter_map(|key| self.deployed.get(key));
        let reads = |deployed: &Deployed| deployed.modules.values().flat_map(|m| m.description.reads.clone()).collect();
        deployed.map(|deployed| (reads(deployed), Arc::clone(&deployed.projects))).collect()
    }

    /// Whether anything is under way.
    pub fn are_busy(&self) -> bool {
        !self.running.is_empty() || !self.waiting.is_empty()
    }

    /// States by what they are kept under.
    pub fn states(&self) -> impl Iterator<Item = (String, &Arc<State>)> {
        self.deployed
            .values()
            .flat_map(|deployed| deployed.states.iter().map(|(id, state)| (deployed.work(*id), state)))
    }

    /// Has them remember what they did in an earlier run.
    pub fn remember(&mut self, of: impl Fn(&str) -> Option<Arc<State>>) {
        for deployed in self.deployed.values_mut() {
            let ids: Vec<StateId> = deployed.deployment.life.states().collect();
            deployed.states = ids.into_iter().map(|id| (id, of(&deployed.work(id)).unwrap_or_default())).collect();
        }
        self.keep();
    }

    /// What was landed is kept.
    pub fn keep(&mut self) {
        self.deployed.values_mut().for_each(|deployed| deployed.kept = deployed.states.clone());
    }

    /// What was landed could not be kept: they remember what they did before it.
    pub fn roll_back(&mut self) {
        for Deployed { states, kept, .. } in self.deployed.values_mut() {
            for (id, state) in states {
                *state = kept.get(id).cloned().unwrap_or_default();
            }
        }
    }

    /// Forgets resources that have been gone for long.
    pub fn forget(&mut self, gone: &[Ident]) {
        for Deployed { states, kept, .. } in self.deployed.values_mut() {
            states.values_mut().chain(kept.values_mut()).for_each(|state| Arc::make_mut(state).forget(gone));
        }
        if self.are_busy() {
            self.gone.extend(gone);
        } else {
            self.gone.clear();
        }
    }

    /// Waits until something is done, and never if nothing is under way. Waiting can be given up and taken up again.
    pub async fn done(&mut self) {
        if self.waiting.is_empty() {
            match self.running.join_next_with_id().await {
                Some(joined) => self.joined(joined),
                None => std::future::pending().await,
            }
        }
    }

    /// Takes what is done besides.
    pub fn gather(&mut self) {
        while let Some(joined) = self.running.try_join_next_with_id() {
            self.joined(joined);
        }
    }

    fn joined(&mut self, joined: Result<(task::Id, Answer), JoinError>) {
        match joined {
            Ok((id, answer)) => {
                self.tasks.remove(&id);
                self.waiting.push(answer);
            }
            Err(error) => {
                tracing::error!(%error, "The task of a tenant's module was lost; it begins anew with the next slot.");
                let lost = self.tasks.remove(&error.id());
                let found = lost
                    .and_then(|(key, number)| self.deployed.get_mut(&key).filter(|deployed| deployed.number == number));
                found.into_iter().for_each(|deployed| deployed.busy = false);
            }
        }
    }

    /// What is done of the oldest slot of which anything is.
    fn take(&mut self) -> Vec<Answer> {
        let Some(oldest) = self.waiting.iter().map(|answer| answer.snapshot.at.monotonic).min() else {
            return Vec::new();
        };
        self.waiting.extract_if(.., |answer| answer.snapshot.at.monotonic == oldest).collect()
    }
}

// === impl Deployed ===

impl Deployed {
    /// What runs for the first time.
    fn new(prepared: Prepared, reserved: &Arc<Names>, number: u64, calls: Arc<Semaphore>) -> Self {
        let Prepared { key, version, module, projects, source, written } = prepared;
        let names = Arc::new(Names::granted(Arc::clone(reserved), &version.grants.names));
        let (tenant, owner) = (key.tenant.as_str().into(), key.to_string().into());
        let deployment = Deployment::new(key, version, HOST);
        let states: BTreeMap<_, Arc<State>> = deployment.life.states().map(|id| (id, Arc::default())).collect();
        let modules = BTreeMap::from([(deployment.life.current().version, module)]);
        let (kept, busy, skipped) = (states.clone(), false, 0);
        Self {
            deployment,
            projects,
            source,
            modules,
            names,
            states,
            kept,
            written,
            tenant,
            owner,
            number,
            calls,
            busy,
            skipped,
        }
    }

    /// Goes on as what was prepared: on trial, if it is another version.
    fn follow(&mut self, prepared: Prepared, reserved: &Arc<Names>) -> Vec<Change> {
        let Prepared { version, module, projects, source, written, .. } = prepared;
        let running = self.deployment.running().find(|running| running.is_like(&version)).map(|v| v.number);
        Arc::make_mut(&mut self.names).reserve(reserved);
        (self.projects, self.source, self.written) = (projects, source, written);
        let next = match running {
            // Back to what runs, while another one is on trial.
            Some(number) if number == self.deployment.life.current().version => {
                self.modules.insert(number, Arc::clone(&module));
                self.deployment.rolled_back_to(number)
            }
            Some(number) => {
                self.modules.insert(number, module);
                return Vec::new();
            }
            None => self.deployment.deployed(version),
        };
        let Ok((next, changes)) = next else { return Vec::new() };
        self.deployment = next;
        for change in &changes {
            if let Change::TrialBegun { trial, copy_of } = change {
                let state = self.states.get(copy_of).cloned().unwrap_or_default();
                self.states.insert(trial.state, Arc::clone(&state));
                self.kept.insert(trial.state, state);
                self.modules.insert(trial.version, Arc::clone(&module));
            }
        }
        self.tidy();
        changes
    }

    /// Lets go of states and modules that nothing runs on any more.
    fn tidy(&mut self) {
        let states: Vec<StateId> = self.deployment.life.states().collect();
        let versions: Vec<u64> = self.deployment.running().map(|version| version.number).collect();
        self.states.retain(|id, _| states.contains(id));
        self.kept.retain(|id, _| states.contains(id));
        let granted: Vec<String> = self.deployment.running().flat_map(|v| v.grants.names.clone()).collect();
        Arc::make_mut(&mut self.names).grant(&granted);
        self.modules.retain(|number, _| versions.contains(number));
    }

    /// Its name and its tenant's.
    pub fn named(&self) -> (Arc<str>, Arc<str>) {
        (self.deployment.key.name.as_str().into(), Arc::clone(&self.tenant))
    }

    /// Under what a state is kept, whichever version it is of: the next run begins with what was current.
    fn work(&self, id: StateId) -> String {
        let is_current = id == self.deployment.life.current().state;
        if is_current { self.owner.to_string() } else { format!("{}\0trial", self.owner) }
    }
}

// === impl Answer ===

impl Answer {
    /// What of it counts, if anything does.
    fn counts(self) -> Option<Gave> {
        let failed = self.ran.trial.is_some_and(|(_, outcome)| self.run.falls_back(outcome));
        if failed { self.current } else { self.trial.or(self.current) }
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

// === impl Agent ===

impl Agent {
    /// Has tenants' modules that are due begin with what was read. One that is still at an earlier slot does not.
    pub(super) fn begin(&mut self, intervals: &[u64], snapshot: &Arc<Snapshot>) {
        let now = snapshot.at.wall;
        for key in self.tenants.due(intervals, now) {
            let Some(deployed) = self.tenants.deployed.get(&key) else { continue };
            if deployed.busy {
                self.skip(&key);
                continue;
            }
            let run = deployed.deployment.plan(&self.tenants.rules, now);
            let projects = Arc::clone(&deployed.projects);
            let roots = snapshot.resources.guests_of(|project| projects.contains(project));
            let view = View::of(&snapshot.resources, roots);
            let poll = |instance: &Instance| {
                Some(Poll {
                    sandbox: Arc::clone(&self.sandbox),
                    ledger: Arc::clone(&self.ledger),
                    tenant: Arc::clone(&deployed.tenant),
                    module: Arc::clone(deployed.modules.get(&instance.version)?),
                    snapshot: Arc::clone(snapshot),
                    names: Arc::clone(&deployed.names),
                    view: view.clone(),
                    chunk: u32::try_from(self.config.sandbox.chunk).unwrap_or(u32::MAX),
                    state: deployed.states.get(&instance.state).cloned().unwrap_or_default(),
                    clock: Arc::clone(&self.clock),
                })
            };
            let (trial, current) = match &run {
                Run::Nothing(_) => continue,
                Run::Current(current) => (None, *current),
                Run::Trial { trial, current, .. } => (Some(*trial), *current),
            };
            let (first, then) = (trial.and_then(|trial| Some((trial, poll(&trial)?))), poll(&current));
            let (resources, snapshot, asked) = (view.resources(), Arc::clone(snapshot), key.clone());
            let (number, calls) = (deployed.number, Arc::clone(&deployed.calls));
            let work = async move {
                // Nobody closes it.
                let _call = calls.acquire().await.ok();
                let (ran, trial) = (Ran::default(), None);
                let mut answer = Answer { key: asked, number, snapshot, run, ran, trial, current: None, resources };
                if let Some((instance, poll)) = first {
                    let (module, polled) = (Arc::clone(&poll.module), poll.run().await);
                    answer.ran.trial = Some((instance.state, outcome(&polled, resources)));
                    answer.trial = Some(Gave { instance, module, polled });
                }
                let falls_back = answer.ran.trial.is_none_or(|(_, outcome)| answer.run.falls_back(outcome));
                if let Some(poll) = then.filter(|_| falls_back) {
                    let (module, polled) = (Arc::clone(&poll.module), poll.run().await);
                    answer.ran.current = Some((current.state, outcome(&polled, resources)));
                    answer.current = Some(Gave { instance: current, module, polled });
                }
                answer
            };
            let turns = self.tenants.gate.in_turns(&deployed.tenant, work);
            let task = self.tenants.running.spawn_on(turns, &self.guests);
            self.tenants.tasks.insert(task.id(), (key.clone(), number));
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
        for answer in answers {
            let Answer { key, ran, number, .. } = &answer;
            // It may have been withdrawn meanwhile, and another one of its name be there.
            let found = self.tenants.deployed.get_mut(key).filter(|deployed| deployed.number == *number);
            let Some(deployed) = found else { continue };
            deployed.busy = false;
            let before = deployed.deployment.life.current().state;
            let (next, changed) = deployed.deployment.outcome(ran, &self.tenants.rules, at.wall);
            deployed.deployment = next;
            if !changed.is_empty() {
                changes.push((key.clone(), changed));
            }
            let (resources, answer_had_no_trial) = (answer.resources, answer.ran.trial.is_none());
            let Some(Gave { instance, module, polled }) = answer.counts() else { continue };
            let Polled { landed, mut failures, mut state, fuel, memory, took } = polled;
            if !self.tenants.gone.is_empty() {
                Arc::make_mut(&mut state).forget(&self.tenants.gone);
            }
            // What began while this ran copied what was remembered before it, and has not run yet.
            let fresh = deployed.deployment.life.trial().filter(|trial| {
                instance.state == before
                    && (trial.good, trial.failed, trial.untried) == (0, 0, 0)
                    && answer_had_no_trial
            });
            if let Some(trial) = fresh {
                deployed.states.insert(trial.instance.state, Arc::clone(&state));
            }
            deployed.states.insert(instance.state, state);
            deployed.tidy();
            let names = Arc::make_mut(&mut deployed.names);
            names.reserve(&self.names);
            names.next_slot();
            let work = Work::of(&module, &[&deployed.source]);
            stamper.turn_to(&deployed.tenant);
            let before = stamper.samples.len();
            for mut landed in landed {
                let names = Arc::make_mut(&mut deployed.names);
                let of = |series: &Series| (series.meter, series.column.len());
                failures.extend(names.land(&module.name, &module.description.meters, &mut landed, of));
                stamper.stamp(&mut self.directory, &work, landed);
            }
            for (failure, resources) in &failures {
                self.tally.failed(&deployed.owner, failure.cause.word(), *resources);
            }
            let samples = stamper.samples.iter().skip(before).map(|samples| samples.column.len()).sum();
            let (name, tenant) = (Arc::clone(&module.name), Arc::clone(&deployed.tenant));
            reports.push(ModuleReport { name, tenant, samples, fuel, resources, memory, took, failures });
        }
        let (samples, declared) = stamper.finish();
        let mut slot = Slot { at, resources: Arc::clone(&snapshot.resources), samples };
        slot.declare(declared);
        self.tally.samples += slot.len() as u64;
        Some(Landing { slot, reports, changes })
    }
}
