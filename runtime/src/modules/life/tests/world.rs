//! A host that does what it is told, with states that remember who wrote them.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::modules::deployment::tests::{first, key, version, written};

/// A host with one deployment.
pub struct World {
    pub it: Deployment,
    /// As it is on the disk.
    pub saved: Deployment,
    pub saves: u32,
    pub rules: Rules,
    pub now: i64,
    /// The states that there are, each with the states of those who wrote it.
    pub states: BTreeMap<StateId, Vec<StateId>>,
    /// Who was given up.
    pub given_up: BTreeSet<StateId>,
    pub log: Vec<Change>,
}

/// What happened in a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    pub run: Run,
    /// Whose samples landed.
    pub landed: Vec<Instance>,
}

// === impl World ===

impl World {
    pub fn new(rules: Rules) -> Self {
        let it = first(key("t", "n"), b"module");
        let states = it.life.states().map(|state| (state, Vec::new())).collect();
        let (saved, given_up, log) = (it.clone(), BTreeSet::new(), Vec::new());
        Self { it, saved, saves: 0, rules, now: 0, states, given_up, log }
    }

    /// A slot in which these are the outcomes of whatever runs, and in which something else happens meanwhile.
    pub fn slot(&mut self, trial: Outcome, current: Outcome, meanwhile: impl FnOnce(&mut Self)) -> Slot {
        let run = self.it.plan(&self.rules, self.now);
        let mut ran = Ran::default();
        let mut landed = Vec::new();
        match &run {
            Run::Nothing(_) => {}
            Run::Current(instance) => ran.current = Some((instance.state, current)),
            Run::DryRun { tried, current: instance } => {
                ran.trial = Some((tried.state, trial));
                ran.current = Some((instance.state, current));
            }
            Run::Trial { trial: instance, current: before, .. } => {
                ran.trial = Some((instance.state, trial));
                if run.falls_back(trial) {
                    ran.current = Some((before.state, current));
                } else if trial.landed() {
                    landed.push(*instance);
                }
            }
        }
        if let (
            Some((_, outcome)),
            Run::Current(instance) | Run::DryRun { current: instance, .. } | Run::Trial { current: instance, .. },
        ) = (ran.current, &run)
            && outcome.landed()
        {
            landed.push(*instance);
        }
        meanwhile(self);
        // What was dropped meanwhile cannot be written any more.
        for instance in &landed {
            if let Some(state) = self.states.get_mut(&instance.state) {
                state.push(instance.state);
            }
        }
        self.land(&ran);
        Slot { run, landed }
    }

    /// Goes on as it follows from how a slot went.
    pub fn land(&mut self, ran: &Ran) {
        let mut next = self.it.clone();
        let (changes, is_worth_saving) = next.land(ran, &self.rules, self.now);
        assert_eq!(is_worth_saving, next.is_worth_saving(&self.it));
        self.keep((next, changes));
    }

    /// Does what changes ask for, and keeps it.
    pub fn keep(&mut self, (next, changes): (Deployment, Vec<Change>)) {
        self.it = next;
        if self.it.is_worth_saving(&self.saved) {
            (self.saved, self.saves) = (self.it.clone(), self.saves + 1);
        } else {
            assert_eq!(changes, [], "whatever is told is kept");
        }
        for change in &changes {
            match change {
                Change::DryRunPassed { trial: Instance { state, .. }, copy_of }
                | Change::TrialBegun { trial: Instance { state, .. }, copy_of }
                | Change::RolledBack { current: Instance { state, .. }, before: Instance { state: copy_of, .. } } => {
                    let copy = self.states[copy_of].clone();
                    assert_eq!(self.states.insert(*state, copy), None, "a state's number is given once");
                }
                Change::TrialGivenUp { trial, .. } => {
                    self.given_up.insert(trial.state);
                }
                _ => {}
            }
        }
        self.log.extend(changes);
        let used: BTreeSet<StateId> = self.it.life.states().collect();
        self.states.retain(|state, _| used.contains(state));
        assert_eq!(self.states.keys().copied().collect::<BTreeSet<_>>(), used);
        for (state, writers) in &self.states {
            let foreign = writers.iter().find(|writer| self.given_up.contains(writer));
            assert_eq!(foreign, None, "{state:?} has what a version left that was given up");
        }
    }

    pub fn deploy(&mut self) {
        self.keep(self.it.deployed(version(b"module")).unwrap());
    }

    /// Has a version follow that nobody tried out.
    pub fn write(&mut self) {
        self.keep(self.it.deployed(written(b"module")).unwrap());
    }

    pub fn roll_back(&mut self) {
        self.keep(self.it.rolled_back().unwrap());
    }

    /// With all that was known when it ended.
    pub fn restart(&mut self) {
        let text = serde_json::to_string(&self.it.life).unwrap();
        let life: Life = serde_json::from_str(&text).unwrap();
        assert_eq!(life, self.it.life);
        self.it.life = life;
    }

    /// The number of what is current.
    pub fn current(&self) -> u64 {
        self.it.life.current().version
    }

    /// The number of what is on trial.
    pub fn trial(&self) -> Option<u64> {
        Some(self.it.life.trial()?.instance.version)
    }

    /// The log since somebody looked last.
    pub fn said(&mut self) -> Vec<String> {
        self.log.drain(..).map(|change| change.to_string()).collect()
    }
}
