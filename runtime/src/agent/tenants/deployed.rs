//! A deployment with all that it takes to run.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use super::answer::Unawaited;
use super::next::{Input, Next};
use crate::agent::reloading::Verdict;
use crate::clock::Moment;
use crate::config::MeterFilter;
use crate::modules::deploying::{Fault, Ready, Refused};
use crate::modules::deployment::{self, Deployment, Version};
use crate::modules::life::{Change, Run, StateId};
use crate::sandbox::Names;
use crate::sandbox::host::Gives;
use crate::sandbox::host::state::State;
use crate::sandbox::ledger::Sure;

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
    /// What versions that run need to be made ready again and is missing: they go on until something else ends them.
    pub(super) lacking: BTreeMap<u64, String>,
    /// Names that its versions gave their meters, beside the operator's.
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
    /// What it is at.
    pub(super) at: At,
    /// Slots that it begins with next, oldest first.
    pub(super) next: VecDeque<Next>,
    /// Slots that it did not get to because it was at one.
    pub(super) skipped: u64,
    /// Whether it needs more than fits.
    pub(super) exceeds: bool,
    /// Its versions of which what they read costs more than its tenant has.
    pub(super) unpaid: BTreeSet<u64>,
    /// Whether what its file says now cannot run, so that it goes on as it was.
    pub(super) outdated: bool,
    /// What it has for sure of an interval's fuel.
    pub(super) sure: Sure,
    /// Samples that it was last handed, if it is a transformer.
    pub(super) entries: u32,
    /// What its versions said that they give, by their inputs, if it is a transformer.
    pub(super) described: BTreeMap<u64, Arc<Described>>,
}

/// What a deployment needs more of than its tenant has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Short {
    /// What it reads cannot be paid for. It leaves out slots until there is enough.
    Reads,
    /// It needs more fuel than fits, and runs on what others leave.
    Fuel,
}

/// What a deployment is at.
#[derive(Debug)]
pub(super) enum At {
    Nothing,
    /// A slot that leaves no time for another one: slots that come meanwhile are left out.
    Slot,
    /// A slot of this moment in which a version is on trial, or only tried out, which is told here that nobody waits.
    Trial(Moment, bool, watch::Sender<Option<Unawaited>>),
}

/// Slots that wait at most: of one that waits for a pollster of its tenant's, as many as that is at or to begin with while
/// a version of it is tried out.
const WAITING: usize = 3;

/// What a transformer said that it gives, by its inputs.
pub(crate) type Described = HashMap<Vec<String>, Arc<Gives>>;

/// Why it cannot run after a version was given up that would have taken the place of one that cannot.
const NO_VERSION: &str = "the version that is left cannot run; deploy another one";

/// Sets of inputs of which is kept what a transformer makes of them.
const MOST_DESCRIBED: usize = 64;

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
    pub(super) fn of(deployment: Deployment, ready: BTreeMap<u64, Arc<Ready>>, place: Place) -> Self {
        let Place { projects, reserved, number, calls } = place;
        let states: BTreeMap<_, Arc<State>> = deployment.life.states().map(|id| (id, Arc::default())).collect();
        let (tenant, owner) = (deployment.key.tenant.shared(), deployment.key.to_string().into());
        let mut deployed = Self {
            projects,
            ready,
            broken: None,
            lacking: BTreeMap::new(),
            names: Arc::new(Names::beside(&reserved)),
            kept: states.clone(),
            states,
            tenant,
            owner,
            number,
            calls,
            at: At::Nothing,
            next: VecDeque::new(),
            skipped: 0,
            exceeds: false,
            unpaid: BTreeSet::new(),
            outdated: false,
            sure: Sure::default(),
            entries: 0,
            described: BTreeMap::new(),
            deployment,
        };
        deployed.tidy();
        deployed
    }

    /// The deployment as it is once this version is to run, if that makes a difference: it is on trial, or is tried out
    /// for one, or what runs goes on without another one that is.
    pub fn followed(&self, version: &Version) -> Option<Result<(Deployment, Vec<Change>), deployment::Refused>> {
        let Self { deployment, .. } = self;
        // What is missing of one that runs may come with the same once more.
        let is_whole = |known: &Arc<Version>| !self.lacking.contains_key(&known.number);
        let is = |known: Option<&Arc<Version>>| known.is_some_and(|known| known.is_like(version) && is_whole(known));
        if self.is_broken() {
            return Some(deployment.mended(version.clone()));
        }
        // What is written did not change, whatever was done with it since: it failed its trial, or was left. But that
        // it could not run is over by now.
        let written = deployment.written().filter(|written| !deployment.life.was_refused(written.number));
        if version.file.is_some() && is(written) {
            return None;
        }
        match (is(deployment.current()), is(deployment.on_trial())) {
            (true, _) => deployment.on_trial().map(|_| deployment.rolled_back()),
            (false, true) => None,
            (false, false) => Some(deployment.deployed(version.clone())),
        }
    }

    /// Goes on as this, with a version that was prepared for it if it has another one. States that begin as copies are
    /// copied.
    pub(super) fn go_on(&mut self, next: Deployment, changes: &[Change], ready: Option<Arc<Ready>>) {
        self.deployment = next;
        self.copy_states(changes);
        for change in changes {
            let (Change::DryRunBegun { tried: new, .. }
            | Change::TrialBegun { trial: new, .. }
            | Change::RolledBack { current: new, .. }) = change
            else {
                continue;
            };
            if let Some(ready) = &ready {
                self.ready.insert(new.version, Arc::clone(ready));
            }
        }
        self.tidy();
    }

    /// Has versions that run be as they were made ready just now, and gives back those that cannot run. What runs needs
    /// nothing that is missing just now; that is remembered, as it would not run after a restart.
    pub(super) fn hold_to(&mut self, verdicts: Vec<Verdict>) -> Vec<(u64, Refused)> {
        let (key, mut refused) = (&self.deployment.key, Vec::new());
        self.lacking.clear();
        let runs = |number: u64| self.deployment.running().any(|version| version.number == number);
        for (version, verdict) in verdicts.into_iter().filter(|(version, _)| runs(*version)) {
            match verdict {
                Ok(ready) => drop(self.ready.insert(version, ready)),
                Err(why) if why.fault == Fault::Missing && self.ready.contains_key(&version) => {
                    tracing::error!(%key, version, %why, remedy = why.remedy, "A deployment goes on as it was.");
                    self.lacking.insert(version, why.to_string());
                }
                Err(why) => {
                    tracing::error!(%key, version, %why, remedy = why.remedy, "A version of a deployment cannot run.");
                    self.ready.remove(&version);
                    refused.push((version, why));
                }
            }
        }
        let current = self.deployment.life.current().version;
        if let Some((_, why)) = refused.iter().find(|(version, _)| *version == current) {
            self.broken = Some(why.to_string());
        }
        self.tidy();
        refused
    }

    /// Copies states that begin as copies by these changes.
    pub(super) fn copy_states(&mut self, changes: &[Change]) {
        for change in changes {
            let (instance, from) = match change {
                Change::DryRunPassed { trial, copy_of } | Change::TrialBegun { trial, copy_of } => (trial, *copy_of),
                Change::RolledBack { current, before } => (current, before.state),
                _ => continue,
            };
            for states in [&mut self.states, &mut self.kept] {
                let state = states.get(&from).cloned().unwrap_or_default();
                states.insert(instance.state, state);
            }
        }
    }

    /// Lets go of states and modules that nothing runs on any more.
    pub(super) fn tidy(&mut self) {
        let states: Vec<StateId> = self.deployment.life.states().collect();
        let versions: Vec<u64> = self.deployment.running().map(|version| version.number).collect();
        self.states.retain(|id, _| states.contains(id));
        self.kept.retain(|id, _| states.contains(id));
        self.ready.retain(|number, _| versions.contains(number));
        self.described.retain(|number, _| versions.contains(number));
        self.unpaid.retain(|number| versions.contains(number));
        self.lacking.retain(|number, _| versions.contains(number));
        match self.ready.is_empty() {
            true => drop(self.broken.get_or_insert_with(|| NO_VERSION.to_owned())),
            false => self.broken = None,
        }
    }

    /// Whether it can have a slot that comes now, be it after the one that it is at.
    pub(super) fn has_time(&self) -> bool {
        self.next.len() < WAITING && !matches!(self.at, At::Slot)
    }

    /// Has a slot be the next one, if it can have it. A version on trial that is still at an earlier one is too slow: it is
    /// not waited for.
    pub(super) fn turn_to(&mut self, at: Moment, run: Run, input: Input) -> bool {
        if let At::Trial(before, is_dry, unawaited) = &self.at
            && before.monotonic < at.monotonic
            // Beside the current version, what is only tried out has the time of two slots: none of them is lost.
            && (!is_dry || !self.next.is_empty())
        {
            unawaited.send_modify(|why| *why = why.or(Some(Unawaited::NextSlot)));
        }
        let has_time = self.has_time();
        if has_time {
            let follows = !matches!(self.at, At::Nothing) || !self.next.is_empty();
            let (ready, states) = (self.ready.clone(), self.states.clone());
            self.next.push_back(Next { at, input, waits: BTreeSet::new(), run, ready, states, follows });
        }
        has_time
    }

    /// Whether there is a version that can run in the place of one on trial.
    pub(super) fn can_fall_back(&self) -> bool {
        self.ready.contains_key(&self.deployment.life.current().version)
    }

    /// Waits no longer for a version that is on trial or tried out, as the daemon ends.
    pub(super) fn end_trial(&self) {
        if let At::Trial(_, _, unawaited) = &self.at
            && self.can_fall_back()
        {
            unawaited.send_modify(|why| *why = why.or(Some(Unawaited::End)));
        }
    }

    /// Whether it may begin with what is next.
    pub(super) fn may_begin(&self) -> bool {
        matches!(self.at, At::Nothing) && self.next.front().is_some_and(|next| next.waits.is_empty())
    }

    /// Whether it is a pollster that can run.
    pub(super) fn measures(&self) -> bool {
        !self.ready.is_empty() && !self.converts()
    }

    /// Whether it is at no slot and none waits.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.at, At::Nothing) && self.next.is_empty()
    }

    /// Refuses a module of another kind than what runs of it, which could not stand in for it.
    pub fn is_of_one_kind_with(&self, ready: &Ready) -> Result<(), deployment::Refused> {
        let kind = if self.converts() { "transformer" } else { "pollster" };
        let differs = !self.ready.is_empty() && self.converts() != ready.converts();
        if differs { Err(deployment::Refused::AnotherKind(self.deployment.key.clone(), kind)) } else { Ok(()) }
    }

    /// Whether it is a transformer.
    pub(super) fn converts(&self) -> bool {
        self.ready.values().any(|ready| ready.converts())
    }

    /// Whether a transformer is for samples of a meter, whichever version of it runs.
    pub(super) fn takes(&self, meter: &str) -> bool {
        self.ready.values().any(|ready| ready.source.meters.matches(meter))
    }

    /// The meters that what runs next is for, if it can run: what is on trial, else what is current.
    pub(super) fn meters(&self) -> Option<&MeterFilter> {
        let running = self.deployment.leading()?;
        Some(&self.ready.get(&running.number)?.source.meters)
    }

    /// The meters that a version is for that is tried out.
    pub(super) fn tried_meters(&self) -> Option<&MeterFilter> {
        let tried = self.deployment.life.trial().filter(|trial| trial.dry)?;
        Some(&self.ready.get(&tried.instance.version)?.source.meters)
    }

    /// Keeps what a version said of these inputs.
    pub(super) fn described(&mut self, version: u64, inputs: Vec<String>, gives: Arc<Gives>) {
        let described = self.described.entry(version).or_default();
        if described.contains_key(&inputs) {
            return;
        }
        let described = Arc::make_mut(described);
        // Inputs change when guests or devices come and go; a few sets of them go round.
        if described.len() >= MOST_DESCRIBED {
            described.clear();
        }
        described.insert(inputs, gives);
    }

    /// Fuel that a version of it may use for so many resources, if it runs.
    pub fn fuel(&self, version: u64, resources: u32) -> Option<u64> {
        Some(self.ready.get(&version)?.module.limits.fuel(resources))
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
        let running = self.deployment.leading()?;
        (!self.is_broken()).then_some(running.interval)
    }

    /// Whether a slot of these intervals is one of its own.
    pub(super) fn is_due(&self, intervals: &[u64]) -> bool {
        self.interval().is_some_and(|interval| intervals.contains(&interval))
    }

    /// Whether its current version cannot run.
    pub fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// What it needs more of than its tenant has, if anything.
    pub fn short(&self) -> Option<Short> {
        if !self.ready.is_empty() && self.ready.keys().all(|version| self.unpaid.contains(version)) {
            return Some(Short::Reads);
        }
        self.exceeds.then_some(Short::Fuel)
    }

    /// Whether what its file says now cannot run, so that it goes on as it was.
    pub fn is_outdated(&self) -> bool {
        self.outdated
    }

    /// What it lacks to run again after a restart, if anything.
    pub fn lacks(&self) -> Option<&String> {
        self.lacking.values().next()
    }

    /// The operator's file that it is written in, if it is in one.
    pub fn file(&self) -> Option<&str> {
        self.deployment.file.as_deref()
    }

    /// Its name and its tenant's.
    pub fn named(&self) -> (Arc<str>, Arc<str>) {
        (self.deployment.key.name.shared(), Arc::clone(&self.tenant))
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
