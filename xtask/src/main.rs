//! `cargo xtask`: everything that one does with this repository, set-up included.
//!
//! A module per command ([`setup`], [`demo`], [`suite`], [`peer_test`], [`bench`], [`fuzz`],
//! [`lint`]); each is a list of [`step`]s, most of
//! them calls of cargo. What they share is where things are ([`workspace`]) and how they end ([`exit`]).

#![forbid(unsafe_code)]

mod bench;
mod cli;
mod demo;
mod exit;
mod fuzz;
mod lint;
mod os;
mod peer_test;
mod setup;
mod sizes;
mod step;
mod suite;
mod tool;
mod workspace;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use self::cli::{Cli, Task};
use self::exit::{Error, Exit};
use self::workspace::Workspace;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error).into(),
    };
    match run(cli.task) {
        Ok(()) => Exit::Ok.into(),
        Err(error) => {
            eprintln!("error: {error}");
            error.exit().into()
        }
    }
}

fn run(task: Task) -> Result<(), Error> {
    let workspace = Workspace::locate()?;
    match task {
        Task::Setup(build) => setup::run(&workspace, setup::EVERYTHING, build),
        Task::Demo(options) => demo::run(&workspace, &options),
        Task::Test(options) => suite::run(&workspace, &options, suite::Counts::Short),
        Task::Soak(options) => suite::run(&workspace, &options, suite::Counts::Full),
        Task::PeerTest(options) => peer_test::run(&workspace, &options),
        Task::Bench(options) => bench::run(&workspace, &options),
        Task::Fuzz(options) => fuzz::run(&workspace, &options),
        Task::Lint(build) => lint::run(&workspace, build),
    }
}

/// Help is an answer, anything else that clap returns a mistake in the command line.
fn usage(error: &clap::Error) -> Exit {
    let exit = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Ok,
        _ => Exit::Usage,
    };
    // Nothing is left to tell anyone if the terminal is gone.
    let _ = error.print();
    exit
}
