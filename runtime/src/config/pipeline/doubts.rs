//! What is probably not meant in a file that can be used.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::Pipelines;
use crate::config::in_vain::{Given, InVain};
use crate::config::problem::{Problems, quoted};
use crate::sandbox::names::built_in::METERS;

/// The most names that sources are tried with.
const MOST_NAMES: usize = 1000;

// === impl Pipelines ===

impl Pipelines {
    /// Says what is probably not meant.
    pub(super) fn doubts(&self, problems: &mut Problems) {
        let polls = self.sources.iter().any(|source| source.interval.is_some());
        for (number, source) in self.sources.iter().enumerate() {
            source.doubts(&format!("sources[{number}]"), polls, problems);
        }
        self.taken_twice(problems);
    }

    /// Says what sources take in vain.
    pub fn untaken(&self, file: Option<&Path>, given: &Given<'_>) -> Problems {
        let mut problems = Problems::of(file);
        for (number, source) in self.sources.iter().enumerate() {
            let who = format!("source {}", quoted(&source.name));
            for InVain { message, remedy } in given.in_vain(&who, "that anything gives", &source.meters) {
                problems.warning(source.place, &format!("sources[{number}].meters"), message, remedy);
            }
        }
        problems
    }

    /// Says which sinks transform a meter of two sources. Without transformers a publisher gets it once all the same.
    fn taken_twice(&self, problems: &mut Problems) {
        let (mut matcher, mut told) = (self.matcher(), HashSet::new());
        let written = self.sources.iter().flat_map(|source| source.meters.patterns());
        let written = written.map(String::as_str).filter(|pattern| !pattern.contains(['*', '?', '[', '!']));
        for meter in METERS.into_iter().chain(written).take(MOST_NAMES) {
            let takers = matcher.takers(meter);
            let mut first = HashMap::new();
            for pipeline in takers.pipelines.iter().filter_map(|number| self.pipelines.get(*number)) {
                let Some(sink) = self.sinks.get(pipeline.sink) else { continue };
                let Some(source) = self.sources.get(pipeline.source) else { continue };
                let Some(other) = first.insert(pipeline.sink, source) else { continue };
                if sink.transformers.is_empty() || !told.insert(pipeline.sink) {
                    continue;
                }
                let message = format!(
                    "sources {} and {} both lead {meter} to sink {}, whose transformers get each sample twice",
                    quoted(&other.name),
                    quoted(&source.name),
                    quoted(&sink.name),
                );
                let remedy = "Lead it there from one of them, or give the other one a sink of its own";
                problems.warning(source.place, &format!("sources[{}].sinks", pipeline.source), message, remedy);
            }
        }
    }
}
