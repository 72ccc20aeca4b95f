//! `wasmeter spool`: samples that wait to be delivered.

mod export;
mod give_up;
mod replay;
mod status;

use super::ask::Line;
use super::{Exit, print};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::spool::log::Error;
use crate::spool::sight::Sight;
use crate::spool::{Opened, Spool as Folder, Unusable};

/// What can be done with samples that wait.
#[derive(Debug, clap::Subcommand)]
pub enum Spool {
    /// Show what waits, and for whom, with or without a running daemon.
    Status(status::Args),
    /// Write what waits as JSON lines, and leave it where it is, with or without a running daemon.
    Export(export::Args),
    /// Have samples delivered again, with the ids that they have.
    Replay(replay::Args),
    /// Give up what a publisher has not delivered.
    Drop(give_up::Args),
}

impl Spool {
    /// Does it.
    pub fn run(self) -> Exit {
        let done = match self {
            Self::Status(args) => args.run(),
            Self::Export(args) => args.run(),
            Self::Replay(args) => args.run(),
            Self::Drop(args) => args.run(),
        };
        done.map_or_else(|exit| exit, |()| Exit::Done)
    }
}

/// Refuses a publisher that there is not.
pub(super) fn known<'a>(publisher: &str, known: impl Iterator<Item = &'a str>) -> Result<(), Exit> {
    let known: Vec<&str> = known.collect();
    if known.contains(&publisher) {
        return Ok(());
    }
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    print::error(format_args!("there is no publisher {publisher:?}; there are: {known}"));
    Err(Exit::Usage)
}

/// The spool as it lies there, whoever writes to it.
fn look(config: &Config) -> Result<Sight, Exit> {
    if !Sight::is_there(&config.spool) {
        let path = config.spool.path.display();
        print::error(format_args!("there is no spool in {path}. Name the daemon's configuration (-c FILE)"));
        return Err(Exit::Failed);
    }
    Sight::of(&config.spool, SystemClock.now().wall).map_err(|error| unusable(&error))
}

/// The spool while there is no daemon.
fn open(config: &Config, line: &Line) -> Result<Folder, Exit> {
    if !Sight::is_there(&config.spool) {
        let (path, socket) = (config.spool.path.display(), line.socket().display());
        let remedy = "Name the daemon's configuration (-c FILE) or its socket (--socket PATH)";
        print::error(format_args!("nobody answers at {socket}, and there is no spool in {path}. {remedy}"));
        return Err(Exit::Unreachable);
    }
    match Folder::open(&config.spool, SystemClock.now().wall) {
        Ok(Opened { spool, .. }) => Ok(spool),
        Err(Unusable::Log { source: Error::Locked, path }) => {
            let (path, socket) = (path.display(), line.socket().display());
            let remedy = "Name its socket (--socket PATH)";
            print::error(format_args!("a daemon uses {path}, and nobody answers at {socket}. {remedy}"));
            Err(Exit::Unreachable)
        }
        Err(error) => Err(unusable(&error)),
    }
}

/// Notes what was done before it is left.
fn close(spool: &Folder) -> Result<(), Exit> {
    spool.settle(SystemClock.now().wall).map_err(|error| failed(&error))
}

fn unusable(error: &Unusable) -> Exit {
    let source = std::error::Error::source(error).and_then(std::error::Error::source);
    let cause = source.map(|source| format!(" ({source})")).unwrap_or_default();
    print::error(format_args!("{error}{cause}. {}", error.remedy()));
    Exit::Failed
}

fn failed(error: &impl std::fmt::Display) -> Exit {
    print::error(error);
    Exit::Failed
}

/// So many samples.
fn samples(number: u64) -> String {
    if number == 1 { "1 sample".to_owned() } else { format!("{number} samples") }
}
