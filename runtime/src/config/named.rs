//! An entry of the lists in Ceilometer's files: a source or a sink, which are known by their names.

use std::collections::HashMap;
use std::time::Duration;

use super::matching::MeterFilter;
use super::problem::{Place, Problems, Severity, quoted, shown};
use super::yaml::{Kind, Node, Section};

/// The most entries of each list of an entry.
pub(super) const MOST_ENTRIES: usize = 10_000;

/// The longest interval in seconds: a year. Anything longer was meant to be milliseconds.
const LONGEST_INTERVAL: i128 = 365 * 24 * 3600;

/// The longest name in characters.
const LONGEST_NAME: usize = 255;

/// An entry, and what is wrong with it.
pub(super) struct Named<'a, 'p> {
    pub(super) section: Section<'a>,
    /// What messages begin with: its name, or else its path.
    pub(super) who: String,
    /// `source` or `sink`.
    kind: &'static str,
    pub(super) problems: &'p mut Problems,
}

// === impl Named ===

impl<'a, 'p> Named<'a, 'p> {
    /// The entry at `path`; `None` if it is no mapping, which has been reported.
    pub(super) fn of(
        kind: &'static str,
        node: &'a Node,
        path: &str,
        known: &[&str],
        problems: &'p mut Problems,
    ) -> Option<Self> {
        let section = Section::of(node, path, known, Severity::Warning, problems)?;
        let who = match section.get("name").map(|name| &name.kind) {
            Some(Kind::Text(name)) if !name.is_empty() => format!("{kind} {}", quoted(name)),
            _ => format!("`{path}`"),
        };
        Some(Self { section, who, kind, problems })
    }

    /// Where it stands: where its name does.
    pub(super) fn place(&self) -> Option<Place> {
        self.section.entry("name").map_or(self.section.place, |entry| entry.place)
    }

    /// Its name, which must be none of `names`, known with their lines.
    pub(super) fn name(&mut self, names: &mut HashMap<String, u64>) -> Option<String> {
        let name = self.section.entry("name").map(|entry| &entry.value);
        let Some(name) = name.filter(|name| name.kind != Kind::Null) else {
            return self.error("name", "Required field name not specified", "Add `name: ` with a text of your choice");
        };
        let Some(name) = text(name) else {
            return self.error("name", "the name must be a text", "Write a text, in quotes");
        };
        if name.chars().nth(LONGEST_NAME).is_some() {
            return self.error("name", "the name is longer than 255 characters", "Write a shorter one");
        }
        let line = self.section.entry("name")?.place.map_or(0, |place| place.line);
        if let Some(first) = names.insert(name.clone(), line) {
            let message = format!("Duplicated {} names: {} (also on line {first})", self.kind, shown(&name));
            return self.error("name", &message, format!("Give each {} a name of its own", self.kind));
        }
        Some(name)
    }

    /// The meters of a key.
    pub(super) fn meters(&mut self, key: &str) -> Option<MeterFilter> {
        let Some(entry) = self.section.entry(key) else {
            return self.error(key, "Missing meters value", "Add `meters: [\"*\"]` or a list of names");
        };
        match &entry.value.kind {
            Kind::List(_) | Kind::Null => {}
            Kind::Text(text) if !text.is_empty() => {
                let remedy = format!("Write {}", quoted(&format!("{key}: [\"{text}\"]")));
                return self.error(key, "Meters should be a list, or nothing would match", remedy);
            }
            _ => return self.error(key, "Meters should be a list", "Write `meters: [\"*\"]` or a list of names"),
        }
        self.section.meters(key, &self.who, MOST_ENTRIES, self.problems)
    }

    /// How often it is measured: what Python's `int` makes of it.
    pub(super) fn interval(&mut self) -> Option<Duration> {
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

    /// The texts of a key that may be absent.
    pub(super) fn texts(&mut self, key: &'static str, complaint: &str) -> Vec<String> {
        self.is_list(key, complaint);
        let texts = self.section.get(key).filter(|node| matches!(node.kind, Kind::List(_)));
        let texts = texts.and_then(|_| self.section.texts(key, MOST_ENTRIES, self.problems));
        texts.unwrap_or_default().into_iter().map(|(_, text)| text).collect()
    }

    /// Whether a key is a list, or absent. That it is something else is reported.
    pub(super) fn is_list(&mut self, key: &'static str, complaint: &str) -> bool {
        let is_list = self.section.get(key).is_none_or(|node| matches!(node.kind, Kind::List(_)));
        if !is_list {
            let _: Option<()> = self.error(key, complaint, format!("Write `{key}: [...]`, or remove it"));
        }
        is_list
    }

    /// Reports what is wrong with a key.
    pub(super) fn error<T>(&mut self, key: &str, message: &str, remedy: impl Into<String>) -> Option<T> {
        let place = self.section.entry(key).map_or(self.section.place, |entry| entry.value.place.or(entry.place));
        self.error_at(place, key, message, remedy);
        None
    }

    /// The same of something within it.
    pub(super) fn error_at(&mut self, place: Option<Place>, key: &str, message: &str, remedy: impl Into<String>) {
        self.problems.error(place, &self.section.key(key), format!("{}: {message}", self.who), remedy);
    }

    /// Says that a key may not do what was meant.
    pub(super) fn warning(&mut self, key: &str, message: &str, remedy: &str) {
        let place = self.section.entry(key).and_then(|entry| entry.place);
        self.problems.warning(place, &self.section.key(key), format!("{}: `{key}`: {message}", self.who), remedy);
    }
}

/// A name. Ceilometer takes numbers for names, too.
pub(super) fn text(node: &Node) -> Option<String> {
    match &node.kind {
        Kind::Text(text) if !text.is_empty() => Some(text.clone()),
        Kind::Integer(number) => Some(number.to_string()),
        Kind::Real(number) => Some(number.to_string()),
        _ => None,
    }
}

/// For `#[serde(serialize_with)]`.
pub(super) fn whole_seconds<S: serde::Serializer>(interval: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(interval.as_secs())
}

/// A real number without its fraction.
#[allow(clippy::cast_possible_truncation, reason = "the fraction is to go, and what is too large stays too large")]
fn whole(number: f64) -> i128 {
    number as i128
}

/// Digits with a sign, and with single underscores between them.
pub(super) fn number(text: &str) -> Option<i128> {
    let text = text.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let groups = || digits.split('_');
    if groups().any(|group| group.is_empty() || !group.bytes().all(|byte| byte.is_ascii_digit())) {
        return None;
    }
    text.replace('_', "").parse().ok()
}
