//! One sink: what becomes of samples, and who gets them.

use std::collections::{HashMap, HashSet};

use super::publisher::Publisher;
use crate::config::named::{Named, text};
use crate::config::parameters::Parameters;
use crate::config::problem::{Place, Problems, Severity};
use crate::config::yaml::{Kind, Node, Section, report};
use crate::modules::deployment::{InvalidName, InvalidTenant, Key};
use crate::pipeline::route::MOST_PUBLISHERS;

/// The most transformers of one sink.
const LONGEST_CHAIN: usize = 100;

/// A chain of transformers, at the end of which publishers get samples.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Sink {
    /// Its name.
    pub name: String,
    /// What samples go through, one after the other.
    pub transformers: Vec<Transformer>,
    /// Who gets them; no two are the same.
    pub publishers: Vec<Publisher>,
    /// Where it stands.
    #[serde(skip)]
    pub place: Option<Place>,
}

/// A transformer in a sink's chain.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Transformer {
    /// The name of a built-in one, of an operator's module, or of a tenant's deployment, as `TENANT/NAME`.
    pub name: String,
    /// What it is told; null for nothing.
    pub parameters: Parameters,
    /// Where its name stands.
    #[serde(skip)]
    pub place: Option<Place>,
}

// === impl Sink ===

impl Sink {
    /// Reads a sink whose name must be none of `names`, known with their lines; `None` if it was refused, which has
    /// been reported.
    pub(super) fn read(
        node: &Node,
        path: &str,
        names: &mut HashMap<String, u64>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut sink = Named::of("sink", node, path, &["name", "transformers", "publishers"], problems)?;
        let name = sink.name(names);
        let transformers = transformers(&mut sink);
        let publishers = publishers(&mut sink);
        let place = sink.place();
        Some(Self { name: name?, transformers: transformers?, publishers: publishers?, place })
    }
}

fn transformers(sink: &mut Named<'_, '_>) -> Option<Vec<Transformer>> {
    let key = "transformers";
    if sink.section.get(key).is_none_or(|node| node.kind.is_falsy()) {
        return Some(Vec::new());
    }
    if !sink.is_list(key, "Transformers should be a list") {
        return None;
    }
    let nodes = sink.section.list(key, LONGEST_CHAIN, sink.problems)?;
    // All are read before any is missed.
    let read: Vec<Option<Transformer>> = nodes.iter().map(|(path, node)| Transformer::read(node, path, sink)).collect();
    read.into_iter().collect()
}

fn publishers(sink: &mut Named<'_, '_>) -> Option<Vec<Publisher>> {
    const REMEDY: &str = "Write `publishers: [...]` with URLs such as notifier://";
    let key = "publishers";
    if sink.section.get(key).is_none_or(|node| node.kind.is_falsy()) {
        return sink.error(key, "No publisher specified", REMEDY);
    }
    if !sink.section.get(key).is_some_and(|node| matches!(node.kind, Kind::List(_))) {
        return sink.error(key, "Publishers should be a list", REMEDY);
    }
    let mut seen = HashSet::new();
    let mut publishers = Some(Vec::new());
    for (path, node) in sink.section.list(key, MOST_PUBLISHERS, sink.problems)? {
        match Publisher::read(node) {
            Ok(publisher) if seen.insert(publisher.url().expose().to_owned()) => {
                publishers.iter_mut().for_each(|publishers| publishers.push(publisher.clone()));
            }
            Ok(publisher) => {
                let message = format!("{}: `{publisher}` is named twice, and gets samples once", sink.who);
                sink.problems.warning(node.place, &path, message, "Remove one of the two");
            }
            Err(refusal) => {
                report(&path, refusal, sink.problems);
                publishers = None;
            }
        }
    }
    publishers
}

// === impl Transformer ===

impl Transformer {
    /// The deployment of a tenant's that it names, if it names one.
    pub fn deployment(&self) -> Option<Result<Key, String>> {
        let (tenant, name) = self.name.split_once('/')?;
        let tenant = tenant.parse().map_err(|error: InvalidTenant| error.to_string());
        let name = name.parse().map_err(|error: InvalidName| error.to_string());
        Some(tenant.and_then(|tenant| Ok(Key::new(tenant, name?))))
    }

    fn read(node: &Node, path: &str, sink: &mut Named<'_, '_>) -> Option<Self> {
        let section = Section::of(node, path, &["name", "parameters"], Severity::Warning, sink.problems)?;
        let mut error = |key: &str, message: &str, remedy: &str| {
            let place = section.entry(key).map_or(section.place, |entry| entry.value.place.or(entry.place));
            sink.problems.error(place, &section.key(key), format!("{}: {message}", sink.who), remedy);
        };
        let name = section.get("name").and_then(text);
        match (section.get("name"), &name) {
            (_, Some(_)) => {}
            (None, _) => {
                error("name", "a transformer: Required field name not specified", "Name it, such as rate_of_change");
            }
            (Some(_), None) => error("name", "a transformer's name must be a text", "Write a text, in quotes"),
        }
        let remedy = "Write `parameters: {}`, or what the transformer is told";
        let parameters = match section.entry("parameters") {
            None => {
                error("parameters", "a transformer: Required field parameters not specified", remedy);
                None
            }
            Some(entry) if entry.value.kind.is_falsy() => Some(Parameters::default()),
            Some(entry) if matches!(entry.value.kind, Kind::Map(_)) => {
                Some(Parameters::at(&section.key("parameters"), &entry.value, sink.problems))
            }
            Some(_) => {
                error("parameters", "a transformer's parameters must be a mapping", remedy);
                None
            }
        };
        let place = section.entry("name").and_then(|entry| entry.place).or(section.place);
        Some(Self { name: name?, parameters: parameters?, place })
    }
}
