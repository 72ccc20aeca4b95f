//! What all subcommands that measure have in common.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};

use super::{Exit, print};
use crate::agent::{Agent, Parts};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Problems};
use crate::hypervisor::{self, Hypervisor};
use crate::modules::registry::Registry;
use crate::sandbox::Sandbox;
use crate::sandbox::compile::Compiler;
use crate::sandbox::loading::SandboxError;
use crate::spool::{Opened, Spool};

/// Where to measure, and by which rules.
#[derive(Debug, Clone, clap::Args)]
pub struct Where {
    /// Configuration file; without one, the defaults hold.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The host.
    #[command(flatten)]
    pub host: Host,
}

/// Which host to measure.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Host {
    /// Host to measure, instead of the one that the configuration names: sim://, recording:FILE, or what libvirt
    /// understands, such as qemu:///system.
    ///
    /// The simulated host takes parameters, as in sim://?domains=20&seed=1: domains (how many guests), seed (which
    /// ones), disks and nics (as many of each guest), calm=true (nothing but work: no stop, migration, hot-plug, reset
    /// or freeze), freeze=N (the first N guests are frozen for ever).
    #[arg(long, value_name = "URI")]
    pub hypervisor: Option<String>,
}

/// The threads of the program: one that keeps time, others for modules, and others that deliver.
#[derive(Debug)]
pub struct Threads {
    /// Keeps time, listens to signals, waits.
    pub time: Runtime,
    /// Runs modules.
    pub guests: Runtime,
    /// Runs publishers.
    pub delivery: Runtime,
}

/// Publishers wait most of the time; what blocks has threads of its own.
const DELIVERERS: usize = 2;

// === impl Where ===

impl Where {
    /// Reads the configuration, and says on standard error what is wrong with it or may be.
    pub fn load(&self) -> Result<Config, Exit> {
        let (config, warnings) = self.read().map_err(|problems| {
            print::problems(&problems);
            Exit::Usage
        })?;
        if !warnings.is_empty() {
            print::problems(&warnings);
        }
        Ok(config)
    }

    /// Reads the configuration. What comes beside it are warnings.
    pub fn read(&self) -> Result<(Config, Problems), Problems> {
        let (mut config, warnings) = Config::load(self.config.as_deref())?;
        if let Some(uri) = &self.host.hypervisor {
            config.hypervisor.uri.clone_from(uri);
            config.hypervisor.place = None;
        }
        Ok((config, warnings))
    }
}

// === impl Threads ===

impl Threads {
    /// Starts them.
    pub fn start() -> Result<Self, Exit> {
        let failed = |error: std::io::Error| {
            print::error(format_args!("no threads can be started: {error}"));
            Exit::Failed
        };
        let time = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let guests = Builder::new_multi_thread()
            .worker_threads(cores.clamp(1, 4))
            .thread_name("modules")
            .enable_all()
            // Deadlines of modules are looked at between any two slices, not after 61 of them.
            .event_interval(1)
            .build()
            .map_err(failed)?;
        let delivery = Builder::new_multi_thread()
            .worker_threads(DELIVERERS)
            .thread_name("delivery")
            .enable_all()
            .build()
            .map_err(failed)?;
        Ok(Self { time, guests, delivery })
    }
}

/// A sandbox as the configuration wants it.
pub fn sandbox(config: &Config) -> Result<Sandbox, Exit> {
    Sandbox::new(&config.sandbox.cache, compiler()?).map_err(no_sandbox)
}

/// A sandbox for whoever looks at modules. Where the cache is another user's, or there cannot be one, it goes without.
pub fn sandbox_to_look(config: &Config) -> Result<Sandbox, Exit> {
    match Sandbox::new(&config.sandbox.cache, compiler()?) {
        Err(SandboxError::Cache(_)) => Sandbox::without_cache(compiler()?).map_err(no_sandbox),
        made => made.map_err(no_sandbox),
    }
}

fn compiler() -> Result<Compiler, Exit> {
    Compiler::this().map_err(|error| {
        print::error(format_args!("this program does not know where it is: {error}"));
        Exit::Failed
    })
}

fn no_sandbox(error: SandboxError) -> Exit {
    print::error(&error);
    Exit::Failed
}

/// The host that the configuration names.
pub fn hypervisor(config: &Config, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Hypervisor>, Exit> {
    hypervisor::open(&config.hypervisor.uri, clock).map_err(|error| {
        print::error(&error);
        Exit::without_host(&error)
    })
}

/// An agent that is ready to measure.
pub async fn agent(config: Config, threads: &Threads, registry: Registry) -> Result<Agent, Exit> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let hypervisor = hypervisor(&config, &clock)?;
    let sandbox = Arc::new(sandbox(&config)?);
    let parts = Parts { clock, hypervisor, sandbox, guests: threads.guests.handle().clone(), registry };
    Agent::new(config, parts).await.map_err(|not_loaded| {
        print::problems(&not_loaded.problems);
        Exit::without_modules(&not_loaded)
    })
}

/// Where deployments outlive the daemon. Without a configuration file they do not.
pub fn registry(config: &Config) -> Registry {
    if config.file.is_none() {
        return Registry::none("this daemon has no configuration file, and so no store. Start it with -c FILE");
    }
    let (registry, oddities) = Registry::open(&config.store);
    registry.say(&oddities);
    if let Some(why) = registry.missing() {
        tracing::error!(why, "Deployments are not kept, and none can be made; what is written in files runs.");
    }
    registry
}

/// The spool that the configuration names. Without a configuration file, one that ends with the daemon.
pub fn spool(config: &Config, now: i64) -> Result<Opened, Exit> {
    let opened = match config.file {
        Some(_) => Spool::open(&config.spool, now),
        None => Spool::temporary(&config.spool, now),
    };
    opened.map_err(|error| {
        let source = std::error::Error::source(&error).and_then(std::error::Error::source);
        let cause = source.map(|source| format!(" ({source})")).unwrap_or_default();
        print::error(format_args!("{error}{cause}. {}", error.remedy()));
        // A disk may be well again the next time; a wrong folder stays one.
        if error.is_lasting() { Exit::Usage } else { Exit::Failed }
    })
}
