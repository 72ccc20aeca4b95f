//! What expressions are made of.

use std::collections::BTreeMap;
use std::rc::Rc;

use num_bigint::BigInt;

use crate::number;

/// A value of Python's, as far as samples have them.
#[derive(Debug, Clone)]
pub enum Value {
    /// `None`.
    None,
    /// What a sample does not have: falsy, and what it has in turn is missing as well.
    Missing,
    /// `True` or `False`, which are one and zero to whoever calculates.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number that does not fit the other.
    Big(Rc<BigInt>),
    /// A real number.
    Float(f64),
    /// A text.
    Text(Rc<str>),
    /// A list or a tuple.
    List(Rc<[Value]>),
    /// Entries by name.
    Map(Rc<BTreeMap<String, Value>>),
}

/// A value as the volume of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Volume {
    /// A whole number from zero up.
    Count(u64),
    /// A whole number.
    Integer(i64),
    /// A real number, or a whole one that fits neither.
    Real(f64),
}

// === impl Value ===

impl Value {
    /// A text.
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// Whether `if` would go on.
    pub fn truthy(&self) -> bool {
        match self {
            Self::None | Self::Missing => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Big(_) => true,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Map(entries) => !entries.is_empty(),
        }
    }

    /// As a volume: a finite number, else `None`.
    pub fn volume(&self) -> Option<Volume> {
        Some(match self {
            Self::Bool(value) => Volume::Count((*value).into()),
            Self::Int(value) => u64::try_from(*value).map_or(Volume::Integer(*value), Volume::Count),
            Self::Big(value) => match u64::try_from(&**value) {
                Ok(count) => Volume::Count(count),
                Err(_) => Volume::Real(number::float_of_big(value)),
            },
            Self::Float(value) if value.is_finite() => Volume::Real(*value),
            _ => return None,
        })
    }

    /// As a real number, if it is a number.
    pub fn float(&self) -> Option<f64> {
        #[allow(clippy::cast_precision_loss, reason = "rounding is what a real is asked for")]
        Some(match self {
            Self::Bool(value) => f64::from(u8::from(*value)),
            Self::Int(value) => *value as f64,
            Self::Big(value) => number::float_of_big(value),
            Self::Float(value) => *value,
            _ => return None,
        })
    }

    /// What it is, for an error.
    pub fn word(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Missing => "missing",
            Self::Bool(_) | Self::Int(_) | Self::Big(_) => "a whole number",
            Self::Float(_) => "a real number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }

    /// What it has under a name.
    pub fn entry(&self, key: &str) -> Option<Self> {
        match self {
            Self::Missing => Some(Self::Missing),
            Self::Map(entries) => Some(entries.get(key).cloned().unwrap_or(Self::Missing)),
            _ => None,
        }
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or_else(|_| Self::Big(Rc::new(value.into())), Self::Int)
    }
}

// === impl Volume ===

impl Volume {
    /// As a real number, rounded beyond 2^53.
    #[allow(clippy::cast_precision_loss, reason = "rounding is what a real is asked for")]
    #[inline]
    pub fn real(self) -> f64 {
        match self {
            Self::Count(volume) => volume as f64,
            Self::Integer(volume) => volume as f64,
            Self::Real(volume) => volume,
        }
    }

    /// As a whole number, if it is one of a whole type.
    #[inline]
    pub fn whole(self) -> Option<i128> {
        match self {
            Self::Count(volume) => Some(volume.into()),
            Self::Integer(volume) => Some(volume.into()),
            Self::Real(_) => None,
        }
    }

    /// A whole number in the type that holds it: a real one if no other does.
    #[allow(clippy::cast_precision_loss, reason = "nothing else holds it")]
    #[inline]
    pub fn of(whole: i128) -> Self {
        match (u64::try_from(whole), i64::try_from(whole)) {
            (Ok(count), _) => Self::Count(count),
            (_, Ok(whole)) => Self::Integer(whole),
            _ => Self::Real(whole as f64),
        }
    }
}
