//! One source: which meters go into which sinks.

use std::collections::HashMap;
use std::time::Duration;

use super::Known;
use crate::config::matching::MeterFilter;
use crate::config::named::{MOST_ENTRIES, Named, text};
use crate::config::polling;
use crate::config::problem::{Place, Problems, quoted, shown};
use crate::config::yaml::{Kind, Node};

/// The keys of today, and those of Mitaka: `counters` is what `meters` was called before it.
const KEYS: [&str; 7] = ["name", "meters", "sinks", "interval", "resources", "discovery", "counters"];

/// How often Mitaka measures a source that does not say so.
const INTERVAL: Duration = Duration::from_secs(600);

/// Some meters, and where their samples go.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Which meters.
    pub meters: MeterFilter,
    /// The names of its sinks, in the order in which they get samples.
    pub sinks: Vec<String>,
    /// How often it is measured, if it says so; whole seconds.
    #[serde(serialize_with = "whole_seconds", skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// Resources to measure beside those that are found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// How resources are found; nothing for each meter's own way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub discovery: Vec<String>,
    /// Where it stands.
    #[serde(skip)]
    pub place: Option<Place>,
}

/// A source as far as it can be made out: also of one that is refused it is said what is wrong with its sinks.
pub(super) struct Draft {
    pub(super) name: Option<String>,
    pub(super) place: Option<Place>,
    /// Its sinks: where they are named, how, and their numbers unless they were refused.
    pub(super) sinks: Vec<(Option<Place>, String, Option<usize>)>,
    pub(super) source: Option<Source>,
}

/// How often a source is measured, and of what, as [`Source`] has it.
#[derive(Default)]
struct Polled {
    interval: Option<Duration>,
    resources: Vec<String>,
    discovery: Vec<String>,
}

// === impl Source ===

impl Source {
    /// The same as `polling.yaml` has it.
    pub(super) fn polled(&self) -> polling::Source {
        polling::Source {
            name: self.name.clone(),
            interval: self.interval.unwrap_or(INTERVAL),
            meters: self.meters.clone(),
            resources: self.resources.clone(),
            discovery: self.discovery.clone(),
            place: self.place,
        }
    }

    /// Says what has no effect, or not the one that it seems to have. `polls` is whether any source of the file has an
    /// interval.
    pub(super) fn doubts(&self, path: &str, polls: bool, problems: &mut Problems) {
        let mut warn = |key: &str, message: &str, remedy: &str| {
            let message = format!("source {}: {message}", quoted(&self.name));
            problems.warning(self.place, &format!("{path}.{key}"), message, remedy);
        };
        let written = [
            ("interval", self.interval.is_some()),
            ("resources", !self.resources.is_empty()),
            ("discovery", !self.discovery.is_empty()),
        ];
        for (key, _) in written.into_iter().filter(|(_, is_written)| *is_written && !polls) {
            let message = format!("`{key}` has no effect without an `interval`");
            warn(key, &message, "Remove it, or add `interval`");
        }
        if polls && self.interval.is_none() {
            let message = "other sources have an `interval`; this one is measured every 600 seconds, as in Mitaka";
            warn("interval", message, "Add `interval` to say how often it is measured");
        }
    }
}

#[allow(clippy::ref_option, reason = "what serde calls it with")]
fn whole_seconds<S: serde::Serializer>(interval: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&interval.map(|interval| interval.as_secs()), serializer)
}

// === impl Draft ===

impl Draft {
    /// Reads a source whose name must be none of `names`, known with their lines; `None` if it is no mapping. What is
    /// wrong is reported.
    pub(super) fn read(
        node: &Node,
        path: &str,
        known: &Known,
        names: &mut HashMap<String, u64>,
        is_polled_elsewhere: bool,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut source = Named::of("source", node, path, &KEYS, problems)?;
        let place = source.place();
        let name = source.name(names);
        let is_old = source.section.entry("meters").is_none() && source.section.entry("counters").is_some();
        let meters = source.meters(if is_old { "counters" } else { "meters" });
        let polled = if is_polled_elsewhere { unpolled(&mut source) } else { polled(&mut source) };
        let sinks = sinks(&mut source, known);
        let source = (|| {
            let (name, meters) = (name.clone()?, meters?);
            let Polled { interval, resources, discovery } = polled?;
            let sinks = sinks.iter().map(|(_, sink, _)| sink.clone()).collect();
            Some(Source { name, meters, sinks, interval, resources, discovery, place })
        })();
        Some(Self { name, place, sinks, source })
    }
}

/// How often a source is measured, and of what; `None` if that was refused.
fn polled(source: &mut Named<'_, '_>) -> Option<Polled> {
    let interval = source.section.entry("interval").map(|_| source.interval());
    let resources = source.texts("resources", "Resources should be a list");
    let discovery = source.texts("discovery", "Discovery should be a list");
    let interval = interval.map_or(Some(None), |interval| interval.map(Some))?;
    Some(Polled { interval, resources, discovery })
}

/// Where another file says so, nothing that is written here has an effect, be it right or wrong.
fn unpolled(source: &mut Named<'_, '_>) -> Option<Polled> {
    let place = source.place();
    for key in ["interval", "resources", "discovery"] {
        if source.section.entry(key).is_some() {
            let message =
                format!("{}: `{key}` has no effect: polling.yaml says what is measured how often", source.who);
            let remedy = "Remove it, or remove `polling` from wasmeter.yaml to measure as this file says";
            source.problems.warning(place, &source.section.key(key), message, remedy);
        }
    }
    Some(Polled::default())
}

/// The sinks that there are of those that a source names.
fn sinks(source: &mut Named<'_, '_>, known: &Known) -> Vec<(Option<Place>, String, Option<usize>)> {
    const REMEDY: &str = "Write `sinks: [...]` with names of sinks";
    let name = match source.section.get("name").and_then(text) {
        Some(name) => shown(&name),
        None => "without a name".to_owned(),
    };
    let key = "sinks";
    let entries = match source.section.entry(key).map(|entry| &entry.value.kind) {
        None => {
            let _: Option<()> = source.error(key, "Required field sinks not specified", REMEDY);
            return Vec::new();
        }
        Some(Kind::List(entries)) if entries.len() > MOST_ENTRIES => {
            let _: Option<()> = source.error(key, "there are more than 10000 sinks", "Name fewer");
            return Vec::new();
        }
        Some(Kind::List(entries)) if !entries.is_empty() => entries,
        Some(kind) if kind.is_falsy() => {
            let _: Option<()> = source.error(key, &format!("No sink defined in source {name}"), REMEDY);
            return Vec::new();
        }
        Some(_) => {
            let _: Option<()> = source.error(key, "Sinks should be a list", REMEDY);
            return Vec::new();
        }
    };
    let mut sinks = Vec::new();
    for (at, node) in entries.iter().enumerate() {
        let path = format!("{key}[{at}]");
        let Some(sink) = text(node) else {
            source.error_at(node.place, &path, "a sink must be a text", "Write the name of a sink, in quotes");
            continue;
        };
        match known.get(&sink) {
            Some(number) => sinks.push((node.place, sink, *number)),
            None => {
                let message = format!("Dangling sink {} from source {name}", shown(&sink));
                source.error_at(node.place, &path, &message, "Name a sink of `sinks`, or add one of that name");
            }
        }
    }
    sinks
}
