//! `wasmeter losses`: what was lost, and why.

use super::ask::{Daemon, Unanswered};
use super::{Exit, print};
use crate::control::status::Losses;
use crate::control::text;

const EXAMPLES: &str = "\
Examples:
  wasmeter losses -c /etc/wasmeter/wasmeter.yaml
  wasmeter losses --json | jq '.publishers[] | .measured + .replayed == .delivered + .spooled + .lost'

For each publisher, since it was configured first: measured + replayed = delivered + spooled + lost, in samples.
Causes are bytes, thinned, age, damaged, full-disk, operator, refused and oversize, of samples that were in the
spool, and disk-full, disk-failed and too-large, of samples that never came into it. Removed are samples that
waited for an output when it was taken out of the configuration. What could not be measured, and what
transformers dropped, is counted since the daemon's start.
Exit code 69: there is no daemon that answers.";

/// Show what was lost, by publisher, cause, module, tenant and meter.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    daemon: Daemon,
    /// Only of this publisher.
    #[arg(long, value_name = "NAME")]
    publisher: Option<String>,
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
        let mut losses: Losses = self.daemon.line()?.get("/losses").map_err(Unanswered::say)?;
        if let Some(publisher) = &self.publisher {
            // What an output lost that is not served any more is there under its name.
            let known = losses.publishers.iter().map(|known| &*known.name);
            let mut known: Vec<&str> = known.chain(losses.lost.iter().map(|loss| &*loss.publisher)).collect();
            known.sort_unstable();
            known.dedup();
            super::spool::known(publisher, known.into_iter())?;
            losses.publishers.retain(|known| known.name == *publisher);
            losses.lost.retain(|loss| loss.publisher == *publisher);
        }
        print::asked(&losses, self.json, text::losses)
    }
}
