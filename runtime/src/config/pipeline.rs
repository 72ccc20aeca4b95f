//! Ceilometer's `pipeline.yaml`: what becomes of samples, and who gets them.
//!
//! A source says which meters, and names sinks; a sink has transformers and publishers. Each source with each of its
//! sinks is a pipeline. Files of Mitaka, whose sources say how often they are measured as well and whose sinks
//! transform, are read like those of today. What Ceilometer refuses is refused in its own words. Beyond that, what it
//! would crash over, or silently do nothing with, is an error too.

pub mod case;
mod doubts;
mod matcher;
mod outputs;
mod publisher;
mod sink;
mod source;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::daemon::Output;
use super::file;
use super::matching::{FEWER_PATTERNS, MOST_PATTERNS, MeterFilter};
use super::polling::Polling;
use super::problem::{Place, Problems, Severity, quoted, shown};
use super::yaml::{self, Kind, Section};
use crate::modules::deployment::Tenant;
use crate::pipeline::route::MOST_PUBLISHERS;

pub use self::matcher::{Matcher, Takers};
pub use self::publisher::Publisher;
pub use self::sink::{Sink, Transformer};
pub use self::source::Source;

use self::source::Draft;

/// Sources and sinks, and the pipelines between them.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Pipelines {
    /// The sources in the file's order; their names differ.
    pub sources: Vec<Source>,
    /// The sinks in the file's order; their names differ.
    pub sinks: Vec<Sink>,
    /// Each source with each of its sinks, in the order in which samples are handed to them.
    pub pipelines: Vec<Pipeline>,
    /// The outputs that publishers name.
    #[serde(skip)]
    pub outputs: Vec<Output>,
}

/// A source with one of its sinks.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Pipeline {
    /// `source:sink`, or the one name that both have.
    pub name: String,
    /// Which of [`Pipelines::sources`].
    pub source: usize,
    /// Which of [`Pipelines::sinks`].
    pub sink: usize,
}

/// What is known of sinks when sources are read: those that were refused have no number.
type Known = HashMap<String, Option<usize>>;

/// Transformers that are part of the program.
pub const TRANSFORMERS: [&str; 8] =
    ["accumulator", "aggregator", "arithmetic", "delta", "rate_of_change", "relabel", "threshold", "unit_conversion"];

/// The most sources, and the most sinks. Each is a line in every overview.
const MOST_SOURCES: usize = 10_000;
const MOST_SINKS: usize = 1000;
/// The most pipelines. Each sample is handed to each that takes its meter.
const MOST_PIPELINES: usize = 10_000;
/// The most transformers of all sinks. Each is an instance of a module with a memory of its own.
const MOST_TRANSFORMERS: usize = 1000;

const REQUIRED: &str = "Both sources & sinks are required";
const BOTH: &str = "Write `sources:` with name, meters and sinks, and `sinks:` with name, transformers and publishers";

// === impl Pipelines ===

impl Pipelines {
    /// Reads a file that stands alone. What comes beside the result are warnings.
    pub fn read(file: &Path) -> Result<(Self, Problems), Problems> {
        match file::read(file) {
            Ok(text) => Self::parse(&text, file, 0, false),
            Err(error) => {
                let mut problems = Problems::of(Some(file));
                problems.error(None, "", format!("the file {error}"), error.remedy());
                Err(problems)
            }
        }
    }

    /// Reads the text of `file`; `patterns` of meters are used up elsewhere, and if `is_polled_elsewhere`, another
    /// file says what is measured how often. What comes beside the result are warnings; what comes instead of it has
    /// errors.
    pub fn parse(
        text: &str,
        file: &Path,
        patterns: usize,
        is_polled_elsewhere: bool,
    ) -> Result<(Self, Problems), Problems> {
        let mut problems = Problems::of(Some(file));
        let pipelines = read(text, patterns, is_polled_elsewhere, &mut problems);
        if let Some(pipelines) = &pipelines {
            pipelines.doubts(&mut problems);
        }
        problems.sort();
        match pipelines {
            Some(pipelines) if !problems.has_errors() => Ok((pipelines, problems)),
            _ => Err(problems),
        }
    }

    /// What is measured how often, if the file says so: as soon as one source has an interval, all are measured.
    pub fn polling(&self) -> Option<Polling> {
        let polls = self.sources.iter().any(|source| source.interval.is_some());
        polls.then(|| Polling { sources: self.sources.iter().map(Source::polled).collect() })
    }

    /// Each pipeline with its source and its sink.
    pub fn iter(&self) -> impl Iterator<Item = (&Pipeline, &Source, &Sink)> {
        self.pipelines
            .iter()
            .filter_map(|pipeline| Some((pipeline, self.sources.get(pipeline.source)?, self.sinks.get(pipeline.sink)?)))
    }

    /// What sources lead to the sink of this number.
    pub fn leading_to(&self, sink: usize) -> Vec<&MeterFilter> {
        self.iter().filter(|(pipeline, ..)| pipeline.sink == sink).map(|(_, source, _)| &source.meters).collect()
    }

    /// Every publisher once, in the order of the file.
    pub fn publishers(&self) -> Vec<&Publisher> {
        let mut seen = HashSet::new();
        let all = self.sinks.iter().flat_map(|sink| &sink.publishers);
        all.filter(|publisher| seen.insert(publisher.url().expose())).collect()
    }

    /// What says which pipelines take a meter.
    pub fn matcher(&self) -> Matcher {
        Matcher::of(self)
    }

    /// Reports each transformer of a sink that is none: neither of [`TRANSFORMERS`] nor known otherwise. `file` is the
    /// one that this was read from; `owner_of` says whose a project is.
    pub fn check_transformers(
        &self,
        file: Option<&Path>,
        is_known: impl Fn(&str) -> bool,
        owner_of: impl Fn(&Tenant) -> Option<String>,
    ) -> Problems {
        let mut problems = Problems::of(file);
        let mut deployments = HashSet::new();
        for (number, sink) in self.sinks.iter().enumerate() {
            for (at, transformer) in sink.transformers.iter().enumerate() {
                let key = format!("sinks[{number}].transformers[{at}]");
                let who = format!("sink {}", quoted(&sink.name));
                let place = transformer.place;
                match transformer.deployment() {
                    Some(Err(why)) => {
                        let remedy = "Write TENANT/NAME, or the name of a transformer without a slash";
                        problems.error(place, &format!("{key}.name"), format!("{who}: {why}"), remedy);
                    }
                    Some(Ok(deployment)) => {
                        if !transformer.parameters.config.value().is_null() {
                            let message = format!("{who}: {deployment} cannot be told anything here");
                            let remedy = "Write `parameters: {}`, and what it is told as `config` of its deployment";
                            problems.error(place, &format!("{key}.parameters"), message, remedy);
                        }
                        if let Some(owner) = owner_of(&deployment.tenant) {
                            let tenant = &deployment.tenant;
                            let message = format!("{who}: {tenant} is a project of the tenant {owner}");
                            let remedy = format!("Write {owner}/{}", deployment.name);
                            problems.error(place, &format!("{key}.name"), message, remedy);
                        }
                        if !deployments.insert(deployment.clone()) {
                            let message = format!("{who}: {deployment} stands in a chain already");
                            let remedy = "Have it stand in one place, or deploy its module once more by another name";
                            problems.error(place, &format!("{key}.name"), message, remedy);
                        }
                    }
                    None if TRANSFORMERS.contains(&transformer.name.as_str()) || is_known(&transformer.name) => {}
                    None => {
                        let message = format!("{who}: No transformer named {} loaded", shown(&transformer.name));
                        let meant = yaml::closest(&transformer.name, &TRANSFORMERS);
                        let meant = meant.map_or_else(String::new, |meant| format!("Did you mean `{meant}`? "));
                        let remedy = format!(
                            "{meant}Name one of {}, a module that has a file under `modules` in wasmeter.yaml, or a tenant's \
                             deployment as TENANT/NAME",
                            TRANSFORMERS.join(", "),
                        );
                        problems.error(place, &format!("{key}.name"), message, remedy);
                    }
                }
            }
        }
        problems
    }
}

/// All of a file, as far as it can be made out.
fn read(text: &str, patterns: usize, is_polled_elsewhere: bool, problems: &mut Problems) -> Option<Pipelines> {
    let root = yaml::parse_as_ceilometer(text, problems)?;
    if let Kind::List(_) = root.kind {
        // Ceilometer's files were lists of pipelines until 2014.
        problems.error(root.place, "", REQUIRED, BOTH);
        return None;
    }
    let file = Section::of(&root, "", &["sources", "sinks"], Severity::Warning, problems)?;
    let missing: Vec<&str> = ["sources", "sinks"].into_iter().filter(|key| file.get(key).is_none()).collect();
    let is_complete = missing.is_empty();
    match missing.as_slice() {
        [] => {}
        [key] => {
            let place = file.entry(key).map_or(root.place, |entry| entry.place);
            problems.error(place, key, REQUIRED, format!("Write `{key}:` and below it `- name: ...`"));
        }
        _ => problems.error(root.place, "", REQUIRED, BOTH),
    }
    let (sinks, known) = sinks(&file, problems);
    let nodes = file.list("sources", MOST_SOURCES, problems).unwrap_or_default();
    if is_complete && nodes.is_empty() && file.get("sources").is_some_and(|node| matches!(node.kind, Kind::List(_))) {
        let place = file.entry("sources").and_then(|entry| entry.place);
        problems.warning(place, "sources", "there are no sources, so pipelines take nothing", "Add one");
    }
    let mut reading = Reading { patterns, ..Reading::default() };
    for (path, node) in &nodes {
        if let Some(draft) = Draft::read(node, path, &known, &mut reading.names, is_polled_elsewhere, problems) {
            reading.add(draft, path, problems);
        }
    }
    let Reading { sources, pipelines, used, .. } = reading;
    for (number, sink) in sinks.iter().enumerate().filter(|(number, _)| is_complete && !used.contains(number)) {
        let message = format!("no source has the sink {}, so it gets nothing", quoted(&sink.name));
        problems.warning(sink.place, &format!("sinks[{number}]"), message, "Name it in a source, or remove it");
    }
    is_complete.then_some(Pipelines { sources, sinks, pipelines, outputs: Vec::new() })
}

fn sinks(file: &Section<'_>, problems: &mut Problems) -> (Vec<Sink>, Known) {
    let (mut names, mut known, mut urls) = (HashMap::new(), Known::new(), HashSet::new());
    let (mut sinks, mut transformers) = (Vec::new(), 0);
    for (path, node) in file.list("sinks", MOST_SINKS, problems).unwrap_or_default() {
        let sink = Sink::read(node, &path, &mut names, problems);
        if let Some(sink) = sink {
            let before = (transformers, urls.len());
            transformers += sink.transformers.len();
            urls.extend(sink.publishers.iter().map(|publisher| publisher.url().expose().to_owned()));
            if before.0 <= MOST_TRANSFORMERS && transformers > MOST_TRANSFORMERS {
                let message =
                    format!("with sink {} there are more than {MOST_TRANSFORMERS} transformers", quoted(&sink.name));
                problems.error(sink.place, &path, message, "Transform in fewer sinks");
            }
            if before.1 <= MOST_PUBLISHERS && urls.len() > MOST_PUBLISHERS {
                let message =
                    format!("with sink {} there are more than {MOST_PUBLISHERS} publishers", quoted(&sink.name));
                problems.error(sink.place, &path, message, "Publish to fewer places");
            }
            known.insert(sink.name.clone(), Some(sinks.len()));
            sinks.push(sink);
        }
    }
    // What is wrong with a sink has been said; those who name it are not wrong.
    for name in names.into_keys() {
        known.entry(name).or_default();
    }
    (sinks, known)
}

/// What was read of the sources so far.
#[derive(Default)]
struct Reading {
    /// Names of sources, with their lines.
    names: HashMap<String, u64>,
    patterns: usize,
    sources: Vec<Source>,
    pipelines: Vec<Pipeline>,
    /// Names of pipelines, also of those that will not be.
    taken: HashSet<String>,
    /// Numbers of sinks that sources name.
    used: HashSet<usize>,
}

// === impl Reading ===

impl Reading {
    fn add(&mut self, draft: Draft, path: &str, problems: &mut Problems) {
        let Draft { name, place, sinks, source } = draft;
        let number = self.sources.len();
        self.used.extend(sinks.iter().filter_map(|(_, _, index)| *index));
        for (at, (place, sink, index)) in sinks.into_iter().enumerate() {
            let Some(source) = &name else { break };
            let pipeline = if *source == sink { sink } else { format!("{source}:{sink}") };
            let key = format!("{path}.sinks[{at}]");
            if self.taken.contains(&pipeline) {
                let message = format!(
                    "Duplicate pipeline name: {}. Ensure pipeline names are unique. (name is the source and sink \
                     names combined)",
                    shown(&pipeline),
                );
                problems.error(place, &key, message, "Name each sink once, or rename the source or the sink");
                continue;
            }
            self.taken.insert(pipeline.clone());
            if self.taken.len() == MOST_PIPELINES + 1 {
                let message = format!("with source {} there are more than {MOST_PIPELINES} pipelines", quoted(source));
                problems.error(place, &key, message, "Use fewer sources, or fewer sinks in each");
            }
            if self.taken.len() > MOST_PIPELINES {
                return;
            }
            if let Some(sink) = index {
                self.pipelines.push(Pipeline { name: pipeline, source: number, sink });
            }
        }
        let Some(source) = source else { return };
        let before = self.patterns;
        self.patterns += source.meters.patterns().len();
        if before <= MOST_PATTERNS && self.patterns > MOST_PATTERNS {
            let message = format!("with source {} there are more than {MOST_PATTERNS} meters", quoted(&source.name));
            problems.error(place, &format!("{path}.meters"), message, FEWER_PATTERNS);
        }
        self.sources.push(source);
    }
}

// === impl Pipeline ===

impl Pipeline {
    /// Where its source is written, if it is one of these.
    pub fn place(&self, of: &Pipelines) -> Option<Place> {
        of.sources.get(self.source)?.place
    }
}

#[cfg(test)]
mod tests;
