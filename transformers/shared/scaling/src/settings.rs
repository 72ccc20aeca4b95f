//! Settings, key by key.

use serde_json::{Map, Value};
use wasmeter_sdk::Kind;

/// The keys of a mapping that were not read yet.
#[derive(Debug)]
pub struct Keys {
    /// Where the mapping stands, with a dot behind it.
    place: String,
    entries: Map<String, Value>,
    /// The keys that were asked for.
    known: Vec<&'static str>,
}

// === impl Keys ===

impl Keys {
    /// The settings of a module, for which nothing may have been written.
    pub fn of(config: &str) -> Result<Self, String> {
        let config = if config.trim().is_empty() { "{}" } else { config };
        match serde_json::from_str(config) {
            Ok(Value::Object(entries)) => Ok(Self::at("", entries)),
            Ok(Value::Null) => Ok(Self::at("", Map::new())),
            Ok(other) => Err(format!("the settings are {}; write keys and values", word(&other))),
            Err(error) => Err(format!("the settings cannot be used, write keys and values: {error}")),
        }
    }

    fn at(place: &str, entries: Map<String, Value>) -> Self {
        Self { place: place.to_owned(), entries, known: Vec::new() }
    }

    /// Whatever stands under a key. Null is nothing.
    pub fn any(&mut self, key: &'static str) -> Option<Value> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.entries.remove(key).filter(|value| !value.is_null())
    }

    /// The mapping under a key, or an empty one.
    pub fn keys(&mut self, key: &'static str) -> Result<Self, String> {
        let place = format!("{}{key}.", self.place);
        match self.any(key) {
            None => Ok(Self::at(&place, Map::new())),
            Some(Value::Object(entries)) => Ok(Self::at(&place, entries)),
            Some(other) => Err(self.refuse(key, &other, "keys and values")),
        }
    }

    /// The list of mappings under a key, or an empty one.
    pub fn list(&mut self, key: &'static str) -> Result<Vec<Self>, String> {
        let values = match self.any(key) {
            None => Vec::new(),
            Some(Value::Array(values)) => values,
            Some(other) => return Err(self.refuse(key, &other, "a list")),
        };
        let keys = |(place, value)| match value {
            Value::Object(entries) => Ok(Self::at(&format!("{}{key}[{place}].", self.place), entries)),
            other => Err(format!("{}{key}[{place}] is {}; write keys and values", self.place, word(&other))),
        };
        values.into_iter().enumerate().map(keys).collect()
    }

    /// The text under a key.
    pub fn text(&mut self, key: &'static str) -> Result<Option<String>, String> {
        match self.any(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            // YAML's words for numbers are meant as texts here: a unit may be `1`.
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(other) => Err(self.refuse(key, &other, "a text")),
        }
    }

    /// Whether what stands under a key is true to Python, where `1` is and every text but the empty one.
    pub fn flag(&mut self, key: &'static str) -> bool {
        match self.any(key) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(flag)) => flag,
            Some(Value::Number(number)) => number.as_f64() != Some(0.0),
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(values)) => !values.is_empty(),
            Some(Value::Object(entries)) => !entries.is_empty(),
        }
    }

    /// The number under a key, which may be written as a text.
    pub fn number(&mut self, key: &'static str) -> Result<Option<f64>, String> {
        let Some(value) = self.any(key) else { return Ok(None) };
        let number = match &value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number.filter(|number| number.is_finite()) {
            Some(number) => Ok(Some(number)),
            None => Err(self.refuse(key, &value, "a number")),
        }
    }

    /// The whole number from zero up under a key, which may be written as a text.
    pub fn whole(&mut self, key: &'static str) -> Result<Option<u64>, String> {
        let Some(value) = self.any(key) else { return Ok(None) };
        let number = match &value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(self.refuse(key, &value, "a whole number, zero or more")),
        }
    }

    /// Like [`whole`](Self::whole); null, false and an empty text are nothing.
    pub fn whole_or_nothing(&mut self, key: &'static str) -> Result<Option<u64>, String> {
        match self.entries.get(key) {
            Some(Value::Bool(false)) => Ok(self.any(key).and(None)),
            Some(Value::String(text)) if text.is_empty() => Ok(self.any(key).and(None)),
            _ => self.whole(key),
        }
    }

    /// Whether anything stands under a key, be it nothing.
    pub fn has(&mut self, key: &'static str) -> bool {
        self.known.push(key);
        self.entries.contains_key(key)
    }

    /// The kind of meters under a key.
    pub fn kind(&mut self, key: &'static str) -> Result<Option<Kind>, String> {
        let kinds = "gauge, cumulative or delta";
        match self.any(key) {
            None => Ok(None),
            Some(Value::String(text)) if text == "gauge" => Ok(Some(Kind::Gauge)),
            Some(Value::String(text)) if text == "cumulative" => Ok(Some(Kind::Cumulative)),
            Some(Value::String(text)) if text == "delta" => Ok(Some(Kind::Delta)),
            Some(other) => Err(self.refuse(key, &other, kinds)),
        }
    }

    /// Everything that is left, as keys that whoever writes them chooses.
    pub fn rest(self) -> Map<String, Value> {
        self.entries
    }

    /// Where a key of this mapping stands.
    pub fn place(&self, key: &str) -> String {
        format!("{}{key}", self.place)
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Why a value cannot stand under a key.
    pub fn refuse(&self, key: &str, value: &Value, write: &str) -> String {
        format!("{}{key} is {}; write {write}", self.place, word(value))
    }

    /// Nothing is left that was not asked for.
    pub fn end(self) -> Result<(), String> {
        match self.entries.keys().next() {
            None => Ok(()),
            Some(unknown) => {
                let known = self.known.join(", ");
                Err(format!("there is no key {}{unknown}; there are {known}", self.place))
            }
        }
    }
}

/// What a value is, in an error.
fn word(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
        other => other.to_string().chars().take(60).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_key_and_the_remedy() {
        let mut keys =
            Keys::of(r#"{"target": {"name": [], "type": "x", "scale": 2, "typo": 1}, "size": "3"}"#).unwrap();
        assert_eq!(keys.whole("size"), Ok(Some(3)));
        let mut target = keys.keys("target").unwrap();
        assert_eq!(target.text("name").unwrap_err(), "target.name is a list; write a text");
        assert_eq!(target.kind("type").unwrap_err(), "target.type is \"x\"; write gauge, cumulative or delta");
        assert_eq!(target.number("scale"), Ok(Some(2.0)));
        assert_eq!(target.end().unwrap_err(), "there is no key target.typo; there are name, type, scale");
        assert!(keys.end().is_ok());
        assert!(Keys::of(" ").unwrap().is_empty() && Keys::of("null").unwrap().is_empty());
        assert_eq!(Keys::of("[]").unwrap_err(), "the settings are a list; write keys and values");
        assert!(Keys::of("name: x").unwrap_err().contains("write keys and values"));
        assert_eq!(
            Keys::of(r#"{"rules": [1]}"#).unwrap().list("rules").unwrap_err(),
            "rules[0] is 1; write keys and values"
        );
    }

    #[test]
    fn what_is_true_to_python_is_true() {
        for (value, expected) in [
            ("true", true),
            ("false", false),
            ("null", false),
            ("1", true),
            ("0.0", false),
            (r#""True""#, true),
            (r#""False""#, true),
            (r#""""#, false),
            ("[]", false),
            ("[0]", true),
            ("{}", false),
        ] {
            let mut keys = Keys::of(&format!("{{\"key\": {value}}}")).unwrap();
            assert_eq!(keys.flag("key"), expected, "{value}");
        }
        assert!(!Keys::of("").unwrap().flag("key"));
    }
}
