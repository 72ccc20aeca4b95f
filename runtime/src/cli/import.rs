//! `wasmeter import`: our configuration, made of Ceilometer's.

mod save;
mod text;

use std::path::{Path, PathBuf};

use super::{Exit, print};
use crate::config::ceilometer::{Import, PollingFile};

const EXAMPLES: &str = "\
Examples:
  wasmeter import
  wasmeter import --output /etc/wasmeter --copy
  wasmeter import /etc/kolla/ceilometer-compute --json | jq '.items[] | select(.verdict != \"taken\")'

Without --output nothing is written: the configuration is printed to standard output, and what becomes of
Ceilometer's settings to standard error; what is set to its default, or not at all, is named where it matters. With it, the broker's URL and the secret for signatures go to files of
their own beside it, which their owner alone may read: give them to the user that the daemon runs as.

ceilometer.conf, ceilometer.conf.d and polling.yaml are read as ceilometer-polling reads them; what its command
line or environment say is not seen. A folder of Mitaka's has no polling.yaml: its pipeline.yaml says what is
measured how often, and is followed as a whole.";

/// Make a configuration of Ceilometer's, and list what has no counterpart.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The folder that ceilometer.conf is in.
    #[arg(value_name = "FOLDER", default_value = "/etc/ceilometer")]
    folder: PathBuf,
    /// Write it to this file, or to wasmeter.yaml in this folder.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Copy polling.yaml, or Mitaka's pipeline.yaml, too, instead of referring to it where it is.
    #[arg(long, requires = "output")]
    copy: bool,
    /// Write over files that are there.
    #[arg(long, requires = "output")]
    force: bool,
    /// For programs: an object with the configuration, what becomes of every setting that is not at its default, and
    /// the problems.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Does it.
    pub fn run(self) -> Exit {
        self.try_run().map_or_else(|exit| exit, |()| Exit::Done)
    }

    fn try_run(&self) -> Result<(), Exit> {
        let import = Import::read(&self.folder, if self.copy { PollingFile::Copied } else { PollingFile::Stays });
        if import.problems.has_errors() {
            if self.json {
                print::json(&report(&import, &[]))?;
            } else {
                print::problems(&import.problems);
                print::error("nothing is imported");
            }
            return Err(Exit::Usage);
        }
        let yaml = text::yaml(&import.draft, &self.folder);
        let written = match &self.output {
            Some(output) => save::all(&import.draft, &yaml, output, self.force).map_err(|error| {
                print::error(&error);
                error.exit()
            })?,
            None => Vec::new(),
        };
        if self.json {
            return print::json(&report(&import, &written));
        }
        let told = text::items(&import.items);
        match self.output {
            Some(_) => print::text(&format!("{told}{}", text::written(&import.draft, &written)))?,
            None => {
                print::text(&yaml)?;
                eprint!("\n{}", print::plain(&format!("{told}{}", text::not_written(&import.draft))));
            }
        }
        if !import.problems.is_empty() {
            print::problems(&import.problems);
        }
        Ok(())
    }
}

/// For programs. Without a draft if it is not to be used.
fn report(import: &Import, written: &[PathBuf]) -> serde_json::Value {
    let written: Vec<_> = written.iter().map(|path| path.display().to_string()).collect();
    serde_json::json!({
        "config": (!import.problems.has_errors()).then(|| import.draft.json()),
        "items": import.items,
        "problems": import.problems,
        "written": written,
    })
}

/// The name of `wasmeter.yaml` in a folder, or another file's.
fn file(output: &Path) -> PathBuf {
    let is_folder = output.is_dir() || output.as_os_str().as_encoded_bytes().ends_with(b"/");
    if is_folder { output.join("wasmeter.yaml") } else { output.to_owned() }
}
