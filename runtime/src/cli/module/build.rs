//! `wasmeter module build`.

use std::path::{Path, PathBuf};

use crate::cli::module::inspect::{self, Tried};
use crate::cli::module::{Terms, Which, cargo, prepare};
use crate::cli::setup::Where;
use crate::cli::{Exit, logging, print};
use crate::config::daemon::LogFormat;

const EXAMPLES: &str = "\
Examples:
  wasmeter module build
  wasmeter module build ~/modules/traffic --json | jq -r .file

It is built as the crate's profile `release` says, or its workspace's profile `guest`; where the
crate says nothing about either, as wasmeter's own modules are.";

/// Build the module of a crate, and say what became of it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The crate's folder.
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Configuration that the module is asked with what it gives, as text.
    #[arg(long, value_name = "TEXT", default_value = "")]
    module_config: String,
    #[command(flatten)]
    at: Where,
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
        let (sandbox, config, threads) = prepare(&self.at)?;
        let file = file(&self.folder)?;
        let which = Which::file(&file, &Terms::told(&self.module_config));
        let module = which.load(&sandbox, &config, &threads)?.module;
        let described = Tried::described(&module);
        if self.json {
            let mut said = inspect::json(&module, &described);
            if let Some(entries) = said.as_object_mut() {
                entries.insert("file".to_owned(), file.to_string_lossy().into());
            }
            return print::json(&said);
        }
        print::text(&format!("built {}\n{}", shown(&file).display(), inspect::text(&module, &described)))
    }
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
