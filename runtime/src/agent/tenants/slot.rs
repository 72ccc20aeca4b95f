//! A slot of tenants' modules: what begins, and how it lands.

use std::cell::LazyCell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use tokio::sync::watch;

use super::answer::{Answer, Chained, Gave, Job, Jobs, Unawaited, jobs};
use super::converting::{Convert, Converted};
use super::deployed::At;
use super::next::{Given, Input, Next};
use super::room::Room;
use super::under_way::Task;
use super::{Deployed, Landing, Source};
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
use crate::modules::life::{Instance, Ran, Run, StateId};
use crate::pipeline::stamp::Stamper;
use crate::pipeline::{Samples, Slot};
use crate::sandbox::Landed;
use crate::sandbox::host::state::State;

/// What a transformer is handed, whichever version of it runs.
pub(super) struct Handed {
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

// === impl Handed ===

impl Handed {
    pub fn of(deployed: &Deployed, samples: Vec<Samples>, (at, resources): (Moment, &Arc<Resources>)) -> Self {
        let roots = resources.guests_of(|project| deployed.projects.contains(project));
        Self { at, resources: Arc::clone(resources), roots, samples: Arc::new(samples) }
    }
}

/// How many there are of all meters.
pub(super) fn entries(samples: &[Samples]) -> u32 {
    u32::try_from(samples.iter().map(|samples| samples.column.len()).sum::<usize>()).unwrap_or(u32::MAX)
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

/// Versions that run, and what instances of them remember.
pub(super) type Running<'a> = (&'a BTreeMap<u64, Arc<Ready>>, &'a BTreeMap<StateId, Arc<State>>);

// === impl Agent ===

impl Agent {
    /// Has tenants' modules that are due begin with what was read, and transformers wait with what the operator's
    /// pollsters `measured`. One that is still at an earlier slot does not, unless that is a version on trial.
    pub(in crate::agent) fn begin(
        &mut self,
        due: impl Iterator<Item = (Key, Run)>,
        snapshot: &Arc<Snapshot>,
        slot: &Slot,
        measured: usize,
    ) {
        self.begin_next();
        let (mut pollsters, mut transformers): (Vec<(Key, u64)>, Vec<Key>) = Default::default();
        // All that a tenant deployed sees the same.
        let by_project = LazyCell::new(|| snapshot.resources.by_project());
        let mut views: HashMap<Arc<str>, Arc<View>> = HashMap::new();
        for (key, run) in due {
            let Some(deployed) = self.tenants.deployed.get(&key) else { continue };
            // What stands in a chain begins when samples come to it there.
            if deployed.converts() && self.sinks.sink_of(&key).is_some() {
                continue;
            }
            let projects = Arc::clone(&deployed.projects);
            let input = if deployed.converts() {
                let view = View::of(&slot.resources, by_project.of(&projects));
                let taken = slot.samples.iter().take(measured).filter(|samples| deployed.takes(&samples.meter.name));
                let samples = taken.filter_map(|samples| samples.seen_by(&view)).collect();
                Input::Given(Given { resources: Arc::clone(&slot.resources), samples, chain: None })
            } else {
                let view = || Arc::new(View::of(&snapshot.resources, by_project.of(&projects)));
                let view = views.entry(Arc::clone(&deployed.tenant)).or_insert_with(view);
                Input::Read(Arc::clone(snapshot), Arc::clone(view))
            };
            let (converts, number) = (deployed.converts(), deployed.number);
            match (self.tenants.queue(&key, slot.at, run, input), converts) {
                (false, _) => {}
                (true, true) => transformers.push(key),
                (true, false) => pollsters.push((key, number)),
            }
        }
        for key in transformers {
            let of_tenant = pollsters.iter().filter(|(other, _)| other.tenant == key.tenant);
            let next_of = |key: &Key| self.tenants.deployed.get(key)?.next.back();
            let Some(next) = next_of(&key) else { continue };
            let gives = |(key, _): &&(Key, u64)| {
                let ready = next_of(key).into_iter().flat_map(|next| next.ready.values());
                next.takes_of(ready.map(|ready| &ready.module))
            };
            // One that waits for a server, say, delays nobody who is not handed what it gives.
            let waits = of_tenant.filter(gives).cloned().collect();
            if let Some(next) = self.tenants.deployed.get_mut(&key).and_then(|deployed| deployed.next.back_mut()) {
                next.waits = waits;
            }
        }
        self.begin_next();
    }

    /// Has those begin with what is next for them that are at nothing, and wait for nobody any more.
    pub(in crate::agent) fn begin_next(&mut self) {
        loop {
            let may_begin = |key: &&Key| self.tenants.deployed.get(*key).is_some_and(Deployed::may_begin);
            let begin: Vec<Key> = self.tenants.queued.iter().filter(may_begin).cloned().collect();
            // Whoever passes a slot over may have been waited for.
            if begin.is_empty() {
                return;
            }
            for key in begin {
                let Some(deployed) = self.tenants.deployed.get_mut(&key) else { continue };
                let Some(mut next) = deployed.next.pop_front() else { continue };
                if deployed.next.is_empty() {
                    self.tenants.queued.remove(&key);
                }
                if next.follows {
                    next.follow(deployed, &self.tenants.rules);
                }
                // What the operator's modules declared in this slot is theirs from now on.
                Arc::make_mut(&mut deployed.names).reserve(&self.names);
                if let Input::Given(given) = &next.input {
                    deployed.entries = entries(&given.samples);
                }
                self.begin_with(key, next);
            }
        }
    }

    fn begin_with(&mut self, key: Key, next: Next) {
        let Next { at, input, run, ready, states, .. } = next;
        let Some(deployed) = self.tenants.deployed.get(&key) else { return };
        let (number, running) = (deployed.number, (&ready, &states));
        let (of, resources, jobs, chain) = match input {
            Input::Read(snapshot, view) => {
                let jobs = jobs(&run, |instance| self.poll_of(deployed, running, instance, (&snapshot, &view)));
                (Arc::clone(&snapshot.resources), view.resources(), jobs, None)
            }
            Input::Given(Given { resources, samples, chain }) => {
                let handed = Handed::of(deployed, samples, (at, &resources));
                let jobs = jobs(&run, |instance| self.convert(deployed, running, instance, &handed));
                (resources, deployed.entries, jobs, chain)
            }
        };
        if jobs.0.is_none() && jobs.1.is_none() {
            return self.tenants.pass_over(&key, number, at.monotonic, chain);
        }
        self.spawn(key, run, (at, of), resources, jobs, chain);
    }

    /// What an instance of a pollster is called with.
    fn poll_of(
        &self,
        deployed: &Deployed,
        (ready, states): Running<'_>,
        instance: &Instance,
        (snapshot, view): (&Arc<Snapshot>, &Arc<View>),
    ) -> Option<(Arc<Ready>, Job)> {
        let ready = Arc::clone(ready.get(&instance.version)?);
        let poll = Poll {
            sandbox: Arc::clone(&self.sandbox),
            ledger: Arc::clone(&self.ledger),
            tenant: Arc::clone(&deployed.tenant),
            module: Arc::clone(&ready.module),
            snapshot: Arc::clone(snapshot),
            names: Arc::clone(&deployed.names),
            view: Arc::clone(view),
            chunk: u32::try_from(self.config.sandbox.chunk).unwrap_or(u32::MAX),
            state: states.get(&instance.state).cloned().unwrap_or_default(),
            sure: deployed.sure,
            clock: Arc::clone(&self.clock),
        };
        Some((ready, Job::Poll(poll)))
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
        let ends = self.tenants.ends && deployed.can_fall_back();
        let (unawaited, mut is_unawaited) = watch::channel(ends.then_some(Unawaited::End));
        let is_dry = matches!(run, Run::DryRun { .. });
        deployed.at = if run.on_trial().is_some() { At::Trial(at, is_dry, unawaited) } else { At::Slot };
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
        let work = async move || {
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
                answer.run_trial(first, &mut is_unawaited).await;
            } else {
                answer.run_trial(first, &mut is_unawaited).await;
                answer.fit_trial(room);
                if answer.ran.trial.is_none_or(|(_, outcome)| run.falls_back(outcome)) {
                    answer.run_current(then).await;
                }
            }
            answer
        };
        let task = Task { key, number, read: at.monotonic, chained };
        self.tenants.under_way.begin(task, (&self.tenants.gate, &deployed.tenant, &self.guests), work);
    }

    /// The room that there is since the last landing: that of many trials is looked for once.
    fn room(&mut self) -> Room {
        let room = self.tenants.room.take();
        let room = room.unwrap_or_else(|| Room::beside(self.tenants.all(), self.config.spool.max_size.bytes()));
        self.tenants.room.insert(room).clone()
    }

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
            stamper.turn_to(&deployed.tenant);
            let before = stamper.samples.len();
            for mut landed in landed {
                let names = Arc::make_mut(&mut deployed.names);
                let of = |series: &Series| (series.meter, series.column.len());
                report.failures.extend(names.land(&module.name, &module.description.meters, &mut landed, of));
                stamper.stamp(&mut self.directory, &ready.work, landed);
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
        self.begin_next();
        let mut slot = Slot { at, resources, samples };
        slot.declare(declared);
        Some(Landing { slot, reports, changes, source })
    }
}
