//! Messages as they are on the wire.

use std::error::Error;

use serde_json::Value;
use wasmeter_rig::Delivery;

/// All of a message but its samples, with ids and times masked.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Exchange, routing key, and properties with all headers.
    pub addressed: String,
    /// oslo.messaging's outer object.
    pub outer: String,
    /// The inner one, which is a text in the outer one.
    pub inner: String,
}

/// A message taken apart.
#[derive(Debug)]
pub struct Message {
    /// All but its samples.
    pub head: Head,
    /// The bytes of each sample.
    pub samples: Vec<String>,
}

/// What differs between any two messages or samples.
const OF_ONE: [&str; 5] = ["message_id", "_unique_id", "timestamp", "monotonic_time", "message_signature"];
/// Stands for what is shown elsewhere.
const ELSEWHERE: &str = "...";
/// What comes before a message's samples.
const SAMPLES: &str = "\"samples\": [";

/// The heads of messages, each once.
pub fn heads(messages: &[Message]) -> Vec<Head> {
    let mut heads: Vec<Head> = Vec::new();
    for message in messages {
        if !heads.contains(&message.head) {
            heads.push(message.head.clone());
        }
    }
    heads
}

/// All samples, each on a line.
pub fn lines(messages: &[Message]) -> String {
    messages.iter().flat_map(|message| &message.samples).map(|sample| sample.clone() + "\n").collect()
}

// === impl Message ===

impl Message {
    /// Takes a message apart.
    pub fn of(delivery: &Delivery) -> Result<Self, Box<dyn Error>> {
        let Delivery { exchange, routing_key, properties, body, .. } = delivery;
        let body = std::str::from_utf8(body)?;
        let outer: Value = serde_json::from_str(body)?;
        let inner = outer.get("oslo.message").and_then(Value::as_str).ok_or("a message without oslo.message")?;
        // Only printable ASCII is in it, which all write in the same way.
        let quoted = Value::from(inner).to_string();
        if !inner.is_ascii() || body.matches(&quoted).count() != 1 {
            return Err(format!("a message is escaped in another way: {body}").into());
        }
        let (before, rest) = inner.split_once(SAMPLES).ok_or("a message without samples")?;
        let (samples, after) = split(rest).ok_or("a message whose samples do not end")?;
        let head = Head {
            addressed: format!("exchange {exchange:?}, routing key {routing_key:?}, {properties:?}"),
            outer: body.replace(&quoted, ELSEWHERE),
            inner: masked(&format!("{before}{SAMPLES}{ELSEWHERE}{after}"), &OF_ONE),
        };
        Ok(Self { head, samples: samples.into_iter().map(str::to_owned).collect() })
    }
}

/// A sample's bytes, with ids and times masked, and its value if it moves.
pub fn masked_sample(sample: &str, moves: bool) -> String {
    let masked_once = masked(sample, &OF_ONE);
    if moves { masked(&masked_once, &["counter_volume"]) } else { masked_once }
}

/// The entries of a list from behind its bracket, and what follows from the other bracket on.
fn split(list: &str) -> Option<(Vec<&str>, &str)> {
    let (mut entries, mut begin, mut depth, mut text, mut escaped) = (Vec::new(), 0, 0_usize, false, false);
    for (at, byte) in list.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if text => escaped = true,
            b'"' => text = !text,
            _ if text => {}
            b'{' | b'[' => depth += 1,
            b']' if depth == 0 => {
                entries.extend(list.get(begin..at).filter(|entry| !entry.is_empty()));
                return Some((entries, list.get(at..)?));
            }
            b'}' | b']' => depth = depth.checked_sub(1)?,
            b',' if depth == 0 => {
                entries.push(list.get(begin..at)?);
                // One blank follows. Another separator would be in the next entry's bytes.
                begin = at + if list.get(at + 1..)?.starts_with(' ') { 2 } else { 1 };
            }
            _ => {}
        }
    }
    None
}

/// Replaces the values of these keys by what is the same of all of them: how they are written.
fn masked(json: &str, keys: &[&str]) -> String {
    let mut out = json.to_owned();
    for key in keys {
        let (mut rest, mut done) = (out.as_str(), String::new());
        let name = format!("\"{key}\": ");
        while let Some((before, value)) = rest.split_once(&name) {
            let end = match value.strip_prefix('"') {
                Some(text) => text.find('"').map(|end| end + 2),
                None => value.find([',', '}']),
            };
            let (value, after) = value.split_at(end.unwrap_or(value.len()));
            done += &format!("{before}{name}{}", form(value));
            rest = after;
        }
        out = done + rest;
    }
    out
}

/// How a value is written: of hexadecimal ids, how long they are and of which version; of others, where they have digits.
fn form(value: &str) -> String {
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b) || b == b'-');
    let inside = value.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    match inside.filter(|text| hex(text)).map(|text| (text.len(), text)) {
        Some((36, id)) => format!("a UUID of version {}", id.get(14..15).unwrap_or_default()),
        Some((32, id)) => format!("a UUID of version {}, without hyphens", id.get(12..13).unwrap_or_default()),
        Some((64, _)) => "64 digits".to_owned(),
        // How many digits a number has depends on it.
        _ if inside.is_none() && value.parse::<f64>().is_ok() => {
            let real = value.contains(['.', 'e']);
            format!("a {} number", if real { "real" } else { "whole" })
        }
        _ => value.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(inner: &str) -> Delivery {
        Delivery {
            exchange: "e".into(),
            routing_key: "k".into(),
            redelivered: false,
            properties: Default::default(),
            body: format!("{{\"oslo.version\": \"2.0\", \"oslo.message\": {}}}", Value::from(inner)).into(),
        }
    }

    #[test]
    fn taken_apart() {
        let read = Message::of(&message(
            r#"{"message_id": "9f3c0f6e-8f57-4d0c-a1f6-7d6a54a320de", "payload": {"samples": [{"a": "]}, {\"", "b": [{}]}, {"monotonic_time": 1.5}]}, "timestamp": "2026-11-20 08:27:41.892649", "_unique_id": "ad57b5ae55ee46f4bffd85f7d344000a"}"#,
        ))
        .unwrap();
        assert_eq!(read.samples, [r#"{"a": "]}, {\"", "b": [{}]}"#, r#"{"monotonic_time": 1.5}"#]);
        assert_eq!(read.head.outer, r#"{"oslo.version": "2.0", "oslo.message": ...}"#);
        assert_eq!(
            read.head.inner,
            r#"{"message_id": a UUID of version 4, "payload": {"samples": [...]}, "timestamp": "0000-00-00 00:00:00.000000", "_unique_id": a UUID of version 4, without hyphens}"#
        );
        assert!(Message::of(&message("{\"samples\": [{}}")).is_err());
        assert!(Message::of(&message("{}")).is_err());
    }

    #[test]
    fn masks() {
        let sample = r#"{"counter_volume": 12, "message_signature": "", "monotonic_time": null, "message_id": "x"}"#;
        assert_eq!(masked_sample(sample, false), sample);
        assert_eq!(masked_sample(sample, true), sample.replace("12", "a whole number"));
        assert_ne!(masked_sample(sample, true), masked_sample(&sample.replace("12", "1.0"), true));
        assert_ne!(masked_sample(sample, false), masked_sample(&sample.replace(": 12", ":12"), false));
    }
}
