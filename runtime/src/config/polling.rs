//! Ceilometer's `polling.yaml`: which meters are measured how often.
//!
//! What Ceilometer accepts is accepted, and what it refuses is refused in its own words. Beyond that, what it would
//! crash over, or silently do nothing with, is an error too.

mod source;

use std::collections::HashMap;
use std::path::Path;

use super::matching::{FEWER_PATTERNS, MOST_PATTERNS};
use super::problem::{Problems, Severity, quoted};
use super::yaml::{self, Kind, Section};

pub use self::source::Source;

/// What is measured on a host that has no `polling.yaml`.
pub const BUILT_IN: &str = include_str!("../../../etc/polling.yaml");

/// The most sources. Each is a line in every overview.
const MOST_SOURCES: usize = 10_000;

/// What is measured how often.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Polling {
    /// The sources in the file's order; their names differ.
    pub sources: Vec<Source>,
}

// === impl Polling ===

impl Polling {
    /// Whether a meter of this name is measured.
    pub fn measures(&self, meter: &str) -> bool {
        self.sources.iter().any(|source| source.meters.matches(meter))
    }

    /// Reads the text of `file`; `patterns` of meters are used up elsewhere. What comes beside the result are
    /// warnings; what comes instead of it has errors.
    pub fn parse(text: &str, file: &Path, patterns: usize) -> Result<(Self, Problems), Problems> {
        let mut problems = Problems::of(Some(file));
        let sources = sources(text, patterns, &mut problems);
        problems.sort();
        if problems.has_errors() { Err(problems) } else { Ok((Self { sources }, problems)) }
    }

    /// The shortest interval of all sources.
    pub fn shortest_interval(&self) -> Option<std::time::Duration> {
        self.sources.iter().map(|source| source.interval).min()
    }
}

fn sources(text: &str, mut patterns: usize, problems: &mut Problems) -> Vec<Source> {
    let Some(root) = yaml::parse_as_ceilometer(text, problems) else { return Vec::new() };
    let Some(file) = Section::of(&root, "", &["sources"], Severity::Warning, problems) else { return Vec::new() };
    let Some(entry) = file.entry("sources").filter(|entry| entry.value.kind != Kind::Null) else {
        let place = file.entry("sources").map_or(root.place, |entry| entry.place);
        let remedy = "Write `sources:` and below it `- name: ...` with interval and meters";
        problems.error(place, "sources", "sources required", remedy);
        return Vec::new();
    };
    let nodes = file.list("sources", MOST_SOURCES, problems);
    if nodes.as_ref().is_some_and(Vec::is_empty) {
        problems.warning(entry.place, "sources", "there are no sources, so nothing is measured", "Add one");
    }
    let mut names = HashMap::new();
    let nodes = nodes.unwrap_or_default();
    let mut sources = Vec::new();
    for (path, node) in &nodes {
        let Some(source) = Source::read(node, path, &mut names, problems) else { continue };
        let before = patterns;
        patterns += source.meters.patterns().len();
        if patterns <= MOST_PATTERNS {
            sources.push(source);
        } else if before <= MOST_PATTERNS {
            let message = format!("with source {} there are more than {MOST_PATTERNS} meters", quoted(&source.name));
            problems.error(source.place, &format!("{path}.meters"), message, FEWER_PATTERNS);
        }
    }
    sources
}

#[cfg(test)]
mod tests;
