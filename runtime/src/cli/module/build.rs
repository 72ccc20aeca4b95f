//! `wasmeter module build`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::module::candidate::{Draft, Unfit};
use crate::cli::module::inspect::{self, Tried};
use crate::cli::module::told::Told;
use crate::cli::module::{Rules, Terms, Which, cargo, prepare};
use crate::cli::setup::{Host, Threads};
use crate::cli::{Exit, logging, print};
use crate::config::Config;
use crate::config::daemon::LogFormat;
use crate::sandbox::{Cause, Failure, Limits, Module, Sandbox};

const EXAMPLES: &str = "\
Examples:
  wasmeter module build
  wasmeter module build ~/modules/traffic --json | jq -r .file
  wasmeter module build ~/modules/exporter --config exporter.yaml

What a module gives may depend on what it is told. One that says nothing of itself without --config
is built all the same, and what it lacks is said.
It is built as the crate's profile `release` says, or its workspace's profile `guest`; where the
crate says nothing about either, as wasmeter's own modules are.";

/// Build the module of a crate, and say what became of it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The crate's folder.
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    told: Told,
    #[command(flatten)]
    rules: Rules,
    /// For programs.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Does it.
    pub fn run(self) -> Exit {
        self.try_run().map_or_else(|exit| exit, |()| Exit::Done)
    }

    fn try_run(&self) -> Result<(), Exit> {
        logging::start(&LogFormat::Text);
        let (sandbox, config, threads) = prepare(&self.rules.on(&Host::default()))?;
        let file = file(&self.folder)?;
        let which = Which::file(&file, &Terms { told: self.told.clone(), ..Terms::default() });
        let (module, described) = self.describe(&which, &sandbox, &config, &threads)?;
        if self.json {
            let mut said = inspect::json(&module, &described);
            if let Some(entries) = said.as_object_mut() {
                entries.insert("file".to_owned(), file.to_string_lossy().into());
            }
            return print::json(&said);
        }
        print::text(&format!("built {}\n{}", shown(&file).display(), inspect::text(&module, &described)))
    }

    /// What it says of itself. It may have nothing to say before it is told something, which is no failure to build it.
    fn describe(
        &self,
        which: &Which,
        sandbox: &Sandbox,
        config: &Config,
        threads: &Threads,
    ) -> Result<(Arc<Module>, Tried), Exit> {
        let (name, code) = (which.name(), which.code(sandbox, threads)?);
        let (told, limits) = (self.told.text()?, Limits::from(config.sandbox.limits));
        let undescribed = Module::undescribed(&name, false, code.clone(), told.clone(), limits);
        let draft = Draft { sandbox, name: &name, code, config: told, limits };
        match threads.time.block_on(draft.that_may_ask_nobody()) {
            Ok(candidate) => {
                let described = Tried::described(&candidate.module);
                Ok((candidate.module, described))
            }
            Err(Unfit::Failed(failure)) if failure.cause == Cause::ModuleError && self.told.is_nothing() => {
                let why = untold(&name, &failure);
                print::note(&why);
                Ok((Arc::new(undescribed), Tried::untried(why)))
            }
            Err(unfit) => Err(which.unfit(unfit)),
        }
    }
}

fn untold(name: &str, failure: &Failure) -> String {
    let why = failure.words();
    format!("what {name} gives is not known without its configuration: {why}. Say with --config what it is told")
}

/// Builds the module of a crate, and says why if that is not possible.
pub fn file(folder: &Path) -> Result<PathBuf, Exit> {
    cargo::build(folder).map_err(|error| {
        print::error(&error);
        error.exit()
    })
}

/// A path as somebody here would write it.
pub fn shown(path: &Path) -> &Path {
    let here = std::env::current_dir().and_then(|here| here.canonicalize()).ok();
    here.and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path)
}
