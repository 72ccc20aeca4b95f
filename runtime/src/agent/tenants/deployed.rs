//! A deployment with all that it takes to run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::modules::deploying::Ready;
use crate::modules::deployment::{Deployment, Refused, Version};
use crate::modules::life::{Change, StateId};
use crate::sandbox::Names;
use crate::sandbox::host::state::State;

/// The version of the host, with which a module may work that did not with another one.
pub const HOST: &str = env!("CARGO_PKG_VERSION");

/// A deployment with all that it takes to run.
#[derive(Debug)]
pub struct Deployed {
    /// Its versions, and which of them run.
    pub deployment: Deployment,
    /// The projects whose guests are its tenant's.
    pub projects: Arc<BTreeSet<String>>,
    /// Its versions that run, by number.
    pub ready: BTreeMap<u64, Arc<Ready>>,
    /// Why its current version cannot run, if it cannot.
    pub broken: Option<String>,
    /// What it may call its meters.
    pub names: Arc<Names>,
    /// What it remembers.
    pub states: BTreeMap<StateId, Arc<State>>,
    /// What it remembered after the last slot that was kept.
    pub(super) kept: BTreeMap<StateId, Arc<State>>,
    /// Whose it is.
    pub(super) tenant: Arc<str>,
    /// What no other module of any tenant is called.
    pub(super) owner: Arc<str>,
    /// Which one of its name it is: answers of one that is gone are not its own.
    pub(super) number: u64,
    /// How many calls its tenant may make at once.
    pub(super) calls: Arc<Semaphore>,
    /// Whether it is at a slot.
    pub(super) busy: bool,
    /// Slots that it did not get to because it was at one.
    pub(super) skipped: u64,
}

/// What a new deployment shares with those that there are.
#[derive(Debug)]
pub(super) struct Place {
    pub projects: Arc<BTreeSet<String>>,
    pub reserved: Arc<Names>,
    pub number: u64,
    pub calls: Arc<Semaphore>,
}

// === impl Deployed ===

impl Deployed {
    /// A deployment, with those of its versions that can run.
    pub(super) fn of(
        deployment: Deployment,
        ready: BTreeMap<u64, Arc<Ready>>,
        broken: Option<String>,
        place: Place,
    ) -> Self {
        let Place { projects, reserved, number, calls } = place;
        let states: BTreeMap<_, Arc<State>> = deployment.life.states().map(|id| (id, Arc::default())).collect();
        let (tenant, owner) = (deployment.key.tenant.as_str().into(), deployment.key.to_string().into());
        let mut deployed = Self {
            projects,
            ready,
            broken,
            names: Arc::new(Names::granted(reserved, &[])),
            kept: states.clone(),
            states,
            tenant,
            owner,
            number,
            calls,
            busy: false,
            skipped: 0,
            deployment,
        };
        deployed.tidy();
        deployed
    }

    /// The deployment as it is once this version is to run, if that makes a difference: it is on trial, or what runs
    /// goes on without another one that is.
    pub fn followed(&self, version: &Version) -> Option<Result<(Deployment, Vec<Change>), Refused>> {
        let Self { deployment, .. } = self;
        let is_like = |running: Option<&Arc<Version>>| running.is_some_and(|running| running.is_like(version));
        if self.is_broken() || !(is_like(deployment.current()) || is_like(deployment.on_trial())) {
            // What is written did not change, whatever was done with it since: it failed its trial, or was left.
            let mut written = deployment.versions.iter().rev().filter(|version| version.file.is_some());
            let is_known = version.file.is_some() && is_like(written.next());
            return (!is_known || self.is_broken()).then(|| deployment.deployed(version.clone()));
        }
        let goes_back = is_like(deployment.current()) && deployment.on_trial().is_some();
        goes_back.then(|| deployment.rolled_back())
    }

    /// Goes on as this, with a version that was prepared for it if it has another one. States that begin as copies are
    /// copied.
    pub(super) fn go_on(&mut self, next: Deployment, changes: &[Change], ready: Option<Arc<Ready>>) {
        self.deployment = next;
        for change in changes {
            let (instance, from) = match change {
                Change::TrialBegun { trial, copy_of } => (trial, *copy_of),
                Change::RolledBack { current, before } => (current, before.state),
                _ => continue,
            };
            for states in [&mut self.states, &mut self.kept] {
                let state = states.get(&from).cloned().unwrap_or_default();
                states.insert(instance.state, state);
            }
            if let Some(ready) = &ready {
                self.ready.insert(instance.version, Arc::clone(ready));
            }
        }
        self.tidy();
    }

    /// Lets go of states and modules that nothing runs on any more.
    pub(super) fn tidy(&mut self) {
        let states: Vec<StateId> = self.deployment.life.states().collect();
        let versions: Vec<u64> = self.deployment.running().map(|version| version.number).collect();
        self.states.retain(|id, _| states.contains(id));
        self.kept.retain(|id, _| states.contains(id));
        let granted: Vec<String> = self.deployment.running().flat_map(|v| v.grants.names.clone()).collect();
        Arc::make_mut(&mut self.names).grant(&granted);
        self.ready.retain(|number, _| versions.contains(number));
        if !self.ready.is_empty() {
            self.broken = None;
        }
    }

    /// Slots that it did not get to because it was at one.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// What its current version remembers.
    pub fn state(&self) -> Option<Arc<State>> {
        self.states.get(&self.deployment.life.current().state).cloned()
    }

    /// Seconds from slot to slot: those of what is on trial, else of what is current. None if it cannot run.
    pub fn interval(&self) -> Option<u64> {
        let running = self.deployment.on_trial().or(self.deployment.current())?;
        (!self.is_broken()).then_some(running.interval)
    }

    /// Whether its current version cannot run.
    pub fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// The operator's file that it is written in, if it is in one.
    pub fn file(&self) -> Option<&str> {
        self.deployment.file.as_deref()
    }

    /// Its name and its tenant's.
    pub fn named(&self) -> (Arc<str>, Arc<str>) {
        (self.deployment.key.name.as_str().into(), Arc::clone(&self.tenant))
    }

    /// Has it remember what it did in an earlier run. What nothing is known of, such as a version that was put on trial
    /// when the daemon ended, begins with what it was to begin with: with a copy. Where only the copy is known, its trial
    /// had passed.
    pub(super) fn remember(&mut self, of: impl Fn(&str) -> Option<Arc<State>>) {
        let life = &self.deployment.life;
        let trial = life.trial().map(|trial| trial.instance.state);
        let known = |id: StateId| {
            let state = std::iter::once(id).chain(life.origins(id)).chain(trial).find_map(|id| of(&self.work(id)));
            (id, state.unwrap_or_default())
        };
        self.states = life.states().map(known).collect();
    }

    /// Under what a state is kept. Numbers of states are never given twice.
    pub(super) fn work(&self, id: StateId) -> String {
        format!("{}\0{}", self.owner, id.0)
    }
}
