//! What a sample says under the paths of an expression.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use expression::{Expression, Path, Says, Value};
use wasmeter_sdk::{Batch, Call, Column, Converting, Failure, Meter, Values};

use crate::naming::word;
use crate::volumes::at;

/// What the samples of a batch say under some paths.
#[derive(Debug)]
pub struct Sampled<'a> {
    batch: &'a Batch,
    sources: Vec<Source>,
    /// What the sample at hand says.
    values: Vec<Value>,
    /// Which of the sources tells samples from each other, if no other does.
    only: Option<usize>,
}

/// What the host said of resources in this call, each thing once.
#[derive(Debug)]
pub struct Facts<'c> {
    call: &'c Call<'c, Converting>,
    told: RefCell<BTreeMap<String, Rc<Table>>>,
}

/// Values of resources.
#[derive(Debug)]
struct Table {
    column: Column,
    /// What texts stand for, ascending by their number.
    texts: Vec<(u32, Value)>,
}

/// Where the value under a path comes from.
#[derive(Debug)]
enum Source {
    /// All samples of the batch say the same, which is written down already.
    Same,
    Volume,
    Column(Looked),
}

/// A value for some resources.
#[derive(Debug)]
struct Looked {
    table: Rc<Table>,
    /// What the others have.
    otherwise: Value,
    /// Entries inside the value.
    keys: Vec<String>,
    /// Whether it is a note of the samples, and not known of the resource.
    noted: bool,
    place: usize,
}

/// What a sample itself says under a path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Noted {
    /// Its meter, its time or its resource says it.
    Not,
    /// The others of its batch have a note, and it has none.
    Nothing,
    /// A number.
    Number(f64),
    /// A text, or what a text stands for.
    Text,
}

/// What a sample has, beside its metadata.
const FIELDS: [&str; 11] = [
    "name",
    "type",
    "unit",
    "volume",
    "user_id",
    "project_id",
    "resource_id",
    "timestamp",
    "monotonic_time",
    "source",
    "resource_metadata",
];

/// Those of which every sample has a text, or nothing.
const TEXTS: [&str; 8] = ["name", "type", "unit", "user_id", "project_id", "resource_id", "timestamp", "source"];

/// Where samples come from, as Ceilometer's do.
const SOURCE: &str = "openstack";

/// Whether a sample can say something under these names, or why not.
pub fn check(keys: &[String]) -> Result<(), String> {
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    match names[..] {
        ["resource_metadata"] => Err("name an entry of it, as in resource_metadata.cpu_number".into()),
        ["resource_metadata", ..] => Ok(()),
        ["id"] => Err("a sample has no id before it is sent".into()),
        [field] if FIELDS.contains(&field) => Ok(()),
        [field, key, ..] if FIELDS.contains(&field) => Err(format!("{field} has no {key}")),
        [] => Err("name what is wanted of the meter, as in $(cpu).unit".into()),
        [field, ..] => {
            let fields = FIELDS.join(", ");
            Err(format!("a sample has no {field}; it has {fields}; metadata are entries of resource_metadata"))
        }
    }
}

/// Whether an expression over what samples say can give a number. None that can calculates with texts, of which times
/// are one.
pub fn check_number(expression: &Expression) -> Result<(), String> {
    let says = |path: &Path| match &path.names()[..] {
        [field] if TEXTS.contains(&field.as_str()) => Says::Text,
        [field] if field == "volume" => Says::Number,
        _ => Says::Anything,
    };
    let remedy = "write what is a number, such as volume, monotonic_time or an entry of resource_metadata";
    expression.check_number(says).map_err(|error| format!("{error}; {remedy}"))
}

// === impl Sampled ===

impl<'a> Sampled<'a> {
    /// What the samples of a batch say under these paths.
    pub fn of<'p>(
        facts: &Facts<'_>,
        input: &Meter,
        batch: &'a Batch,
        paths: impl Iterator<Item = &'p Path>,
    ) -> Result<Self, Failure> {
        let mut sampled = Self { batch, sources: Vec::new(), values: Vec::new(), only: None };
        for path in paths {
            let (source, value) = source(facts, input, batch, &path.names())?;
            sampled.sources.push(source);
            sampled.values.push(value);
        }
        let mut telling = sampled.sources.iter().enumerate().filter(|(_, source)| !matches!(source, Source::Same));
        if let (Some((place, Source::Column(_))), None) = (telling.next(), telling.next()) {
            sampled.only = Some(place);
        }
        Ok(sampled)
    }

    /// What the sample at a place says. It is quickest for one place after the other.
    #[inline]
    pub fn at(&mut self, row: usize, resource: u32) -> &[Value] {
        for (source, value) in self.sources.iter_mut().zip(&mut self.values) {
            match source {
                Source::Same => {}
                Source::Volume => *value = number(&self.batch.column.values, row),
                Source::Column(looked) => *value = looked.at(resource),
            }
        }
        &self.values
    }

    /// What the sample of a resource says itself under one of the paths.
    pub fn noted(&mut self, path: usize, resource: u32) -> Noted {
        let Some(Source::Column(looked)) = self.sources.get_mut(path).filter(|source| source.is_noted()) else {
            return Noted::Not;
        };
        let Some(row) = looked.row(resource) else { return Noted::Nothing };
        match &looked.table.column.values {
            Values::Interned(_) => Noted::Text,
            _ if !looked.keys.is_empty() => Noted::Nothing,
            values => number(values, row).float().map_or(Noted::Nothing, Noted::Number),
        }
    }

    /// What tells the sample of a resource from others, if it is one value of a column: those with the same mark say the
    /// same.
    #[inline]
    pub fn mark(&mut self, resource: u32) -> Option<u64> {
        match self.sources.get_mut(self.only?) {
            Some(Source::Column(looked)) => looked.mark(resource),
            _ => None,
        }
    }
}

fn source(facts: &Facts<'_>, input: &Meter, batch: &Batch, keys: &[String]) -> Result<(Source, Value), Failure> {
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    let same = |value| Ok((Source::Same, value));
    match names[..] {
        ["volume", ..] => Ok((Source::Volume, Value::Missing)),
        ["name", ..] => same(Value::text(&input.name)),
        ["unit", ..] => same(Value::text(&input.unit)),
        ["type", ..] => same(Value::text(word(input.kind))),
        ["timestamp", ..] => same(Value::text(&timestamp(batch.at.wall))),
        #[allow(clippy::cast_precision_loss, reason = "seconds are reals")]
        ["monotonic_time", ..] => same(batch.at.monotonic.map_or(Value::None, |at| Value::Float(at as f64 / 1e9))),
        ["source", ..] => same(Value::text(SOURCE)),
        ["user_id", ..] => looked(facts.attribute("user_id")?),
        ["project_id", ..] => looked(facts.attribute("project_id")?),
        ["resource_id", ..] => looked(facts.attribute("id")?),
        ["resource_metadata", key, ..] => {
            let inside: Vec<String> = keys.iter().skip(2).cloned().collect();
            match note(facts.call, batch, key) {
                Some(column) => {
                    let table = Table::of(facts.call, column.clone(), loosely);
                    looked(Looked {
                        table: table.into(),
                        otherwise: Value::Missing,
                        keys: inside,
                        noted: true,
                        place: 0,
                    })
                }
                None => looked(facts.metadata(keys.get(1..).unwrap_or_default())?),
            }
        }
        _ => same(Value::Missing),
    }
}

fn looked(looked: Looked) -> Result<(Source, Value), Failure> {
    Ok((Source::Column(looked), Value::Missing))
}

/// The note of a key.
fn note<'a>(call: &Call<'_, Converting>, batch: &'a Batch, key: &str) -> Option<&'a Column> {
    let keys: Vec<u32> = batch.notes.iter().map(|note| note.key).collect();
    let place = call.resolve(&keys).iter().position(|known| known == key)?;
    batch.notes.get(place).map(|note| &note.column)
}

// === impl Source ===

impl Source {
    fn is_noted(&self) -> bool {
        matches!(self, Self::Column(looked) if looked.noted)
    }
}

// === impl Facts ===

impl<'c> Facts<'c> {
    /// Nothing was asked yet.
    pub fn of(call: &'c Call<'c, Converting>) -> Self {
        Self { call, told: RefCell::default() }
    }

    fn attribute(&self, key: &str) -> Result<Looked, Failure> {
        let table = self.told(key, Value::text, |error| error)?;
        Ok(Looked { table, otherwise: Value::None, keys: Vec::new(), noted: false, place: 0 })
    }

    /// An entry of the host's metadata, which is JSON.
    fn metadata(&self, keys: &[String]) -> Result<Looked, Failure> {
        let key = format!("resource_metadata.{}", keys.join("."));
        let table = self.told(&key, strictly, |_| {
            Failure::Unsupported(format!("this host does not tell transformers of {key}; leave it out"))
        })?;
        Ok(Looked { table, otherwise: Value::Missing, keys: Vec::new(), noted: false, place: 0 })
    }

    fn told(
        &self,
        key: &str,
        value: impl Fn(&str) -> Value,
        refused: impl Fn(Failure) -> Failure,
    ) -> Result<Rc<Table>, Failure> {
        if let Some(table) = self.told.borrow().get(key) {
            return Ok(Rc::clone(table));
        }
        let table = Rc::new(Table::of(self.call, self.call.attribute(key).map_err(refused)?, value));
        self.told.borrow_mut().insert(key.to_owned(), Rc::clone(&table));
        Ok(table)
    }
}

// === impl Table ===

impl Table {
    fn of(call: &Call<'_, Converting>, column: Column, value: impl Fn(&str) -> Value) -> Self {
        let mut texts = Vec::new();
        if let Values::Interned(numbers) = &column.values {
            let mut numbers = numbers.clone();
            numbers.sort_unstable();
            numbers.dedup();
            let resolved = call.resolve(&numbers);
            texts = numbers.into_iter().zip(resolved.iter().map(|text| value(text))).collect();
        }
        Self { column, texts }
    }
}

// === impl Looked ===

impl Looked {
    fn at(&mut self, resource: u32) -> Value {
        let Some(row) = self.row(resource) else { return self.otherwise.clone() };
        let Table { column, texts } = &*self.table;
        let value = match &column.values {
            Values::Interned(numbers) => {
                let number = numbers.get(row).copied().unwrap_or(u32::MAX);
                let found = texts.binary_search_by_key(&number, |(number, _)| *number);
                found.ok().and_then(|found| texts.get(found)).map_or(Value::Missing, |(_, value)| value.clone())
            }
            values => number(values, row),
        };
        self.keys.iter().fold(value, |value, key| value.entry(key).unwrap_or(Value::Missing))
    }

    #[inline]
    fn mark(&mut self, resource: u32) -> Option<u64> {
        let row = self.row(resource)?;
        match &self.table.column.values {
            Values::Counts(values) => values.get(row).copied(),
            Values::Integers(values) => values.get(row).map(|value| value.cast_unsigned()),
            Values::Reals(values) => values.get(row).map(|value| value.to_bits()),
            Values::Interned(values) => values.get(row).map(|value| u64::from(*value)),
        }
    }

    /// Where the value of a resource stands.
    #[inline]
    fn row(&mut self, resource: u32) -> Option<usize> {
        let resources = &self.table.column.resources;
        if resources.get(self.place).is_none_or(|here| *here > resource) {
            // Somebody begins anew.
            self.place = resources.partition_point(|known| *known < resource);
        }
        at(resources, resource, &mut self.place)
    }
}

#[inline]
fn number(values: &Values, row: usize) -> Value {
    match values {
        Values::Counts(values) => values.get(row).map_or(Value::Missing, |value| Value::from(*value)),
        Values::Integers(values) => values.get(row).map_or(Value::Missing, |value| Value::Int(*value)),
        Values::Reals(values) => values.get(row).map_or(Value::Missing, |value| Value::Float(*value)),
        Values::Interned(_) => Value::Missing,
    }
}

/// A text that is JSON.
fn strictly(text: &str) -> Value {
    serde_json::from_str(text).map_or(Value::Missing, of_json)
}

/// A text that may be JSON: the host does not say which ones are.
fn loosely(text: &str) -> Value {
    match text.starts_with(['{', '[']).then(|| serde_json::from_str(text)) {
        Some(Ok(json)) => of_json(json),
        _ => Value::text(text),
    }
}

fn of_json(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::None,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(value), ..) => Value::Int(value),
            (_, Some(value), _) => Value::from(value),
            (.., value) => value.map_or(Value::Missing, Value::Float),
        },
        serde_json::Value::String(text) => Value::text(&text),
        serde_json::Value::Array(values) => Value::List(values.into_iter().map(of_json).collect()),
        serde_json::Value::Object(entries) => {
            let entries: BTreeMap<_, _> = entries.into_iter().map(|(key, value)| (key, of_json(value))).collect();
            Value::Map(entries.into())
        }
    }
}

/// Nanoseconds since 1970 as Ceilometer writes a time.
pub fn timestamp(wall: i64) -> String {
    let (seconds, nanos) = (wall.div_euclid(1_000_000_000), wall.rem_euclid(1_000_000_000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years that begin in March, so that the odd day is the last one.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:06}", nanos / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_dates() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000000"),
            (951_782_400, "2000-02-29T00:00:00.000000"),
            (1_795_132_743, "2026-11-19T23:59:03.000000"),
            (-1, "1969-12-31T23:59:59.000000"),
        ] {
            assert_eq!(timestamp(seconds * 1_000_000_000), expected);
        }
    }
}
