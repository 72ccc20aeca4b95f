//! One cycle after another: read, poll, stamp, transform, hand on.

pub mod cycle;
pub mod errands;
pub mod keeping;
pub mod polling;
pub mod reloading;
pub mod report;
pub mod run;
mod saving;
pub mod tally;
pub mod tenants;
pub mod usage;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::runtime::Handle;

use self::keeping::Kept;
use self::reloading::{Follow, Running, Verdict};
use self::saving::Saving;
use self::tally::Tally;
use self::tenants::{Around, Tenants};
use crate::clock::Clock;
use crate::config::{Config, Polling};
use crate::discovery::{Directory, Rules};
use crate::hypervisor::Hypervisor;
use crate::hypervisor::reader::Reader;
use crate::modules::budget::{Admitted, Budget};
use crate::modules::deploying::Loader;
use crate::modules::deploying::terms::Operators;
use crate::modules::deployment::Deployment;
use crate::modules::registry::Registry;
use crate::modules::{Modules, NotLoaded};
use crate::pipeline::tap::Taps;
use crate::pipeline::{Chain, Sinks};
use crate::publish::id::Ids;
use crate::sandbox::host::state::State;
use crate::sandbox::ledger::Ledger;
use crate::sandbox::{Names, Sandbox};
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
    sinks: Sinks,
    states: HashMap<Arc<str>, Arc<State>>,
    kept: Kept,
    /// Whose meters are whose.
    names: Arc<Names>,
    ledger: Arc<Ledger>,
    ids: Ids,
    tenant: Arc<str>,
    taps: Taps,
    /// Modules of tenants.
    pub tenants: Tenants,
    registry: Registry,
    saving: Saving,
    /// How often the rules for deployments have changed.
    rules: u64,
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
    /// Where deployments outlive this.
    pub registry: Registry,
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

/// A deployment that was kept, and which of its versions can run.
pub(crate) type Restored = (Deployment, Vec<Verdict>);

/// Makes ready again what was kept.
async fn restore(loader: &mut Loader, registry: &Registry, kept: Vec<Deployment>) -> Vec<Restored> {
    let mut restored = Vec::new();
    for deployment in kept {
        let versions: Vec<Running> = deployment.running().map(|version| (Arc::clone(version), None)).collect();
        let verdicts = reloading::judge(loader, registry, &deployment.key, &versions).await;
        restored.push((deployment, verdicts));
    }
    restored
}

/// What makes deployments ready. What is odd about its keys is said.
fn loader(sandbox: &Arc<Sandbox>, config: &Config, around: &Around<'_>) -> Loader {
    let (loader, problems) = Loader::of(sandbox, config, around.reserved, around.operators.clone());
    if !problems.is_empty() {
        tracing::warn!("The keys that modules are signed with are odd:\n{problems}");
    }
    loader
}

// === impl Agent ===

impl Agent {
    /// Loads the modules and gets ready.
    pub async fn new(config: Config, parts: Parts) -> Result<Self, NotLoaded> {
        let Parts { clock, hypervisor, sandbox, guests, registry } = parts;
        let modules = load(&sandbox, &config).await?;
        let reader = Reader::new(hypervisor, Arc::clone(&clock), config.watchdog(), config.reader.max_stuck);
        let directory = Directory::new(Rules::of(&config));
        let ids = Ids::new(&config.host, clock.now());
        let (chains, sinks) = (modules.chains(), Sinks::of(config.pipeline.as_ref(), &modules.sinks));
        let names = Arc::new(modules.names.clone());
        let mut tenants = Tenants::new(guests.metrics().num_workers());
        let operators = Operators::of(&config, &modules.pollsters);
        let around =
            Around { tenants: &config.tenants, reserved: &names, operators: &operators, now: clock.now().wall };
        let mut loader = loader(&sandbox, &config, &around);
        tenants.admit(Admitted::of(Budget::of(&config)));
        tenants.restore(restore(&mut loader, &registry, registry.deployments()).await, &around);
        let follow = Follow::prepare(loader, &registry, &config, Vec::new()).await;
        let held = follow.take_over(&mut tenants, &around, &config, directory.holdings());
        let ledger = Arc::<Ledger>::default();
        tenants.flow_into(&ledger);
        let mut agent = Self {
            clock,
            sandbox,
            guests,
            reader,
            directory,
            names,
            modules,
            chains,
            sinks,
            states: HashMap::new(),
            kept: HashMap::new(),
            ledger,
            ids,
            tenant: OPERATOR.into(),
            taps: Taps::default(),
            tenants,
            tally: Tally::default(),
            registry,
            rules: 0,
            saving: Saving::holding(held),
            config,
        };
        agent.save().await;
        agent.saved().await;
        // What a crash left behind.
        if agent.registry.missing().is_none()
            && let Err(error) = agent.registry.collect().await
        {
            tracing::warn!(%error, "Modules that nobody needs stay in the store.");
        }
        Ok(agent)
    }

    /// Hands what is measured to one more transformer, beside those of the configuration.
    pub fn hand_to(&mut self, chain: Chain) {
        self.chains.push(chain);
    }

    /// Measures these sources from now on, instead of those of the configuration.
    pub fn poll_instead(&mut self, polling: Polling) {
        self.config.polling = polling;
    }

    /// The sinks of pipelines, which know what came out of them last.
    pub fn sinks(&self) -> &Sinks {
        &self.sinks
    }

    /// The same, to be asked for it.
    pub fn sinks_mut(&mut self) -> &mut Sinks {
        &mut self.sinks
    }

    /// Where samples can be looked at as they pass.
    pub fn taps(&self) -> &Taps {
        &self.taps
    }

    /// What is known of guests.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// What reads the host.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// What the wall's clock says, in nanoseconds since 1970.
    pub fn now(&self) -> i64 {
        self.clock.now().wall
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
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }
}
