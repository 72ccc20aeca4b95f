//! Tenants' modules. They run beside the operator's, in turns, on what was read in the same slot; what they give lands
//! when it is there, and nobody waits for it.

mod deployed;
mod slot;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::{self, JoinError, JoinSet};

pub use self::deployed::Deployed;
use self::slot::Answer;
use super::report::ModuleReport;
use crate::contract::Wanted;
use crate::discovery::resource::Ident;
use crate::modules::deploying::Prepared;
use crate::modules::deployment::Key;
use crate::modules::life::{Change, Rules, Run, StateId};
use crate::pipeline::Slot;
use crate::sandbox::Names;
use crate::sandbox::host::state::State;
use crate::sandbox::turns::{Closed, Gate};

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

    /// Those that are due and may run, and what of them runs.
    pub fn due(&self, intervals: &[u64], now: i64) -> Vec<(Key, Run)> {
        let due = self.deployed.iter().filter(|(_, deployed)| intervals.contains(&deployed.source.interval.as_secs()));
        let runs = due.map(|(key, deployed)| (key.clone(), deployed.deployment.plan(&self.rules, now)));
        runs.filter(|(_, run)| !matches!(run, Run::Nothing(_))).collect()
    }

    /// What those read, and of whose guests.
    pub fn reads(&self, due: &[(Key, Run)]) -> Vec<(Vec<Wanted>, Arc<BTreeSet<String>>)> {
        let deployed = due.iter().filter_map(|(key, _)| self.deployed.get(key));
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
