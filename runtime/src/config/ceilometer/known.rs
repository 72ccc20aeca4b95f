//! The options that Ceilometer 27 has.

use std::collections::HashMap;
use std::sync::LazyLock;

/// All of them.
pub(super) static KNOWN: LazyLock<Known> = LazyLock::new(|| Known::parse(include_str!("known.txt")));

/// Options, and where to find them by their names.
pub(super) struct Known {
    options: Vec<KnownOption>,
    /// By section and name, older ones included.
    by_name: HashMap<(&'static str, &'static str), usize>,
}

/// An option of Ceilometer 27's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct KnownOption {
    /// Its number among all.
    pub(super) number: usize,
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    /// Sections and names that it had before, which are still read.
    pub(super) older: Vec<(&'static str, &'static str)>,
    pub(super) kind: Kind,
    /// What becomes of it here.
    pub(super) fate: &'static str,
    /// What it is where nothing is set, as it would be written.
    pub(super) default: Option<&'static str>,
}

/// What its values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Boolean,
    Integer,
    Real,
    List,
    /// The option can be repeated.
    Multi,
}

// === impl Known ===

impl Known {
    fn parse(text: &'static str) -> Self {
        let (mut section, mut options) = ("", Vec::new());
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                Some(name) => section = name,
                None => options.extend(KnownOption::parse(line, section, options.len())),
            }
        }
        let mut by_name = HashMap::new();
        for option in &options {
            by_name.insert((option.section, option.name), option.number);
        }
        for option in &options {
            for name in &option.older {
                by_name.entry(*name).or_insert(option.number);
            }
        }
        Self { options, by_name }
    }

    /// The option of this name, which may be an older one.
    pub(super) fn get(&self, section: &str, name: &str) -> Option<&KnownOption> {
        self.options.get(*self.by_name.get(&(section, name))?)
    }

    /// One by one.
    pub(super) fn iter(&self) -> std::slice::Iter<'_, KnownOption> {
        self.options.iter()
    }
}

// === impl KnownOption ===

impl KnownOption {
    fn parse(line: &'static str, section: &'static str, number: usize) -> Option<Self> {
        let (head, default) = match line.split_once(" =") {
            Some((head, default)) => (head, Some(default.strip_prefix(' ').unwrap_or(default))),
            None => (line, None),
        };
        let mut words = head.split(' ');
        let (mut names, kind, fate) = (words.next()?.split('|'), words.next()?, words.next()?);
        Some(Self {
            number,
            section,
            name: names.next()?,
            older: names.filter_map(|name| name.split_once('.')).collect(),
            kind: match kind {
                "text" => Kind::Text,
                "boolean" => Kind::Boolean,
                "integer" => Kind::Integer,
                "real" => Kind::Real,
                "list" => Kind::List,
                "multi" => Kind::Multi,
                _ => return None,
            },
            fate,
            default,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_understood() {
        let text = include_str!("known.txt");
        let options = text.lines().filter(|line| line.contains(' ') && !line.starts_with('#'));
        assert_eq!(KNOWN.iter().len(), options.count());
        let host = KNOWN.get("DEFAULT", "host").unwrap();
        assert_eq!((host.kind, host.fate, host.default), (Kind::Text, "taken", None));
        let older = KNOWN.get("central", "partitioning_group_prefix").unwrap();
        assert_eq!((older.section, older.fate), ("polling", "coordination"));
        assert_eq!(KNOWN.get("DEFAULT", "libvirt_uri").unwrap().default, Some(""));
        let lists: Vec<_> = KNOWN.get("oslo_messaging_notifications", "topics").into_iter().collect();
        assert_eq!((lists[0].kind, lists[0].default), (Kind::List, Some("notifications")));
    }
}
