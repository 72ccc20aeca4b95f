//! `wasmeter pipeline`: what becomes of samples, who gets them, and whether that is what was meant.

pub mod graph;
pub mod test;

use serde::Serialize;

use super::Exit;
use crate::config::Pipelines;
use crate::config::pipeline::{Pipeline as Coupling, Sink, Source};

/// Look at pipelines, and test them: what becomes of samples, and who gets them.
#[derive(Debug, clap::Subcommand)]
pub enum Pipeline {
    /// Show which samples go through what to whom.
    Graph(graph::Args),
    /// Compare what comes out of sinks with what is expected, case by case.
    Test(test::Args),
}

/// A pipeline as it is shown.
#[derive(Debug, Serialize)]
pub struct Shown<'a> {
    name: &'a str,
    source: &'a str,
    meters: &'a [String],
    sink: &'a str,
    transformers: Vec<&'a str>,
    publishers: Vec<String>,
}

/// Patterns that are shown; one knows a long list by its beginning.
const PATTERNS: usize = 3;

impl Pipeline {
    /// Does it.
    pub fn run(self) -> Exit {
        match self {
            Self::Graph(args) => args.run().map_or_else(|exit| exit, |()| Exit::Done),
            Self::Test(args) => args.run(),
        }
    }
}

/// All pipelines of a file.
pub fn shown(pipelines: &Pipelines) -> Vec<Shown<'_>> {
    pipelines.iter().map(|(pipeline, source, sink)| Shown::of(pipeline, source, sink)).collect()
}

/// The patterns of a source on one line.
fn patterns(all: &[String]) -> String {
    let first = all.iter().take(PATTERNS).map(String::as_str).collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(PATTERNS) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

// === impl Shown ===

impl<'a> Shown<'a> {
    fn of(pipeline: &'a Coupling, source: &'a Source, sink: &'a Sink) -> Self {
        Self {
            name: &pipeline.name,
            source: &source.name,
            meters: source.meters.patterns(),
            sink: &sink.name,
            transformers: sink.transformers.iter().map(|transformer| transformer.name.as_str()).collect(),
            publishers: sink.publishers.iter().map(ToString::to_string).collect(),
        }
    }

    /// What it takes, what it does with it, and who gets it, on one line.
    pub fn text(&self) -> String {
        let steps = std::iter::once(patterns(self.meters)).chain(self.transformers.iter().map(|&name| name.to_owned()));
        let steps: Vec<String> = steps.chain([self.publishers.join(", ")]).collect();
        format!("{}: {}", self.name, steps.join(" -> "))
    }
}
