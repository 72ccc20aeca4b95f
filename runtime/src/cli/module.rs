//! `wasmeter module`: making modules, looking at them, trying them out, and having them run for tenants.

pub mod alone;
mod amount;
pub mod bench;
pub mod build;
pub mod cargo;
pub mod deploy;
pub mod diff;
mod facts;
pub mod given;
pub mod inspect;
pub mod list;
pub mod logs;
mod named;
pub mod new;
pub mod orders;
mod rollback;
pub mod show;
pub mod subject;
pub mod test;
pub mod time;
pub mod trial;
pub mod try_out;
pub mod watch;
pub mod written;

use std::path::{Path, PathBuf};

use super::setup::{self, Threads, Where};
use super::{Exit, print};
use crate::agent::OPERATOR;
use crate::config::Config;
use crate::config::daemon::CallLimits;
use crate::modules;
use crate::sandbox::{Cause, Failure, Granted, Limits, Module as Loaded, Sandbox, World};

/// Make modules, look at them, try them out, and have them run for tenants.
#[derive(Debug, clap::Subcommand)]
pub enum Module {
    /// Make a crate that becomes a module: it builds, tests and runs as it is.
    New(new::Args),
    /// Build the module of a crate, and say what became of it.
    Build(build::Args),
    /// Compare what a module gives with what is expected, case by case.
    Test(test::Args),
    /// Measure what a module takes for few and many resources: fuel, time and memory.
    Bench(bench::Args),
    /// Build a crate again whenever a file of it changes, and show what its module gives now.
    Watch(watch::Args),
    /// List the modules that are part of this program, and those that are deployed for tenants.
    List(list::Args),
    /// Say what a module is, gives, reads and needs.
    Inspect(inspect::Args),
    /// Run a module alone, and say what it gave and used.
    Run(try_out::Args),
    /// Have a module run for a tenant.
    Deploy(Box<deploy::Args>),
    /// Show all about a deployment: limits, use, versions, what failed last, and what was done with it.
    Show(show::Args),
    /// Show what a deployment logged, and what was said about it.
    Logs(logs::Args),
    /// Show what is different between two versions of a deployment.
    Diff(diff::Args),
    /// Have a deployment not run.
    Pause(orders::Pause),
    /// Have a deployment run again that was paused.
    Resume(orders::Resume),
    /// Go back to a version of a deployment that ran before.
    Rollback(rollback::Args),
    /// Remove a deployment with all its versions and all that it remembers.
    Remove(orders::Remove),
}

impl Module {
    /// Does it.
    pub fn run(self) -> Exit {
        match self {
            Self::New(args) => args.run(),
            Self::Build(args) => args.run(),
            Self::Test(args) => args.run(),
            Self::Bench(args) => args.run(),
            Self::Watch(args) => args.run(),
            Self::List(args) => args.run(),
            Self::Inspect(args) => args.run(),
            Self::Run(args) => args.run(),
            Self::Deploy(args) => args.run(),
            Self::Show(args) => args.run(),
            Self::Logs(args) => args.run(),
            Self::Diff(args) => args.run(),
            Self::Pause(args) => args.run(),
            Self::Resume(args) => args.run(),
            Self::Rollback(args) => args.run(),
            Self::Remove(args) => args.run(),
        }
    }
}

/// Which module, and how it is configured.
#[derive(Debug, Clone, clap::Args)]
pub struct Which {
    /// A .wasm file, or the name of a built-in module.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Configuration that is handed to the module, as text.
    #[arg(long, value_name = "TEXT", default_value = "")]
    module_config: String,
}

// === impl Which ===

impl Which {
    /// A file, and what the module is told.
    pub fn file(file: &Path, module_config: &str) -> Self {
        Self { file: file.to_owned(), module_config: module_config.to_owned() }
    }

    fn name(&self) -> String {
        self.file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn bytes(&self) -> Result<Vec<u8>, Failure> {
        let named = |module: &modules::BuiltIn| Path::new(module.name) == self.file;
        match modules::built_in().find(named) {
            Some(module) => Ok(module.wasm.to_vec()),
            None => modules::read(&self.file),
        }
    }

    /// Loads it and asks it to describe itself, or says why it is not used.
    fn load(&self, sandbox: &Sandbox, config: &Config, threads: &Threads) -> Result<Loaded, Exit> {
        let loaded = self.try_load(sandbox, config.sandbox.limits, threads);
        loaded.map_err(|failure| refused(&self.file, &failure))
    }

    fn try_load(&self, sandbox: &Sandbox, limits: CallLimits, threads: &Threads) -> Result<Loaded, Failure> {
        let bytes = self.bytes()?;
        threads.time.block_on(async {
            let code = sandbox.load(&bytes).await?;
            let (config, granted) = (self.module_config.clone(), Granted::to_try_out());
            sandbox.configure_of((OPERATOR, &self.name()), code, config, Limits::from(limits), granted).await
        })
    }
}

/// Says why a module is not used.
fn refused(file: &Path, failure: &Failure) -> Exit {
    if failure.cause == Cause::Unreadable {
        print::error(failure);
        return Exit::Usage;
    }
    print::error(format_args!("{} was refused: {failure}", file.display()));
    Exit::Module
}

/// A configuration, read once, and the sandbox that it wants.
fn prepare(at: &Where) -> Result<(Sandbox, Config, Threads), Exit> {
    let config = at.load()?;
    Ok((setup::sandbox(&config)?, config, Threads::start()?))
}

fn is_pollster(module: &Loaded) -> bool {
    module.code.manifest.world == World::Pollster
}
