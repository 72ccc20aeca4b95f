//! Samples as both sides send them.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use serde_json::{Map, Value};

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// What was measured of what.
    pub key: Key,
    /// Its value.
    pub volume: Value,
    /// All that it says besides, as paths to values, in the order in which it says so. An object that is empty is a
    /// value.
    pub fields: Vec<(String, Value)>,
    /// The sample as it is on the wire.
    pub text: String,
}

/// What was measured of what. The id of a resource alone does not tell: it may be the name of a network filter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The meter.
    pub meter: String,
    /// The resource's id.
    pub resource: String,
    /// The guest's id.
    pub guest: String,
    /// The name of the guest, or of its network device.
    pub name: String,
}

/// When a pollster began, which all its samples say.
const TIME: &str = "timestamp";
/// What was measured.
const METER: &str = "counter_name";
const VOLUME: &str = "counter_volume";
/// What differs between any two samples.
const OF_ONE: [&str; 3] = ["message_id", "monotonic_time", "message_signature"];

/// The samples of the second of all cycles in these lines of JSON. Of a meter that was measured only once, its samples.
pub fn second_cycle(lines: &str) -> Result<Vec<Sample>, Box<dyn Error>> {
    let read = |line| Ok((line, serde_json::from_str(line)?));
    let all: Vec<(&str, Map<String, Value>)> = lines.lines().map(read).collect::<Result<_, serde_json::Error>>()?;
    let mut times: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, sample) in &all {
        times.entry(text(sample, METER)).or_default().insert(text(sample, TIME));
    }
    let second = |meter: &str| times.get(meter).and_then(|times| times.iter().take(2).next_back());
    let wanted = |sample: &Map<String, Value>| second(&text(sample, METER)) == Some(&text(sample, TIME));
    Ok(all.iter().filter(|(_, sample)| wanted(sample)).map(|(line, sample)| Sample::of(line, sample)).collect())
}

// === impl Sample ===

impl Sample {
    fn of(line: &str, sample: &Map<String, Value>) -> Self {
        let mut fields = Vec::new();
        for (name, value) in sample {
            match name.as_str() {
                VOLUME => {}
                // Only that they are there.
                TIME => fields.push((name.clone(), Value::Bool(true))),
                name if OF_ONE.contains(&name) => fields.push((name.to_owned(), Value::Bool(!value.is_null()))),
                name => flatten(name, value, &mut fields),
            }
        }
        let about = |name: &str| sample.get("resource_metadata").and_then(|all| all.get(name)).map(string);
        let key = Key {
            meter: text(sample, METER),
            resource: text(sample, "resource_id"),
            guest: about("instance_id").unwrap_or_default(),
            name: about("name").unwrap_or_default(),
        };
        Self { key, volume: sample.get(VOLUME).cloned().unwrap_or_default(), fields, text: line.to_owned() }
    }
}

fn text(sample: &Map<String, Value>, name: &str) -> String {
    sample.get(name).map(string).unwrap_or_default()
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn flatten(path: &str, value: &Value, fields: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(inner) if !inner.is_empty() => {
            inner.iter().for_each(|(name, value)| flatten(&format!("{path}.{name}"), value, fields));
        }
        value => fields.push((path.to_owned(), value.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_second_cycle_counts() {
        let line = |meter: &str, time: &str, volume: u32| {
            format!(
                r#"{{"counter_name": "{meter}", "counter_volume": {volume}, "timestamp": "{time}", "message_id": "x",
                "resource_metadata": {{"name": "n", "flavor": {{"id": "1", "extra_specs": {{}}}}, "image": null}}}}"#
            )
            .replace('\n', "")
        };
        let lines = [line("a", "1", 1), line("b", "1.5", 2), line("a", "2", 3), line("a", "3", 4)].join("\n");
        let found = second_cycle(&lines).unwrap();
        assert_eq!(found.iter().map(|sample| sample.volume.clone()).collect::<Vec<_>>(), [2, 3]);
        let fields: Vec<_> = found[0].fields.iter().map(|(path, value)| format!("{path}={value}")).collect();
        let expected = [
            r#"counter_name="b""#,
            "timestamp=true",
            "message_id=true",
            r#"resource_metadata.name="n""#,
            r#"resource_metadata.flavor.id="1""#,
            "resource_metadata.flavor.extra_specs={}",
            "resource_metadata.image=null",
        ];
        assert_eq!(fields, expected);
    }
}
