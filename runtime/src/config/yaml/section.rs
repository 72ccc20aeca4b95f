//! A mapping whose keys are known beforehand.

use super::spelling::closest;
use super::{Entry, Kind, Node, Refusal};
use crate::config::matching::MeterFilter;
use crate::config::problem::{Place, Problems, Severity, quoted};
use crate::config::secret::sounds_secret;

/// A mapping whose keys are known beforehand.
#[derive(Debug, Clone)]
pub(in crate::config) struct Section<'a> {
    /// The path of keys that leads here, such as `sources[0]`; empty for the whole file.
    path: String,
    entries: &'a [Entry],
    /// Where it begins.
    pub(in crate::config) place: Option<Place>,
}

impl<'a> Section<'a> {
    /// The mapping at `path`, after a report of its unknown keys. Null is an empty mapping.
    pub(in crate::config) fn of(
        node: &'a Node,
        path: impl Into<String>,
        known: &[&str],
        unknown: Severity,
        problems: &mut Problems,
    ) -> Option<Self> {
        let path = path.into();
        let entries = match &node.kind {
            Kind::Map(entries) => entries.as_slice(),
            Kind::Null => &[],
            _ => {
                let refusal =
                    node.refuse("not a mapping", format!("Write `key: value` with keys of {}", known.join(", ")));
                report(&path, refusal, problems);
                return None;
            }
        };
        let section = Self { path, entries, place: node.place };
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let message = format!("unknown key {}", quoted(&entry.key));
            let remedy = match closest(&entry.key, known) {
                Some(meant) => format!("Did you mean `{meant}`?"),
                None => format!("Remove it; known keys are {}", known.join(", ")),
            };
            problems.add(unknown, entry.place, &section.key(&entry.key), message, remedy);
        }
        Some(section)
    }

    /// A mapping without keys.
    pub(in crate::config) fn empty(path: &str) -> Self {
        Self { path: path.to_owned(), entries: &[], place: None }
    }

    /// The path of a key in here.
    pub(in crate::config) fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// A key's entry, also if its value is null.
    pub(in crate::config) fn entry(&self, key: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// A key's value; null is none.
    pub(in crate::config) fn get(&self, key: &str) -> Option<&'a Node> {
        self.entry(key).map(|entry| &entry.value).filter(|node| node.kind != Kind::Null)
    }

    /// A key's value as `read` understands it; `None` if it is absent, or refused and reported.
    pub(in crate::config) fn read<T>(
        &self,
        key: &str,
        problems: &mut Problems,
        read: impl FnOnce(&'a Node) -> Result<T, Refusal>,
    ) -> Option<T> {
        let refusal = match read(self.get(key)?) {
            Ok(value) => return Some(value),
            Err(refusal) => refusal,
        };
        report(&self.key(key), refusal, problems);
        None
    }

    /// As [`read`](Self::read); that the key is absent is reported, too.
    pub(in crate::config) fn required<T>(
        &self,
        key: &str,
        problems: &mut Problems,
        remedy: &str,
        read: impl FnOnce(&'a Node) -> Result<T, Refusal>,
    ) -> Option<T> {
        if self.get(key).is_none() {
            problems.error(self.place, &self.key(key), format!("{} is missing", quoted(&self.key(key))), remedy);
        }
        self.read(key, problems, read)
    }

    /// The entries of a key's list with their paths; a key that is absent has none, a list that was refused is `None`.
    pub(in crate::config) fn list(
        &self,
        key: &str,
        limit: usize,
        problems: &mut Problems,
    ) -> Option<Vec<(String, &'a Node)>> {
        if self.get(key).is_none() {
            return Some(Vec::new());
        }
        let nodes = self.read(key, problems, |node| match &node.kind {
            Kind::List(nodes) if nodes.len() <= limit => Ok(nodes),
            Kind::List(_) => Err(node.refuse("too long", format!("Write at most {limit} entries"))),
            _ => Err(node.refuse("not a list", "Write `- ` before each entry, or [entry, entry]")),
        })?;
        let path = |number| format!("{}[{number}]", self.key(key));
        Some(nodes.iter().enumerate().map(|(number, node)| (path(number), node)).collect())
    }

    /// The texts of a key's list and where they stand; `None` if one was refused.
    pub(in crate::config) fn texts(
        &self,
        key: &str,
        limit: usize,
        problems: &mut Problems,
    ) -> Option<Vec<(Option<Place>, String)>> {
        let mut texts = Some(Vec::new());
        for (path, node) in self.list(key, limit, problems)? {
            match node.text() {
                Ok(text) => texts.iter_mut().for_each(|texts| texts.push((node.place, text.to_owned()))),
                Err(refusal) => {
                    report(&path, refusal, problems);
                    texts = None;
                }
            }
        }
        texts
    }

    /// The meters of a key, if their patterns go together. The messages begin with `who`.
    pub(in crate::config) fn meters(
        &self,
        key: &str,
        who: &str,
        limit: usize,
        problems: &mut Problems,
    ) -> Option<MeterFilter> {
        let (places, patterns): (Vec<_>, Vec<_>) = self.texts(key, limit, problems)?.into_iter().unzip();
        let refused = match MeterFilter::new(patterns) {
            Ok(filter) => return Some(filter),
            Err(refused) => refused,
        };
        let list = self.entry(key).map_or(self.place, |entry| entry.value.place.or(entry.place));
        let place = refused.at().and_then(|at| places.get(at).copied().flatten()).or(list);
        problems.error(place, &self.key(key), format!("{who}: {refused}"), refused.remedy());
        None
    }
}

/// Reports that the value at `path` was refused. A secret that stands where something else is meant is not repeated.
pub(in crate::config) fn report(path: &str, refusal: Refusal, problems: &mut Problems) {
    let subject = if path.is_empty() { "the file".to_owned() } else { quoted(path) };
    let value = match path.rsplit('.').next() {
        Some(key) if sounds_secret(key) => "is wrong",
        _ => &refusal.value,
    };
    problems.error(refusal.place, path, format!("{subject} {value}: {}", refusal.reason), refusal.remedy);
}
