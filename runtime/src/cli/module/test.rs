//! `wasmeter module test`: cases, each a host and what a module is expected to give on it.

mod case;
pub mod compare;
pub mod lines;
mod report;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Map;

use self::case::Case;
use self::report::{Outcome, Ran};
use crate::cli::cases::Cases;
use crate::cli::module::{Rules, Terms, Which, build, prepare};
use crate::cli::setup::Host;
use crate::cli::{Exit, logging, print};
use crate::config::daemon::LogFormat;

const EXAMPLES: &str = "\
Examples:
  wasmeter module test                                    build, and run the cases in tests/cases
  wasmeter module test --accept                           write down what comes as what is expected
  wasmeter module test traffic.wasm --cases tests/cases   a module that is built already

A case is a folder with a file case.yaml:

  host: recording:host.jsonl    of `wasmeter record`, or sim://?domains=3&calm=true
  slots: 3                      else as many as were recorded, or one
  interval: 10s                 from slot to slot of a simulated host
  config: {threshold: 5}        what the module is told
  fuel: 60000                   the most that a slot may take
  meters: [cpu]                 what a transformer is handed of what pollsters measure,
  inputs: inputs.jsonl          or samples that are written, a line of JSON each
  grants: {http: [...]}         what it may do, as in a deployment's file, but {secrets: {NAME: {text: TEXT}}}
  answers:                      what its requests are answered, one after the other, the last for ever
    - {url: 'http://a.example/metrics', status: 200, headers: {NAME: TEXT}, body: TEXT}
    - {method: POST, url: 'http://a.example/x', body_file: answer.json}
    - {url: 'http://b.example/', error: timeout}

and a file expected.jsonl with a line of JSON for each sample. A key that is left out of a line is
not compared. Time stands still but for the step from slot to slot, so a case gives the same each time.

Ends with 1 if samples or fuel are others, with 70 if the module failed where it should not, and
with 64 if a case cannot be run as it is written; of several the greatest.";

/// Compare what a module gives with what is expected, case by case.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The crate's folder, which is built first, or a .wasm file.
    #[arg(value_name = "DIR|FILE", default_value = ".")]
    of: PathBuf,
    /// The folder of cases; of a crate tests/cases.
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    /// Only cases whose names contain this.
    #[arg(long, value_name = "WORD", default_value = "")]
    only: String,
    /// Write what comes into expected.jsonl of each case.
    #[arg(long, visible_alias = "bless")]
    accept: bool,
    #[command(flatten)]
    rules: Rules,
    /// For programs.
    #[arg(long)]
    json: bool,
}

/// What holds the cases of a crate.
const CASES: &str = "tests/cases";

impl Args {
    /// Does it.
    pub fn run(self) -> Exit {
        self.try_run().unwrap_or_else(|exit| exit)
    }

    fn try_run(&self) -> Result<Exit, Exit> {
        logging::start(&LogFormat::Text);
        let (sandbox, config, threads) = prepare(&self.rules.on(&Host::default()))?;
        let is_crate = self.of.is_dir();
        let cases = match (&self.cases, is_crate) {
            (Some(cases), _) => cases.clone(),
            (None, true) => self.of.join(CASES),
            (None, false) => {
                print::error("a file has no cases of its own; name their folder with --cases");
                return Err(Exit::Usage);
            }
        };
        let cases = find(&cases, &self.only)?;
        let file = if is_crate { build::file(&self.of)? } else { self.of.clone() };
        let which = Which::file(&file, &Terms::default());
        let code = which.code(&sandbox, &threads)?;
        let sandbox = Arc::new(sandbox);
        let name = which.name();
        let mut ran = Cases::none(self.json);
        for folder in cases {
            ran.add(match Case::read(&folder, &config) {
                Ok(case) => case.run(&sandbox, &name, &code, &threads, self.accept),
                Err(problems) => {
                    print::problems(&problems);
                    Outcome::of(&folder, Ran::Unusable(Exit::Usage))
                }
            })?;
        }
        threads.guests.shutdown_background();
        let module = Map::from_iter([("module".to_owned(), name.into())]);
        ran.end(module, "If what came is right, write it down with --accept.\n")
    }
}

/// The folders of cases, in the order of their names; at least one.
fn find(folder: &Path, only: &str) -> Result<Vec<PathBuf>, Exit> {
    let unreadable = |error| {
        print::error(format_args!("{} cannot be read: {error}; name a folder of cases", folder.display()));
        Exit::Usage
    };
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let named = path.file_name().is_some_and(|name| name.to_string_lossy().contains(only));
        if named && path.join(case::FILE).exists() {
            cases.push(path);
        }
    }
    if cases.is_empty() {
        let what = if only.is_empty() { "no case".to_owned() } else { format!("no case with {only:?} in its name") };
        print::error(format_args!("{} has {what}: a case is a folder with a file {}", folder.display(), case::FILE));
        return Err(Exit::Usage);
    }
    cases.sort();
    Ok(cases)
}
