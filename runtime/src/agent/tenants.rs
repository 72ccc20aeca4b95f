//! Tenants' modules. They run beside the operator's, in turns, on what was read in the same slot; what they give lands
//! when it is there, and nobody waits for it.

mod answer;
mod chained;
mod changing;
mod converting;
mod deployed;
mod landing;
mod next;
mod reading;
mod room;
mod slot;
mod tasks;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use self::answer::{Answer, Chained};
pub(crate) use self::converting::{Convert, Converted};
use self::deployed::At;
pub use self::deployed::{Deployed, HOST, Short};
use self::next::Input;
pub(super) use self::room::Room;
use self::tasks::{Task, Tasks};
use super::reloading::Running;
use super::report::ModuleReport;
use crate::clock::Moment;
use crate::config::{Config, Problem, daemon as config};
use crate::digest::Digest;
use crate::discovery::moved::Moved;
use crate::discovery::resource::{Ident, Resource};
use crate::modules::audit::Who;
use crate::modules::budget::Admitted;
use crate::modules::deploying::terms::Operators;
use crate::modules::deployment::{Deployment, Key, Version};
use crate::modules::life::{Change, Idle, Rules, Run, StateId};
use crate::pipeline::{Samples, Slot};
use crate::sandbox::Names;
use crate::sandbox::host::state::State;
use crate::sandbox::ledger::Ledger;
use crate::sandbox::turns::{Closed, Gate};

/// All tenants' modules.
#[derive(Debug)]
pub struct Tenants {
    gate: Arc<Gate>,
    /// How versions pass trials and come into quarantine.
    pub rules: Rules,
    deployed: BTreeMap<Key, Deployed>,
    /// What they need of what there is.
    admitted: Arc<Admitted>,
    /// What the operator's modules read anyway.
    operators: Operators,
    /// Those that have slots to begin with.
    queued: BTreeSet<Key>,
    tasks: Tasks,
    /// Samples that came to transformers in chains and to nothing, and are not counted yet.
    lost: Vec<(Key, u32)>,
    /// What somebody has not landed yet.
    waiting: Vec<Answer>,
    /// Room for what they remember, if it was looked for since the last landing.
    room: Option<Room>,
    /// How many deployments there were. Answers to one that is gone are not another's of its name.
    deployments: u64,
    /// Resources that were forgotten while something was under way, and when.
    gone: Vec<(u64, Ident)>,
    /// Guests that may be another tenant's since something was under way, and since when.
    moved: Vec<(u64, Arc<Moved>)>,
    /// What those remembered that were removed since the last slot that was kept: nothing any more.
    forgotten: BTreeMap<String, Arc<State>>,
    /// Those that differ from what is kept of them.
    pub unsaved: BTreeSet<Key>,
    /// What became of deployments, by whom, and is not in the audit log yet.
    pub happened: Vec<Happened>,
    /// What keeps files from being followed as they are written.
    pub refused: Vec<Problem>,
    /// Whether the daemon ends, so that no version on trial is waited for.
    ends: bool,
}

/// What holds for all deployments.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// Who the tenants are.
    pub tenants: &'a config::Tenants,
    /// The operator's names.
    pub reserved: &'a Arc<Names>,
    /// What the operator's modules read anyway.
    pub operators: &'a Operators,
    /// In nanoseconds since 1970.
    pub now: i64,
}

/// Why samples came to nothing that came to a transformer in a chain: it did not run, or was gone when it was done.
const NOT_RUNNING: &str = "not-running";

/// What runs of a deployment, and what keeps it from running.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The version that is current.
    pub version: u64,
    /// The version that is on trial.
    pub trial: Option<u64>,
    /// The version that is tried out before its trial.
    pub tried_out: Option<u64>,
    /// Why nothing runs, if so.
    pub idle: Option<Idle>,
}

/// What became of a deployment without an order.
#[derive(Debug)]
pub struct Happened {
    /// Of which one.
    pub key: Key,
    /// By whom.
    pub who: Who,
    /// What it was.
    pub action: String,
    /// The version that runs after it, or ran until it was removed, and its module.
    pub version: Option<(u64, Digest)>,
    /// What failed, if that is why.
    pub why: Option<String>,
}

/// What landed.
#[derive(Debug)]
pub struct Landing {
    /// Samples of one slot.
    pub slot: Slot,
    /// What each module did.
    pub reports: Vec<ModuleReport>,
    /// What became of deployments by it, and what failed last.
    pub changes: Vec<(Key, Vec<Change>, Option<String>)>,
    /// Where the samples come from.
    pub source: Source,
}

/// Where the samples of a slot come from, for the sinks.
#[derive(Debug)]
pub enum Source {
    /// The operator measured them, in a slot of these intervals.
    Cycle(Vec<u64>),
    /// Tenants' modules gave them.
    Tenants,
    /// A tenant's transformer gave them for its place in the chain of this sink.
    Chain(Key, Arc<str>),
}

/// Forgets what is remembered of guests that are none of these projects' any more.
fn part_with(state: &mut Arc<State>, moved: &Moved, own: &BTreeSet<String>) {
    let others: Vec<Ident> = state.idents().filter(|ident| moved.is_anothers(*ident, own)).collect();
    if !others.is_empty() {
        Arc::make_mut(state).forget(&others);
    }
}

/// Says what became of a deployment, a line for each change.
pub fn say(key: &Key, changes: &[Change], why: Option<&str>) {
    for change in changes {
        if let Some(why) = why.filter(|_| change.is_by_failing()) {
            let (tenant, deployment) = (key.tenant.as_str(), key.name.as_str());
            tracing::warn!(tenant, deployment, why, "Deployment: {change}.");
            continue;
        }
        tracing::info!(tenant = key.tenant.as_str(), deployment = key.name.as_str(), "Deployment: {change}.");
    }
}

// === impl Happened ===

impl Happened {
    fn by_file(deployment: &Deployment, action: &str) -> Self {
        Self::to(deployment, Who::File, action.to_owned(), None)
    }

    fn by_itself(deployment: &Deployment, change: &Change, why: Option<&str>) -> Self {
        let why = why.filter(|_| change.is_by_failing()).map(str::to_owned);
        Self::to(deployment, Who::Daemon, change.to_string(), why)
    }

    fn to(deployment: &Deployment, who: Who, action: String, why: Option<String>) -> Self {
        let version = deployment.on_trial().or(deployment.current());
        let version = version.map(|version| (version.number, version.digest));
        Self { key: deployment.key.clone(), who, action, version, why }
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
            admitted: Arc::default(),
            operators: Operators::default(),
            queued: BTreeSet::new(),
            tasks: Tasks::default(),
            lost: Vec::new(),
            waiting: Vec::new(),
            room: None,
            deployments: 0,
            gone: Vec::new(),
            moved: Vec::new(),
            forgotten: BTreeMap::new(),
            unsaved: BTreeSet::new(),
            happened: Vec::new(),
            refused: Vec::new(),
            ends: false,
        }
    }

    /// Waits for no version that is on trial or tried out, now or later, as the daemon ends: the versions before them
    /// run in their slots.
    pub fn end_trials(&mut self) {
        self.ends = true;
        self.deployed.values().for_each(Deployed::end_trial);
    }

    /// Versions that run, or would if they could.
    pub fn running(&self) -> Vec<(Key, Vec<Running>)> {
        let running = |deployed: &Deployed| {
            let with_ready =
                |version: &Arc<Version>| (Arc::clone(version), deployed.ready.get(&version.number).cloned());
            deployed.deployment.running().map(with_ready).collect()
        };
        self.deployed.iter().map(|(key, deployed)| (key.clone(), running(deployed))).collect()
    }

    /// This is what they need of what there is.
    pub fn admit(&mut self, admitted: Admitted) {
        self.admitted = Arc::new(admitted);
    }

    /// What they need of what there is.
    pub fn admitted(&self) -> &Arc<Admitted> {
        &self.admitted
    }

    /// Has fuel flow to them as the budget says, and as they need it.
    pub fn flow_into(&self, ledger: &Ledger) {
        let (node, tenants) = self.admitted.flows(self.deployed.values().map(|deployed| Arc::clone(&deployed.tenant)));
        ledger.flows(node, tenants);
    }

    /// The room that they leave, beside what sinks remember of what they gave.
    pub(super) fn room_beside(&self, in_sinks: BTreeMap<Arc<str>, usize>, config: &Config) -> Room {
        Room::beside(self.all(), in_sinks, config.spool.max_size.bytes())
    }

    /// What runs of a deployment, and what keeps it from running.
    pub fn standing(&self, tenant: &str, name: &str, now: i64) -> Option<Standing> {
        let key = Key::new(tenant.parse().ok()?, name.parse().ok()?);
        let deployment = &self.deployed.get(&key)?.deployment;
        let idle = match deployment.plan(&self.rules, now) {
            Run::Nothing(idle) => Some(idle),
            Run::Current(_) | Run::DryRun { .. } | Run::Trial { .. } => None,
        };
        let trial = |dry: bool| {
            let trial = deployment.life.trial().filter(|trial| trial.dry == dry);
            trial.map(|trial| trial.instance.version)
        };
        Some(Standing { version: deployment.current()?.number, trial: trial(false), tried_out: trial(true), idle })
    }

    /// All of them by their names.
    pub fn named(&self) -> impl Iterator<Item = (&Key, &Deployed)> {
        self.deployed.iter()
    }

    /// What gives turns.
    pub fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.gate)
    }

    /// One of them.
    pub fn get(&self, key: &Key) -> Option<&Deployed> {
        self.deployed.get(key)
    }

    /// Those whose intervals are to be met.
    pub fn intervals(&self) -> impl Iterator<Item = u64> {
        self.deployed.values().filter_map(Deployed::interval)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Deployed> {
        self.deployed.values()
    }

    /// Gives nobody a turn until what this returns is dropped: the operator's modules are at it.
    pub fn hold(&self) -> Closed {
        self.gate.close()
    }

    /// Those that are due and may run, and what of them runs.
    pub fn due(&self, intervals: &[u64], now: i64) -> Vec<(Key, Run)> {
        let due = self.deployed.iter().filter(|(_, deployed)| deployed.is_due(intervals));
        let runs = due.map(|(key, deployed)| (key.clone(), deployed.deployment.plan(&self.rules, now)));
        runs.filter(|(_, run)| !matches!(run, Run::Nothing(_))).collect()
    }

    /// Whether anything is done that was not landed.
    pub fn is_any_done(&mut self) -> bool {
        self.gather();
        !self.waiting.is_empty()
    }

    /// Whether anything is under way.
    pub fn are_busy(&self) -> bool {
        !self.tasks.is_empty() || !self.waiting.is_empty() || !self.queued.is_empty()
    }

    /// States by what they are kept under.
    pub fn states<'a>(&'a self) -> impl Iterator<Item = (String, &'a Arc<State>)> {
        let states = |deployed: &'a Deployed| deployed.states.iter().map(|(id, state)| (deployed.work(*id), state));
        let forgotten = self.forgotten.iter().map(|(work, state)| (work.clone(), state));
        forgotten.chain(self.deployed.values().flat_map(states))
    }

    /// Has them remember what they did in an earlier run.
    pub fn remember(&mut self, of: impl Fn(&str) -> Option<Arc<State>>) {
        self.deployed.values_mut().for_each(|deployed| deployed.remember(&of));
        self.keep();
    }

    /// What was landed is kept.
    pub fn keep(&mut self) {
        for Deployed { states, kept, .. } in self.deployed.values_mut() {
            let is_same = |(one, other): ((&StateId, &Arc<State>), (&StateId, &Arc<State>))| {
                one.0 == other.0 && Arc::ptr_eq(one.1, other.1)
            };
            // Most remember what they did before.
            if states.len() != kept.len() || !states.iter().zip(&*kept).all(is_same) {
                kept.clone_from(states);
            }
        }
        self.forgotten.clear();
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
    pub fn forget(&mut self, gone: &[Ident], now: u64) {
        for Deployed { states, kept, .. } in self.deployed.values_mut() {
            states.values_mut().chain(kept.values_mut()).for_each(|state| Arc::make_mut(state).forget(gone));
        }
        self.gone.extend(gone.iter().map(|ident| (now, *ident)));
        self.let_go();
    }

    /// Forgets what tenants' modules remember of guests that are not their tenants' any more: should one come back, it
    /// comes as a new one.
    pub fn part_with(&mut self, moved: Moved, now: u64) {
        for Deployed { states, kept, projects, .. } in self.deployed.values_mut() {
            states.values_mut().chain(kept.values_mut()).for_each(|state| part_with(state, &moved, projects));
        }
        self.moved.push((now, Arc::new(moved)));
        self.let_go();
    }

    /// Lets go of forgotten resources that nothing under way knew: their numbers may be others' by the next slot. And of
    /// guests that nothing under way knows as another tenant's.
    fn let_go(&mut self) {
        if self.gone.is_empty() && self.moved.is_empty() {
            return;
        }
        let waiting = self.waiting.iter().map(|answer| answer.at.monotonic);
        let queued = self.queued.iter().filter_map(|key| self.deployed.get(key));
        let next = queued.flat_map(|deployed| &deployed.next).map(|next| next.at.monotonic);
        let oldest = self.tasks.read_at().chain(waiting).chain(next).min();
        let is_known = |at: u64| oldest.is_some_and(|oldest| at > oldest);
        self.gone.retain(|(at, _)| is_known(*at));
        self.moved.retain(|(at, _)| is_known(*at));
    }

    /// Waits until something is done, and never if nothing is under way. Waiting can be given up and taken up again.
    pub async fn done(&mut self) {
        if self.waiting.is_empty() {
            let ended = self.tasks.next().await;
            self.ended(ended);
        }
    }

    /// Waits until all is done that was begun, and lands nothing.
    pub async fn all_done(&mut self) {
        while !self.tasks.is_empty() {
            let ended = self.tasks.next().await;
            self.ended(ended);
        }
    }

    /// Takes what is done besides.
    pub fn gather(&mut self) {
        while let Some(ended) = self.tasks.try_next() {
            self.ended(ended);
        }
    }

    fn ended(&mut self, ended: Result<Answer, Task>) {
        match ended {
            Ok(answer) => self.waiting.push(answer),
            Err(Task { key, number, read, chained }) => {
                tracing::error!(%key, "The task of a tenant's module was lost; it begins anew with the next slot.");
                self.wait_no_more(&key, number, read);
                let found = self.deployed.get_mut(&key).filter(|deployed| deployed.number == number);
                found.into_iter().for_each(|deployed| deployed.at = At::Nothing);
                self.lose(&key, chained);
            }
        }
    }

    /// Samples in a chain come to nothing, as what they were handed to does not run, or is not there any more.
    pub(super) fn lose(&mut self, key: &Key, samples: u32) {
        self.lost.push((key.clone(), samples));
    }

    /// Has a slot be the next one of a deployment, if it can have it. One that is still at an earlier slot leaves it out.
    fn queue(&mut self, key: &Key, at: Moment, run: Run, input: Input) -> bool {
        let Some(deployed) = self.deployed.get_mut(key) else { return false };
        if deployed.turn_to(at, run, input) {
            self.queued.insert(key.clone());
            return true;
        }
        deployed.skipped += 1;
        if deployed.skipped == 1 {
            let (tenant, module) = (&*deployed.tenant, key.name.as_str());
            tracing::warn!(tenant, module, "A module is slower than its interval, and leaves out slots.");
        }
        false
    }

    /// A deployment does not begin with a slot that was next for it.
    fn pass_over(&mut self, key: &Key, number: u64, read: u64, chain: Option<Chained>) {
        self.wait_no_more(key, number, read);
        self.lose(key, chain.map_or(0, |chain| chain.taken));
    }

    /// Has nobody wait for what a deployment gives in a slot.
    fn wait_no_more(&mut self, key: &Key, number: u64, read: u64) {
        let waited = (key.clone(), number);
        for key in &self.queued {
            let next = self.deployed.get_mut(key).into_iter().flat_map(|deployed| &mut deployed.next);
            for next in next.filter(|next| next.at.monotonic == read) {
                next.waits.remove(&waited);
            }
        }
    }

    /// Hands on what landed of a slot to transformers that wait for it.
    fn hand_on(
        &mut self,
        at: Moment,
        gave: &[(Key, u64, Range<usize>)],
        samples: &[Samples],
        first: u32,
        declared: &[Resource],
    ) {
        let is_done = |waited: &(Key, u64)| gave.iter().any(|(key, number, _)| (key, number) == (&waited.0, &waited.1));
        for theirs in &self.queued {
            let next = self.deployed.get_mut(theirs).into_iter().flat_map(|deployed| &mut deployed.next);
            for next in next.filter(|next| next.at == at && !next.waits.is_empty()) {
                let own = gave.iter().filter(|(key, ..)| key.tenant == theirs.tenant);
                let own = own.flat_map(|(.., range)| samples.get(range.clone()).unwrap_or_default());
                let own: Vec<&Samples> = own.filter(|samples| next.takes(&samples.meter.name)).collect();
                if let Input::Given(given) = &mut next.input
                    && !own.is_empty()
                {
                    given.take(own.into_iter(), first, declared);
                }
                next.waits.retain(|waited| !is_done(waited));
            }
        }
    }

    /// What is done of the oldest slot of which anything is: of pollsters all, of transformers one, as each has
    /// resources of its own.
    fn take(&mut self) -> Vec<Answer> {
        let Some(oldest) = self.waiting.iter().map(|answer| answer.at.monotonic).min() else {
            return Vec::new();
        };
        let is_oldest = |answer: &Answer| answer.at.monotonic == oldest;
        let pollsters = self.waiting.iter().any(|answer| is_oldest(answer) && !answer.converts);
        let mut one = !pollsters;
        let taken = |answer: &mut Answer| is_oldest(answer) && (!answer.converts || std::mem::take(&mut one));
        self.waiting.extract_if(.., taken).collect()
    }
}
