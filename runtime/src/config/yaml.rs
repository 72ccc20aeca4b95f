//! YAML as a tree in which everything knows where it stands.
//!
//! Reading a tree rather than deserialising into structs is what lets one run find every problem: serde gives up at
//! the first.

mod parse;
mod section;
pub mod spelling;

use serde_json::Value;

pub(super) use self::parse::{parse, parse_as_ceilometer};
pub(super) use self::section::{Section, report};
pub(crate) use self::spelling::closest;

use super::problem::{Place, quoted};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    /// Where it stands; an alias stands where it is used.
    pub(super) place: Option<Place>,
    /// What it is.
    pub(super) kind: Kind,
    /// Whether it is written as a whole number, of which a real one has the first digits only.
    pub(super) rounded: bool,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Integer(i128),
    Real(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Where the key stands.
    pub(super) place: Option<Place>,
    pub(super) value: Node,
}

/// Why a value cannot be used, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) place: Option<Place>,
    /// What the value is: continues a sentence that begins with the key.
    pub(super) value: String,
    /// What it should have been.
    pub(super) reason: String,
    pub(super) remedy: String,
}

// === impl Kind ===

impl Kind {
    /// Whether Python takes it for false: nothing, or nothing in it.
    pub(super) fn is_falsy(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Bool(value) => !value,
            Self::Integer(number) => *number == 0,
            Self::Real(number) => *number == 0.0,
            Self::Text(text) => text.is_empty(),
            Self::List(entries) => entries.is_empty(),
            Self::Map(entries) => entries.is_empty(),
        }
    }
}

// === impl Node ===

impl Node {
    /// What is not there.
    pub(super) const NULL: Node = Node { place: None, kind: Kind::Null, rounded: false };

    /// A value of JSON, all of which stands at one place.
    pub(super) fn of_json(value: &Value, place: Option<Place>) -> Self {
        let kind = match value {
            Value::Null => Kind::Null,
            Value::Bool(value) => Kind::Bool(*value),
            Value::Number(number) => match number.as_i128() {
                Some(number) => Kind::Integer(number),
                None => Kind::Real(number.as_f64().unwrap_or_default()),
            },
            Value::String(text) => Kind::Text(text.clone()),
            Value::Array(values) => Kind::List(values.iter().map(|value| Self::of_json(value, place)).collect()),
            Value::Object(entries) => {
                let entry = |(key, value): (&String, &Value)| Entry {
                    key: key.clone(),
                    place,
                    value: Self::of_json(value, place),
                };
                Kind::Map(entries.iter().map(entry).collect())
            }
        };
        Self { place, kind, rounded: false }
    }

    /// A key's entry, if it is a mapping with this key.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// A refusal of this value.
    pub(super) fn refuse(&self, reason: impl Into<String>, remedy: impl Into<String>) -> Refusal {
        let value = match &self.kind {
            Kind::Null => "is empty".to_owned(),
            Kind::Text(text) if text.is_empty() => "is empty".to_owned(),
            Kind::Text(text) => format!("is {}", quoted(text)),
            Kind::Bool(value) => format!("is `{value}`"),
            Kind::Integer(number) => format!("is `{number}`"),
            Kind::Real(number) => format!("is `{number}`"),
            Kind::List(_) => "is a list".to_owned(),
            Kind::Map(_) => "is a mapping".to_owned(),
        };
        Refusal { place: self.place, value, reason: reason.into(), remedy: remedy.into() }
    }

    /// Text that is not empty. A number or a truth value must be in quotes: it might not come out as it was written.
    pub(super) fn text(&self) -> Result<&str, Refusal> {
        match &self.kind {
            Kind::Text(text) if !text.is_empty() => Ok(text),
            Kind::Text(_) | Kind::Null => Err(self.refuse("not a text", "Write a text or remove it")),
            Kind::List(_) | Kind::Map(_) => Err(self.refuse("not a text", "Write one text")),
            _ => Err(self.refuse("not a text", "Put it in quotes")),
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Result<bool, Refusal> {
        match self.kind {
            Kind::Bool(value) => Ok(value),
            _ => Err(self.refuse("not a truth value", "Write true or false")),
        }
    }

    /// A whole number within bounds.
    pub(super) fn integer(&self, bounds: &std::ops::RangeInclusive<u64>) -> Result<u64, Refusal> {
        let remedy = format!("Write a whole number from {} to {}", bounds.start(), bounds.end());
        match self.kind {
            Kind::Integer(number) => match u64::try_from(number) {
                Ok(number) if bounds.contains(&number) => Ok(number),
                _ => Err(self.refuse("out of bounds", remedy)),
            },
            _ => Err(self.refuse("not a whole number", remedy)),
        }
    }

    /// The same value for JSON, without places.
    pub(super) fn json(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Integer(number) => match (u64::try_from(*number), i64::try_from(*number)) {
                (Ok(number), _) => number.into(),
                (_, Ok(number)) => number.into(),
                // The parser yields nothing outside of these.
                _ => Value::Null,
            },
            Kind::Real(number) => (*number).into(),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(entries) => entries.iter().map(Self::json).collect(),
            Kind::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), entry.value.json())).collect(),
        }
    }
}
