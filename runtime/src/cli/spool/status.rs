//! `wasmeter spool status`.

use super::look;
use crate::cli::ask::{Daemon, Unanswered};
use crate::cli::{Exit, print};
use crate::config::Pipelines;
use crate::control::status::{Publisher, Spool, Status};
use crate::control::{publisher, spool_status, text};

const EXAMPLES: &str = "\
Examples:
  wasmeter spool status -c /etc/wasmeter/wasmeter.yaml
  wasmeter spool status --json | jq '.publishers[] | {name, spooled, oldest}'

Without a running daemon, it says what the daemon noted last: before a crash, in its last slot.";

/// Show what waits, and for whom.
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
    pub(super) fn run(self) -> Result<(), Exit> {
        let (running, publishers, spool) = match self.daemon.line()?.get("/status") {
            Ok(Status { publishers, spool, .. }) => (true, publishers, spool),
            Err(Unanswered::Nobody(_)) => self.look()?,
            Err(refused) => return Err(refused.say()),
        };
        if self.json {
            let value = serde_json::json!({"running": running, "publishers": publishers, "spool": spool});
            return print::json(&value);
        }
        let mut out = text::publishers(&publishers, running, spool.seen) + &text::spool(&spool, spool.seen);
        if !running {
            out += "\nno daemon answers; this is what lies on the disk\n";
        }
        print::text(out.trim_start())
    }

    fn look(&self) -> Result<(bool, Vec<Publisher>, Spool), Exit> {
        let config = self.daemon.load()?;
        let view = look(&config)?.view;
        let urls = config.pipeline.as_ref().map(Pipelines::urls).unwrap_or_default();
        let publishers = view.books.iter().map(|books| publisher(books, urls.get(&books.publisher), None)).collect();
        Ok((false, publishers, spool_status(&config.spool.path, &view, None)))
    }
}
