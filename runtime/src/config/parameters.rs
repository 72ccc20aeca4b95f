//! What a transformer is told, key by key: what it refuses is said where it is written.

use serde_json::Value;

use crate::config::daemon::ModuleConfig;
use crate::config::problem::{Place, Problems};
use crate::config::yaml::{Kind, Node};

/// What a transformer is told.
#[derive(Debug, Clone, Default, serde::Serialize)]
#[serde(transparent)]
pub struct Parameters {
    /// All of it; null for nothing.
    pub config: ModuleConfig,
    #[serde(skip)]
    keys: Vec<Key>,
}

/// A key somewhere in parameters.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its path, as it is written: `target.name`, `rules[0].keep`.
    pub path: String,
    /// Where it is written.
    pub place: Option<Place>,
    /// The same as transformers name it, who know nothing of entries that were left out before it.
    told: String,
    /// The keys and numbers that lead to it there.
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Entry(usize),
}

/// As many keys are known by their places; nobody tells a transformer more.
const MOST: usize = 1000;

// === impl Parameters ===

impl Parameters {
    /// The value of this path. What would not be handed over as it is written is reported.
    pub(super) fn at(path: &str, node: &Node, problems: &mut Problems) -> Self {
        let mut keys = Vec::new();
        collect(node, &mut Vec::new(), "", &mut keys);
        Self { config: ModuleConfig::at(path, node, problems), keys }
    }

    /// The key that a text names, the first if there are several.
    pub fn named(&self, text: &str) -> Option<&Key> {
        let mut words = text.split_whitespace().map(|word| word.trim_end_matches([':', ';', ',', '.']));
        words.find_map(|word| self.keys.iter().find(|key| key.told == word))
    }

    /// A text of a transformer's with the names that keys have where they are written.
    pub fn as_written(&self, text: &str) -> String {
        let written = |word: &str| {
            let known = self.keys.iter().filter_map(|key| Some((key, key.leads_to(word)?)));
            match known.max_by_key(|(key, _)| key.told.len()) {
                Some((key, rest)) => format!("{}{rest}", key.path),
                None => word.to_owned(),
            }
        };
        text.split_inclusive(' ').map(written).collect()
    }

    /// The same without a key, or without an entry of a list.
    pub fn without(&self, key: &Key) -> Option<Self> {
        let (last, before) = key.steps.split_last()?;
        let mut value = self.config.value().clone();
        let mut at = &mut value;
        for step in before {
            at = match step {
                Step::Key(key) => at.get_mut(key)?,
                Step::Entry(entry) => at.get_mut(entry)?,
            };
        }
        let goes = |other: &Key| other.path == key.path || key.is_above(&other.path);
        let mut keys: Vec<Key> = self.keys.iter().filter(|other| !goes(other)).cloned().collect();
        match last {
            Step::Key(last) => drop(at.as_object_mut()?.shift_remove(last)?),
            Step::Entry(entry) => {
                let entries = at.as_array_mut().filter(|entries| *entry < entries.len())?;
                entries.remove(*entry);
                keys.iter_mut().for_each(|key| key.move_up(before, *entry));
            }
        }
        Some(Self { config: value.into(), keys })
    }
}

impl From<Value> for Parameters {
    /// Without places.
    fn from(value: Value) -> Self {
        Self { config: value.into(), keys: Vec::new() }
    }
}

// === impl Key ===

impl Key {
    /// Whether another one is part of what stands under this one.
    pub fn is_above(&self, path: &str) -> bool {
        path.strip_prefix(&self.path).is_some_and(|rest| rest.starts_with(['.', '[']))
    }

    /// What follows in a word that names this key, or something under it.
    fn leads_to<'w>(&self, word: &'w str) -> Option<&'w str> {
        word.strip_prefix(&self.told)
            .filter(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || "_-".contains(c)))
    }

    /// An entry of the list under these steps is left out.
    fn move_up(&mut self, list: &[Step], entry: usize) {
        if self.steps.starts_with(list)
            && let Some(Step::Entry(number)) = self.steps.get_mut(list.len())
            && *number > entry
        {
            *number -= 1;
            self.told = self.steps.iter().fold(String::new(), |path, step| step.behind(&path));
        }
    }
}

// === impl Step ===

impl Step {
    /// The path that this one leads to from another.
    fn behind(&self, path: &str) -> String {
        match self {
            Self::Key(key) if path.is_empty() => key.clone(),
            Self::Key(key) => format!("{path}.{key}"),
            Self::Entry(number) => format!("{path}[{number}]"),
        }
    }
}

fn collect(node: &Node, steps: &mut Vec<Step>, path: &str, keys: &mut Vec<Key>) {
    let mut below = |step: Step, place: Option<Place>, node: &Node| {
        if keys.len() < MOST {
            let path = step.behind(path);
            steps.push(step);
            keys.push(Key { path: path.clone(), place, told: path.clone(), steps: steps.clone() });
            collect(node, steps, &path, keys);
            steps.pop();
        }
    };
    match &node.kind {
        Kind::Map(entries) => {
            for entry in entries {
                below(Step::Key(entry.key.clone()), entry.place, &entry.value);
            }
        }
        Kind::List(entries) => {
            for (number, entry) in entries.iter().enumerate() {
                below(Step::Entry(number), entry.place, entry);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;

    fn parameters(text: &str) -> Parameters {
        let mut problems = Problems::default();
        Parameters::at("", &yaml::parse(text, &mut problems).unwrap(), &mut problems)
    }

    #[test]
    fn keys_are_found_in_texts_and_taken_out() {
        let all = parameters("target:\n  name: x\n  typo: 1\nrules:\n- keep: {unit: B}\n- {}\n");
        let named = |text| all.named(text).map(|key| (key.path.as_str(), key.place.map(|place| place.line)));
        assert_eq!(named("target.name is a list; write a text"), Some(("target.name", Some(2))));
        assert_eq!(named("there is no key target.typo; there are name"), Some(("target.typo", Some(3))));
        assert_eq!(named("rules[0].keep.unit: it is odd"), Some(("rules[0].keep.unit", Some(5))));
        assert_eq!(named("rules[1] has none; write keep"), Some(("rules[1]", Some(6))));
        assert_eq!(named("target.expr is missing"), None);
        let without = |path: &str| all.without(all.keys.iter().find(|key| key.path == path).unwrap());
        let rest = without("target").unwrap();
        assert_eq!(rest.config.text(), r#"{"rules":[{"keep":{"unit":"B"}},{}]}"#);
        assert!(rest.named("target.name").is_none());
        let rest = without("rules[0].keep.unit").unwrap();
        assert_eq!(rest.config.text(), r#"{"target":{"name":"x","typo":1},"rules":[{"keep":{}},{}]}"#);
    }

    /// Those behind it have other names then, and are written where they are.
    #[test]
    fn entries_of_lists_are_taken_out() {
        let all = parameters("rules:\n- a: 1\n- b: [x, z]\n- {}\nother: [1, 2]\n");
        let without = |all: &Parameters, told: &str| all.without(all.named(told).unwrap()).unwrap();
        let rest = without(&all, "rules[0]");
        assert_eq!(rest.config.text(), r#"{"rules":[{"b":["x","z"]},{}],"other":[1,2]}"#);
        assert_eq!(rest.named("rules[0].b[1]: it is odd").map(|key| &*key.path), Some("rules[1].b[1]"));
        assert_eq!(
            rest.as_written("rules[0].c, beside rules[0].b, and rules[1]"),
            "rules[1].c, beside rules[1].b, and rules[2]"
        );
        assert_eq!(rest.as_written("other[1] and rules[10]"), "other[1] and rules[10]");
        let rest = without(&without(&rest, "rules[0].b[0]"), "rules[1]");
        assert_eq!(rest.config.text(), r#"{"rules":[{"b":["z"]}],"other":[1,2]}"#);
        assert_eq!(rest.named("rules[0].b[0]").map(|key| &*key.path), Some("rules[1].b[1]"));
        assert_eq!(without(&rest, "rules[0]").config.text(), r#"{"rules":[],"other":[1,2]}"#);
    }
}
