//! From text to tree.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::options::DuplicateKeyPolicy;
use serde_yaml::{Location, MessageFormatter, Options, Spanned};

use super::{Entry, Kind, Node};
use crate::config::problem::{Place, Problems, Severity, quoted};

/// How deep lists and mappings nest. A level takes 45 KiB of stack without optimisation, of which threads have 2 MiB.
const DEEPEST: usize = 16;

/// How much aliases may multiply a file, in elements; a source's list of meters used a hundred times over fits.
const REPLAYED: usize = 200_000;

/// Below this, whole numbers fit into 64 bits, with a sign or without.
const SMALLEST_ROUNDED: f64 = 9_223_372_036_854_775_808.0;

/// Parses a file's one document; an empty one is null. Keys that are repeated are errors, yet the tree is still worth
/// reading.
pub(in crate::config) fn parse(text: &str, problems: &mut Problems) -> Option<Node> {
    read(text, Severity::Error, problems)
}

/// The same of a file of Ceilometer's, whose parser has the last of keys that are repeated count.
pub(in crate::config) fn parse_as_ceilometer(text: &str, problems: &mut Problems) -> Option<Node> {
    read(text, Severity::Warning, problems)
}

fn read(text: &str, repeated: Severity, problems: &mut Problems) -> Option<Node> {
    let lines: Vec<&str> = text.lines().collect();
    let marked = |mut node: Node| {
        mark_rounded(&mut node, &lines);
        node
    };
    match document(text, DuplicateKeyPolicy::Error) {
        Ok(node) => Some(marked(node)),
        Err(serde_yaml::Error::DuplicateMappingKey { key, location }) => {
            let mut node = document(text, DuplicateKeyPolicy::LastWins).ok();
            if node.as_mut().map_or(0, |node| take_last(node, "", repeated, problems)) == 0 {
                // Keys that are numbers are merged before they can be compared.
                let message = format!("the key {} is repeated", quoted(&key.unwrap_or_default()));
                problems.add(repeated, place(location), "", message, remove_one(repeated));
            }
            node.map(marked)
        }
        Err(error) => {
            let (message, remedy) = explain(&error);
            problems.error(error.location().and_then(place), "", message, remedy);
            None
        }
    }
}

#[allow(clippy::result_large_err, reason = "the library's error; made once a file and taken apart at once")]
fn document(text: &str, duplicate_keys: DuplicateKeyPolicy) -> Result<Node, serde_yaml::Error> {
    let options: Options = serde_yaml::options! {
        // Comments kept for the tree would be counted, and more than 32 in a row refused.
        emit_comments: false,
        with_snippet: false,
        duplicate_keys: duplicate_keys,
        reject_unsupported_tags: true,
        // `010` is 8 for Ceilometer's parser.
        legacy_octal_numbers: true,
        alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: REPLAYED },
        // One anchor may serve any number of sources; what they add up to is bounded above.
        budget: serde_yaml::budget! { max_depth: DEEPEST, enforce_alias_anchor_ratio: false },
    };
    serde_yaml::from_str_with_options(text, options)
}

/// Marks whole numbers that the parser made real ones of, because they have more than 64 bits.
fn mark_rounded(node: &mut Node, lines: &[&str]) {
    match &mut node.kind {
        Kind::Real(number) if number.abs() >= SMALLEST_ROUNDED => {
            node.rounded = node.place.is_some_and(|place| is_whole_number(place, lines));
        }
        Kind::List(nodes) => nodes.iter_mut().for_each(|node| mark_rounded(node, lines)),
        Kind::Map(entries) => entries.iter_mut().for_each(|entry| mark_rounded(&mut entry.value, lines)),
        _ => {}
    }
}

/// Whether nothing but digits is written there, with a sign or without.
fn is_whole_number(place: Place, lines: &[&str]) -> bool {
    let before = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
    let written = lines.get(before(place.line)).map(|line| line.chars().skip(before(place.column)));
    let Some(mut written) = written.map(Iterator::peekable) else { return false };
    written.next_if(|sign| matches!(sign, '+' | '-'));
    let mut digits = 0;
    while written.next_if(char::is_ascii_digit).is_some() {
        digits += 1;
    }
    digits > 0 && !matches!(written.peek(), Some('.' | 'e' | 'E'))
}

/// Leaves the last of keys that are repeated, reports each of these where it stands, and says how many there are.
fn take_last(node: &mut Node, path: &str, repeated: Severity, problems: &mut Problems) -> usize {
    match &mut node.kind {
        Kind::List(nodes) => {
            let entries = nodes.iter_mut().enumerate();
            entries.map(|(number, node)| take_last(node, &format!("{path}[{number}]"), repeated, problems)).sum()
        }
        Kind::Map(entries) => {
            let mut first = HashMap::new();
            let mut found = 0;
            for entry in &mut *entries {
                let path = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
                found += take_last(&mut entry.value, &path, repeated, problems);
                let line = entry.place.map_or(0, |place| place.line);
                let Some(line) = first.insert(entry.key.clone(), line) else { continue };
                found += 1;
                let message = format!("the key {} repeats that of line {line}", quoted(&entry.key));
                problems.add(repeated, entry.place, &path, message, remove_one(repeated));
            }
            let mut taken = HashSet::new();
            entries.reverse();
            entries.retain(|entry| taken.insert(entry.key.clone()));
            entries.reverse();
            found
        }
        _ => 0,
    }
}

fn remove_one(repeated: Severity) -> String {
    let remedy = match repeated {
        Severity::Error => "Remove one of the two",
        Severity::Warning => "Remove one of the two; the last one counts, as for Ceilometer",
    };
    remedy.to_owned()
}

/// The parser's words and a remedy. None of the file's text is repeated: a line that does not parse may hold a secret.
fn explain(error: &serde_yaml::Error) -> (String, String) {
    use serde_yaml::Error;
    let said = serde_yaml::UserMessageFormatter.format_message(error).into_owned();
    let (message, remedy) = match error {
        Error::AliasError { error, .. } => return explain(error),
        Error::UnsupportedTag { .. } => {
            ("a value that begins with `!` is a tag".into(), "Put it in quotes: \"!disk.*\"")
        }
        Error::UnknownAnchor { .. } => {
            ("a value that begins with `*` is an alias".into(), "Put it in quotes: \"*.bytes\"")
        }
        Error::MultipleDocuments { .. } => ("a second document begins".into(), "Remove the line `---`"),
        Error::RecursiveReferencesRequireWeakTypes { .. } => ("an alias contains itself".into(), "Write it out"),
        Error::AliasReplayLimitExceeded { .. } | Error::AliasReplayStackDepthExceeded { .. } => {
            ("aliases multiply the file too much".into(), "Write it out, or use fewer of them")
        }
        Error::Budget { .. } => {
            ("the file is too large or nests too deeply".into(), "Use fewer entries, or less nesting")
        }
        Error::NonFiniteFloat { .. } => ("a number is not finite".into(), "Write a number, or put it in quotes"),
        Error::NullIntoString { .. } | Error::Unexpected { .. } => (said, "Write keys as text"),
        _ => (
            said,
            "Check quotes and indentation here and on the line above; a value beginning with `*` or `!` needs quotes",
        ),
    };
    (format!("not valid YAML: {message}"), remedy.to_owned())
}

fn place(location: Location) -> Option<Place> {
    (location.line() > 0).then(|| Place { line: location.line(), column: location.column() })
}

// === impl Node ===

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Node { place: place(spanned.referenced), kind: spanned.value, rounded: false })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyKind)
    }
}

struct AnyKind;

impl<'de> Visitor<'de> for AnyKind {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Kind, E> {
        Ok(Kind::Real(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Kind, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = access.next_element()? {
            nodes.push(node);
        }
        Ok(Kind::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Kind, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = access.next_entry::<Spanned<String>, Node>()? {
            entries.push(Entry { place: place(key.referenced), key: key.value, value });
        }
        Ok(Kind::Map(entries))
    }
}
