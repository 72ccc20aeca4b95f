//! `polling.yaml`, and what its sources want that is not given here.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::Taking;
use crate::config::ceilometer::draft::{CopiedFile, quoted};
use crate::config::ceilometer::meters::{self, Giver, may_be_given};
use crate::config::ceilometer::report::Verdict::{self, Different, Missing, Taken, Unknown};
use crate::config::ceilometer::{PollingFile, folder};
use crate::config::matching::Glob;
use crate::config::problem::{Place, Problems, Severity};
use crate::config::{Polling, Source, file};
use crate::schedule::plan;

/// Its name, here and where no option says otherwise there.
pub(super) const NAME: &str = "polling.yaml";
/// Discoveries of agents of the namespace central.
const CENTRAL: [&str; 18] = [
    "alarm",
    "barbican",
    "dns_zones",
    "endpoint",
    "fip_services",
    "fw_policy",
    "fw_services",
    "images",
    "ipsec_connections",
    "lb_services",
    "manila_shares",
    "tenant",
    "volume_backups",
    "volume_pools",
    "volume_services",
    "volume_snapshots",
    "volumes",
    "vpn_services",
];

/// A file of Ceilometer's that our configuration names.
pub(super) struct Referred<'a> {
    /// By this key.
    pub(super) key: &'static str,
    /// What a copy of it is called.
    pub(super) name: &'static str,
    pub(super) path: &'a Path,
}

pub(super) fn take(taking: &mut Taking<'_>, folder: &Path, copied: PollingFile) {
    let set = taking.text("polling", "cfg_file");
    let path = taking.folder.resolve(set.as_ref().map_or(NAME, |set| set.value.as_str()));
    let shown = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
    let mut problems = Problems::of(Some(&path));
    let text = file::read(&path).unwrap_or_else(|error| {
        let remedy = match &error {
            file::FileError::Unreadable(error) if error.kind() == std::io::ErrorKind::NotFound => {
                "Ceilometer's agent does not start without it: name the folder that it is in"
            }
            other => folder::remedy(other),
        };
        problems.error(None, "", format!("the file {error}"), remedy);
        String::new()
    });
    if problems.has_errors() {
        return taking.import.problems.extend(problems);
    }
    let polling = match Polling::parse(&text, &path, 0) {
        Ok((polling, problems)) => {
            taking.import.problems.extend(problems);
            polling
        }
        Err(problems) => return taking.import.problems.extend(problems),
    };
    if let Some(set) = set {
        taking.tell(set.at, Taken, "", "polling");
    }
    taking.tell_of(&shown, None, Taken, shown.clone(), "", "polling");
    for source in &polling.sources {
        meters_of(taking, &shown, source);
    }
    for source in &polling.sources {
        discoveries_of(taking, &shown, source, without_discovery(source, copied));
    }
    let file = Referred { key: "polling", name: NAME, path: &path };
    match copied {
        PollingFile::Copied => {
            let is_ours = |source: &Source| source.discovery.iter().all(|url| plan::is_discovery(url));
            let is_whole = polling.sources.iter().all(is_ours);
            file.copy(taking, if is_whole { text } else { without(&path, &polling.sources) });
        }
        PollingFile::Stays => file.stays(taking),
    }
}

// === impl Referred ===

impl Referred<'_> {
    /// Has a copy of it beside our configuration.
    pub(super) fn copy(self, taking: &mut Taking<'_>, text: String) {
        let draft = &mut taking.import.draft;
        draft.set(&[self.key], self.name, format!("a copy of {}", self.path.display()));
        draft.copied = Some(CopiedFile { name: self.name, text });
    }

    /// Refers to it where it is.
    pub(super) fn stays(self, taking: &mut Taking<'_>) {
        let mut problems = Problems::of(Some(self.path));
        let absolute = std::path::absolute(self.path).unwrap_or_else(|_| self.path.to_owned());
        match absolute.to_str() {
            Some(text) => taking.import.draft.set(&[self.key], text, ""),
            None => problems.error(None, "", "the path is not UTF-8, so no file can name it", "Import with --copy"),
        }
        let mode = |path: &Path| fs::metadata(path).map_or(0o777, |found| found.permissions().mode());
        let is_closed = absolute.ancestors().skip(1).any(|folder| mode(folder) & 0o001 == 0);
        if is_closed || mode(&absolute) & 0o004 == 0 {
            let message = "not everybody may read the file, and the daemon runs as a user of its own";
            let remedy = "Import with --copy, or let that user read it";
            problems.add(Severity::Warning, None, "", message.to_owned(), remedy.to_owned());
        }
        taking.import.problems.extend(problems);
    }
}

fn is_central(url: &str) -> bool {
    CENTRAL.contains(&plan::discovery_name(url))
}

/// Whether a source has nothing to do with a compute node.
fn is_of_central(source: &Source) -> bool {
    !source.discovery.is_empty() && source.discovery.iter().all(|url| is_central(url))
}

/// What becomes of a source of which nothing is given here, whatever its discoveries.
pub(super) const OF_OTHERS: &str = "nothing to do: the daemon warns of it, and goes on without the source";

/// What becomes of a source with discoveries that there are not.
fn without_discovery(source: &Source, copied: PollingFile) -> &'static str {
    match (copied, is_of_central(source), !source.discovery.iter().any(|url| plan::is_discovery(url))) {
        (PollingFile::Copied, true, _) => "the source is left out of the copy",
        (PollingFile::Stays, ..) if !may_be_given(&source.meters) => OF_OTHERS,
        (PollingFile::Stays, true, _) => {
            "the daemon refuses it: remove the source from the file, or import with --copy, which leaves it out"
        }
        (PollingFile::Copied, false, false) => "left out of the copy, which keeps the source's other discoveries",
        (PollingFile::Stays, false, false) => {
            "the daemon refuses it: remove it from the source's `discovery`, or import with --copy, which leaves it out"
        }
        (PollingFile::Copied, false, true) => "left out of the copy: without any, each module finds its own",
        (PollingFile::Stays, false, true) => {
            "the daemon refuses it: remove the source's `discovery`, or import with --copy, which leaves it out"
        }
    }
}

/// Says of discoveries that there are not what they did there, and what becomes of them `here`.
pub(super) fn discoveries_of(taking: &mut Taking<'_>, file: &str, source: &Source, here: &str) {
    let others = source.discovery.iter().map(String::as_str).filter(|url| !plan::is_discovery(url));
    let (central, unknown): (Vec<&str>, Vec<&str>) = others.partition(|url| is_central(url));
    for (names, verdict, there) in [
        (central, Different, "finds resources that the central agent polls"),
        (unknown, Unknown, "nothing but a warning: there is no such discovery"),
    ] {
        if !names.is_empty() {
            let what = format!("discovery {}", names.join(" "));
            of_source(taking, file, source, verdict, &what, there, here);
        }
    }
}

/// The sources of a compute node alone, with the discoveries that there are.
fn without(path: &Path, sources: &[Source]) -> String {
    let path = path.display().to_string().replace(char::is_control, "\u{fffd}");
    let mut out = format!("# Made by `wasmeter import` of {path}: what a compute node can have of it.\nsources:");
    if sources.iter().all(is_of_central) {
        out.push_str(" []");
    }
    out.push('\n');
    for source in sources.iter().filter(|source| !is_of_central(source)) {
        let Source { name, interval, meters, resources, discovery, .. } = source;
        let discovery: Vec<String> = discovery.iter().filter(|url| plan::is_discovery(url)).cloned().collect();
        let list = |texts: &[String]| texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ");
        // Writing to a string does not fail.
        let _ = writeln!(out, "  - name: {}\n    interval: {}", quoted(name), interval.as_secs());
        let _ = writeln!(out, "    meters: [{}]", list(meters.patterns()));
        for (key, texts) in [("resources", resources), ("discovery", &discovery)] {
            if !texts.is_empty() {
                let _ = writeln!(out, "    {key}: [{}]", list(texts));
            }
        }
    }
    out
}

/// Says which patterns mean no meter that is given here. What has more than one meaning and one of ours needs no word.
pub(super) fn meters_of(taking: &mut Taking<'_>, file: &str, source: &Source) {
    let (mut strange, mut given): (Vec<&str>, Vec<(Giver, Vec<&str>)>) = Default::default();
    for pattern in source.meters.patterns().iter().filter(|pattern| !pattern.starts_with('!')) {
        let Ok(glob) = Glob::new(pattern) else { continue };
        if meters::is_given(&glob) {
            continue;
        }
        let mut nobody = true;
        for giver in meters::givers(&glob) {
            nobody = false;
            match given.iter_mut().find(|(known, _)| *known == giver) {
                Some((_, patterns)) => patterns.push(pattern),
                None => given.push((giver, vec![pattern])),
            }
        }
        if nobody {
            strange.push(pattern);
        }
    }
    given.sort_by_key(|(giver, _)| *giver);
    for (giver, patterns) in given {
        let (there, here) = match giver {
            Giver::Central => (
                "polled by agents of the namespace central".to_owned(),
                "nothing to do on a compute node: the central agent goes on running elsewhere".to_owned(),
            ),
            Giver::Ipmi => (
                "polled by agents of the namespace ipmi".to_owned(),
                "keep ceilometer-polling for it, with `--polling-namespaces ipmi`, where it is used".to_owned(),
            ),
            Giver::Nobody => ("never given on libvirt".to_owned(), "nothing to do".to_owned()),
            Giver::Module(name) => (
                "not given by Ceilometer 27".to_owned(),
                format!("turn on the module that gives it: `modules: {{{name}: {{enabled: true}}}}`"),
            ),
        };
        of_source(taking, file, source, Missing, &patterns.join(" "), &there, &here);
    }
    if !strange.is_empty() {
        let there = "no meter of Ceilometer 27's; perhaps of a dynamic pollster";
        of_source(
            taking,
            file,
            source,
            Unknown,
            &strange.join(" "),
            there,
            "nothing to do, or write a module that gives it",
        );
    }
}

fn of_source(
    taking: &mut Taking<'_>,
    file: &str,
    source: &Source,
    verdict: Verdict,
    what: &str,
    there: &str,
    here: &str,
) {
    let line = source.place.map(|Place { line, .. }| line);
    taking.tell_of(file, line, verdict, format!("source {}: {what}", source.name), there, here);
}
