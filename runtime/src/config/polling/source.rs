//! One source.

use std::collections::HashMap;
use std::time::Duration;

use crate::config::matching::MeterFilter;
use crate::config::problem::{Place, Problems, Severity, quoted, shown};
use crate::config::yaml::{Kind, Node, Section};

/// The most entries of each list of a source.
const MOST_ENTRIES: usize = 10_000;

/// The longest interval in seconds: a year. Anything longer was meant to be milliseconds.
const LONGEST_INTERVAL: i128 = 365 * 24 * 3600;

const COORDINATION: &str = "group_id_coordination_expression";

const KEYS: [&str; 6] = ["name", "interval", "meters", "resources", "discovery", COORDINATION];

/// Some meters, measured every so often.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// How often it is measured; whole seconds.
    #[serde(serialize_with = "whole_seconds")]
    pub interval: Duration,
    /// Which meters.
    pub meters: MeterFilter,
    /// Resources to measure beside those that are found.
    pub resources: Vec<String>,
    /// How resources are found; nothing for each meter's own way.
    pub discovery: Vec<String>,
    /// Where it stands.
    #[serde(skip)]
    pub place: Option<Place>,
}

/// Says about one source what is wrong.
struct Report<'a, 'p> {
    section: Section<'a>,
    /// Its name, or else its path.
    who: String,
    problems: &'p mut Problems,
}

// === impl Source ===

impl Source {
    /// Reads a source whose name must be none of `names`, known with their lines; `None` if it was refused, which has
    /// been reported.
    pub(super) fn read(
        node: &Node,
        path: &str,
        names: &mut HashMap<String, u64>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let section = Section::of(node, path, &KEYS, Severity::Warning, problems)?;
        let who = match section.get("name").map(|name| &name.kind) {
            Some(Kind::Text(name)) if !name.is_empty() => format!("source {}", quoted(name)),
            _ => format!("`{path}`"),
        };
        let mut report = Report { section, who, problems };
        let name = report.name(names);
        let meters = report.meters();
        let interval = report.interval();
        let resources = report.list("resources", "Resources should be a list");
        let discovery = report.list("discovery", "Discovery should be a list");
        if report.section.get(COORDINATION).is_some() {
            report.warning(COORDINATION, "one node needs no coordination: it has no effect", "Remove it");
        }
        let place = report.section.entry("name").map_or(report.section.place, |entry| entry.place);
        Some(Self { name: name?, interval: interval?, meters: meters?, resources, discovery, place })
    }
}

fn whole_seconds<S: serde::Serializer>(interval: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(interval.as_secs())
}

// === impl Report ===

impl Report<'_, '_> {
    fn name(&mut self, names: &mut HashMap<String, u64>) -> Option<String> {
        // Ceilometer takes numbers for names, too.
        let name = match self.section.get("name").map(|name| &name.kind) {
            Some(Kind::Text(name)) if !name.is_empty() => Some(name.clone()),
            Some(Kind::Integer(number)) => Some(number.to_string()),
            Some(Kind::Real(number)) => Some(number.to_string()),
            None => {
                return self.error(
                    "name",
                    "Required field name not specified",
                    "Add `name: ` with a text of your choice",
                );
            }
            Some(_) => return self.error("name", "the name must be a text", "Write a text, in quotes"),
        }?;
        let line = self.section.entry("name")?.place.map_or(0, |place| place.line);
        if let Some(first) = names.insert(name.clone(), line) {
            let message = format!("Duplicated source names: {} (also on line {first})", shown(&name));
            return self.error("name", &message, "Give each source a name of its own");
        }
        Some(name)
    }

    fn meters(&mut self) -> Option<MeterFilter> {
        let Some(entry) = self.section.entry("meters") else {
            return self.error("meters", "Missing meters value", "Add `meters: [\"*\"]` or a list of names");
        };
        match &entry.value.kind {
            Kind::List(_) | Kind::Null => {}
            Kind::Text(text) if !text.is_empty() => {
                let remedy = format!("Write {}", quoted(&format!("meters: [\"{text}\"]")));
                return self.error("meters", "Meters should be a list, or nothing would match", remedy);
            }
            _ => return self.error("meters", "Meters should be a list", "Write `meters: [\"*\"]` or a list of names"),
        }
        self.section.meters("meters", &self.who, MOST_ENTRIES, self.problems)
    }

    /// What Python's `int` makes of it.
    fn interval(&mut self) -> Option<Duration> {
        const REMEDY: &str = "Write whole seconds, such as `interval: 60`";
        let seconds = match self.section.entry("interval").map(|entry| &entry.value.kind) {
            None => {
                return self.error("interval", "Missing interval value", "Add whole seconds, such as `interval: 60`");
            }
            Some(Kind::Integer(number)) => Some(*number),
            Some(Kind::Real(number)) => {
                if number.fract() != 0.0 {
                    self.warning("interval", "fractions of a second are cut off", REMEDY);
                }
                Some(whole(*number))
            }
            Some(Kind::Text(text)) => number(text),
            Some(_) => None,
        };
        match seconds {
            None => self.error("interval", "Invalid interval value", REMEDY),
            Some(..=0) => self.error("interval", "Interval value should > 0", REMEDY),
            Some(1..=LONGEST_INTERVAL) => {
                seconds.and_then(|number| u64::try_from(number).ok()).map(Duration::from_secs)
            }
            Some(_) => self.error("interval", "the interval is longer than 365 days", REMEDY),
        }
    }

    fn list(&mut self, key: &'static str, complaint: &str) -> Vec<String> {
        match self.section.get(key).map(|node| &node.kind) {
            Some(Kind::List(_)) | None => {
                let texts = self.section.texts(key, MOST_ENTRIES, self.problems);
                texts.unwrap_or_default().into_iter().map(|(_, text)| text).collect()
            }
            Some(_) => {
                let _: Option<()> = self.error(key, complaint, format!("Write `{key}: [...]`, or remove it"));
                Vec::new()
            }
        }
    }

    fn error<T>(&mut self, key: &str, message: &str, remedy: impl Into<String>) -> Option<T> {
        let place = self.section.entry(key).map_or(self.section.place, |entry| entry.value.place.or(entry.place));
        self.problems.error(place, &self.section.key(key), format!("{}: {message}", self.who), remedy);
        None
    }

    fn warning(&mut self, key: &str, message: &str, remedy: &str) {
        let place = self.section.entry(key).and_then(|entry| entry.place);
        self.problems.warning(place, &self.section.key(key), format!("{}: `{key}`: {message}", self.who), remedy);
    }
}

/// A real number without its fraction.
#[allow(clippy::cast_possible_truncation, reason = "the fraction is to go, and what is too large stays too large")]
fn whole(number: f64) -> i128 {
    number as i128
}

/// Digits with a sign, and with single underscores between them.
pub(in crate::config) fn number(text: &str) -> Option<i128> {
    let text = text.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let groups = || digits.split('_');
    if groups().any(|group| group.is_empty() || !group.bytes().all(|byte| byte.is_ascii_digit())) {
        return None;
    }
    text.replace('_', "").parse().ok()
}
