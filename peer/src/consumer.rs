//! Ceilometer's notification agent as the consumer of what wasmeter publishes.

use std::collections::BTreeMap;
use std::error::Error;

use serde_json::{Map, Value};

/// What the agent calls differently.
const RENAMED: [(&str, &str); 5] = [
    ("counter_name", "name"),
    ("counter_type", "type"),
    ("counter_unit", "unit"),
    ("counter_volume", "volume"),
    ("message_id", "id"),
];

/// What the agent does not keep, what stands there instead, and why.
pub const EXCEPTIONS: [(&str, Option<Value>, &str); 2] = [
    ("message_signature", None, "the agent builds samples anew, and its samples have no signature"),
    ("monotonic_time", Some(Value::Null), "the agent does not take it over into the samples that it builds"),
];

/// What is not as it should be, between samples that were published and samples that the agent wrote. Both are lines of
/// JSON.
pub fn differences(published: &str, written: &[Value]) -> Result<Vec<String>, Box<dyn Error>> {
    let mut arrived: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for sample in written {
        arrived.entry(sample.get("id").and_then(Value::as_str).unwrap_or_default()).or_default().push(sample);
    }
    let mut differences = Vec::new();
    for line in published.lines() {
        let expected = expected(serde_json::from_str(line)?);
        let id = expected.get("id").and_then(Value::as_str).unwrap_or_default();
        match arrived.remove(id).as_deref() {
            // As texts, so that the order of metadata counts.
            Some([found]) if text(found) == text(&expected) => {}
            Some(found) => {
                let found: Vec<_> = found.iter().map(|sample| text(sample)).collect();
                differences.push(format!("published {}\n  but written {}", text(&expected), found.join("\n  and ")));
            }
            None => differences.push(format!("published, but never written: {line}")),
        }
    }
    differences.extend(arrived.into_keys().map(|id| format!("written, but never published: {id}")));
    Ok(differences)
}

/// The sample as the agent is to write it.
fn expected(published: Map<String, Value>) -> Value {
    let mut sample = Map::new();
    for (key, value) in published {
        let name = RENAMED.iter().find(|(theirs, _)| *theirs == key).map_or(key.as_str(), |(_, name)| name);
        sample.insert(name.to_owned(), value);
    }
    for (key, instead, _) in EXCEPTIONS {
        match instead {
            Some(value) => sample.insert(key.to_owned(), value),
            None => sample.remove(key),
        };
    }
    Value::Object(sample)
}

/// Sorted by key, as the agent has an order of its own; what is inside stays in its order.
fn text(sample: &Value) -> String {
    let entries: BTreeMap<&String, String> =
        sample.as_object().into_iter().flatten().map(|(key, value)| (key, value.to_string())).collect();
    format!("{entries:?}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_documentation_lists_the_same() {
        let documentation = include_str!("../../docs/compatibility.md");
        let (_, table) = documentation.split_once("| field | becomes | why |\n|---|---|---|\n").unwrap();
        let rows: Vec<_> = table.lines().take_while(|line| line.starts_with('|')).collect();
        let expected = EXCEPTIONS.map(|(field, instead, reason)| {
            let becomes = instead.map_or_else(|| "left out".to_owned(), |value| format!("`{value}`"));
            (format!("| `{field}` | {becomes} |"), reason)
        });
        assert_eq!(rows.len(), expected.len());
        for (row, (begin, reason)) in rows.iter().zip(expected) {
            assert!(row.starts_with(&begin) && row.to_lowercase().contains(&reason.to_lowercase()), "{row}");
        }
        for (theirs, name) in RENAMED {
            assert!(documentation.contains(&format!("`{theirs}`")) && documentation.contains(&format!("`{name}`")));
        }
    }

    #[test]
    fn every_sample_field_for_field() {
        let published = r#"{"counter_name": "cpu", "counter_volume": 1, "resource_metadata": {"b": 1, "a": {}}, "message_id": "1", "monotonic_time": 1.5, "message_signature": "s"}"#;
        let written = json!({
            "name": "cpu", "id": "1", "volume": 1, "resource_metadata": {"b": 1, "a": {}}, "monotonic_time": null
        });
        let count = |written: &[Value]| differences(published, written).unwrap().len();
        assert_eq!(count(std::slice::from_ref(&written)), 0);
        assert_eq!(count(&[]), 1);
        assert_eq!(count(&[written.clone(), written.clone()]), 1);
        for (key, value) in [("volume", json!(1.0)), ("more", json!(1)), ("monotonic_time", json!(1.5))] {
            let mut other = written.clone();
            other[key] = value;
            assert_eq!(count(&[other]), 1, "{key}");
        }
        let mut other = written.clone();
        other["resource_metadata"] = json!({"a": {}, "b": 1});
        assert_eq!(count(&[other]), 1);
        let mut other = written.clone();
        other["id"] = json!("2");
        assert_eq!(count(&[written, other]), 1);
    }
}
