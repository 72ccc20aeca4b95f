//! What whoever asks at the control socket wants of the agent, between two slots. What takes long is done elsewhere.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot::Sender;

use super::Agent;
use super::tenants::{Around, HOST};
use crate::clock::Clock;
use crate::config::{Config, MeterFilter};
use crate::discovery::Snapshot;
use crate::hypervisor::Groups;
use crate::hypervisor::reader::{Reading, Want};
use crate::modules::deploying::terms::{Fitting, Operators};
use crate::modules::deploying::{self, Prepared, Ready};
use crate::modules::deployment::{Deployment, Key, Version};
use crate::modules::registry::Unkept;
use crate::sandbox::host::state::State;
use crate::sandbox::turns::Gate;
use crate::sandbox::{Names, Sandbox};
use crate::schedule::plan::{self, Work};

/// What somebody wants. Whoever does not wait for the answer any more gets none.
#[derive(Debug)]
pub enum Errand {
    /// What it takes to prepare a module.
    Surroundings(Sender<Surroundings>),
    /// Statistics as a deployment's module needs them, now.
    Read(Key, Arc<Ready>, Sender<Result<ReadFor, String>>),
    /// Another life for a deployment.
    Change(Box<Order>, Sender<Result<Changed, Refused>>),
}

/// What it takes to prepare a module and to run it once.
#[derive(Debug)]
pub struct Surroundings {
    /// Where it runs.
    pub sandbox: Arc<Sandbox>,
    /// By these rules.
    pub config: Config,
    /// Which ones these are: with each reload there are others.
    pub rules: u64,
    /// The operator's names.
    pub names: Arc<Names>,
    /// What the operator's modules read anyway.
    pub operators: Operators,
    /// Beside what runs.
    pub fitting: Fitting,
    /// On these threads.
    pub guests: Handle,
    /// In these turns.
    pub gate: Arc<Gate>,
    /// By this clock.
    pub clock: Arc<dyn Clock>,
}

/// What was read for one deployment.
#[derive(Debug)]
pub struct ReadFor {
    /// Statistics, and all resources of the host.
    pub snapshot: Arc<Snapshot>,
    /// The projects whose guests are its tenant's.
    pub projects: Arc<BTreeSet<String>>,
    /// What the version that runs remembers.
    pub state: Arc<State>,
    /// What the operator's pollsters are to measure of that if it is a transformer, which is handed it.
    pub feeding: Vec<Work>,
    /// Groups that it reads itself.
    pub groups: Groups,
    /// Those of them that anybody else reads.
    pub shared: Groups,
    /// How long it took.
    pub took: Duration,
}

/// Somebody's order about a deployment.
#[derive(Debug)]
pub struct Order {
    /// Which one.
    pub key: Key,
    /// What is to become of it.
    pub what: What,
    /// Who wants that.
    pub by: String,
    /// When, in nanoseconds since 1970.
    pub at: i64,
    /// The rules that it was prepared by, if that matters.
    pub rules: Option<u64>,
}

/// What is to become of a deployment.
#[derive(Debug)]
pub enum What {
    /// This version runs.
    Deploy(Box<Prepared>),
    /// The version that ran before runs again, or that of this number. It is this one, which is ready, unless it runs
    /// already.
    RollBack(Option<u64>, Option<(Arc<Version>, Arc<Ready>)>),
    /// It does not run.
    Pause,
    /// It runs again.
    Resume,
    /// There is none any more.
    Remove,
}

/// What became of a deployment.
#[derive(Debug)]
pub struct Changed {
    /// As it is now; none if it was removed.
    pub deployment: Option<Deployment>,
    /// What is different, each a sentence without its full stop.
    pub changes: Vec<String>,
}

/// Why an order is not followed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There is no such deployment.
    #[error("there is no deployment {0}: see wasmeter module list")]
    Unknown(Key),
    /// It is written in the operator's files.
    #[error("{0} is written in {1}, which comes first: change it there, and reload")]
    Written(Key, String),
    /// Another version is next to go back to than the one that was made ready.
    #[error("{0} has changed meanwhile: see wasmeter module show, and say it again if it is still wanted")]
    Meanwhile(Key),
    /// It is not in a state for that.
    #[error(transparent)]
    Never(#[from] crate::modules::deployment::Refused),
    /// It cannot be kept.
    #[error(transparent)]
    Unkept(#[from] Unkept),
    /// It needs more than is free.
    #[error(transparent)]
    DoesNotFit(deploying::Refused),
}

// === impl Agent ===

impl Agent {
    /// Does it.
    pub async fn run_errand(&mut self, errand: Errand) {
        match errand {
            Errand::Surroundings(answer) => drop(answer.send(self.surroundings())),
            Errand::Read(key, ready, answer) => drop(answer.send(self.read_for(&key, &ready).await)),
            Errand::Change(order, answer) => drop(answer.send(self.change(*order).await)),
        }
    }

    fn surroundings(&self) -> Surroundings {
        let operators = Operators::of(&self.config, &self.modules.pollsters);
        let around = Around {
            tenants: &self.config.tenants,
            reserved: &self.names,
            operators: &operators,
            now: self.clock.now().wall,
        };
        let fitting = self.tenants.fitting(&self.config, self.directory.holdings(), &around);
        Surroundings {
            sandbox: Arc::clone(&self.sandbox),
            config: self.config.clone(),
            rules: self.rules,
            names: Arc::clone(&self.names),
            operators,
            fitting,
            guests: self.guests.clone(),
            gate: self.tenants.gate(),
            clock: Arc::clone(&self.clock),
        }
    }

    /// Reads what a deployment's module would read in a slot, of its tenant's guests alone. For a transformer that is
    /// what others read whose samples it is handed.
    async fn read_for(&mut self, key: &Key, ready: &Ready) -> Result<ReadFor, String> {
        let feeding = if ready.converts() { self.feeding(&ready.source.meters) } else { Vec::new() };
        let modules = feeding.iter().map(|work| &work.module).chain([&ready.module]);
        let reads = modules.flat_map(|module| &module.description.reads);
        let projects = Arc::new(self.config.tenants.projects_of(&key.tenant));
        let holdings = self.directory.holdings();
        let mut want = Want::default();
        want.and_stopped(self.config.guests.report_stopped);
        want.add_of(reads, &holdings.of(&projects).guests);
        want.know(holdings.into_known());
        let began = self.clock.now();
        let reading = self.reader.read(&want).await.map_err(|error| error.to_string())?;
        self.directory.learn_from(&mut self.reader, &reading).await.map_err(|error| error.to_string())?;
        let took = self.since(began);
        let Reading { at, groups, records, .. } = reading;
        let snapshot =
            Arc::new(Snapshot::assemble(&mut self.directory, |key| want.has(key), groups, &records, &[], at));
        let state = self.tenants.get(key).and_then(|deployed| deployed.state()).unwrap_or_default();
        let groups = if ready.converts() { Groups::NONE } else { want.all_groups() };
        Ok(ReadFor { snapshot, projects, state, feeding, groups, shared: self.read_by_others(key), took })
    }

    /// What the operator's pollsters measure of guests, in whichever slots, that may be among these meters.
    fn feeding(&self, meters: &MeterFilter) -> Vec<Work> {
        let polling = &self.config.polling;
        let intervals: Vec<u64> = polling.sources.iter().map(|source| source.interval.as_secs()).collect();
        let mut work = plan::plan(polling, &self.modules.pollsters, &intervals);
        work.retain(|work| work.may_give(meters));
        work
    }

    /// Groups that the operator's modules and other deployments read.
    fn read_by_others(&self, key: &Key) -> Groups {
        let mut want = Want::default();
        self.modules.pollsters.iter().for_each(|module| want.add(&module.description.reads));
        for (other, deployed) in self.tenants.named() {
            if other != key {
                deployed.ready.values().for_each(|ready| want.add(&ready.module.description.reads));
            }
        }
        want.all_groups()
    }

    /// The file in which it is written, even if that cannot be read just now: what it says next comes first.
    fn written(&self, key: &Key) -> Option<String> {
        let mut files = self.config.deployments.files.iter();
        let found = files.find(|deployment| deployment.key == *key);
        let read = found.map(|deployment| deployment.written.display().to_string());
        read.or_else(|| self.tenants.get(key)?.file().map(str::to_owned))
    }

    /// Follows an order, which is durable before anything changes.
    async fn change(&mut self, Order { key, what, by, at, rules }: Order) -> Result<Changed, Refused> {
        if rules.is_some_and(|rules| rules != self.rules) {
            return Err(Refused::Meanwhile(key));
        }
        // What is being kept just now is older.
        self.saved().await;
        let operators = Operators::of(&self.config, &self.modules.pollsters);
        let around = Around { tenants: &self.config.tenants, reserved: &self.names, operators: &operators, now: at };
        let mut fitting = self.tenants.fitting(&self.config, self.directory.holdings(), &around);
        let unknown = || Refused::Unknown(key.clone());
        if matches!(what, What::Deploy(_) | What::Remove)
            && let Some(file) = self.written(&key)
        {
            return Err(Refused::Written(key, file));
        }
        let (known, mut held) = (self.tenants.get(&key), None);
        let (next, changes, ready) = match what {
            What::Remove => {
                known.ok_or_else(unknown)?;
                self.registry.remove(key.clone()).await?;
                self.tenants.remove(&key);
                self.forget_removed();
                self.tenants.unsaved.remove(&key);
                self.tenants.flow_into(&self.ledger);
                return Ok(Changed { deployment: None, changes: vec!["it is removed".to_owned()] });
            }
            What::Deploy(prepared) => {
                let Prepared { version, file, ready, .. } = *prepared;
                known.map_or(Ok(()), |known| known.is_of_one_kind_with(&ready))?;
                let followed = known.map(|known| known.followed(&version));
                let (next, changes) = match followed {
                    Some(None) => {
                        let deployment = known.map(|known| known.deployment.clone());
                        return Ok(Changed { deployment, changes: Vec::new() });
                    }
                    Some(Some(followed)) => followed?,
                    None => (Deployment::new(key.clone(), version, HOST, at), Vec::new()),
                };
                fitting.admit(&key, &ready).map_err(Refused::DoesNotFit)?;
                let quota = self.config.tenants.quota_of(&key.tenant);
                self.registry.fits(next.clone(), quota).await?;
                // Held until a deployment that names it is kept.
                held = Some(self.registry.put(file).await?);
                (next, changes, Some(ready))
            }
            What::RollBack(to, ready) => {
                let deployment = &known.ok_or_else(unknown)?.deployment;
                let (next, changes) =
                    to.map_or_else(|| deployment.rolled_back(), |to| deployment.rolled_back_to(to))?;
                let is_ready = |version: &Arc<Version>| {
                    let runs = deployment.running().any(|running| running.number == version.number);
                    runs || ready.as_ref().is_some_and(|(of, _)| of == version)
                };
                if !next.running().all(is_ready) {
                    return Err(Refused::Meanwhile(key));
                }
                if let Some((_, ready)) = &ready {
                    fitting.admit(&key, ready).map_err(Refused::DoesNotFit)?;
                }
                (next, changes, ready.map(|(_, ready)| ready))
            }
            What::Pause => {
                let (next, changes) = known.ok_or_else(unknown)?.deployment.paused(at, &by);
                (next, changes, None)
            }
            What::Resume => {
                let (next, changes) = known.ok_or_else(unknown)?.deployment.resumed();
                (next, changes, None)
            }
        };
        self.registry.save(next.clone()).await?;
        drop(held);
        let is_new = known.is_none();
        let mut said: Vec<String> = changes.iter().map(ToString::to_string).collect();
        if is_new {
            said.push("it is new".to_owned());
        }
        self.tenants.unsaved.remove(&key);
        match ready.as_ref().filter(|_| is_new) {
            Some(ready) => self.tenants.add(next.clone(), Arc::clone(ready), &around),
            None => self.tenants.go_on(&key, next.clone(), &changes, ready),
        }
        self.tenants.admit(fitting.admitted);
        self.tenants.flow_into(&self.ledger);
        Ok(Changed { deployment: Some(next), changes: said })
    }
}
