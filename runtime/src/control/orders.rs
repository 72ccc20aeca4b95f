//! What can be done with samples that wait, or are to: by the daemon, or by the command line while there is none.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::time::Time;
use crate::spool::log::Error;
use crate::spool::{Spool, record};

/// Samples in one order.
pub const MOST_SAMPLES: usize = 10_000;
/// Bytes of the samples of one order. What their JSON adds is less than as much again.
pub const MOST_BYTES: usize = 4 << 20;

/// Deliver samples again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// The only publisher that they are for; otherwise all.
    pub to: Option<String>,
    /// The samples, each as JSON.
    pub samples: Vec<String>,
}

/// They will be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    /// How many they are.
    pub samples: u64,
}

/// Give up what a publisher has not delivered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GiveUp {
    /// Whose samples.
    pub publisher: String,
    /// Only what was kept before this time.
    pub before: Option<Time>,
    /// Say only how many they are.
    #[serde(default)]
    pub count_only: bool,
}

/// They are lost, for the cause `operator`; or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GaveUp {
    /// How many they are.
    pub samples: u64,
}

/// Why an order is not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is wrong.
    #[error("{0}")]
    Wrong(String),
    /// There is no room for it now.
    #[error("the spool has no more room beside what is measured")]
    NoRoom,
    /// The disk failed.
    #[error("{0}")]
    Failed(String),
}

/// Whether a value has a form.
type Fits = fn(&Value) -> bool;

/// What every sample has, in which form.
const KEYS: [(&str, &str, Fits); 11] = [
    ("source", "a text", Value::is_string),
    ("counter_name", "a text that is not empty", is_name),
    ("counter_type", "gauge, cumulative or delta", is_kind),
    ("counter_unit", "a text", Value::is_string),
    ("counter_volume", "a number", is_number),
    ("user_id", "a text or null", is_optional),
    ("project_id", "a text or null", is_optional),
    ("resource_id", "a text that is not empty", is_name),
    ("timestamp", "a time such as 2026-01-02T03:04:05.678901 or 2026-01-02T03:04:05+00:00", is_time),
    ("resource_metadata", "an object", Value::is_object),
    ("message_id", "a UUID such as 8d1b7b52-e7d6-11f0-8de9-0242ac120002", is_uuid),
];

/// What a sample may have, in which form.
const MORE: [(&str, &str, Fits); 3] = [
    ("user_name", "a text or null", is_optional),
    ("project_name", "a text or null", is_optional),
    ("monotonic_time", "a number or null", |value| value.is_null() || is_number(value)),
];

fn is_optional(value: &Value) -> bool {
    value.is_null() || value.is_string()
}

fn is_name(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

/// One that a consumer's floats can hold.
fn is_number(value: &Value) -> bool {
    value.as_f64().is_some_and(f64::is_finite)
}

/// As Python's `isoformat` writes it, with an offset or without. `jiff` alone reads more than that.
fn is_time(value: &Value) -> bool {
    let Some(text) = value.as_str() else { return false };
    let is_between = |(place, between): (usize, &str)| text.get(place..place + 1) == Some(between);
    let has_form = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")].into_iter().all(is_between);
    let has_offset = || text.parse::<jiff::Timestamp>().is_ok();
    has_form && !text.contains('[') && (text.parse::<jiff::civil::DateTime>().is_ok() || has_offset())
}

fn is_uuid(value: &Value) -> bool {
    let fits = |(place, c): (usize, char)| match place {
        8 | 13 | 18 | 23 => c == '-',
        _ => c.is_ascii_hexdigit(),
    };
    value.as_str().is_some_and(|text| text.len() == 36 && text.chars().enumerate().all(fits))
}

fn is_kind(value: &Value) -> bool {
    matches!(value.as_str(), Some("gauge" | "cumulative" | "delta"))
}

/// A line as a sample that can be delivered again: without a signature, which is made anew, and otherwise as it is.
pub fn sample(line: &str) -> Result<String, String> {
    let (mut sample, _) = read(line)?;
    let text = line.trim();
    if sample.shift_remove("message_signature").is_none() {
        return Ok(text.to_owned());
    }
    Ok(Value::Object(sample).to_string())
}

/// A sample and its meter.
fn read(line: &str) -> Result<(Map<String, Value>, String), String> {
    let sample = match serde_json::from_str(line) {
        Ok(Value::Object(sample)) => sample,
        Ok(_) => return Err("it is no object".to_owned()),
        Err(error) => return Err(format!("it is no JSON: {error}")),
    };
    for (key, form, fits) in KEYS {
        match sample.get(key) {
            None => return Err(format!("it has no `{key}`, which is {form}")),
            Some(value) if !fits(value) => return Err(format!("`{key}` is not {form}")),
            Some(_) => {}
        }
    }
    for (key, form, fits) in MORE {
        if sample.get(key).is_some_and(|value| !fits(value)) {
            return Err(format!("`{key}` is not {form}"));
        }
    }
    let meter = sample.get("counter_name").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok((sample, meter))
}

/// Hands in samples to be delivered again.
pub fn replay(spool: &Spool, order: &Replay, now: i64) -> Result<Replayed, Refused> {
    let Replay { to, samples } = order;
    if samples.len() > MOST_SAMPLES || samples.iter().map(String::len).sum::<usize>() > MOST_BYTES {
        return Err(Refused::Wrong(format!("at most {MOST_SAMPLES} samples of {MOST_BYTES} bytes come at once")));
    }
    let mut meters = Vec::with_capacity(samples.len());
    for (place, sample) in samples.iter().enumerate() {
        match read(sample) {
            Ok((sample, _)) if sample.contains_key("message_signature") => {
                return Err(Refused::Wrong(format!("sample {place} is signed already")));
            }
            Ok(_) if sample.contains(['\n', '\r']) => {
                return Err(Refused::Wrong(format!("sample {place} is more than a line")));
            }
            Ok((_, meter)) => meters.push(meter),
            Err(why) => return Err(Refused::Wrong(format!("sample {place}: {why}"))),
        }
    }
    if samples.is_empty() {
        return Ok(Replayed { samples: 0 });
    }
    let counts = record::replayed(to.as_deref(), meters.iter().map(String::as_str));
    match spool.replay(to.as_deref(), samples, counts, now) {
        Ok(Some(_)) => Ok(Replayed { samples: samples.len() as u64 }),
        Ok(None) => Err(Refused::NoRoom),
        Err(error) => Err(Refused::of(error, spool)),
    }
}

// === impl Refused ===

impl Refused {
    /// What the spool said.
    pub fn of(error: Error, spool: &Spool) -> Self {
        match error {
            Error::NoCursor(name) => {
                let known: Vec<String> = spool.accounts().into_iter().map(|account| account.cursor).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                Self::Wrong(format!("there is no publisher {name:?}; there are: {known}"))
            }
            error => Self::Failed(error.with_cause()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"{"source": "openstack", "counter_name": "cpu", "counter_type": "cumulative",
        "counter_unit": "ns", "counter_volume": 12345678901234567890, "user_id": null, "project_id": "p",
        "resource_id": "r", "timestamp": "2026-01-02T03:04:05", "resource_metadata": {"a": 1.50},
        "message_id": "8d1b7b52-e7d6-11f0-8de9-0242ac120002"}"#;

    #[test]
    fn a_sample_stays_as_it_is_but_for_its_signature() {
        assert_eq!(sample(SAMPLE).unwrap(), SAMPLE);
        let signed = SAMPLE.replace("\"user_id\"", "\"message_signature\": \"s\", \"user_id\"");
        let bare = sample(&signed).unwrap();
        assert!(!bare.contains("message_signature") && !bare.contains('\n'), "{bare}");
        assert_eq!(serde_json::from_str::<Value>(&bare).unwrap(), serde_json::from_str::<Value>(SAMPLE).unwrap());
    }

    #[test]
    fn what_is_no_sample_is_refused() {
        for (from, to, why) in [
            ("{", "", "no JSON"),
            (SAMPLE, "[]", "no object"),
            ("counter_name", "name", "no `counter_name`"),
            ("12345678901234567890", "\"5\"", "`counter_volume` is not a number"),
            ("cumulative", "counter", "`counter_type` is not gauge"),
            ("12345678901234567890", "null", "`counter_volume` is not a number"),
            ("12345678901234567890", "true", "`counter_volume` is not a number"),
            ("\"p\"", "5", "`project_id` is not a text or null"),
            ("\"cpu\"", "5", "`counter_name` is not a text"),
            ("\"cpu\"", "\"\"", "`counter_name` is not a text that is not empty"),
            ("\"r\"", "null", "`resource_id` is not a text"),
            ("\"user_id\"", "\"user_name\": [], \"user_id\"", "`user_name` is not a text or null"),
            ("\"user_id\"", "\"monotonic_time\": \"1\", \"user_id\"", "`monotonic_time` is not a number or null"),
        ] {
            let said = sample(&SAMPLE.replacen(from, to, 1)).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn times_are_those_that_ceilometer_writes() {
        let is_sample = |time: &str| sample(&SAMPLE.replacen("2026-01-02T03:04:05", time, 1));
        for time in [
            "2026-01-02T03:04:05",
            "2026-01-02T03:04:05.678901",
            "2026-01-02T03:04:05+00:00",
            "2026-01-02T03:04:05.678901-07:30",
            "2026-01-02T03:04:05Z",
        ] {
            assert!(is_sample(time).is_ok(), "{time}");
        }
        for time in [
            "yesterday",
            "",
            "2026-01-02",
            "2026-01-02T03:04",
            "2026-01-02 03:04:05",
            "20260102T030405",
            "2026-13-02T03:04:05",
            "2026-02-30T03:04:05",
            "2026-01-02T25:04:05",
            "2026-01-02T03:04:05+00:00[UTC]",
            "2026-01-02T03:04:05 ",
            "\u{fc}026-01-02T03:04:05",
            "1767323045",
        ] {
            assert!(is_sample(time).unwrap_err().contains("`timestamp` is not a time such as 2026-"), "{time}");
        }
    }

    #[test]
    fn ids_are_uuids() {
        let id = "8d1b7b52-e7d6-11f0-8de9-0242ac120002";
        let is_sample = |other: &str| sample(&SAMPLE.replacen(id, other, 1));
        assert!(is_sample(&id.to_uppercase()).is_ok());
        for other in ["zzz", "", &id.replace('-', ""), &id.replacen('8', "g", 1), &format!("{{{id}}}")] {
            assert!(is_sample(other).unwrap_err().contains("`message_id` is not a UUID such as "), "{other}");
        }
    }
}
