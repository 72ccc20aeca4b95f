//! Statistics as recordings write them: `["block.*.rd.bytes",0,123]`.
//!
//! JSON does not tell signed numbers from unsigned ones. A number below zero is signed, and so is one whose key libvirt
//! gives as signed. A real number that is infinite or none at all cannot be written and is left out. What is in none of
//! libvirt's groups is never asked for, and is not read.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hypervisor::{Groups, KeyId, Stat, Value};

/// Keys that libvirt gives as signed numbers.
const SIGNED: [&str; 7] = [
    "state.state",
    "state.reason",
    "vcpu.*.state",
    "dirtyrate.calc_status",
    "dirtyrate.calc_start_time",
    "dirtyrate.calc_period",
    "dirtyrate.megabytes_per_second",
];

/// The longest key; names are kept as long as the process lives.
const KEY_BYTES: usize = 200;

/// A value whose sign is not known yet.
struct Raw(Value);

struct RawVisitor;
struct StatsVisitor;

/// Writes a list of statistics.
pub(super) fn serialize<S: Serializer>(stats: &[Stat], serializer: S) -> Result<S::Ok, S::Error> {
    let finite = |stat: &&Stat| !matches!(stat.value, Value::Real(real) if !real.is_finite());
    serializer
        .collect_seq(stats.iter().filter(finite).map(|stat| (stat.key.name(), stat.number, Borrowed(&stat.value))))
}

/// Reads a list of statistics.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Stat>, D::Error> {
    deserializer.deserialize_seq(StatsVisitor)
}

fn signed(key: &str, value: Value) -> Value {
    match value {
        Value::Count(count) if SIGNED.contains(&key) => i64::try_from(count).map_or(value, Value::Integer),
        value => value,
    }
}

struct Borrowed<'a>(&'a Value);

// === impl Borrowed ===

impl Serialize for Borrowed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Count(count) => serializer.serialize_u64(*count),
            Value::Integer(integer) => serializer.serialize_i64(*integer),
            Value::Real(real) => serializer.serialize_f64(*real),
            Value::Text(text) => serializer.serialize_str(text),
        }
    }
}

// === impl Raw ===

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor).map(Self)
    }
}

impl Visitor<'_> for RawVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a text")
    }

    fn visit_u64<E: Error>(self, count: u64) -> Result<Value, E> {
        Ok(Value::Count(count))
    }

    fn visit_i64<E: Error>(self, integer: i64) -> Result<Value, E> {
        Ok(u64::try_from(integer).map_or(Value::Integer(integer), Value::Count))
    }

    fn visit_f64<E: Error>(self, real: f64) -> Result<Value, E> {
        Ok(Value::Real(real))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.into()))
    }
}

// === impl StatsVisitor ===

impl<'de> Visitor<'de> for StatsVisitor {
    type Value = Vec<Stat>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"statistics such as ["cpu.time",0,123]"#)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Stat>, A::Error> {
        let mut stats = Vec::new();
        while let Some((key, number, Raw(value))) = list.next_element::<(String, u32, Raw)>()? {
            if key.len() > KEY_BYTES {
                return Err(A::Error::custom(format!("a key has more than {KEY_BYTES} bytes")));
            }
            if Groups::of_key(&key).is_none() {
                continue;
            }
            let value = signed(&key, value);
            let key = KeyId::of(&key).ok_or_else(|| A::Error::custom("there are too many different keys"))?;
            stats.push(Stat { key, number, value });
        }
        Ok(stats)
    }
}
