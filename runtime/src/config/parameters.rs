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
    /// Its path, as transformers name it: `target.name`, `rules[0].keep`.
    pub path: String,
    /// Where it is written.
    pub place: Option<Place>,
    /// The keys and numbers that lead to it.
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
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
        words.find_map(|word| self.keys.iter().find(|key| key.path == word))
    }

    /// The same without a key, unless that is an entry of a list: behind it the others would have other names.
    pub fn without(&self, key: &Key) -> Option<Self> {
        let (Step::Key(last), before) = key.steps.split_last()? else { return None };
        let mut value = self.config.value().clone();
        let mut at = &mut value;
        for step in before {
            at = match step {
                Step::Key(key) => at.get_mut(key)?,
                Step::Entry(entry) => at.get_mut(entry)?,
            };
        }
        at.as_object_mut()?.shift_remove(last)?;
        let goes = |other: &Key| other.path == key.path || key.is_above(&other.path);
        let keys = self.keys.iter().filter(|other| !goes(other)).cloned().collect();
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
}

fn collect(node: &Node, steps: &mut Vec<Step>, path: &str, keys: &mut Vec<Key>) {
    let mut below = |step: Step, path: String, place: Option<Place>, node: &Node| {
        if keys.len() < MOST {
            steps.push(step);
            keys.push(Key { path: path.clone(), place, steps: steps.clone() });
            collect(node, steps, &path, keys);
            steps.pop();
        }
    };
    match &node.kind {
        Kind::Map(entries) => {
            for entry in entries {
                let dot = if path.is_empty() { "" } else { "." };
                below(Step::Key(entry.key.clone()), format!("{path}{dot}{}", entry.key), entry.place, &entry.value);
            }
        }
        Kind::List(entries) => {
            for (number, entry) in entries.iter().enumerate() {
                below(Step::Entry(number), format!("{path}[{number}]"), entry.place, entry);
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
        assert!(without("rules[0]").is_none());
    }
}
