//! One cycle after another: read, poll, stamp, transform, hand on.

pub mod cycle;
pub mod keeping;
pub mod polling;
pub mod report;
pub mod run;
pub mod tally;
pub mod tenants;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::runtime::Handle;

use self::keeping::Kept;
use self::tally::Tally;
use self::tenants::Tenants;
use crate::clock::Clock;
use crate::config::{Config, MeterFilter, Polling};
use crate::discovery::{Directory, Rules};
use crate::hypervisor::Hypervisor;
use crate::hypervisor::reader::Reader;
use crate::modules::deploying::{self, Loaded};
use crate::modules::{Modules, NotLoaded};
use crate::pipeline::Chain;
use crate::publish::id::Ids;
use crate::sandbox::host::state::State;
use crate::sandbox::ledger::Ledger;
use crate::sandbox::{Module, Names, Sandbox};
use crate::schedule::plan;

/// Whose samples they are, where all guests are looked at together.
pub const OPERATOR: &str = "operator";

/// Everything that measures.
#[derive(Debug)]
pub struct Agent {
    clock: Arc<dyn Clock>,
    config: Config,
    sandbox: Arc<Sandbox>,
    guests: Handle,
    reader: Reader,
    directory: Directory,
    modules: Modules,
    chains: Vec<Chain>,
    states: HashMap<Arc<str>, Arc<State>>,
    kept: Kept,
    /// Whose meters are whose.
    names: Arc<Names>,
    ledger: Arc<Ledger>,
    ids: Ids,
    tenant: Arc<str>,
    /// Modules of tenants.
    pub tenants: Tenants,
    /// What was measured, and what was lost.
    pub tally: Tally,
}

/// What an agent is made of beside its configuration.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// The host.
    pub hypervisor: Arc<dyn Hypervisor>,
    /// Where modules run.
    pub sandbox: Arc<Sandbox>,
    /// Threads for modules, apart from those that keep time.
    pub guests: Handle,
}

/// Modules that fit the sources. What is odd is said, what is wrong is refused.
async fn load(sandbox: &Sandbox, config: &Config) -> Result<Modules, NotLoaded> {
    let modules = Modules::load(sandbox, config).await?;
    let mut problems = plan::check(config, &modules.pollsters);
    problems.extend(modules.warnings.clone());
    if problems.has_errors() {
        return Err(NotLoaded { problems, refused: false });
    }
    if !problems.is_empty() {
        tracing::warn!("The configuration is odd:\n{problems}");
    }
    Ok(modules)
}

/// Has what the operator deployed run. What cannot is said, and keeps nothing else from running.
async fn deploy(tenants: &mut Tenants, sandbox: &Sandbox, config: &Config, names: &Arc<Names>) {
    let Loaded { prepared, failed, problems } = deploying::load(sandbox, config, names).await;
    if !problems.is_empty() {
        tracing::error!("Not all deployments run as they are written now:\n{problems}");
    }
    for (key, changes) in tenants.deploy(prepared, &failed, names) {
        tenants::say(&key, &changes, None);
    }
}

// === impl Agent ===

impl Agent {
    /// Loads the modules and gets ready.
    pub async fn new(config: Config, parts: Parts) -> Result<Self, NotLoaded> {
        let Parts { clock, hypervisor, sandbox, guests } = parts;
        let modules = load(&sandbox, &config).await?;
        let reader = Reader::new(hypervisor, Arc::clone(&clock), config.watchdog(), config.reader.max_stuck);
        let directory = Directory::new(Rules::of(&config));
        let ids = Ids::new(&config.host, clock.now());
        let chains = modules.chains();
        let names = Arc::new(modules.names.clone());
        let mut tenants = Tenants::new(std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
        deploy(&mut tenants, &sandbox, &config, &names).await;
        Ok(Self {
            clock,
            sandbox,
            guests,
            reader,
            directory,
            names,
            modules,
            chains,
            states: HashMap::new(),
            kept: HashMap::new(),
            ledger: Arc::default(),
            ids,
            tenant: OPERATOR.into(),
            tenants,
            tally: Tally::default(),
            config,
        })
    }

    /// Goes on with another configuration, or stays as it is if that one is wrong. The host cannot be changed so.
    pub async fn reconfigure(&mut self, config: Config) -> Result<(), NotLoaded> {
        let modules = load(&self.sandbox, &config).await?;
        self.reader.reconfigure(config.watchdog(), config.reader.max_stuck);
        self.directory.reconfigure(Rules::of(&config));
        let mut old = std::mem::replace(&mut self.chains, modules.chains());
        for chain in &mut self.chains {
            chain.take_over(&mut old);
        }
        // Another module, or another configuration, would not know what to make of what the old one remembers.
        let is_the_same = |name: &str| modules.work_of(name).is_some_and(|new| self.modules.work_of(name) == Some(new));
        self.states.retain(|name, _| is_the_same(name));
        let mut names = modules.names.clone();
        names.keep_declared(&self.names, is_the_same);
        self.names = Arc::new(names);
        deploy(&mut self.tenants, &self.sandbox, &config, &self.names).await;
        self.modules = modules;
        self.config = config;
        Ok(())
    }

    /// Hands meters that match to one more transformer, beside those of the configuration.
    pub fn hand_to(&mut self, meters: MeterFilter, module: Arc<Module>) {
        self.chains.push(Chain::new(meters, module));
    }

    /// Measures these sources from now on, instead of those of the configuration.
    pub fn poll_instead(&mut self, polling: Polling) {
        self.config.polling = polling;
    }

    /// What is known of guests.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// What reads the host.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The modules that run.
    pub fn modules(&self) -> &Modules {
        &self.modules
    }

    /// Fuel by module.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}
