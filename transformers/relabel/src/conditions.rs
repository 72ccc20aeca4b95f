//! Which samples a rule is for.

use std::collections::BTreeMap;

use expression::{Expression, Value};
use scaling::{Facts, Keys, Sampled, Texts, check, regex};
use wasmeter_sdk::{Batch, Failure, Meter};

/// Conditions that all have to hold.
#[derive(Debug)]
pub struct Conditions {
    /// About the meter, which hold for all samples of it or for none.
    of_meters: Vec<(Field, Whole)>,
    /// About each sample: what it asks for, as an expression of one path.
    of_samples: Vec<(Expression, Whole)>,
}

/// What a whole text has to be.
#[derive(Debug)]
enum Whole {
    /// Pieces of a pattern, such as ids, that stand for themselves: they need no search.
    Words(Vec<String>),
    Pattern(Texts),
}

/// What a condition is about.
#[derive(Debug)]
enum About {
    /// The meter, and so all of its samples.
    Meter(Field),
    /// What each sample says under this path.
    Sample(Expression),
}

/// What a meter has.
#[derive(Debug, Clone, Copy)]
enum Field {
    Name,
    Unit,
    Kind,
}

/// For which samples of a meter conditions hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    Always,
    Never,
    /// That depends on the sample.
    Depends,
}

// === impl Conditions ===

impl Conditions {
    /// Reads conditions: keys as in expressions, and patterns for the whole of their texts.
    pub fn of(keys: Keys) -> Result<Self, String> {
        let place = keys.place("");
        let mut conditions = Self { of_meters: Vec::new(), of_samples: Vec::new() };
        for (key, value) in keys.rest() {
            let here = format!("{place}{key}");
            let about = About::of(&here, &key)?;
            let serde_json::Value::String(pattern) = &value else {
                return Err(format!("{here} is {value}; write a pattern"));
            };
            let pattern = Whole::of(&here, pattern)?;
            match about {
                About::Meter(field) => conditions.of_meters.push((field, pattern)),
                About::Sample(path) => conditions.of_samples.push((path, pattern)),
            }
        }
        Ok(conditions)
    }

    /// Whether they hold for samples of a meter.
    pub fn of_meter(&self, meter: &Meter) -> Held {
        let holds = |(field, pattern): &(Field, Whole)| match field {
            Field::Name => pattern.is_match(&meter.name),
            Field::Unit => pattern.is_match(&meter.unit),
            Field::Kind => pattern.is_match(scaling::word(meter.kind)),
        };
        match (self.of_meters.iter().all(holds), self.of_samples.is_empty()) {
            (false, _) => Held::Never,
            (true, true) => Held::Always,
            (true, false) => Held::Depends,
        }
    }

    /// The resources for whose samples they hold, and the others.
    pub fn split(
        &self,
        facts: &Facts<'_>,
        meter: &Meter,
        batch: &Batch,
        resources: Vec<u32>,
    ) -> Result<(Vec<u32>, Vec<u32>), Failure> {
        let paths = self.of_samples.iter().flat_map(|(expression, _)| expression.paths());
        let mut sampled = Sampled::of(facts, meter, batch, paths)?;
        // Texts are few and shared: what was found out of one is known by its place.
        let mut known: Vec<BTreeMap<usize, bool>> = vec![BTreeMap::new(); self.of_samples.len()];
        let (mut hit, mut missed) = (Vec::new(), Vec::new());
        for resource in resources {
            // No condition is about the volume, so the row does not matter.
            let values = sampled.at(0, resource);
            let mut conditions = self.of_samples.iter().zip(values).zip(&mut known);
            let holds = conditions.all(|(((_, pattern), value), known)| match value {
                Value::Text(text) => *known.entry(text.as_ptr() as usize).or_insert_with(|| pattern.is_match(text)),
                other => pattern.is_match(&words(other)),
            });
            if holds { &mut hit } else { &mut missed }.push(resource);
        }
        Ok((hit, missed))
    }
}

// === impl About ===

impl About {
    fn of(place: &str, key: &str) -> Result<Self, String> {
        Ok(match key {
            "name" => Self::Meter(Field::Name),
            "unit" => Self::Meter(Field::Unit),
            "type" => Self::Meter(Field::Kind),
            _ => Self::Sample(path(place, key)?),
        })
    }
}

// === impl Whole ===

impl Whole {
    fn of(place: &str, pattern: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ':' | '|' | ' ' | '/');
        if pattern.chars().all(plain) {
            return Ok(Self::Words(pattern.split('|').map(str::to_owned).collect()));
        }
        // What it opens, it has to close itself.
        regex(place, pattern)?;
        regex(place, &format!("^(?:{pattern})$")).map(Self::Pattern)
    }

    fn is_match(&self, text: &str) -> bool {
        match self {
            Self::Words(words) => words.iter().any(|word| word == text),
            Self::Pattern(pattern) => pattern.is_match(text),
        }
    }
}

/// What a key asks samples for.
fn path(place: &str, key: &str) -> Result<Expression, String> {
    let refused = |what: String| format!("{place}: {what}");
    let expression = Expression::parse(key).map_err(|error| refused(error.to_string()))?;
    let ([path], true) = (expression.paths(), !key.contains('$')) else {
        return Err(refused("this is no name; write one as resource_metadata.status".into()));
    };
    if path.to_string() != *key {
        return Err(refused("this is no name; write one as resource_metadata.status".into()));
    }
    match key {
        "volume" | "timestamp" | "monotonic_time" => {
            return Err(refused("conditions are about texts; for volumes there is the transformer threshold".into()));
        }
        _ => check(&path.names()).map_err(refused)?,
    }
    Ok(expression)
}

/// A value as the text that a pattern is for. What is missing is an empty one.
fn words(value: &Value) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Big(value) => value.to_string(),
        Value::Float(value) => format!("{value:?}"),
        Value::None | Value::Missing | Value::List(_) | Value::Map(_) => String::new(),
    }
}
