//! `wasmeter module pause`, `resume` and `remove`: what a deployment is told in a word.

use super::amount::count;
use super::named::Named;
use crate::cli::ask::Unanswered;
use crate::cli::{Exit, confirm, print};
use crate::control::deployments::{Done, Shown};

const PAUSE: &str = "\
Examples:
  wasmeter module pause acme/pressure
  wasmeter module pause pressure --tenant acme

It is kept with what it remembers, and does not run until `wasmeter module resume`, whatever is
started anew meanwhile.
Exit code 69: there is no daemon that answers.";

const RESUME: &str = "\
Examples:
  wasmeter module resume acme/pressure

Exit code 69: there is no daemon that answers.";

const REMOVE: &str = "\
Examples:
  wasmeter module remove acme/pressure
  wasmeter module remove acme/pressure --yes

Its versions go, and what it remembers. The audit log still tells of it, and samples that wait are
delivered.
Exit code 69: there is no daemon that answers.";

/// Have a deployment not run.
#[derive(Debug, clap::Args)]
#[command(after_help = PAUSE)]
pub struct Pause {
    #[command(flatten)]
    order: Order,
}

/// Have a deployment run again that was paused.
#[derive(Debug, clap::Args)]
#[command(after_help = RESUME)]
pub struct Resume {
    #[command(flatten)]
    order: Order,
}

/// Remove a deployment with all its versions and all that it remembers.
#[derive(Debug, clap::Args)]
#[command(after_help = REMOVE)]
pub struct Remove {
    #[command(flatten)]
    order: Order,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

/// What these orders have in common.
#[derive(Debug, clap::Args)]
struct Order {
    #[command(flatten)]
    named: Named,
    /// For programs: an object with what changed.
    #[arg(long)]
    json: bool,
}

// === impl Pause ===

impl Pause {
    /// Does it.
    pub fn run(self) -> Exit {
        self.order.give("/pause", Vec::new())
    }
}

// === impl Resume ===

impl Resume {
    /// Does it.
    pub fn run(self) -> Exit {
        self.order.give("/resume", Vec::new())
    }
}

// === impl Remove ===

impl Remove {
    /// Does it.
    pub fn run(self) -> Exit {
        match self.confirm() {
            Ok(()) => self.order.give("/remove", Vec::new()),
            Err(exit) => exit,
        }
    }

    fn confirm(&self) -> Result<(), Exit> {
        if self.yes {
            return Ok(());
        }
        let named = &self.order.named;
        let shown: Shown = named.daemon.line()?.get(&named.path("")?).map_err(Unanswered::say)?;
        let versions = count(shown.versions.len() as u64, "version");
        let would = format!("{} would be removed, with {versions} and what it remembers", shown.row.key);
        confirm::confirm(false, &would, "nothing was removed")
    }
}

// === impl Order ===

impl Order {
    fn give(&self, what: &str, body: Vec<u8>) -> Exit {
        self.try_give(what, body).map_or_else(|exit| exit, |()| Exit::Done)
    }

    fn try_give(&self, what: &str, body: Vec<u8>) -> Result<(), Exit> {
        let done: Done = self.named.daemon.line()?.send(&self.named.path(what)?, body).map_err(Unanswered::say)?;
        print::asked(&done, self.json, text)
    }
}

fn text(done: &Done) -> String {
    let Done { key, changes, .. } = done;
    if changes.is_empty() {
        return format!("{key}: nothing is different\n");
    }
    changes.iter().map(|change| format!("{key}: {}\n", print::line(change))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::modules::deployment::Key;

    #[test]
    fn what_changed_is_said_line_by_line() {
        let key = Key::new("acme".parse().unwrap(), "probe".parse().unwrap());
        let of = |changes: &[&str]| {
            let changes = changes.iter().map(ToString::to_string).collect();
            text(&Done { key: key.clone(), version: 1, digest: Digest::of(b"module"), changes })
        };
        assert_eq!(of(&[]), "acme/probe: nothing is different\n");
        assert_eq!(of(&["a trial ended", "b\n\u{7}"]), "acme/probe: a trial ended\nacme/probe: b\u{fffd}\u{fffd}\n");
    }
}
