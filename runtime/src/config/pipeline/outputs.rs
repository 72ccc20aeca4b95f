//! The outputs that publishers name, and what each is called.

use std::collections::HashMap;
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

/// What names are taken, and by what: names of the outputs and their tags differ.
#[derive(Default)]
struct Names {
    taken: HashMap<Tag, String>,
}

// === impl Pipelines ===

impl Pipelines {
    /// Makes outputs of all publishers, each URL once, beside others. Those that cannot be outputs have none, and are reported.
    pub(in crate::config) fn open(&mut self, defaults: UrlDefaults<'_>, others: &[Output], problems: &mut Problems) {
        let (mut opened_before, mut names) = (HashMap::<String, Option<String>>::new(), Names::default());
        for (number, sink) in self.sinks.iter_mut().enumerate() {
            let mut is_wrong = false;
            for (at, publisher) in sink.publishers.iter_mut().enumerate() {
                let key = format!("sinks[{number}].publishers[{at}]");
                if let Some(known) = opened_before.get(publisher.url().expose()) {
                    publisher.output = known.clone();
                    continue;
                }
                let (name, taken) = names.give(publisher);
                let opened = Output::of_url(publisher.url().expose(), &name, publisher.place, defaults);
                let opened = match opened {
                    Ok(FromUrl { output, warnings }) => {
                        for advice in warnings {
                            problems.warning(publisher.place, &key, advice.message, advice.remedy);
                        }
                        Some(output)
                    }
                    Err(wrong) => {
                        for advice in wrong {
                            // As Ceilometer does: the sink goes on without it.
                            if advice.is_missing {
                                let message = format!("{}; the sink does without", advice.message);
                                problems.warning(publisher.place, &key, message, advice.remedy);
                            } else {
                                problems.error(publisher.place, &key, advice.message, advice.remedy);
                                is_wrong = true;
                            }
                        }
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
                if let Some(taken) = taken.filter(|_| opened.is_some()) {
                    let message = format!("`{publisher}` can be told from {taken} by their order alone");
                    let remedy = "Write a `#` and a word of its own behind its URL: else it takes over what waits for \
                                  the other one when that is removed";
                    problems.warning(publisher.place, &key, message, remedy);
                }
                publisher.output = opened.is_some().then_some(name);
                self.outputs.extend(opened);
                opened_before.insert(publisher.url().expose().to_owned(), publisher.output.clone());
            }
            let is_empty = sink.publishers.is_empty() || is_wrong;
            if !is_empty && sink.publishers.iter().all(|publisher| publisher.output.is_none()) {
                let message = format!("no publisher of the sink {} is there, so its samples go nowhere", sink.name);
                problems.warning(sink.place, &format!("sinks[{number}]"), message, "Name another publisher");
            }
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
    /// is not all of the URL. It follows from the URL alone, so that what waits for a publisher waits for it whichever
    /// others there are, and not from a password or token, so that it may get another one.
    fn name(&self) -> String {
        let (url, shown) = (self.url().expose(), self.place_shown());
        if shown == url {
            return format!("{OF_PIPELINES}{shown}");
        }
        let (rest, fragment) = url.split_once('#').filter(|(_, word)| !word.contains('@')).unwrap_or((url, ""));
        let all = format!("{}\n{}\n{fragment}", hide_url(rest), user(rest));
        let digest = Digest::of(all.as_bytes()).to_string();
        format!("{OF_PIPELINES}{shown}~{}", digest.get(..DIGITS).unwrap_or_default())
    }

    /// Where it sends to: its URL without login and options.
    fn place_shown(&self) -> String {
        let shown = hide_url(self.url().expose());
        let shown = shown.split(['?', '#']).next().unwrap_or_default();
        let (scheme, rest) = shown.split_once("://").unwrap_or(("", shown));
        let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
        let plain = |c: char| if c.is_control() { '_' } else { c };
        format!("{scheme}://{rest}").chars().map(plain).take(LONGEST).collect()
    }
}

/// The user that a URL names, if a password stands behind it: a word alone may be a token.
fn user(url: &str) -> &str {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split(['/', '?']).next().unwrap_or_default();
    let login = authority.rsplit_once('@').map_or("", |(login, _)| login);
    login.split_once(':').map_or("", |(user, _)| user)
}

#[cfg(test)]
mod tests;
