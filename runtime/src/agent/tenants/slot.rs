//! A slot of tenants' modules: what begins, and with what.

use std::cell::LazyCell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use tokio::sync::watch;

use super::Deployed;
use super::answer::{Answer, Chained, Job, Jobs, Unawaited, jobs};
use super::converting::Convert;
use super::deployed::At;
use super::next::{Given, Input, Next};
use super::reading::Due;
use super::room::Room;
use super::tasks::Task;
use crate::agent::Agent;
use crate::agent::polling::Poll;
use crate::clock::Moment;
use crate::discovery::{Resources, Snapshot, View};
use crate::modules::deploying::Ready;
use crate::modules::deployment::Key;
use crate::modules::life::{Instance, Ran, Run, StateId};
use crate::pipeline::{Samples, Slot};
use crate::sandbox::host::state::State;

/// What a transformer is handed, whichever version of it runs.
pub(super) struct Handed {
    at: Moment,
    resources: Arc<Resources>,
    /// Its tenant's guests.
    roots: Vec<Range<u32>>,
    samples: Arc<Vec<Samples>>,
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

/// Versions that run, and what instances of them remember.
pub(super) type Running<'a> = (&'a BTreeMap<u64, Arc<Ready>>, &'a BTreeMap<StateId, Arc<State>>);

// === impl Agent ===

impl Agent {
    /// Has tenants' modules that are due begin with what was read, and transformers wait with what the operator's
    /// pollsters `measured`. One that is still at an earlier slot does not, unless that is a version on trial.
    pub(in crate::agent) fn begin(&mut self, due: Vec<Due>, snapshot: &Arc<Snapshot>, slot: &Slot, measured: usize) {
        self.begin_next();
        let (mut pollsters, mut transformers): (Vec<(Key, u64)>, Vec<Key>) = Default::default();
        // All that a tenant deployed sees the same.
        let by_project = LazyCell::new(|| snapshot.resources.by_project());
        let mut views: HashMap<Arc<str>, Arc<View>> = HashMap::new();
        for Due { key, run, unpaid, .. } in due {
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
            if !self.tenants.queue(&key, slot.at, run, input) {
                continue;
            }
            if let Some(next) = self.tenants.deployed.get_mut(&key).and_then(|deployed| deployed.next.back_mut()) {
                next.ready.retain(|version, _| !unpaid.contains(version));
            }
            match converts {
                true => transformers.push(key),
                false => pollsters.push((key, number)),
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
        let (at_slot, is_unawaited) = match run.on_trial() {
            Some(_) => {
                let (unawaited, is_unawaited) = watch::channel(ends.then_some(Unawaited::End));
                (At::Trial(at, matches!(run, Run::DryRun { .. }), unawaited), Some(is_unawaited))
            }
            None => (At::Slot, None),
        };
        deployed.at = at_slot;
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
                answer.run_trial(first, is_unawaited).await;
            } else {
                answer.run_trial(first, is_unawaited).await;
                answer.fit_trial(room);
                if answer.ran.trial.is_none_or(|(_, outcome)| run.falls_back(outcome)) {
                    answer.run_current(then).await;
                }
            }
            answer
        };
        let task = Task { key, number, read: at.monotonic, chained };
        self.tenants.tasks.begin(task, (&self.tenants.gate, &deployed.tenant, &self.guests), work);
    }

    /// The room that there is since the last landing: that of many trials is looked for once.
    pub(super) fn room(&mut self) -> Room {
        let room = self.tenants.room.take();
        let room = room.unwrap_or_else(|| self.tenants.room_beside(self.sinks.remembered(), &self.config));
        self.tenants.room.insert(room).clone()
    }
}
