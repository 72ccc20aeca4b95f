//! The outputs that publishers name, and what each is called.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use super::{Pipelines, Publisher};
use crate::config::daemon::{Format, FromUrl, NotifierOutput, Output, UrlDefaults};
use crate::config::problem::{Problems, quoted};
use crate::config::secret::{hide_url, sounds_secret};
use crate::digest::Digest;
use crate::pipeline::route::{MOST_PUBLISHERS, OF_PIPELINES, Tag};

/// The longest part of a URL that stands in a name.
const LONGEST: usize = 70;
/// Letters of a digest that tell URLs apart which look alike in a name.
const DIGITS: usize = 8;

/// What became of a publisher.
enum Opened {
    /// It is the output of this name.
    As(String),
    /// There is none of its kind here.
    Missing,
    /// Its URL is wrong, which has been said.
    Wrong,
}

/// What names are taken, and by what: names of the outputs and their tags differ.
#[derive(Default)]
struct Names {
    taken: HashMap<Tag, String>,
}

// === impl Pipelines ===

impl Pipelines {
    /// Whether any publisher sends to the broker of the configuration, or has its secret.
    pub(in crate::config) fn needs_broker(&self) -> bool {
        let needs = |publisher: &&Publisher| {
            ["notifier", "udp", "tcp"].iter().any(|scheme| publisher.scheme().eq_ignore_ascii_case(scheme))
        };
        self.publishers().iter().any(needs)
    }

    /// Makes outputs of all publishers, each URL once. Those that cannot be outputs have none, and are reported.
    pub(in crate::config) fn open(&mut self, defaults: UrlDefaults<'_>, problems: &mut Problems) {
        let (mut opened_before, mut names) = (HashMap::<String, Opened>::new(), Names::default());
        for (number, sink) in self.sinks.iter_mut().enumerate() {
            let mut is_empty = true;
            for (at, publisher) in sink.publishers.iter_mut().enumerate() {
                let key = format!("sinks[{number}].publishers[{at}]");
                if let Some(known) = opened_before.get(publisher.url().expose()) {
                    publisher.output = known.name();
                    is_empty &= matches!(known, Opened::Missing);
                    continue;
                }
                let (name, taken) = names.give(publisher);
                let opened = Output::of_url(publisher.url().expose(), &name, publisher.place, defaults);
                let (opened, output) = match opened {
                    Ok(FromUrl { output, warnings }) => {
                        for advice in warnings {
                            problems.warning(publisher.place, &key, advice.message, advice.remedy);
                        }
                        (Opened::As(name), Some(output))
                    }
                    Err(wrong) => {
                        let is_missing = wrong.iter().all(|advice| advice.is_missing);
                        for advice in wrong {
                            // As Ceilometer does: the sink goes on without it.
                            if advice.is_missing {
                                let message = format!("{}; the sink does without", advice.message);
                                problems.warning(publisher.place, &key, message, advice.remedy);
                            } else {
                                problems.error(publisher.place, &key, advice.message, advice.remedy);
                            }
                        }
                        (if is_missing { Opened::Missing } else { Opened::Wrong }, None)
                    }
                };
                let is_taken = |file: &PathBuf| {
                    defaults.outputs.iter().chain(&self.outputs).any(|other| other.file().as_ref() == Some(file))
                };
                if let Some(file) = output.as_ref().and_then(Output::file).filter(is_taken) {
                    let message = format!("{} is the file of two outputs", file.display());
                    problems.error(publisher.place, &key, message, "Give each output a file of its own");
                }
                if let Some(taken) = taken.filter(|_| output.is_some()) {
                    let message = format!("`{publisher}` can be told from {taken} by their order alone");
                    let remedy = "Write a `#` and a word of its own behind its URL: else it takes over what waits for \
                                  the other one when that is removed";
                    problems.warning(publisher.place, &key, message, remedy);
                }
                publisher.output = opened.name();
                is_empty &= matches!(opened, Opened::Missing);
                self.outputs.extend(output);
                opened_before.insert(publisher.url().expose().to_owned(), opened);
            }
            if is_empty && !sink.publishers.is_empty() {
                let message = format!("no publisher of the sink {} is there, so its samples go nowhere", sink.name);
                problems.warning(sink.place, &format!("sinks[{number}]"), message, "Name another publisher");
            }
        }
        self.led_twice(problems);
        self.arriving_twice(defaults.outputs, problems);
    }

    /// The publishers' URLs by the names of their outputs, without what may be secret.
    pub fn urls(&self) -> BTreeMap<String, String> {
        let publishers = self.sinks.iter().flat_map(|sink| &sink.publishers);
        publishers.filter_map(|publisher| Some((publisher.output.clone()?, publisher.to_string()))).collect()
    }

    /// Says which publishers of a sink lead to one place that is spelt in two ways: for Ceilometer, too, they are two.
    /// Who spells it in one, and asks for other things behind it, means two.
    fn led_twice(&self, problems: &mut Problems) {
        let outputs: HashMap<&str, &Output> = self.outputs.iter().map(|output| (output.name(), output)).collect();
        for (number, sink) in self.sinks.iter().enumerate() {
            let mut before: Vec<(&Publisher, &Output)> = Vec::new();
            for (at, publisher) in sink.publishers.iter().enumerate() {
                let Some(output) = publisher.output.as_deref().and_then(|name| outputs.get(name)) else { continue };
                let is_the_same = |(written, other): &&(&Publisher, &Output)| {
                    output.leads_where(other) && place_written(written) != place_written(publisher)
                };
                if let Some((other, _)) = before.iter().find(is_the_same) {
                    let sink = quoted(&sink.name);
                    let message =
                        format!("sink {sink}: `{publisher}` leads to where `{other}` does: samples are there twice");
                    let key = format!("sinks[{number}].publishers[{at}]");
                    problems.warning(publisher.place, &key, message, "Remove one of the two");
                }
                before.push((publisher, output));
            }
        }
    }

    /// Says which publishers send what is measured to a queue to which an output sends all of it already.
    fn arriving_twice(&self, others: &[Output], problems: &mut Problems) {
        let (others, ours) = (others.iter().filter_map(collected), self.outputs.iter().filter_map(collected));
        let ours: HashMap<_, _> = ours.map(|notifier| (notifier.name.as_str(), notifier)).collect();
        let used: HashSet<usize> = self.pipelines.iter().map(|pipeline| pipeline.sink).collect();
        // What transformers made of samples are others.
        let raw = self.sinks.iter().enumerate().filter(|(at, sink)| used.contains(at) && sink.transformers.is_empty());
        for (number, sink) in raw {
            for (at, publisher) in sink.publishers.iter().enumerate() {
                let Some(ours) = publisher.output.as_deref().and_then(|name| ours.get(name)) else { continue };
                let twice = others.clone().find_map(|other| Some((other, ours.broker.shared_queue(&other.broker)?)));
                let Some((other, queue)) = twice else { continue };
                let message = format!(
                    "sink {} leads samples to the queue {queue}, to which the output {} leads all samples: they are \
                     there twice",
                    quoted(&sink.name),
                    quoted(&other.name),
                );
                let remedy = "Move what it says from `outputs` to `broker` in wasmeter.yaml, which gets what pipelines \
                              say and nothing else, or name another topic";
                problems.warning(publisher.place, &format!("sinks[{number}].publishers[{at}]"), message, remedy);
            }
        }
    }
}

/// A notifier for whoever collects. What is for the notification agent is something else, and doubts are about it.
fn collected(output: &Output) -> Option<&NotifierOutput> {
    match output {
        Output::Notifier { notifier } if notifier.format != Format::Polling => Some(notifier),
        _ => None,
    }
}

// === impl Opened ===

impl Opened {
    fn name(&self) -> Option<String> {
        match self {
            Self::As(name) => Some(name.clone()),
            Self::Missing | Self::Wrong => None,
        }
    }
}

// === impl Names ===

impl Names {
    /// A name for the output of a publisher, and the one that it would have if another publisher had not taken it.
    fn give(&mut self, publisher: &Publisher) -> (String, Option<String>) {
        let name = publisher.name();
        let numbered = (2..=MOST_PUBLISHERS).map(|number| format!("{name}#{number}"));
        let all = std::iter::once(name.clone()).chain(numbered);
        let free = all.clone().find(|name| !self.taken.contains_key(&Tag::of(name))).unwrap_or_else(|| name.clone());
        let taken = self.taken.get(&Tag::of(&name)).cloned();
        self.taken.insert(Tag::of(&free), free.clone());
        (free, taken)
    }
}

// === impl Publisher ===

impl Publisher {
    /// What its output is called, from one start of the daemon to the next: where it sends to, and a digest where that
    /// is not all that says who gets what. It follows from the URL alone, so that what waits for a publisher waits for
    /// it whichever others there are, and not from a password, a token or how it delivers, so that these may change.
    fn name(&self) -> String {
        let url = self.url().expose();
        let (url, fragment) = url.split_once('#').filter(|(_, word)| !word.contains('@')).unwrap_or((url, ""));
        let url = Output::receiver(url);
        let shown = place_shown(&url);
        if shown == url && fragment.is_empty() {
            return format!("{OF_PIPELINES}{shown}");
        }
        let lasting = hide_url(&url, |option| !sounds_secret(option));
        let all = format!("{lasting}\n{}\n{fragment}", user(&url));
        let digest = Digest::of(all.as_bytes()).to_string();
        format!("{OF_PIPELINES}{shown}~{}", digest.get(..DIGITS).unwrap_or_default())
    }
}

/// Where a publisher leads, as it is written.
fn place_written(publisher: &Publisher) -> &str {
    publisher.url().expose().split(['?', '#']).next().unwrap_or_default()
}

/// Where a URL leads: what there is of it without login and options.
fn place_shown(url: &str) -> String {
    let shown = Output::shown(url);
    let shown = shown.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = shown.split_once("://").unwrap_or(("", shown));
    // A login stands before each of several hosts.
    let hosts = rest.split(',').map(|rest| rest.rsplit_once('@').map_or(rest, |(_, rest)| rest));
    let plain = |c: char| if c.is_control() { '_' } else { c };
    format!("{scheme}://{}", hosts.collect::<Vec<_>>().join(",")).chars().map(plain).take(LONGEST).collect()
}

/// The user that a URL names, if a password stands behind it: a word alone may be a token.
fn user(url: &str) -> &str {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split(['/', '?']).next().unwrap_or_default();
    let login = authority.rsplit_once('@').map_or("", |(login, _)| login);
    login.split_once(':').map_or("", |(user, _)| user)
}

#[cfg(test)]
mod tests;
