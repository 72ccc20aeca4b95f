//! Mitaka's `pipeline.yaml`, which says what is measured how often as well: where it has intervals and there is no
//! `polling.yaml`, the whole of it is followed.

use std::path::{Path, PathBuf};

use super::polling::{self, Referred};
use super::{Taking, known};
use crate::config::ceilometer::meters::may_be_given;
use crate::config::ceilometer::report::Verdict::Taken;
use crate::config::ceilometer::settings::At;
use crate::config::ceilometer::{PollingFile, folder};
use crate::config::pipeline::Pipelines;
use crate::config::problem::Problems;
use crate::config::{Polling, file};

/// Its name, here and where no option says otherwise there.
const NAME: &str = "pipeline.yaml";

/// A file that is followed.
pub(super) struct Found {
    path: PathBuf,
    /// Its path for reports.
    pub(super) shown: String,
    text: String,
    /// The option that names it, if that is not the default.
    at: Option<At>,
    /// What it says, unless that is wrong, which has been reported.
    read: Option<(Pipelines, Polling)>,
}

/// The file, if it takes the place of `polling.yaml`.
pub(super) fn find(taking: &mut Taking<'_>, folder: &Path) -> Option<Found> {
    let is_polled = taking.folder.settings.place(known("polling", "cfg_file")?).is_some();
    if is_polled || taking.folder.names.iter().any(|name| name == polling::NAME) {
        return None;
    }
    let named = known("DEFAULT", "pipeline_cfg_file")?;
    let path = taking.folder.resolve(&taking.folder.settings.text(named).ok()??);
    if !path.exists() {
        return None;
    }
    let shown = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
    let mut problems = Problems::of(Some(&path));
    let text = file::read(&path).unwrap_or_else(|error| {
        problems.error(None, "", format!("the file {error}"), folder::remedy(&error));
        String::new()
    });
    let read = if problems.has_errors() { Err(problems) } else { Pipelines::parse(&text, &path, 0, false) };
    let (read, problems) = match read {
        // Today's file, which agents do not read that poll.
        Ok((pipelines, _)) if pipelines.polling().is_none() => return None,
        Ok((pipelines, warnings)) => (pipelines.polling().map(|polling| (pipelines, polling)), warnings),
        Err(problems) => (None, problems),
    };
    taking.import.problems.extend(problems);
    let at = taking.text(named.section, named.name).map(|set| set.at);
    Some(Found { path, shown, text, at, read })
}

// === impl Found ===

impl Found {
    /// Whether any publisher takes something from our `broker`.
    pub(super) fn needs_broker(&self) -> bool {
        self.read.as_ref().is_some_and(|(pipelines, _)| pipelines.needs_broker())
    }

    pub(super) fn take(self, taking: &mut Taking<'_>, copied: PollingFile) {
        let Some((_, polling)) = self.read else { return };
        if let Some(at) = self.at {
            taking.tell(at, Taken, "", "pipeline");
        }
        let here = "pipeline; the notification agent gets nothing of this node any more, and has nothing to do for it";
        taking.tell_of(&self.shown, None, Taken, self.shown.clone(), "", here);
        for source in &polling.sources {
            polling::meters_of(taking, &self.shown, source);
        }
        for source in &polling.sources {
            let here = match may_be_given(&source.meters) {
                true => "the daemon refuses it: remove it from the source's `discovery`",
                false => polling::OF_OTHERS,
            };
            polling::discoveries_of(taking, &self.shown, source, here);
        }
        let file = Referred { key: "pipeline", name: NAME, path: &self.path };
        match copied {
            PollingFile::Copied => file.copy(taking, self.text),
            PollingFile::Stays => file.stays(taking),
        }
    }
}
