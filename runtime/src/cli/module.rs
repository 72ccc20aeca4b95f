//! `wasmeter module`: making modules, looking at them, trying them out, and having them run for tenants.

pub mod alone;
mod amount;
pub mod bench;
pub mod build;
mod candidate;
pub mod cargo;
pub mod deploy;
pub mod diff;
mod facts;
pub mod given;
pub mod grants;
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
mod told;
pub mod trial;
pub mod try_out;
pub mod watch;
pub mod written;

use std::path::{Path, PathBuf};

use self::candidate::{Candidate, Draft, Unfit};
use self::grants::Granting;
use self::told::Told;
use super::setup::{self, Host, Threads, Where};
use super::{Exit, print};
use crate::config::Config;
use crate::modules;
use crate::modules::deploying::written::Written;
use crate::sandbox::module::Code;
use crate::sandbox::{Failure, Module as Loaded, Sandbox, World};

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

/// What a module is told, and what it may do.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Terms {
    #[command(flatten)]
    told: Told,
    #[command(flatten)]
    granting: Granting,
}

/// By which rules a module is tried.
#[derive(Debug, Clone, clap::Args)]
pub struct Rules {
    /// Configuration file of a daemon; without one, the defaults hold.
    #[arg(short = 'c', long, value_name = "FILE")]
    daemon_config: Option<PathBuf>,
}

/// Which module, and on which terms.
#[derive(Debug, Clone, clap::Args)]
pub struct Which {
    /// A .wasm file, or the name of a built-in module.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    terms: Terms,
}

// === impl Rules ===

impl Rules {
    /// The same on this host.
    fn on(&self, host: &Host) -> Where {
        Where { config: self.daemon_config.clone(), host: host.clone() }
    }
}

// === impl Which ===

impl Which {
    /// A file, on these terms.
    pub fn file(file: &Path, terms: &Terms) -> Self {
        Self { file: file.to_owned(), terms: terms.clone() }
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

    /// Loads its code, or says why it is not used.
    fn code(&self, sandbox: &Sandbox, threads: &Threads) -> Result<Code, Exit> {
        let code = self.bytes().and_then(|bytes| threads.time.block_on(sandbox.load(&bytes)));
        code.map_err(|failure| self.unfit(failure.into()))
    }

    /// Loads it and asks it to describe itself, or says why it is not used.
    fn load(&self, sandbox: &Sandbox, config: &Config, threads: &Threads) -> Result<Candidate, Exit> {
        let (told, grants) = (self.terms.told.text()?, self.terms.granting.all()?);
        let (name, code) = (self.name(), self.code(sandbox, threads)?);
        let draft = Draft { sandbox, name: &name, code, config: told, limits: config.sandbox.limits.into() };
        let candidate = threads.time.block_on(async {
            match grants {
                Some(grants) => draft.granted(&sandbox.requests, &grants, Written::Order).await,
                None => draft.that_may_ask_nobody().await,
            }
        });
        candidate.map_err(|unfit| self.unfit(unfit))
    }

    /// Says why it is not tried.
    fn unfit(&self, unfit: Unfit) -> Exit {
        unfit.say(self.file.display())
    }
}

/// Says what is wrong with the command line.
fn usage(why: impl std::fmt::Display) -> Exit {
    print::error(why);
    Exit::Usage
}

/// A configuration, read once, and the sandbox that it wants.
fn prepare(at: &Where) -> Result<(Sandbox, Config, Threads), Exit> {
    let config = at.load()?;
    Ok((setup::sandbox_to_look(&config)?, config, Threads::start()?))
}

fn is_pollster(module: &Loaded) -> bool {
    module.code.manifest.world == World::Pollster
}
