//! Tenants' modules. They run beside the operator's, in turns, on what was read in the same slot; what they give lands
//! when it is there, and nobody waits for it.

mod deployed;
mod slot;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::{self, JoinError, JoinSet};

use self::deployed::Place;
pub use self::deployed::{Deployed, HOST};
use self::slot::Answer;
use super::Restored;
use super::report::ModuleReport;
use crate::config::daemon as config;
use crate::contract::Wanted;
use crate::discovery::resource::Ident;
use crate::modules::audit::Who;
use crate::modules::deploying::{Prepared, Ready};
use crate::modules::deployment::{Deployment, Key};
use crate::modules::life::{Change, Rules, Run};
use crate::pipeline::Slot;
use crate::sandbox::Names;
use crate::sandbox::host::state::State;
use crate::sandbox::turns::{Closed, Gate};

/// All tenants' modules.
#[derive(Debug)]
pub struct Tenants {
    gate: Arc<Gate>,
    /// How versions pass trials and come into quarantine.
    pub rules: Rules,
    deployed: BTreeMap<Key, Deployed>,
    running: JoinSet<Answer>,
    /// Whose tasks they are, and when what they are about was read.
    tasks: HashMap<task::Id, (Key, u64, u64)>,
    /// What somebody has not landed yet.
    waiting: Vec<Answer>,
    /// How many deployments there were. Answers to one that is gone are not another's of its name.
    deployments: u64,
    /// Resources that were forgotten while something was under way, and when.
    gone: Vec<(u64, Ident)>,
    /// What those remembered that were removed since the last slot that was kept: nothing any more.
    forgotten: BTreeMap<String, Arc<State>>,
    /// Those that differ from what is kept of them.
    pub unsaved: BTreeSet<Key>,
    /// What became of deployments, by whom, and is not in the audit log yet.
    pub happened: Vec<(Key, Who, String)>,
}

/// What holds for all deployments.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// Who the tenants are.
    pub tenants: &'a config::Tenants,
    /// The operator's names.
    pub reserved: &'a Arc<Names>,
    /// In nanoseconds since 1970.
    pub now: i64,
}

/// Calls of one tenant at once. More would keep instances from others while they wait for their turns.
const CALLS: usize = 2;

/// What landed.
#[derive(Debug)]
pub struct Landing {
    /// Samples of one slot.
    pub slot: Slot,
    /// What each module did.
    pub reports: Vec<ModuleReport>,
    /// What became of deployments by it, and what failed last.
    pub changes: Vec<(Key, Vec<Change>, Option<String>)>,
}

/// Says what became of a deployment, a line for each change.
pub fn say(key: &Key, changes: &[Change], why: Option<&str>) {
    for change in changes {
        if let (Change::Quarantined { .. } | Change::TrialGivenUp { .. }, Some(why)) = (change, why) {
            let (tenant, deployment) = (key.tenant.as_str(), key.name.as_str());
            tracing::warn!(tenant, deployment, why, "Deployment: {change}.");
            continue;
        }
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
            forgotten: BTreeMap::new(),
            unsaved: BTreeSet::new(),
            happened: Vec::new(),
        }
    }

    /// Has these run, which were kept when the daemon ended.
    pub fn restore(&mut self, kept: Vec<Restored>, around: &Around<'_>) {
        for (deployment, ready, broken) in kept {
            let (on_host, changes) = deployment.on_host(HOST);
            let key = on_host.key.clone();
            let place = self.place(&key, around);
            self.deployed.insert(key.clone(), Deployed::of(on_host, ready, broken, place));
            if !changes.is_empty() {
                say(&key, &changes, None);
                self.unsaved.insert(key);
            }
        }
    }

    /// Has what is written run, and nothing that was written before and is not any more. What is another version of one
    /// that runs is on trial beside it. What is written in these files and cannot be loaded goes on as it was.
    pub fn follow(&mut self, written: Vec<Prepared>, failed: &BTreeSet<String>, around: &Around<'_>) {
        let found: BTreeSet<Key> = written.iter().map(|prepared| prepared.key.clone()).collect();
        let is_gone = |key: &Key, deployed: &Deployed| {
            !found.contains(key) && deployed.file().is_some_and(|file| !failed.contains(file))
        };
        let gone: Vec<Key> =
            self.deployed.iter().filter(|(key, deployed)| is_gone(key, deployed)).map(|(key, _)| key.clone()).collect();
        for key in gone {
            tracing::info!(tenant = key.tenant.as_str(), deployment = key.name.as_str(), "Deployment: it is removed.");
            self.remove(&key);
            self.happened.push((key.clone(), Who::File, "remove".to_owned()));
            self.unsaved.insert(key);
        }
        for deployed in self.deployed.values_mut() {
            Arc::make_mut(&mut deployed.names).reserve(around.reserved);
            deployed.projects = Arc::new(around.tenants.projects_of(&deployed.deployment.key.tenant));
        }
        for prepared in written {
            let key = prepared.key.clone();
            let Some(deployed) = self.deployed.get(&key) else {
                tracing::info!(tenant = key.tenant.as_str(), deployment = key.name.as_str(), "Deployment: it is new.");
                let new = Deployment::new(key.clone(), prepared.version, HOST, around.now);
                self.add(new, prepared.ready, around);
                self.happened.push((key.clone(), Who::File, "deploy".to_owned()));
                self.unsaved.insert(key);
                continue;
            };
            let (next, changes) = match deployed.followed(&prepared.version) {
                Some(Ok(followed)) => followed,
                Some(Err(error)) => {
                    tracing::error!(%error, "A deployment stays as it is.");
                    continue;
                }
                None => (deployed.deployment.clone(), Vec::new()),
            };
            // From now on it is this file's, whoever deployed it.
            let next = Deployment { file: prepared.version.file, ..next };
            if next == deployed.deployment {
                continue;
            }
            if !changes.is_empty() {
                say(&key, &changes, None);
                self.happened.push((key.clone(), Who::File, "deploy".to_owned()));
            }
            self.go_on(&key, next, &changes, Some(prepared.ready));
            self.unsaved.insert(key);
        }
    }

    /// Has one run that there was not.
    pub fn add(&mut self, new: Deployment, ready: Arc<Ready>, around: &Around<'_>) {
        let key = new.key.clone();
        let place = self.place(&key, around);
        let ready = BTreeMap::from([(new.life.current().version, ready)]);
        self.deployed.insert(key, Deployed::of(new, ready, None, place));
    }

    /// Has one go on as this.
    pub fn go_on(&mut self, key: &Key, next: Deployment, changes: &[Change], ready: Option<Arc<Ready>>) {
        if let Some(deployed) = self.deployed.get_mut(key) {
            deployed.go_on(next, changes, ready);
        }
    }

    /// Has one run no more. What it is at does not land, and what it remembers is forgotten.
    pub fn remove(&mut self, key: &Key) -> Option<Deployed> {
        let removed = self.deployed.remove(key)?;
        self.forgotten.extend(removed.states.keys().map(|id| (removed.work(*id), Arc::default())));
        Some(removed)
    }

    fn place(&mut self, key: &Key, around: &Around<'_>) -> Place {
        let tenant = key.tenant.as_str();
        self.deployments += 1;
        let others = self.deployed.values().find(|other| *other.tenant == *tenant);
        Place {
            projects: Arc::new(around.tenants.projects_of(&key.tenant)),
            reserved: Arc::clone(around.reserved),
            number: self.deployments,
            calls: others.map_or_else(|| Arc::new(Semaphore::new(CALLS)), |other| Arc::clone(&other.calls)),
        }
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
        let is_due = |deployed: &Deployed| deployed.interval().is_some_and(|interval| intervals.contains(&interval));
        let due = self.deployed.iter().filter(|(_, deployed)| is_due(deployed));
        let runs = due.map(|(key, deployed)| (key.clone(), deployed.deployment.plan(&self.rules, now)));
        runs.filter(|(_, run)| !matches!(run, Run::Nothing(_))).collect()
    }

    /// What those read, and of whose guests.
    pub fn reads(&self, due: &[(Key, Run)]) -> Vec<(Vec<Wanted>, Arc<BTreeSet<String>>)> {
        let deployed = due.iter().filter_map(|(key, _)| self.deployed.get(key));
        let reads = |deployed: &Deployed| {
            deployed.ready.values().flat_map(|ready| ready.module.description.reads.clone()).collect()
        };
        deployed.map(|deployed| (reads(deployed), Arc::clone(&deployed.projects))).collect()
    }

    /// Whether anything is under way.
    pub fn are_busy(&self) -> bool {
        !self.running.is_empty() || !self.waiting.is_empty()
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
        self.deployed.values_mut().for_each(|deployed| deployed.kept = deployed.states.clone());
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

    /// Lets go of forgotten resources that nothing under way knew: their numbers may be others' by the next slot.
    fn let_go(&mut self) {
        let running = self.tasks.values().map(|(.., read)| *read);
        let oldest = running.chain(self.waiting.iter().map(|answer| answer.snapshot.at.monotonic)).min();
        self.gone.retain(|(at, _)| oldest.is_some_and(|oldest| *at > oldest));
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
                let found = lost.and_then(|(key, number, _)| {
                    self.deployed.get_mut(&key).filter(|deployed| deployed.number == number)
                });
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
