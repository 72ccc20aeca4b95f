//! The outputs that publishers name, and what each is called.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::{Pipelines, Publisher};
use crate::config::daemon::{FromUrl, Output, UrlDefaults};
use crate::config::problem::Problems;
use crate::config::secret::hide_url;
use crate::digest::Digest;
use crate::pipeline::route::{MOST_PUBLISHERS, OF_PIPELINES, Tag};

/// The longest part of a URL that stands in a name.
const LONGEST: usize = 70;
/// Letters of a digest that tell URLs apart which look alike in a name.
const DIGITS: usize = 8;

// === impl Pipelines ===

impl Pipelines {
    /// Makes outputs of all publishers, each URL once, beside others. Those that cannot be outputs have none, and are reported.
    pub(in crate::config) fn open(&mut self, defaults: UrlDefaults<'_>, others: &[Output], problems: &mut Problems) {
        let (mut names, mut tags) = (HashMap::<String, Option<String>>::new(), HashSet::new());
        let is_alike = alike(&self.publishers());
        for (number, sink) in self.sinks.iter_mut().enumerate() {
            for (at, publisher) in sink.publishers.iter_mut().enumerate() {
                let key = format!("sinks[{number}].publishers[{at}]");
                if let Some(known) = names.get(publisher.url().expose()) {
                    publisher.output = known.clone();
                    continue;
                }
                let name = publisher.name(&is_alike);
                // Those that differ in their logins are told apart by their order.
                let numbered = (2..=MOST_PUBLISHERS).map(|number| format!("{name}#{number}"));
                let name = std::iter::once(name.clone()).chain(numbered).find(|name| tags.insert(Tag::of(name)));
                let name = name.unwrap_or_default();
                let opened = Output::of_url(publisher.url().expose(), &name, publisher.place, defaults);
                let opened = match opened {
                    Ok(FromUrl { output, warnings }) => {
                        for advice in warnings {
                            problems.warning(publisher.place, &key, advice.message, advice.remedy);
                        }
                        Some(output)
                    }
                    // As Ceilometer does: the sink goes on without it.
                    Err(advice) if advice.is_missing => {
                        let message = format!("{}; the sink does without", advice.message);
                        problems.warning(publisher.place, &key, message, advice.remedy);
                        None
                    }
                    Err(advice) => {
                        problems.error(publisher.place, &key, advice.message, advice.remedy);
                        None
                    }
                };
                let is_taken = |file: &PathBuf| {
                    others.iter().chain(&self.outputs).any(|other| other.file().as_ref() == Some(file))
                };
                if let Some(file) = opened.as_ref().and_then(Output::file).filter(is_taken) {
                    let message = format!("{} is the file of two outputs", file.display());
                    problems.error(publisher.place, &key, message, "Give each output a file of its own");
                }
                publisher.output = opened.is_some().then_some(name);
                if opened.is_some() && self.outputs.len() == MOST_PUBLISHERS {
                    let message = format!("there are more than {MOST_PUBLISHERS} publishers that differ");
                    problems.error(publisher.place, &key, message, "Publish to fewer places");
                }
                self.outputs.extend(opened);
                names.insert(publisher.url().expose().to_owned(), publisher.output.clone());
            }
            if !sink.publishers.is_empty() && sink.publishers.iter().all(|publisher| publisher.output.is_none()) {
                let message = format!("no publisher of the sink {} is there, so its samples go nowhere", sink.name);
                problems.warning(sink.place, &format!("sinks[{number}]"), message, "Name another publisher");
            }
        }
    }
}

/// Names without a digest that more than one of these would have.
fn alike(publishers: &[&Publisher]) -> HashSet<String> {
    let mut seen = HashSet::new();
    publishers.iter().map(|publisher| publisher.place_shown()).filter(|shown| !seen.insert(shown.clone())).collect()
}

// === impl Publisher ===

impl Publisher {
    /// Where it sends to: its URL without login and options.
    fn place_shown(&self) -> String {
        let shown = hide_url(self.url().expose());
        let shown = shown.split(['?', '#']).next().unwrap_or_default();
        let (scheme, rest) = shown.split_once("://").unwrap_or(("", shown));
        let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
        let plain = |c: char| if c.is_control() { '_' } else { c };
        format!("{scheme}://{rest}").chars().map(plain).take(LONGEST).collect()
    }

    /// What its output is called, from one start of the daemon to the next.
    fn name(&self, alike: &HashSet<String>) -> String {
        let shown = self.place_shown();
        if !alike.contains(&shown) {
            return format!("{OF_PIPELINES}{shown}");
        }
        let digest = Digest::of(hide_url(self.url().expose()).as_bytes()).to_string();
        format!("{OF_PIPELINES}{shown}~{}", digest.get(..DIGITS).unwrap_or_default())
    }
}
