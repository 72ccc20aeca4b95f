//! `wasmeter module rollback`.

use super::deploy::{self, WITHIN};
use super::named::Named;
use crate::cli::ask::Unanswered;
use crate::cli::{Exit, print};
use crate::control::deployments::{Deployed, RollBack};

const EXAMPLES: &str = "\
Examples:
  wasmeter module rollback acme/pressure       a trial ends; otherwise back to what ran before
  wasmeter module rollback acme/pressure --to 3 --dry-run
  wasmeter module rollback acme/pressure --to 3

A version that ran before runs at once; any other one is tried out, as by `wasmeter module deploy`,
and on trial. See `wasmeter module show` for which there are, and `wasmeter module diff` for what is
different.
Exit codes: 69: the daemon or the host does not answer; 70: the version is refused as things are
now, or fails in the dry run; 1: there is no such version, it runs already, or there is no room for
it. All stays as it is then.";

/// Go back to a version of a deployment that ran before, or that is kept.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    named: Named,
    /// To this version; otherwise to the last one that ran.
    #[arg(long, value_name = "VERSION")]
    to: Option<u64>,
    /// Only say what would come of it. A version that ran before is tried out, too.
    #[arg(long)]
    dry_run: bool,
    /// Go back to it even if it fails in the dry run.
    #[arg(long, conflicts_with = "dry_run")]
    anyway: bool,
    /// For programs: an object with all of it.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Does it.
    pub fn run(self) -> Exit {
        self.try_run().unwrap_or_else(|exit| exit)
    }

    fn try_run(&self) -> Result<Exit, Exit> {
        let Self { to, dry_run, anyway, .. } = *self;
        let (path, line) = (self.named.path("/rollback")?, self.named.daemon.patient_line(WITHIN)?);
        let done: Deployed = line.post(&path, &RollBack { to, dry_run, anyway }).map_err(Unanswered::say)?;
        deploy::answered(&done, self.json, |done| text(done, dry_run))
    }
}

fn text(done: &Deployed, only_tried: bool) -> String {
    let Deployed { key, version, paused, changes, .. } = done;
    let mut out = deploy::text::tried_out(done);
    if version.is_none() && done.failed().is_some() {
        let stays = if only_tried { "would stay" } else { "stays" };
        let remedy = "Go back to another version, or to this one with --anyway";
        return out + &format!("{key} {stays} as it is, because the dry run failed. {remedy}\n");
    }
    let when = if only_tried { ", if this is done" } else { "" };
    out.extend(changes.iter().map(|change| format!("{key}{when}: {}\n", print::line(change))));
    if *paused {
        out += &format!("{key}: it is paused, and does not run before it is resumed\n");
    }
    if only_tried {
        out += &format!("{key} stays as it is so far. To have that, leave out --dry-run\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::deployments::{DryRun, Failed};
    use crate::digest::Digest;
    use crate::modules::deployment::Key;

    #[test]
    fn each_end_has_its_words() {
        let done = Deployed {
            key: Key::new("acme".parse().unwrap(), "probe".parse().unwrap()),
            digest: Digest::of(b"x"),
            signed_by: None,
            dry_run: None,
            version: Some(1),
            on_trial: false,
            unchanged: false,
            paused: false,
            quarantined: false,
            changes: vec!["version 1 runs again".to_owned(), "b\n\u{7}".to_owned()],
            doubts: Vec::new(),
        };
        assert_eq!(text(&done, false), "acme/probe: version 1 runs again\nacme/probe: b\u{fffd}\u{fffd}\n");
        let paused = Deployed { paused: true, ..done.clone() };
        assert!(text(&paused, false).ends_with("acme/probe: it is paused, and does not run before it is resumed\n"));
        let only_tried = Deployed { version: None, ..done.clone() };
        let words = "acme/probe, if this is done: version 1 runs again\nacme/probe, if this is done: b\u{fffd}\u{fffd}\n\
                     acme/probe stays as it is so far. To have that, leave out --dry-run\n";
        assert_eq!(text(&only_tried, true), words);
        let failed = Failed { at: None, version: None, cause: "trap".into(), why: "why".into(), resources: 2 };
        let run = DryRun { resources: 2, slots: 1, failures: vec![failed], ..DryRun::default() };
        let fails = Deployed { dry_run: Some(run), ..only_tried };
        for (only_tried, words) in [(true, "would stay as it is, because"), (false, "stays as it is, because")] {
            let said = text(&fails, only_tried);
            assert!(said.starts_with("acme/probe  sha256:") && said.contains(words), "{said}");
            assert!(!said.contains("runs again"), "{said}");
        }
    }
}
