//! How deployments come, go on as something else, and go: by the operator's files, by orders, and by rules that changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::deployed::Place;
use super::{Around, Deployed, HOST, Happened, Tenants, say};
use crate::agent::Restored;
use crate::agent::reloading::Verdict;
use crate::config::{Config, daemon as config};
use crate::discovery::holdings::{Holding, Holdings};
use crate::modules::budget::Budget;
use crate::modules::deploying::room::Room;
use crate::modules::deploying::terms::Fitting;
use crate::modules::deploying::{Fault, Prepared, Ready, Refused};
use crate::modules::deployment::{Deployment, Key};
use crate::modules::life::Change;
use crate::modules::store::quota;

/// Calls of one tenant at once. More would keep instances from others while they wait for their turns.
const CALLS: usize = 2;

// === impl Tenants ===

impl Tenants {
    /// Has these run, which were kept. What does not fit any more runs as far as others leave it something. What they
    /// have to do shows with the first slot.
    pub fn restore(&mut self, kept: Vec<Restored>, around: &Around<'_>) {
        self.operators.clone_from(around.operators);
        for (deployment, verdicts) in kept {
            // What took its place meanwhile, because a file says so, goes on and is to be kept in its place.
            if self.deployed.contains_key(&deployment.key) {
                self.unsaved.insert(deployment.key);
                continue;
            }
            let (on_host, changes) = deployment.on_host(HOST);
            let key = on_host.key.clone();
            let place = self.place(&key, around);
            self.deployed.insert(key.clone(), Deployed::of(on_host, BTreeMap::new(), place));
            self.hold_to(&key, verdicts);
            if let Some(deployed) = self.deployed.get_mut(&key) {
                deployed.bears(&mut self.admitted, &self.operators, &Holding::default(), 1);
            }
            if !changes.is_empty() {
                say(&key, &changes, None);
                self.unsaved.insert(key);
            }
        }
    }

    /// Has what is written and can run do so, and nothing that was written before and is not any more. What is another
    /// version of one that runs is tried out beside it and then on trial. What is written and cannot run goes on as it
    /// was.
    pub fn follow(&mut self, written: Vec<Prepared>, config: &Config, around: &Around<'_>) {
        self.operators.clone_from(around.operators);
        for key in self.leaving(config) {
            tracing::info!(tenant = key.tenant.as_str(), deployment = key.name.as_str(), "Deployment: it is removed.");
            let removed = self.remove(&key);
            self.happened.extend(removed.map(|removed| Happened::by_file(&removed.deployment, "remove")));
            self.unsaved.insert(key);
        }
        let can_run: BTreeSet<Key> = written.iter().map(|prepared| prepared.key.clone()).collect();
        for (key, deployed) in &mut self.deployed {
            Arc::make_mut(&mut deployed.names).reserve(around.reserved);
            deployed.projects = Arc::new(around.tenants.projects_of(&deployed.deployment.key.tenant));
            deployed.outdated = deployed.file().is_some() && !can_run.contains(key);
        }
        for mut prepared in written {
            prepared.version.deployed_at = around.now;
            let key = prepared.key.clone();
            let Some(deployed) = self.deployed.get(&key) else {
                tracing::info!(tenant = key.tenant.as_str(), deployment = key.name.as_str(), "Deployment: it is new.");
                let new = Deployment::new(key.clone(), prepared.version, HOST, around.now);
                self.happened.push(Happened::by_file(&new, "deploy"));
                self.add(new, prepared.ready, around);
                self.unsaved.insert(key);
                continue;
            };
            let followed = match deployed.is_of_one_kind_with(&prepared.ready) {
                Ok(()) => deployed.followed(&prepared.version),
                Err(refused) => Some(Err(refused)),
            };
            let (next, changes) = match followed {
                Some(Ok(followed)) => followed,
                Some(Err(error)) => {
                    tracing::error!(%error, "A deployment stays as it is.");
                    self.deployed.entry(key).and_modify(|deployed| deployed.outdated = true);
                    continue;
                }
                None => (deployed.deployment.clone(), Vec::new()),
            };
            let next = next.in_file_of(&prepared.version);
            if next == deployed.deployment {
                continue;
            }
            let own = self.deployed.values().map(|own| &own.deployment).filter(|own| own.key.tenant == key.tenant);
            let next = match quota::fit(own, next, &config.tenants.quota_of(&key.tenant)) {
                Ok(next) => next,
                Err(error) => {
                    tracing::error!(%error, "A deployment stays as it is.");
                    continue;
                }
            };
            say(&key, &changes, None);
            if !changes.is_empty() {
                self.happened.push(Happened::by_file(&next, "deploy"));
            } else if next.file != deployed.deployment.file {
                self.happened.push(Happened::by_file(&next, "adopt"));
            }
            self.go_on(&key, next, &changes, Some(prepared.ready));
            self.unsaved.insert(key);
        }
    }

    /// What goes on beside what is to fit, whatever becomes of what is written now.
    pub fn fitting(&self, config: &Config, holdings: Holdings, around: &Around<'_>) -> Fitting {
        let staying = self.staying(config);
        let staying: BTreeSet<(&str, &str)> =
            staying.map(|(key, _)| (key.tenant.as_str(), key.name.as_str())).collect();
        let mut admitted = (*self.admitted).clone().under(Budget::of(config));
        admitted.retain(|tenant, module| staying.contains(&(tenant, module)));
        Fitting::beside(admitted, holdings, config, around.operators.clone())
    }

    /// The room that those leave which go on.
    pub fn room(&self, config: &Config, now: i64) -> Room {
        Room::beside(self.staying(config).map(|(_, deployed)| &deployed.deployment), now)
    }

    /// Those that end with what is written now.
    pub fn leaving(&self, config: &Config) -> Vec<Key> {
        let stay: BTreeSet<&Key> = self.staying(config).map(|(key, _)| key).collect();
        self.deployed.keys().filter(|key| !stay.contains(key)).cloned().collect()
    }

    /// Those that go on, whatever becomes of what is written now.
    fn staying(&self, config: &Config) -> impl Iterator<Item = (&Key, &Deployed)> {
        let config::Deployments { files, unread, .. } = &config.deployments;
        let written = files.iter().map(|deployment| &deployment.key).chain(unread.values().flatten());
        let written: BTreeSet<Key> = written.cloned().collect();
        let unread: BTreeSet<String> =
            unread.keys().map(|path| config::from_anywhere(path).display().to_string()).collect();
        self.deployed.iter().filter(move |(key, deployed)| {
            written.contains(key) || deployed.file().is_none_or(|file| unread.contains(file))
        })
    }

    /// Has one run that there was not.
    pub fn add(&mut self, new: Deployment, ready: Arc<Ready>, around: &Around<'_>) {
        let key = new.key.clone();
        let place = self.place(&key, around);
        let ready = BTreeMap::from([(new.life.current().version, ready)]);
        self.deployed.insert(key, Deployed::of(new, ready, place));
    }

    /// Has one go on as this.
    pub fn go_on(&mut self, key: &Key, next: Deployment, changes: &[Change], ready: Option<Arc<Ready>>) {
        if let Some(deployed) = self.deployed.get_mut(key) {
            deployed.go_on(next, changes, ready);
            self.room = None;
        }
    }

    /// Has versions of one run that may, as they were made ready, and none that may not. A trial of one that may not is
    /// given up, as long as there is a version to go on with.
    pub fn hold_to(&mut self, key: &Key, verdicts: Vec<Verdict>) {
        let Some(deployed) = self.deployed.get_mut(key) else { return };
        let refused = deployed.hold_to(verdicts);
        let trial = deployed.deployment.on_trial().map(|version| version.number);
        // What is only missing may be there again in a moment.
        let is_over = |(version, why): &&(u64, Refused)| Some(*version) == trial && why.fault != Fault::Missing;
        if let Some((_, why)) = refused.iter().find(is_over)
            && !deployed.is_broken()
        {
            let (next, changes) = deployed.deployment.without_trial();
            let why = Some(why.to_string());
            say(key, &changes, why.as_deref());
            self.happened.extend(changes.iter().map(|change| Happened::by_itself(&next, change, why.as_deref())));
            deployed.go_on(next, &changes, None);
            self.room = None;
            self.unsaved.insert(key.clone());
        }
        if deployed.is_broken() {
            let tenant = Arc::clone(&deployed.tenant);
            Arc::make_mut(&mut self.admitted).remove(&tenant, &key.name.shared());
        }
    }

    /// Has one run no more. What it is at does not land, and what it remembers is forgotten.
    pub fn remove(&mut self, key: &Key) -> Option<Deployed> {
        let mut removed = self.deployed.remove(key)?;
        self.queued.remove(key);
        self.room = None;
        for next in removed.next.drain(..) {
            self.pass_over(key, removed.number, next.at.monotonic, next.input.into_chain());
        }
        Arc::make_mut(&mut self.admitted).remove(&removed.tenant, &key.name.shared());
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
}
