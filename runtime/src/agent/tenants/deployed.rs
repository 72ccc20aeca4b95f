//! A deployment with all that it takes to run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::config::polling::Source;
use crate::modules::deploying::Prepared;
use crate::modules::deployment::Deployment;
use crate::modules::life::{Change, StateId};
use crate::sandbox::host::state::State;
use crate::sandbox::{Module, Names};

/// The version of the host, with which a module may work that did not with another one.
const HOST: &str = env!("CARGO_PKG_VERSION");

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
    pub(super) kept: BTreeMap<StateId, Arc<State>>,
    /// Where it is written.
    pub(super) written: PathBuf,
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

// === impl Deployed ===

impl Deployed {
    /// What runs for the first time.
    pub(super) fn new(prepared: Prepared, reserved: &Arc<Names>, number: u64, calls: Arc<Semaphore>) -> Self {
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
    pub(super) fn follow(&mut self, prepared: Prepared, reserved: &Arc<Names>) -> Vec<Change> {
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
    pub(super) fn tidy(&mut self) {
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
    pub(super) fn work(&self, id: StateId) -> String {
        let is_current = id == self.deployment.life.current().state;
        if is_current { self.owner.to_string() } else { format!("{}\0trial", self.owner) }
    }
}
