//! `wasmeter spool drop`.

use super::{close, open, samples};
use crate::cli::ask::{Daemon, Line, Unanswered};
use crate::cli::{Exit, confirm, print};
use crate::clock::{Clock, SystemClock};
use crate::control::orders::{GaveUp, GiveUp, Refused};
use crate::control::time::Time;
use crate::spool::Spool;

const EXAMPLES: &str = "\
Examples:
  wasmeter spool drop --publisher notifier --before 2026-01-02T00:00:00Z -c /etc/wasmeter/wasmeter.yaml
  wasmeter spool drop --publisher notifier --all --yes

What is given up is lost for this publisher, and counted so, with the cause `operator`. Others still get it. To keep a
copy, run `wasmeter spool export` before.";

/// Give up what a publisher has not delivered.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, group = clap::ArgGroup::new("what").required(true))]
pub struct Args {
    /// The publisher.
    #[arg(long, value_name = "NAME")]
    publisher: String,
    /// What was kept before this time: 2026-01-02T03:04:05Z, or how long ago, as in 90m.
    #[arg(long, value_name = "TIME", group = "what")]
    before: Option<String>,
    /// All of it.
    #[arg(long, group = "what")]
    all: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    daemon: Daemon,
}

/// Who holds the samples.
enum Holder {
    /// A daemon.
    Daemon(Line),
    /// Nobody but the disk.
    Disk(Spool),
}

impl Args {
    pub(super) fn run(self) -> Result<(), Exit> {
        let before = self.before.as_deref().map(|text| Time::read(text, SystemClock.now().wall)).transpose();
        let before = before.map_err(|error| {
            print::error(error);
            Exit::Usage
        })?;
        let mut order = GiveUp { publisher: self.publisher.clone(), before, count_only: true };
        let line = self.daemon.line()?;
        let (holder, found) = match line.post::<GaveUp>("/spool/drop", &order) {
            Ok(found) => (Holder::Daemon(line), found),
            Err(Unanswered::Nobody(_)) => {
                let holder = Holder::Disk(open(&self.daemon.load()?, &line)?);
                let found = holder.give_up(&order)?;
                (holder, found)
            }
            Err(refused) => return Err(refused.say()),
        };
        if found.samples == 0 {
            return print::text(&format!("nothing of that waits for {}\n", self.publisher));
        }
        let would = format!("{} would be lost for {}", samples(found.samples), self.publisher);
        confirm::confirm(self.yes, &would, "nothing was given up")?;
        order.count_only = false;
        let gone = holder.give_up(&order)?;
        if let Holder::Disk(spool) = &holder {
            close(spool)?;
        }
        print::text(&format!("{} are lost for {}\n", samples(gone.samples), self.publisher))
    }
}

// === impl Holder ===

impl Holder {
    fn give_up(&self, order: &GiveUp) -> Result<GaveUp, Exit> {
        let spool = match self {
            Self::Daemon(line) => return line.post("/spool/drop", order).map_err(Unanswered::say),
            Self::Disk(spool) => spool,
        };
        let before = order.before.map_or(i64::MAX, |time| time.0);
        let samples = if order.count_only {
            spool.held_before(&order.publisher, before)
        } else {
            spool.give_up(&order.publisher, before, SystemClock.now().wall)
        };
        samples.map(|samples| GaveUp { samples }).map_err(|error| {
            let refused = Refused::of(error, spool);
            print::error(&refused);
            if matches!(refused, Refused::Wrong(_)) { Exit::Usage } else { Exit::Failed }
        })
    }
}
