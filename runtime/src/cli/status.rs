//! `wasmeter status`: how the daemon is.

use super::ask::{Daemon, Unanswered};
use super::{Exit, print};
use crate::control::status::Status;
use crate::control::text;

const EXAMPLES: &str = "\
Examples:
  wasmeter status -c /etc/wasmeter/wasmeter.yaml
  wasmeter status --json | jq -r '.troubles[]'
  kill -USR2 $(pidof wasmeter)                        the same, into the daemon's log

It is answered while the daemon measures, and while the hypervisor, the disk or an output hangs.
Exit code 69: there is no daemon that answers.";

/// Say how the daemon is, and first of all what is wrong.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    daemon: Daemon,
    /// For programs: an object with all of it.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Does it.
    pub fn run(self) -> Exit {
        self.try_run().map_or_else(|exit| exit, |()| Exit::Done)
    }

    fn try_run(&self) -> Result<(), Exit> {
        let status: Status = self.daemon.line()?.get("/status").map_err(Unanswered::say)?;
        print::asked(&status, self.json, text::status)
    }
}
