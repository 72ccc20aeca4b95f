//! What whoever asks at the control socket wants of the agent, between two slots. What takes long is done elsewhere.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot::Sender;
use tokio::time::timeout;

use super::tenants::{Around, HOST};
use super::{Agent, saving};
use crate::clock::Clock;
use crate::config::{Config, MeterFilter};
use crate::discovery::Snapshot;
use crate::hypervisor::reader::{Reading, Want};
use crate::hypervisor::{Groups, HypervisorError};
use crate::modules::budget::Admitted;
use crate::modules::deploying::doubts::{self, Doubt};
use crate::modules::deploying::terms::Operators;
use crate::modules::deploying::{self, Prepared, Ready};
use crate::modules::deployment::{Deployment, Key, Version};
use crate::modules::life::Change;
use crate::modules::registry::{Registry, Unkept};
use crate::modules::store::quota;
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
    Read(Key, Arc<Ready>, Sender<Result<ReadFor, Unread>>),
    /// What would become of a deployment by an order, which is not followed.
    Consider(Arc<Order>, Sender<Result<Changed, Refused>>),
    /// Another life for a deployment.
    Change(Arc<Order>, Sender<Result<Changed, Refused>>),
}

/// Tells whoever waits for it what came of an errand.
pub type Tell = Box<dyn FnOnce() + Send>;

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
    /// How long what it reads itself took.
    pub took: Duration,
    /// Why what guests' processes are asked for is missing, if it is.
    pub missing: Option<String>,
}

/// Why nothing was read for a deployment.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// A slot was due, which waits for nobody.
    #[error("what it reads takes longer than there is time between two slots")]
    Slot,
    /// It cannot be read.
    #[error(transparent)]
    Host(#[from] HypervisorError),
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

/// A version that somebody goes back to, made ready.
#[derive(Debug)]
pub struct Readied {
    /// The version.
    pub version: Arc<Version>,
    /// What runs of it.
    pub ready: Arc<Ready>,
    /// Whether it is on trial then, because it never took over: it is tried out for that.
    pub on_trial: bool,
}

/// What is to become of a deployment.
#[derive(Debug)]
pub enum What {
    /// This version runs.
    Deploy(Box<Prepared>),
    /// The version that ran before runs again, or that of this number. It is this one, which is ready, unless it runs
    /// already.
    RollBack(Option<u64>, Option<Readied>),
    /// It does not run.
    Pause,
    /// It runs again.
    Resume,
    /// There is none any more.
    Remove,
}

/// What became of a deployment, or would.
#[derive(Debug)]
pub struct Changed {
    /// As it is then, or was until it was removed.
    pub deployment: Deployment,
    /// What is different, each a sentence without its full stop.
    pub changes: Vec<String>,
    /// What is odd about the order, if it was only considered.
    pub doubts: Vec<Doubt>,
}

/// What an order comes to.
enum Next {
    /// Nothing is different.
    Same(Deployment),
    /// It is removed, and was this.
    Gone(Deployment),
    /// It goes on as this.
    Other(Box<Other>),
}

/// How a deployment goes on.
struct Other {
    deployment: Deployment,
    is_new: bool,
    changes: Vec<Change>,
    /// What runs of a version that did not run until now.
    ready: Option<Arc<Ready>>,
    /// What all need then.
    admitted: Admitted,
}

/// An order that is being kept, and whoever waits for what comes of it.
#[derive(Debug)]
pub(super) struct Following {
    order: Arc<Order>,
    asks: Sender<Result<Changed, Refused>>,
    stage: Stage,
}

/// What is being kept because of an order.
#[derive(Debug)]
enum Stage {
    /// What it came to when it was first considered: the deployment as it is to become, or that there is none.
    Order(Option<Deployment>),
    /// What goes on, as that has changed meanwhile, so that the order does not come to anything any more. This is told
    /// then.
    Instead(Result<Changed, Refused>),
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
    /// The configuration is another one than it was made ready by. Whoever made it ready does so anew.
    #[error("the configuration was read again meanwhile")]
    Reloaded,
    /// Another version is next to go back to than the one that was made ready.
    #[error("{0} has changed meanwhile: see wasmeter module show, and say it again if it is still wanted")]
    Meanwhile(Key),
    /// The same, and the disk does not take back what it had kept of the order.
    #[error(
        "{0} has changed meanwhile, and until the disk answers again it may be as it was ordered after a crash: see \
         wasmeter module show, and say it again if it is still wanted: {1}"
    )]
    Unsettled(Key, Unkept),
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

// === impl What ===

impl What {
    /// The version that is to run by it and does not yet.
    pub fn tried(&self) -> Option<(&Version, &Arc<Ready>)> {
        match self {
            Self::Deploy(prepared) => Some((&prepared.version, &prepared.ready)),
            Self::RollBack(_, Some(Readied { version, ready, .. })) => Some((version, ready)),
            Self::RollBack(_, None) | Self::Pause | Self::Resume | Self::Remove => None,
        }
    }
}

/// They may not wait any more.
fn tell<T: Send + 'static>(asks: Sender<T>, answer: T) -> Tell {
    Box::new(move || drop(asks.send(answer)))
}

/// Keeps what an order comes to: a deployment as it is to become, or that there is none.
async fn keep(registry: Registry, order: Arc<Order>, next: Option<Deployment>) -> Result<(), Unkept> {
    if let Some(next) = &next {
        registry.may_keep(next.clone()).await?;
    }
    // Held until a deployment that names it is kept.
    let _held = match &order.what {
        What::Deploy(prepared) => Some(registry.put(prepared.file.clone()).await?),
        _ => None,
    };
    saving::keep(registry, order.key.clone(), next).await
}

// === impl Agent ===

impl Agent {
    /// Does it. What is given back tells so whoever waits for it, who shall then see what was done wherever they look;
    /// of an order that is to be kept [`Agent::followed`] gives that. The host is read for so long at most: a tenant's
    /// guest that is frozen delays nobody's slot.
    pub async fn run_errand(&mut self, errand: Errand, until: Duration) -> Option<Tell> {
        Some(match errand {
            Errand::Surroundings(asks) => tell(asks, self.surroundings()),
            Errand::Read(key, ready, asks) => {
                let read = timeout(until, self.read_for(&key, &ready)).await;
                let read = read.unwrap_or_else(|_| {
                    self.reader.look_again();
                    Err(Unread::Slot)
                });
                tell(asks, read)
            }
            Errand::Consider(order, asks) => {
                let considered = self.consider(&order);
                let (doubts, registry) = (self.doubts(&order), self.registry.clone());
                let answer = async move {
                    let next = considered?;
                    if let Next::Other(other) = &next {
                        registry.may_keep(other.deployment.clone()).await?;
                    }
                    Ok::<_, Refused>(Changed { doubts, ..next.told() })
                };
                Box::new(move || drop(tokio::spawn(async move { drop(asks.send(answer.await)) })))
            }
            Errand::Change(order, asks) => return self.change(order, asks),
        })
    }

    fn surroundings(&self) -> Surroundings {
        Surroundings {
            sandbox: Arc::clone(&self.sandbox),
            config: self.config.clone(),
            rules: self.rules,
            names: Arc::clone(&self.names),
            operators: Operators::of(&self.config, &self.modules.pollsters),
            guests: self.guests.clone(),
            gate: self.tenants.gate(),
            clock: Arc::clone(&self.clock),
        }
    }

    /// Reads what a deployment's module would read in a slot, of its tenant's guests alone. For a transformer that is
    /// what others read whose samples it is handed. What the operator's modules read in each of its slots is there as
    /// well, as it is handed the resources of that, too.
    async fn read_for(&mut self, key: &Key, ready: &Ready) -> Result<ReadFor, Unread> {
        let feeding = if ready.converts() { self.feeding(&ready.source.meters) } else { Vec::new() };
        let modules = feeding.iter().map(|work| &work.module).chain([&ready.module]);
        let reads = modules.flat_map(|module| &module.description.reads);
        let projects = Arc::new(self.config.tenants.projects_of(&key.tenant));
        let holdings = self.directory.holdings();
        let mut want = Want::default();
        want.and_stopped(self.config.guests.report_stopped);
        let guests = holdings.of(&projects).guests;
        want.add_of(reads, &guests);
        want.know(holdings.into_known());
        let groups = if ready.converts() { Groups::NONE } else { want.all_groups() };
        let began = self.clock.now();
        let mut reading = self.reader.read(&want).await?;
        let took = self.since(began);
        let (own, always) = (want.clone(), self.in_slots_of(ready.source.interval.as_secs()));
        want.add_of(always.iter().flat_map(|work| &work.module.description.reads), &guests);
        if want != own {
            reading = self.reader.read(&want).await?;
        }
        self.directory.learn_from(&mut self.reader, &reading).await?;
        let Reading { at, groups: read, records, missing, .. } = reading;
        let snapshot = Arc::new(Snapshot::assemble(&mut self.directory, |key| want.has(key), read, &records, &[], at));
        let state = self.tenants.get(key).and_then(|deployed| deployed.state()).unwrap_or_default();
        Ok(ReadFor { snapshot, projects, state, feeding, groups, shared: self.read_by_others(key), took, missing })
    }

    /// What the operator's pollsters measure in every slot of an interval.
    fn in_slots_of(&self, interval: u64) -> Vec<Work> {
        let polling = &self.config.polling;
        let intervals = polling.sources.iter().map(|source| source.interval.as_secs());
        let always: Vec<u64> = intervals.filter(|their| *their > 0 && interval.is_multiple_of(*their)).collect();
        plan::plan(polling, &self.modules.pollsters, &always)
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

    /// Has an order kept beside the slots; it is followed when it is. What comes to nothing is told at once.
    fn change(&mut self, order: Arc<Order>, asks: Sender<Result<Changed, Refused>>) -> Option<Tell> {
        let next = match self.consider(&order) {
            Ok(Next::Other(other)) => Some(other.deployment),
            Ok(Next::Gone(_)) => None,
            same_or_refused => return Some(tell(asks, same_or_refused.map(|next| next.told()))),
        };
        let keeping = keep(self.registry.clone(), Arc::clone(&order), next.clone());
        self.saving.follow(Following { order, asks, stage: Stage::Order(next) }, keeping);
        None
    }

    /// Waits until the order that is being kept is, and is followed; of none there is nothing to tell. Waiting can be
    /// given up and taken up again.
    pub async fn followed(&mut self) -> Option<Tell> {
        while self.saving.is_following() {
            self.saving.kept().await;
            if let Some(tell) = self.follow().await {
                return Some(tell);
            }
        }
        None
    }

    /// Follows the order that is kept, and has what landed meanwhile be kept after it.
    pub(super) async fn follow(&mut self) -> Option<Tell> {
        self.saved().await;
        let tell = self.take_effect();
        self.save().await;
        tell
    }

    /// Follows the order that is kept, as things are by now. By what landed meanwhile it may come to nothing any more:
    /// then what goes on is kept in its place before that is told.
    fn take_effect(&mut self) -> Option<Tell> {
        let (Following { order, asks, stage }, kept) = self.saving.take()?;
        let key = &order.key;
        let written = match (stage, kept) {
            (Stage::Order(written), Ok(())) => written,
            (Stage::Order(_), Err(unkept)) => return Some(tell(asks, Err(unkept.into()))),
            (Stage::Instead(answer), Ok(())) => return Some(tell(asks, answer)),
            (Stage::Instead(_), Err(unkept)) => {
                self.tenants.unsaved.insert(key.clone());
                return Some(tell(asks, Err(Refused::Unsettled(key.clone(), unkept))));
            }
        };
        let (told, next) = match self.consider(&order) {
            Ok(next @ (Next::Gone(_) | Next::Other(_))) => (next.told(), next),
            same_or_refused => {
                let stage = Stage::Instead(same_or_refused.map(|next| next.told()));
                let now = self.tenants.get(key).map(|deployed| deployed.deployment.clone());
                let keeping = saving::keep(self.registry.clone(), key.clone(), now);
                self.saving.follow(Following { order, asks, stage }, keeping);
                return None;
            }
        };
        self.tenants.unsaved.remove(key);
        if let Next::Other(other) = next {
            // Of what landed meanwhile.
            if written.is_none_or(|written| other.deployment.is_worth_saving(&written)) {
                self.tenants.unsaved.insert(key.clone());
            }
            self.go_on(&order, *other);
        } else {
            self.tenants.remove(key);
            self.forget_removed();
            // It may have been waited for.
            self.begin_next();
        }
        self.tenants.flow_into(&self.ledger);
        Some(tell(asks, Ok(told)))
    }

    /// Has a deployment go on as an order has it.
    fn go_on(&mut self, Order { key, at, .. }: &Order, other: Other) {
        let Other { deployment, is_new, changes, ready, admitted } = other;
        match ready.as_ref().filter(|_| is_new) {
            Some(ready) => {
                let operators = Operators::of(&self.config, &self.modules.pollsters);
                let (tenants, reserved) = (&self.config.tenants, &self.names);
                let around = Around { tenants, reserved, operators: &operators, now: *at };
                self.tenants.add(deployment, Arc::clone(ready), &around);
            }
            None => self.tenants.go_on(key, deployment, &changes, ready),
        }
        self.tenants.admit(admitted);
    }

    /// What is odd about an order that another version is to run by.
    fn doubts(&self, Order { key, what, .. }: &Order) -> Vec<Doubt> {
        let Some((_, ready)) = what.tried() else { return Vec::new() };
        let operators = Operators::of(&self.config, &self.modules.pollsters);
        let tenant = doubts::of_tenant(&self.config.tenants, &self.directory.holdings(), &key.tenant);
        let all =
            self.tenants.named().flat_map(|(key, deployed)| deployed.ready.values().map(move |ready| (key, ready)));
        let meters = doubts::of_meters(ready, &operators, deploying::pollsters_of(&key.tenant, all));
        let chain = doubts::of_chain(key, ready, &self.config, &operators);
        tenant.into_iter().chain(meters).chain(chain).collect()
    }

    /// What an order comes to, or why it is refused, but for what the store says, which waits for the disk. Whoever only
    /// tries something out is told the same.
    fn consider(&self, Order { key, what, by, at, rules }: &Order) -> Result<Next, Refused> {
        if rules.is_some_and(|rules| rules != self.rules) {
            return Err(Refused::Reloaded);
        }
        let operators = Operators::of(&self.config, &self.modules.pollsters);
        let around = Around { tenants: &self.config.tenants, reserved: &self.names, operators: &operators, now: *at };
        let mut fitting = self.tenants.fitting(&self.config, self.directory.holdings(), &around);
        if matches!(what, What::Deploy(_) | What::Remove)
            && let Some(file) = self.written(key)
        {
            return Err(Refused::Written(key.clone(), file));
        }
        let known = self.tenants.get(key);
        let deployed = known.ok_or_else(|| Refused::Unknown(key.clone())).map(|known| &known.deployment);
        let ((deployment, changes), ready) = match what {
            What::Remove => return Ok(Next::Gone(deployed?.clone())),
            What::Deploy(prepared) => {
                let Prepared { version, ready, .. } = &**prepared;
                let next = match known {
                    None => (Deployment::new(key.clone(), version.clone(), HOST, *at), Vec::new()),
                    Some(known) => {
                        known.is_of_one_kind_with(ready)?;
                        match known.followed(version) {
                            Some(followed) => followed?,
                            None => return Ok(Next::Same(known.deployment.clone())),
                        }
                    }
                };
                (next, Some(ready))
            }
            What::RollBack(to, readied) => {
                let deployment = deployed?;
                let next = to.map_or_else(|| deployment.rolled_back(), |to| deployment.rolled_back_to(to))?;
                let (on_trial, current) = (next.0.on_trial(), next.0.current());
                // Others may have changed it since the version was made ready.
                let is_as_wanted = match readied {
                    Some(readied) => {
                        on_trial.or(current) == Some(&readied.version) && on_trial.is_some() == readied.on_trial
                    }
                    None => next
                        .0
                        .running()
                        .all(|version| deployment.running().any(|running| running.number == version.number)),
                };
                if !is_as_wanted {
                    return Err(Refused::Meanwhile(key.clone()));
                }
                (next, readied.as_ref().map(|readied| &readied.ready))
            }
            What::Pause => (deployed?.paused(*at, by), None),
            What::Resume => (deployed?.resumed(), None),
        };
        if let Some(ready) = ready {
            fitting.admit(key, ready).map_err(Refused::DoesNotFit)?;
        }
        let own = self.tenants.all().map(|deployed| &deployed.deployment);
        let own: Vec<&Deployment> = own.filter(|own| own.key.tenant == key.tenant).collect();
        let quota = self.config.tenants.quota_of(&key.tenant);
        let deployment = quota::fit(own.into_iter(), deployment, &quota).map_err(Unkept::from)?;
        let (is_new, admitted) = (known.is_none(), fitting.admitted);
        Ok(Next::Other(Box::new(Other { deployment, is_new, changes, ready: ready.cloned(), admitted })))
    }
}

// === impl Next ===

impl Next {
    /// As it is told.
    fn told(&self) -> Changed {
        let doubts = Vec::new();
        match self {
            Self::Same(deployment) => Changed { deployment: deployment.clone(), changes: Vec::new(), doubts },
            Self::Gone(deployment) => {
                Changed { deployment: deployment.clone(), changes: vec!["it is removed".to_owned()], doubts }
            }
            Self::Other(other) => {
                let mut changes: Vec<String> = other.changes.iter().map(ToString::to_string).collect();
                changes.extend(other.is_new.then(|| "it is new".to_owned()));
                Changed { deployment: other.deployment.clone(), changes, doubts }
            }
        }
    }
}
