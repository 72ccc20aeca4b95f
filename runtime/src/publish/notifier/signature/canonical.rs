//! What is signed: names and values one after the other, as Python's `str` writes them.
//!
//! Objects are walked in the order of their keys, level by level, and name what is inside `outer:inner`. A list is a
//! single value, written as Python writes a list of `bytes`, because Ceilometer encodes texts in lists first.

use super::tree::{Entries, NotJson, Tree};
use crate::json;

/// The object's signed form under a name, kept apart by key, so that entries of another object can be sorted in.
///
/// Samples share their metadata: this is made once for each resource, and not once for each sample.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Canonical {
    text: String,
    /// Each key, and where its text ends.
    entries: Vec<(Box<str>, usize)>,
}

// === impl Canonical ===

impl Canonical {
    /// Of a JSON object that stands under a name.
    pub fn under(name: &str, object: &str) -> Result<Self, NotJson> {
        let Tree::Object(entries) = Tree::read(object)? else {
            return Err(NotJson { at: 0, what: "expected an object" });
        };
        let mut canonical = Self::default();
        let mut path = format!("{name}:");
        let start = path.len();
        for (key, value) in entries {
            path.truncate(start);
            path.push_str(&key);
            pair(&mut canonical.text, &mut path, &value);
            canonical.entries.push((Box::from(key), canonical.text.len()));
        }
        Ok(canonical)
    }

    /// Appends both objects' entries as one object's. Of equal keys, the later object's counts.
    pub fn write(&self, later: &Self, out: &mut String) {
        let (mut copied, mut at) = (0, 0);
        let mut begin = 0;
        for (key, end) in &later.entries {
            // Everything before the key goes in one piece.
            while let Some((_, next)) = self.entries.get(at).filter(|(own, _)| own < key) {
                (at, begin) = (at + 1, *next);
            }
            out.push_str(self.text.get(copied..begin).unwrap_or_default());
            if let Some((_, next)) = self.entries.get(at).filter(|(own, _)| own == key) {
                (at, begin) = (at + 1, *next);
            }
            copied = begin;
            out.push_str(later.part(key, *end));
        }
        out.push_str(self.text.get(copied..).unwrap_or_default());
    }

    /// The text of the entry that ends here.
    fn part(&self, key: &str, end: usize) -> &str {
        let place = self.entries.partition_point(|(own, _)| &**own < key);
        let begin = place.checked_sub(1).and_then(|before| self.entries.get(before)).map_or(0, |(_, end)| *end);
        self.text.get(begin..end).unwrap_or_default()
    }
}

/// Appends a whole sample, as far as it is signed.
pub fn sample(out: &mut String, entries: &Entries<'_>) {
    let mut path = String::new();
    for (key, value) in entries {
        // Only the signature itself is left out. An object of that name is walked, and its entries have other names.
        if key == "message_signature" && !matches!(value, Tree::Object(_)) {
            continue;
        }
        path.clear();
        path.push_str(key);
        pair(out, &mut path, value);
    }
}

/// Appends a name and its value, or the names and values inside.
fn pair(out: &mut String, path: &mut String, value: &Tree<'_>) {
    let Tree::Object(entries) = value else {
        out.push_str(path);
        scalar(out, value);
        return;
    };
    let length = path.len();
    for (key, value) in entries {
        path.truncate(length);
        path.push(':');
        path.push_str(key);
        pair(out, path, value);
    }
    path.truncate(length);
}

fn scalar(out: &mut String, value: &Tree<'_>) {
    match value {
        Tree::Text(text) => out.push_str(text),
        other => item(out, other),
    }
}

/// Appends Python's `repr` of a value in a list.
fn item(out: &mut String, value: &Tree<'_>) {
    match value {
        Tree::Null => out.push_str("None"),
        Tree::Bool(true) => out.push_str("True"),
        Tree::Bool(false) => out.push_str("False"),
        Tree::Integer(digits) => out.push_str(digits),
        Tree::Real(value) if value.is_nan() => out.push_str("nan"),
        Tree::Real(value) if value.is_infinite() => out.push_str(if *value > 0.0 { "inf" } else { "-inf" }),
        Tree::Real(value) => json::real(out, *value),
        Tree::Text(text) => bytes(out, text),
        Tree::List(items) => {
            out.push('[');
            for (i, value) in items.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                item(out, value);
            }
            out.push(']');
        }
        Tree::Object(entries) => {
            out.push('{');
            for (i, (key, value)) in entries.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                bytes(out, key);
                out.push_str(": ");
                item(out, value);
            }
            out.push('}');
        }
    }
}

/// Appends Python's `repr` of a text's UTF-8.
fn bytes(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { b'"' } else { b'\'' };
    out.push('b');
    out.push(char::from(quote));
    for byte in text.bytes() {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'\t' => out.push_str("\\t"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            _ if byte == quote => {
                out.push('\\');
                out.push(char::from(quote));
            }
            b' '..=b'~' => out.push(char::from(byte)),
            _ => json::append(out, format_args!("\\x{byte:02x}")),
        }
    }
    out.push(char::from(quote));
}
