//! All outputs of the daemon. One that fails does not keep samples from the others.

use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::file::JsonLines;
use super::id::Ids;
use super::prometheus::{Feed, endpoint};
use crate::config::daemon::Output;
use crate::config::{Config, Problems};
use crate::pipeline::Slot;

/// Where samples go.
#[derive(Debug, Default)]
pub struct Outputs {
    files: Vec<Sink>,
    metrics: Option<Feed>,
}

#[derive(Debug)]
struct Sink {
    lines: JsonLines,
    failing: bool,
}

/// What is wrong with outputs, as far as can be told without writing.
pub fn check(config: &Config) -> Problems {
    let mut problems = endpoint::check(config);
    for (place, output) in config.outputs.iter().enumerate() {
        let Output::File(file) = output;
        let key = format!("outputs[{place}].file");
        let folder = file.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let shown = folder.display();
        if !folder.is_dir() {
            let message = format!("there is no folder {shown}, and samples are lost until there is");
            problems.warning(file.place, &key, message, "Make it, or write another one");
        } else if rustix::fs::access(folder, Access::WRITE_OK).is_err() {
            let message = format!("this user cannot write in {shown}");
            problems.warning(file.place, &key, message, "Give the daemon a folder of its own");
        }
        let earlier = config.outputs.iter().take(place);
        if earlier.clone().any(|Output::File(other)| other.file == file.file) {
            let message = format!("{} is the file of two outputs", file.file.display());
            problems.error(file.place, &key, message, "Give each output a file of its own");
        }
    }
    problems
}

// === impl Outputs ===

impl Outputs {
    /// The outputs of a configuration.
    pub fn of(configured: &[Output]) -> Self {
        let files = configured.iter().map(|output| match output {
            Output::File(file) => JsonLines::new(&file.file, file.max_size.bytes(), file.keep),
        });
        Self { files: files.map(|lines| Sink { lines, failing: false }).collect(), metrics: None }
    }

    /// Adds a file that grows as it will.
    #[must_use]
    pub fn and_file(mut self, path: PathBuf) -> Self {
        self.files.push(Sink { lines: JsonLines::new(&path, u64::MAX, 0), failing: false });
        self
    }

    /// Adds an exporter.
    #[must_use]
    pub fn and_metrics(mut self, feed: Feed) -> Self {
        self.metrics = Some(feed);
        self
    }

    /// Says that the configuration to which these belong is in force.
    pub fn begin(&mut self) {
        self.metrics.iter_mut().for_each(Feed::begin);
    }

    /// Whether samples go nowhere.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.metrics.as_ref().is_none_or(Feed::is_idle)
    }

    /// Hands a slot to each output. Returns how many samples an output could not take; that is said once, and once
    /// more when it is over.
    pub fn write(&mut self, slot: &Slot, ids: &Ids) -> u64 {
        // First, because files may block.
        self.metrics.iter_mut().for_each(|metrics| metrics.store(slot));
        let mut undelivered = 0;
        for sink in &mut self.files {
            let before = sink.lines.lost;
            let result = sink.lines.write(slot, ids);
            let path = sink.lines.path().display();
            match &result {
                Err(error) if !sink.failing => {
                    tracing::error!(%path, %error, "Samples cannot be written; every slot tries again.");
                }
                Ok(()) if sink.failing => tracing::info!(%path, lost = sink.lines.lost, "Samples are written again."),
                _ => {}
            }
            sink.failing = result.is_err();
            undelivered += sink.lines.lost - before;
        }
        undelivered
    }
}
