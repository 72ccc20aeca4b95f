//! A slot of tenants' modules: what begins, and how it lands.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use super::converting::{Convert, Converted, Pending};
use super::room::Room;
use super::{Deployed, Landing, NOT_RUNNING, Source, Task};
use crate::agent::Agent;
use crate::agent::polling::{Poll, Polled};
use crate::agent::report::ModuleReport;
use crate::agent::tenants::Happened;
use crate::clock::Moment;
use crate::contract::{Batch, Series};
use crate::discovery::resource::Ident;
use crate::discovery::{Resources, Snapshot, View};
use crate::modules::deploying::Ready;
use crate::modules::deployment::Key;
use crate::modules::life::{Instance, Outcome, Ran, Run, StateId};
use crate::pipeline::sinks::share::{Portion, Share, Shares};
use crate::pipeline::stamp::Stamper;
use crate::pipeline::{Samples, Slot};
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
    /// When its slot was read.
    pub(super) at: Moment,
    /// The slot's resources.
    of: Arc<Resources>,
    /// Whether it is a transformer's.
    pub(super) converts: bool,
    /// Its place in a chain, if it was handed what came to it there.
    chain: Option<Chained>,
    /// What was to run.
    run: Run,
    /// How it went.
    ran: Ran,
    trial: Option<Gave>,
    current: Option<Gave>,
    /// How many resources it was about.
    resources: u32,
}

/// A place in a chain.
#[derive(Debug)]
struct Chained {
    /// The sink's whose chain it is.
    sink: Arc<str>,
    /// Samples that go nowhere unless they are transformed.
    taken: u32,
}

/// What a version gave.
#[derive(Debug)]
struct Gave {
    /// The version, with the state that it ran on.
    instance: Instance,
    /// What ran, whatever was deployed since.
    ready: Arc<Ready>,
    polled: Polled,
    /// What it gave if it is a transformer.
    converted: Option<Converted>,
}

/// What a version is called with.
enum Job {
    Poll(Poll),
    Convert(Convert),
}

/// What a transformer is handed, whichever version of it runs.
struct Handed {
    at: Moment,
    resources: Arc<Resources>,
    /// Its tenant's guests.
    roots: Vec<Range<u32>>,
    samples: Arc<Vec<Samples>>,
}

/// What is left to land of what a version gave.
#[derive(Debug)]
struct Left {
    landed: Vec<Landed<Vec<Series>>>,
    state: Arc<State>,
}

// === impl Answer ===

impl Answer {
    /// Whether nothing counts of what is on trial: it failed in this slot, or is only tried out.
    fn falls_back(&self) -> bool {
        self.ran.trial.is_some_and(|(_, outcome)| self.run.falls_back(outcome))
    }

    async fn run_trial(&mut self, job: Option<InstanceJob>) {
        let Some(trial) = self.run.on_trial() else { return };
        let Some((instance, ready, job)) = job else {
            // What is not ready since the last start would be on trial for ever.
            self.ran.trial = Some((trial.state, Outcome::Failed(Cause::Host)));
            return;
        };
        let (polled, converted) = job.run().await;
        self.ran.trial = Some((trial.state, outcome(&polled, converted.as_ref(), self.resources)));
        self.trial = Some(Gave { instance, ready, polled, converted });
    }

    /// Has a version on trial fail if there is no room for what it would remember, so that the one before it runs.
    fn fit_trial(&mut self, room: Option<(Room, Arc<str>, Arc<State>)>) {
        let (Run::Trial { .. }, Some((mut room, tenant, before)), Some(gave)) = (self.run, room, &mut self.trial)
        else {
            return;
        };
        if let Some(outcome) = gave.fit(&mut room, &tenant, &before, self.resources) {
            self.ran.trial = Some((gave.instance.state, outcome));
        }
    }

    async fn run_current(&mut self, job: Option<InstanceJob>) {
        let Some((instance, ready, job)) = job else { return };
        let (polled, converted) = job.run().await;
        self.ran.current = Some((instance.state, outcome(&polled, converted.as_ref(), self.resources)));
        self.current = Some(Gave { instance, ready, polled, converted });
    }

    /// Whether any version of it would remember something else than it did.
    fn remembers(&self, deployed: &Deployed) -> bool {
        let mut gave = self.trial.iter().chain(&self.current);
        gave.any(|gave| {
            let before = deployed.states.get(&gave.instance.state);
            before.is_none_or(|before| !Arc::ptr_eq(before, &gave.polled.state))
        })
    }

    /// Has what would count come to nothing if there is no room for what it would remember.
    fn fit(&mut self, room: &mut Room, deployed: &Deployed) {
        let resources = self.resources;
        if !self.falls_back()
            && let Some(gave) = &mut self.trial
            && let Some(outcome) = gave.fit_beside(room, deployed, resources)
        {
            self.ran.trial = Some((gave.instance.state, outcome));
        }
        if (self.falls_back() || self.trial.is_none())
            && let Some(gave) = &mut self.current
            && let Some(outcome) = gave.fit_beside(room, deployed, resources)
        {
            self.ran.current = Some((gave.instance.state, outcome));
        }
        // What is only tried out takes none of it.
        if let (Run::DryRun { tried, .. }, Some(gave)) = (self.run, &mut self.trial)
            && let Some(outcome) = gave.fit_beside(&mut room.clone(), deployed, resources)
        {
            self.ran.trial = Some((tried.state, outcome));
        }
    }

    /// What of it counts, if anything does, and what failed its trial or was tried out, and does not.
    fn counts(self) -> (Option<Gave>, Option<Gave>) {
        if self.falls_back() { (self.current, self.trial) } else { (self.trial.or(self.current), None) }
    }

    /// What failed last.
    fn why(&self) -> Option<String> {
        let mut failures = self.current.iter().chain(&self.trial).flat_map(|gave| &gave.polled.failures);
        failures.next_back().map(|(failure, _)| failure.on_one_line().to_string())
    }

    /// At most so many samples.
    fn given(&self) -> usize {
        let gave = || self.trial.iter().chain(&self.current);
        let polled = gave().flat_map(|gave| &gave.polled.landed).flat_map(|landed| &landed.output);
        let converted = gave().flat_map(|gave| &gave.converted).flat_map(|converted| &converted.landed);
        polled.map(|series| series.column.len()).sum::<usize>()
            + converted.flat_map(|landed| &landed.output).map(|batch| batch.column.len()).sum::<usize>()
    }
}

// === impl Gave ===

impl Gave {
    fn fit_beside(&mut self, room: &mut Room, deployed: &Deployed, resources: u32) -> Option<Outcome> {
        let before = deployed.states.get(&self.instance.state).cloned().unwrap_or_default();
        self.fit(room, &deployed.tenant, &before, resources)
    }

    fn fit(&mut self, room: &mut Room, tenant: &Arc<str>, before: &Arc<State>, resources: u32) -> Option<Outcome> {
        let outcome = room.admit(tenant, before, &mut self.polled, resources)?;
        if let Some(converted) = &mut self.converted {
            converted.landed.clear();
        }
        Some(outcome)
    }
}

// === impl Handed ===

impl Handed {
    fn of(deployed: &Deployed, samples: Vec<Samples>, (at, resources): (Moment, &Arc<Resources>)) -> Self {
        let roots = resources.guests_of(|project| deployed.projects.contains(project));
        Self { at, resources: Arc::clone(resources), roots, samples: Arc::new(samples) }
    }
}

// === impl Job ===

impl Job {
    async fn run(self) -> (Polled, Option<Converted>) {
        match self {
            Self::Poll(poll) => (poll.run().await, None),
            Self::Convert(convert) => {
                let (polled, converted) = convert.run().await;
                (polled, Some(converted))
            }
        }
    }
}

/// How many there are of all meters.
fn entries(samples: &[Samples]) -> u32 {
    u32::try_from(samples.iter().map(|samples| samples.column.len()).sum::<usize>()).unwrap_or(u32::MAX)
}

/// How it went.
fn outcome(polled: &Polled, converted: Option<&Converted>, resources: u32) -> Outcome {
    let nothing = polled.landed.is_empty() && converted.is_none_or(|converted| converted.landed.is_empty());
    match polled.failures.last() {
        // A transformer is not called where nothing is for it.
        None if resources == 0 || polled.calls == 0 => Outcome::NotRun,
        _ if resources == 0 => Outcome::NotRun,
        None => Outcome::Good,
        Some((failure, _)) if nothing => Outcome::Failed(failure.cause),
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

/// The version on trial, if there is one, and the current one, each with the state that it runs on.
type Jobs = (Option<InstanceJob>, Option<InstanceJob>);

/// Versions that run, and what instances of them remember.
type Running<'a> = (&'a BTreeMap<u64, Arc<Ready>>, &'a BTreeMap<StateId, Arc<State>>);

type InstanceJob = (Instance, Arc<Ready>, Job);

fn jobs(run: &Run, job: impl Fn(&Instance) -> Option<(Arc<Ready>, Job)>) -> Jobs {
    let job = |instance: Instance| job(&instance).map(|(ready, job)| (instance, ready, job));
    match run {
        Run::Nothing(_) => (None, None),
        Run::Current(current) => (None, job(*current)),
        Run::DryRun { tried, current } => (job(Instance { state: current.state, ..*tried }), job(*current)),
        Run::Trial { trial, current, .. } => (job(*trial), job(*current)),
    }
}

// === impl Agent ===

impl Agent {
    /// Has tenants' modules that are due begin with what was read, and transformers wait with what the operator's
    /// pollsters `measured`. One that is still at an earlier slot does not.
    pub(in crate::agent) fn begin(
        &mut self,
        due: impl Iterator<Item = (Key, Run)>,
        snapshot: &Arc<Snapshot>,
        slot: &Slot,
        measured: usize,
    ) {
        let chunk = u32::try_from(self.config.sandbox.chunk).unwrap_or(u32::MAX);
        let (mut begun, mut transformers): (BTreeSet<(Key, u64)>, Vec<Pending>) = Default::default();
        // All that a tenant deployed sees the same.
        let by_project = LazyCell::new(|| snapshot.resources.by_project());
        let guests_of = |projects: &BTreeSet<String>| {
            let found = projects.iter().filter_map(|project| by_project.get(project.as_str()));
            let mut ranges: Vec<Range<u32>> = found.flatten().cloned().collect();
            ranges.sort_unstable_by_key(|range| range.start);
            ranges
        };
        let mut views: HashMap<Arc<str>, View> = HashMap::new();
        for (key, run) in due {
            let Some(deployed) = self.tenants.deployed.get_mut(&key) else { continue };
            // What stands in a chain begins when samples come to it there.
            if deployed.converts() && self.sinks.sink_of(&key).is_some() {
                continue;
            }
            if deployed.busy {
                self.skip(&key);
                continue;
            }
            // What the operator's modules declared in this slot is theirs from now on.
            Arc::make_mut(&mut deployed.names).reserve(&self.names);
            let projects = Arc::clone(&deployed.projects);
            if deployed.converts() {
                deployed.busy = true;
                let view = View::of(&slot.resources, guests_of(&projects));
                let taken = slot.samples.iter().take(measured).filter(|samples| deployed.takes(&samples.meter.name));
                let samples = taken.filter_map(|samples| samples.seen_by(&view)).collect();
                let (number, resources) = (deployed.number, Arc::clone(&slot.resources));
                let (ready, states) = (deployed.ready.clone(), deployed.states.clone());
                let (at, waits) = (slot.at, BTreeSet::new());
                transformers.push(Pending { key, number, run, ready, states, at, resources, samples, waits });
                continue;
            }
            let deployed = &*deployed;
            let view = || View::of(&snapshot.resources, guests_of(&projects));
            let view = views.entry(Arc::clone(&deployed.tenant)).or_insert_with(view);
            let job = |instance: &Instance| {
                let ready = Arc::clone(deployed.ready.get(&instance.version)?);
                let poll = Poll {
                    sandbox: Arc::clone(&self.sandbox),
                    ledger: Arc::clone(&self.ledger),
                    tenant: Arc::clone(&deployed.tenant),
                    module: Arc::clone(&ready.module),
                    snapshot: Arc::clone(snapshot),
                    names: Arc::clone(&deployed.names),
                    view: view.clone(),
                    chunk,
                    state: deployed.states.get(&instance.state).cloned().unwrap_or_default(),
                    sure: deployed.sure,
                    clock: Arc::clone(&self.clock),
                };
                Some((ready, Job::Poll(poll)))
            };
            let jobs = jobs(&run, job);
            begun.insert((key.clone(), deployed.number));
            self.spawn(key, run, (snapshot.at, Arc::clone(&snapshot.resources)), view.resources(), jobs, None);
        }
        for mut pending in transformers {
            let of_tenant = begun.iter().filter(|(key, _)| key.tenant == pending.key.tenant);
            let gives = |(key, _): &&(Key, u64)| {
                let ready = self.tenants.deployed.get(key).into_iter().flat_map(|deployed| deployed.ready.values());
                pending.takes_of(ready.map(|ready| &ready.module))
            };
            // One that waits for a server, say, delays nobody who is not handed what it gives.
            pending.waits = of_tenant.filter(gives).cloned().collect();
            self.tenants.pending.push(pending);
        }
        self.begin_transformers();
    }

    /// Has transformers in chains begin with what came to them there.
    pub(in crate::agent) fn begin_chained(&mut self, slot: &Slot) {
        for (key, portion) in self.sinks.take_held() {
            let taken = entries(&portion.taken);
            if !self.begin_in_chain(&key, portion, slot) {
                self.tenants.lose(&key, taken);
            }
        }
        for (key, samples) in std::mem::take(&mut self.tenants.lost).into_iter().filter(|(_, samples)| *samples > 0) {
            self.tally.failed(&key.to_string().into(), NOT_RUNNING, samples);
            self.sinks.lost(&key, samples);
        }
    }

    /// Whether it begins; one that may not run, or is still at an earlier slot, does not.
    fn begin_in_chain(&mut self, key: &Key, Portion { taken, passing }: Portion, slot: &Slot) -> bool {
        let (Some(sink), Some(deployed)) = (self.sinks.sink_of(key).cloned(), self.tenants.deployed.get_mut(key))
        else {
            return false;
        };
        let run = deployed.deployment.plan(&self.tenants.rules, slot.at.wall);
        if matches!(run, Run::Nothing(_)) || deployed.is_broken() {
            return false;
        }
        if deployed.busy {
            self.skip(key);
            return false;
        }
        Arc::make_mut(&mut deployed.names).reserve(&self.names);
        let chained = Chained { sink, taken: entries(&taken) };
        // Each version has what is for it.
        let samples = [taken, passing].concat();
        let count = entries(&samples);
        deployed.entries = count;
        let Some(deployed) = self.tenants.deployed.get(key) else { return false };
        let handed = Handed::of(deployed, samples, (slot.at, &slot.resources));
        let jobs =
            jobs(&run, |instance| self.convert(deployed, (&deployed.ready, &deployed.states), instance, &handed));
        if jobs.0.is_none() && jobs.1.is_none() {
            return false;
        }
        self.spawn(key.clone(), run, (slot.at, Arc::clone(&slot.resources)), count, jobs, Some(chained));
        true
    }

    /// What tenants' transformers in chains are handed of what comes to them there.
    pub(in crate::agent) fn shares(&self, resources: &Resources) -> Shares {
        let share = |key: &Key| {
            let deployed = self.tenants.deployed.get(key);
            // A pollster measures, wherever it is named.
            if deployed.is_some_and(Deployed::measures) {
                return None;
            }
            let projects = self.config.tenants.projects_of(&key.tenant);
            let guests = resources.guests_of(|project| projects.contains(project));
            let meters = deployed.and_then(Deployed::meters).cloned();
            let tried = deployed.and_then(Deployed::tried_meters).cloned();
            // One that is at an earlier slot lets go of what it holds when it is asked next.
            let holds = deployed
                .is_some_and(|deployed| !deployed.busy && deployed.states.values().any(|state| state.waiting() > 0));
            Some((key.clone(), Share { guests, meters, tried, holds }))
        };
        Shares::of(self.sinks.deployed().filter_map(share))
    }

    /// Has transformers begin that wait for nobody any more.
    fn begin_transformers(&mut self) {
        let begins: Vec<Pending> = self.tenants.pending.extract_if(.., |pending| pending.waits.is_empty()).collect();
        for Pending { key, number, run, ready, states, at, resources, samples, .. } in begins {
            // It may have been removed meanwhile, and another one of its name be there.
            let found = self.tenants.deployed.get_mut(&key).filter(|deployed| deployed.number == number);
            let Some(deployed) = found else { continue };
            deployed.entries = entries(&samples);
            let Some(deployed) = self.tenants.deployed.get(&key) else { continue };
            let (entries, handed) = (deployed.entries, Handed::of(deployed, samples, (at, &resources)));
            let jobs = jobs(&run, |instance| self.convert(deployed, (&ready, &states), instance, &handed));
            self.spawn(key, run, (at, Arc::clone(&resources)), entries, jobs, None);
        }
    }

    /// What an instance of a transformer is called with.
    fn convert(
        &self,
        deployed: &Deployed,
        (ready, states): Running<'_>,
        instance: &Instance,
        handed: &Handed,
    ) -> Option<(Arc<Ready>, Job)> {
        let ready = Arc::clone(ready.get(&instance.version)?);
        let convert = Convert {
            sandbox: Arc::clone(&self.sandbox),
            ledger: Arc::clone(&self.ledger),
            tenant: Arc::clone(&deployed.tenant),
            module: Arc::clone(&ready.module),
            meters: ready.source.meters.clone(),
            names: Arc::clone(&deployed.names),
            state: states.get(&instance.state).cloned().unwrap_or_default(),
            described: deployed.described.get(&instance.version).cloned().unwrap_or_default(),
            resources: Arc::clone(&handed.resources),
            roots: handed.roots.clone(),
            at: handed.at,
            samples: Arc::clone(&handed.samples),
            sure: deployed.sure,
            clock: Arc::clone(&self.clock),
        };
        Some((ready, Job::Convert(convert)))
    }

    /// Has a deployment run, in its tenant's turns.
    fn spawn(
        &mut self,
        key: Key,
        run: Run,
        (at, of): (Moment, Arc<Resources>),
        resources: u32,
        jobs: Jobs,
        chain: Option<Chained>,
    ) {
        // Others may take some of it meanwhile, but seldom all that is left.
        let room = match run {
            Run::Trial { .. } => Some(self.room()),
            Run::Nothing(_) | Run::Current(_) | Run::DryRun { .. } => None,
        };
        let Some(deployed) = self.tenants.deployed.get_mut(&key) else { return };
        deployed.busy = true;
        let room = room.zip(run.on_trial()).map(|(room, trial)| {
            let before = deployed.states.get(&trial.state).cloned().unwrap_or_default();
            (room, Arc::clone(&deployed.tenant), before)
        });
        let (asked, number, converts) = (key.clone(), deployed.number, deployed.converts());
        let chained = chain.as_ref().map_or(0, |chained| chained.taken);
        let (first, then) = jobs;
        // Who waits for a server keeps nobody of its tenant from running.
        let asks = first.iter().chain(&then).any(|(_, ready, _)| ready.module.asks());
        let calls = (!asks).then(|| Arc::clone(&deployed.calls));
        let work = async move {
            // Nobody closes it.
            let _call = match &calls {
                Some(calls) => calls.acquire().await.ok(),
                None => None,
            };
            let (ran, trial, current) = (Ran::default(), None, None);
            let mut answer =
                Answer { key: asked, number, at, of, converts, chain, run, ran, trial, current, resources };
            if let Run::DryRun { .. } = run {
                // What counts has what there is of fuel before what does not.
                answer.run_current(then).await;
                answer.run_trial(first).await;
            } else {
                answer.run_trial(first).await;
                answer.fit_trial(room);
                if answer.ran.trial.is_none_or(|(_, outcome)| run.falls_back(outcome)) {
                    answer.run_current(then).await;
                }
            }
            answer
        };
        let turns = self.tenants.gate.in_turns(&deployed.tenant, work);
        let task = self.tenants.running.spawn_on(turns, &self.guests);
        self.tenants.tasks.insert(task.id(), Task { key, number, read: at.monotonic, chained });
    }

    /// The room that there is since the last landing: that of many trials is looked for once.
    fn room(&mut self) -> Room {
        let room = self.tenants.room.take();
        let room = room.unwrap_or_else(|| Room::beside(self.tenants.all(), self.config.spool.max_size.bytes()));
        self.tenants.room.insert(room).clone()
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

    /// Has what would remember more than there is room for come to nothing.
    fn fit(&self, answers: &mut [Answer]) {
        // Most remember nothing new, and looking at what everybody remembers takes its time.
        let mut room = None;
        for answer in answers {
            let found = self.tenants.deployed.get(&answer.key).filter(|deployed| deployed.number == answer.number);
            if let Some(deployed) = found.filter(|deployed| answer.remembers(deployed)) {
                let beside = || Room::beside(self.tenants.all(), self.config.spool.max_size.bytes());
                answer.fit(room.get_or_insert_with(beside), deployed);
            }
        }
    }

    /// Lands what tenants' modules gave in one slot; `None` if nothing is done. Samples, states and what becomes of
    /// deployments belong together.
    pub fn land(&mut self) -> Option<Landing> {
        self.begin_transformers();
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
            deployed.busy = false;
            let (next, changed) = deployed.deployment.outcome(&answer.ran, &self.tenants.rules, at.wall);
            if next.is_worth_saving(&deployed.deployment) {
                self.tenants.unsaved.insert(key.clone());
            }
            deployed.deployment = next;
            deployed.copy_states(&changed);
            let has_changed = !changed.is_empty();
            if has_changed {
                let why = answer.why();
                let happened = changed.iter().map(|change| Happened::by_itself(&key, change, why.as_deref()));
                self.tenants.happened.extend(happened);
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
            // What began while this ran has a copy of what was remembered before it.
            let life = &deployed.deployment.life;
            let is_new = |id: &StateId| run.instances().all(|there| there.state != *id);
            let is_copy = |id: &StateId| life.origins(*id).any(|origin| origin == instance.state);
            for id in life.states().filter(is_new).filter(is_copy) {
                deployed.states.insert(id, Arc::clone(&state));
            }
            deployed.states.insert(instance.state, state);
            // What ran may have been withdrawn meanwhile.
            if has_changed || life.states().all(|id| id != instance.state) {
                deployed.tidy();
            }
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
            if let Some(Converted { inputs, gives: Some(gives), landed }) = converted {
                for mut landed in landed {
                    let names = Arc::make_mut(&mut deployed.names);
                    let of = |batch: &Batch| (batch.meter, batch.column.len());
                    report.failures.extend(names.land(&module.name, &gives.meters, &mut landed, of));
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
        self.begin_transformers();
        let mut slot = Slot { at, resources, samples };
        slot.declare(declared);
        Some(Landing { slot, reports, changes, source })
    }
}
