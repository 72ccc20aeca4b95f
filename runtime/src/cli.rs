//! The command line: one file for each subcommand.

pub mod ask;
pub mod cases;
pub mod check;
pub mod completion;
mod confirm;
pub mod exit;
pub mod explain;
mod help;
pub mod import;
pub mod logging;
pub mod losses;
pub mod module;
pub mod once;
pub mod pipeline;
pub mod print;
pub mod record;
pub mod run;
mod service;
pub mod setup;
pub mod spool;
pub mod status;
pub mod tap;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub use self::exit::Exit;

/// Meters virtual machines with sandboxed WebAssembly modules.
#[derive(Debug, Parser)]
#[command(name = "wasmeter", version, max_term_width = 100, after_help = exit::HELP)]
pub struct Line {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measure in every slot until a signal says to stop.
    Run(run::Args),
    /// Measure once and print what was measured.
    Once(once::Args),
    /// Find out everything that can be wrong before anything runs.
    Check(check::Args),
    /// Say where a guest's value of a meter comes from, or why there is none.
    Explain(explain::Args),
    /// Make a configuration of Ceilometer's, and list what has no counterpart.
    Import(import::Args),
    /// Write down what a host says, with identities masked, for tests and for bug reports.
    Record(record::Args),
    /// Say how the daemon is, and first of all what is wrong.
    Status(status::Args),
    /// Show what was lost, by publisher, cause, module, tenant and meter.
    Losses(losses::Args),
    /// Show samples as they pass a point in the daemon, until Ctrl-C or until it ends.
    Tap(tap::Args),
    /// Look at samples that wait to be delivered, and have them delivered again or given up.
    #[command(subcommand)]
    Spool(spool::Spool),
    /// Look at pipelines, and test them: what becomes of samples, and who gets them.
    #[command(subcommand)]
    Pipeline(pipeline::Pipeline),
    /// Make modules, look at them, try them out, and have them run for tenants.
    #[command(subcommand)]
    Module(module::Module),
    /// Print a script that completes this command line in a shell.
    Completion(completion::Args),
}

impl Line {
    /// Reads the command line.
    pub fn read() -> Result<Self, clap::Error> {
        let matches = help::flowing(Self::command()).try_get_matches();
        let matches = matches.map_err(|error| help::placed(error, &Self::command()))?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut Self::command()))
    }
}

impl Command {
    /// Does it.
    pub fn run(self) -> Exit {
        match self {
            Self::Run(args) => args.run(),
            Self::Once(args) => args.run(),
            Self::Check(args) => args.run(),
            Self::Explain(args) => args.run(),
            Self::Import(args) => args.run(),
            Self::Record(args) => args.run(),
            Self::Status(args) => args.run(),
            Self::Losses(args) => args.run(),
            Self::Tap(args) => args.run(),
            Self::Spool(spool) => spool.run(),
            Self::Pipeline(pipeline) => pipeline.run(),
            Self::Module(module) => module.run(),
            Self::Completion(args) => args.run(),
        }
    }
}
