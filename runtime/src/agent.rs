//! One cycle after another: read, poll, stamp, transform, hand on.

pub mod cycle;
pub mod polling;
pub mod report;
pub mod run;

pub mod tally;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::runtime::Handle;

use self::tally::Tally;
use crate::clock::Clock;
use crate::config::Config;
use crate::discovery::{Directory, Rules};
use crate::hypervisor::Hypervisor;
use crate::hypervisor::reader::Reader;
use crate::modules::{Modules, NotLoaded};
use crate::pipeline::Chain;
use crate::publish::id::Ids;
use crate::sandbox::Sandbox;
use crate::sandbox::host::state::State;
use crate::sandbox::ledger::Ledger;
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
    ledger: Arc<Ledger>,
    ids: Ids,
    tenant: Arc<str>,
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

// === impl Agent ===

impl Agent {
    /// Loads the modules and gets ready.
    pub async fn new(config: Config, parts: Parts) -> Result<Self, NotLoaded> {
        let Parts { clock, hypervisor, sandbox, guests } = parts;
        let modules = load(&sandbox, &config).await?;
        let reader = Reader::new(hypervisor, config.watchdog(), config.reader.max_stuck);
        let directory = Directory::new(Rules::of(&config));
        let ids = Ids::new(&config.host, clock.now());
        let chains = modules.chains();
        Ok(Self {
            clock,
            sandbox,
            guests,
            reader,
            directory,
            modules,
            chains,
            states: HashMap::new(),
            ledger: Arc::default(),
            ids,
            tenant: OPERATOR.into(),
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
        self.states.retain(|name, _| {
            let of = |modules: &Modules| {
                let module = modules.pollsters.iter().find(|module| module.name == *name)?;
                Some((module.code.digest.clone(), module.config.clone()))
            };
            of(&modules).is_some_and(|new| of(&self.modules) == Some(new))
        });
        self.modules = modules;
        self.config = config;
        Ok(())
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

    /// Message ids.
    pub fn ids(&self) -> &Ids {
        &self.ids
    }
}
