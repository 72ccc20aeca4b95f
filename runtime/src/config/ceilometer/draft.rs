//! The `wasmeter.yaml` that an import gives.

use std::collections::HashMap;
use std::fmt::Write;

use serde_json::{Map, Value};

use crate::config::secret::Secret;

/// A configuration with words on where each part of it comes from.
#[derive(Debug, Default)]
pub struct Draft {
    root: Map<String, Value>,
    /// By the path of keys with dots between them.
    remarks: HashMap<String, String>,
    /// Files of their own that it refers to.
    pub secrets: Vec<SecretFile>,
    /// A file of Ceilometer's that is copied.
    pub copied: Option<CopiedFile>,
}

/// A file of Ceilometer's, to be written beside `wasmeter.yaml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedFile {
    /// Its name.
    pub name: &'static str,
    /// What is in it.
    pub text: String,
}

/// A file with a secret, beside `wasmeter.yaml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFile {
    /// Its name.
    pub name: &'static str,
    /// What is in it.
    pub secret: Secret,
}

/// Keys in this order, whatever the order in which they were found.
const ORDER: [&str; 9] =
    ["host", "hypervisor", "polling", "pipeline", "guests", "metadata", "broker", "outputs", "metrics"];

// === impl Draft ===

impl Draft {
    /// Sets a key, of which the remark says where it comes from.
    pub(super) fn set(&mut self, path: &[&str], value: impl Into<Value>, remark: impl Into<String>) {
        self.remarks.insert(path.join("."), remark.into());
        let Some((last, parents)) = path.split_last() else { return };
        let mut map = &mut self.root;
        for parent in parents {
            let entry = map.entry(*parent).or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(inner) = entry else { return };
            map = inner;
        }
        map.insert((*last).to_owned(), value.into());
    }

    /// Makes one output of what was set below a key.
    pub(super) fn set_output(&mut self, key: &str) {
        let Some(output) = self.root.remove(key) else { return };
        self.root.insert("outputs".into(), Value::Array(vec![Value::Object(Map::from_iter([(key.into(), output)]))]));
    }

    /// Whether a key is set.
    pub fn has(&self, key: &str) -> bool {
        self.root.contains_key(key)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        self.ordered().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// The text of the file.
    pub fn yaml(&self) -> String {
        let mut out = String::new();
        for (key, value) in self.ordered() {
            self.entry(&mut out, "", "", key, value);
        }
        out
    }

    fn ordered(&self) -> impl Iterator<Item = (&String, &Value)> {
        let place = |key: &String| ORDER.iter().position(|known| known == key).unwrap_or(ORDER.len());
        let mut entries: Vec<_> = self.root.iter().collect();
        entries.sort_by_key(|(key, _)| place(key));
        entries.into_iter()
    }

    fn entry(&self, out: &mut String, indent: &str, parent: &str, key: &str, value: &Value) {
        let path = if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") };
        let remark = self.remarks.get(&path).filter(|remark| !remark.is_empty());
        let remark = remark.map(|remark| format!("  # {}", one_line(remark))).unwrap_or_default();
        match value {
            Value::Object(entries) => {
                line(out, format_args!("{indent}{key}:{remark}"));
                for (key, value) in entries {
                    self.entry(out, &format!("{indent}  "), &path, key, value);
                }
            }
            Value::Array(entries) if entries.iter().any(Value::is_object) => {
                line(out, format_args!("{indent}{key}:{remark}"));
                for entry in entries.iter().filter_map(Value::as_object) {
                    let mut inner = String::new();
                    for (key, value) in entry {
                        self.entry(&mut inner, &format!("{indent}    "), "", key, value);
                    }
                    // The first key stands behind the dash.
                    let rest = inner.strip_prefix(&format!("{indent}    ")).unwrap_or(&inner);
                    let _ = write!(out, "{indent}  - {rest}");
                }
            }
            other => line(out, format_args!("{indent}{key}: {}{remark}", scalar(other))),
        }
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{text}");
}

/// Names of files may contain anything.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// A value on one line.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(entries) => format!("[{}]", entries.iter().map(scalar).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// A text in quotes, if it needs them.
pub(super) fn quoted(text: &str) -> String {
    let begins = |c: char| c.is_ascii_alphabetic() || c == '/';
    let goes_on = |c: char| c.is_ascii_alphanumeric() || "_./:-".contains(c);
    let words = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let is_plain = text.starts_with(begins) && text.chars().all(goes_on) && !text.ends_with(':');
    if is_plain && !words.contains(&text.to_lowercase().as_str()) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            // Beside control characters, what ends lines or is a mark of the order of bytes.
            c if c.is_control() || "\u{2028}\u{2029}\u{feff}".contains(c) => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_in_order_with_remarks() {
        let mut draft = Draft::default();
        draft.set(&["notifier", "topics"], vec!["a", "b c"], "x:2");
        draft.set(&["notifier", "options", "ssl"], true, "x:3");
        draft.set_output("notifier");
        draft.set(&["host"], "on", "x:1\ny");
        draft.set(&["metrics", "listen"], vec!["[::1]:9101"], "");
        let expected = "\
host: \"on\"  # x:1\u{fffd}y
outputs:
  - notifier:
      topics: [a, \"b c\"]  # x:2
      options:
        ssl: true  # x:3
metrics:
  listen: [\"[::1]:9101\"]
";
        assert_eq!(draft.yaml(), expected);
    }
}
