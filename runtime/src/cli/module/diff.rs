//! `wasmeter module diff`.

use std::path::PathBuf;

use serde::Serialize;

use super::candidate::Unfit;
use super::facts::{self, Fact};
use super::named::Named;
use crate::cli::ask::Unanswered;
use crate::cli::{Exit, print};
use crate::control::deployments::{Shown, Standing, VersionShown};
use crate::digest::Digest;
use crate::modules;
use crate::modules::deployment::Key;

const EXAMPLES: &str = "\
Examples:
  wasmeter module diff acme/pressure                       what the version on trial changes, or
                                                           what the last one changed
  wasmeter module diff acme/pressure 3 5
  wasmeter module diff acme/pressure --file pressure.wasm  whether this file is what runs

What is told under keys that sound secret, and secrets, are not shown, so a difference in them is
not seen.
Exit codes: 69: there is no daemon that answers; with --exit-code, 1: they are different.";

/// Show what is different between two versions of a deployment.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    named: Named,
    /// The versions; one alone is compared with the one that runs.
    #[arg(value_name = "VERSION", num_args = 0..=2)]
    versions: Vec<u64>,
    /// Compare the module with this file.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// End with 1 if something is different.
    #[arg(long)]
    exit_code: bool,
    /// For programs: an object with the differences.
    #[arg(long)]
    json: bool,
}

/// Two sides, and in what they differ.
#[derive(Debug, Serialize)]
struct Comparison {
    #[serde(flatten)]
    key: Key,
    from: String,
    to: String,
    differences: Vec<Difference>,
}

/// Values of a field that only one side has.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Difference {
    what: String,
    from: Vec<String>,
    to: Vec<String>,
}

/// What can be compared.
type Side = (String, Vec<Fact>);

impl Args {
    /// Does it.
    pub fn run(self) -> Exit {
        self.try_run().unwrap_or_else(|exit| exit)
    }

    fn try_run(&self) -> Result<Exit, Exit> {
        let file = self.file.as_ref().map(|path| match modules::read(path) {
            Ok(bytes) => {
                let facts = facts::of_module(&Digest::of(&bytes), bytes.len() as u64);
                Ok((path.display().to_string(), facts))
            }
            Err(failure) => Err(Unfit::from(failure).say(path.display())),
        });
        let file = file.transpose()?;
        let shown: Shown = self.named.daemon.line()?.get(&self.named.path("")?).map_err(Unanswered::say)?;
        let (from, to) = sides(&shown, &self.versions, file).map_err(|why| {
            print::error(why);
            Exit::Usage
        })?;
        let differences = differences(&from.1, &to.1);
        let comparison = Comparison { key: shown.row.key, from: from.0, to: to.0, differences };
        print::asked(&comparison, self.json, text)?;
        let is_different = self.exit_code && !comparison.differences.is_empty();
        Ok(if is_different { Exit::Failed } else { Exit::Done })
    }
}

/// What is compared with what; in words why that cannot be.
fn sides(shown: &Shown, versions: &[u64], file: Option<Side>) -> Result<(Side, Side), String> {
    let (key, current) = (&shown.row.key, shown.row.version);
    let side = |number: u64| {
        let found = shown.versions.iter().find(|version| version.number == number);
        let kept = || shown.versions.iter().map(|version| version.number.to_string()).collect::<Vec<_>>().join(", ");
        let version =
            found.ok_or_else(|| format!("there is no version {number} of {key}: the kept ones are {}", kept()));
        version.map(|version| (format!("version {number}"), facts::of(version), version))
    };
    let whole = |number| side(number).map(|(name, facts, _)| (name, facts));
    match (versions, file, &shown.row.state, &*shown.earlier) {
        ([], Some(file), ..) => Ok((module(side(current)?), file)),
        ([number], Some(file), ..) => Ok((module(side(*number)?), file)),
        (_, Some(_), ..) => Err("a file is compared with one version: leave out the other one".to_owned()),
        ([from, to], None, ..) => Ok((whole(*from)?, whole(*to)?)),
        ([number], None, ..) => Ok((whole(*number)?, whole(current)?)),
        (_, None, Standing::TryingOut { version } | Standing::Trial { version, .. }, _) => {
            Ok((whole(current)?, whole(*version)?))
        }
        (_, None, _, [before, ..]) => Ok((whole(*before)?, whole(current)?)),
        (_, None, _, []) => {
            Err(format!("nothing ran before version {current} of {key}: name two versions, or a file with --file FILE"))
        }
    }
}

/// Of a version only what a file has, too.
fn module((name, _, version): (String, Vec<Fact>, &VersionShown)) -> Side {
    (name, facts::of_module(&version.digest, version.size))
}

/// Field by field, in the order in which they stand. Values are sets.
fn differences(from: &[Fact], to: &[Fact]) -> Vec<Difference> {
    let mut all: Vec<Difference> = Vec::new();
    for (what, _) in from.iter().chain(to) {
        if all.iter().any(|known| known.what == *what) {
            continue;
        }
        let only = |some: &[Fact], others: &[Fact]| {
            let of_field = some.iter().filter(|fact| fact.0 == *what && !others.contains(fact));
            of_field.map(|(_, value)| value.clone()).collect()
        };
        all.push(Difference { what: what.clone(), from: only(from, to), to: only(to, from) });
    }
    all.retain(|difference| !difference.from.is_empty() || !difference.to.is_empty());
    all
}

fn text(comparison: &Comparison) -> String {
    let Comparison { key, from, to, differences } = comparison;
    let (from, to) = (print::line(from), print::line(to));
    if differences.is_empty() {
        return format!("{key}: {from} and {to} are the same\n");
    }
    let mut out = format!("--- {key}, {from}\n+++ {key}, {to}\n");
    let width = differences.iter().map(|difference| difference.what.chars().count()).max().unwrap_or_default();
    for Difference { what, from, to } in differences {
        for (sign, values) in [('-', from), ('+', to)] {
            for value in values {
                out += &format!("{sign} {:<width$}  {}\n", print::line(what), print::line(value));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::show::example;
    use super::*;

    fn compared(shown: &Shown, versions: &[u64], file: Option<Side>) -> Result<String, String> {
        let (from, to) = sides(shown, versions, file)?;
        let differences = differences(&from.1, &to.1);
        Ok(text(&Comparison { key: shown.row.key.clone(), from: from.0, to: to.0, differences }))
    }

    #[test]
    fn fields_are_compared_as_sets_and_configurations_key_by_key() {
        let mut shown = example();
        let next = shown.versions.last_mut().unwrap();
        next.interval = 30;
        next.config = serde_json::json!({"threshold": 4, "auth": {"user": "me"}, "names": ["a", "b"]});
        next.meters = vec!["!acme.odd".into(), "acme.*".into(), "acme.more\n+ forged".into()];
        next.grants.clock = false;
        next.limits.memory = None;
        let expected = "--- acme/probe, version 2\n\
                        +++ acme/probe, version 3\n\
                        - interval           60s\n\
                        + interval           30s\n\
                        - config.threshold   3\n\
                        + config.threshold   4\n\
                        - config.auth.token  \"***\"\n\
                        + meters             acme.more\u{fffd}+ forged\n\
                        - grants.clock       yes\n\
                        - limits.memory      16.0M\n";
        assert_eq!(compared(&shown, &[], None).unwrap(), expected);
        assert_eq!(compared(&shown, &[2, 3], None).unwrap(), expected);
        assert_eq!(compared(&shown, &[1], None).unwrap(), "acme/probe: version 1 and version 2 are the same\n");
    }

    #[test]
    fn what_is_compared_follows_from_what_runs() {
        let mut shown = example();
        let names = |shown: &Shown, versions: &[u64]| sides(shown, versions, None).map(|(from, to)| (from.0, to.0));
        let pair = |from: u64, to: u64| Ok((format!("version {from}"), format!("version {to}")));
        assert_eq!(names(&shown, &[]), pair(2, 3));
        assert_eq!(names(&shown, &[3]), pair(3, 2));
        shown.row.state = Standing::Running;
        assert_eq!(names(&shown, &[]), pair(1, 2));
        shown.earlier.clear();
        assert!(names(&shown, &[]).unwrap_err().contains("nothing ran before version 2 of acme/probe"));
        assert!(names(&shown, &[1, 9]).unwrap_err().contains("no version 9 of acme/probe: the kept ones are 1, 2, 3"));
    }

    #[test]
    fn a_file_is_compared_by_its_bytes_alone() {
        let shown = example();
        let file = |bytes: &[u8], size| Some(("x.wasm".to_owned(), facts::of_module(&Digest::of(bytes), size)));
        let same = compared(&shown, &[], file(b"module", 96_973)).unwrap();
        assert_eq!(same, "acme/probe: version 2 and x.wasm are the same\n");
        let other = compared(&shown, &[1], file(b"other", 5)).unwrap();
        assert!(other.starts_with("--- acme/probe, version 1\n+++ acme/probe, x.wasm\n- module  sha256:"), "{other}");
        assert!(other.ends_with("- size    96973 bytes, 94.7K\n+ size    5 bytes, 5B\n"), "{other}");
        assert!(compared(&shown, &[1, 2], file(b"", 0)).is_err());
    }
}
