//! Times as people and programs read them: RFC 3339, in UTC.

use std::fmt;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A time, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub i64);

/// A text that is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time: write 2026-01-02T03:04:05Z, or how long ago, as in 90m")]
pub struct InvalidTime(String);

// === impl Time ===

impl Time {
    /// Seconds from a time to this one; none if it is later.
    pub fn since(self, earlier: Self) -> f64 {
        seconds(self.0.saturating_sub(earlier.0).max(0))
    }

    /// Seconds since 1970.
    pub fn seconds(self) -> f64 {
        seconds(self.0)
    }

    /// What somebody wrote: a time, in UTC if it does not say where, or how long ago it was.
    pub fn read(text: &str, now: i64) -> Result<Self, InvalidTime> {
        if let Ok(ago) = crate::config::duration::parse(text) {
            return Ok(Self(now.saturating_sub(i64::try_from(ago.as_nanos()).unwrap_or(i64::MAX))));
        }
        let civil = || text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
        let time = text.parse::<jiff::Timestamp>().ok().or_else(|| Some(civil()?.timestamp()));
        let nanoseconds = time.and_then(|time| i64::try_from(time.as_nanosecond()).ok());
        nanoseconds.map(Self).ok_or_else(|| InvalidTime(text.to_owned()))
    }
}

#[allow(clippy::cast_precision_loss, reason = "nanoseconds as seconds, for people and for metrics")]
fn seconds(nanoseconds: i64) -> f64 {
    nanoseconds as f64 / 1e9
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(self.0.into()) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{} ns after 1970", self.0),
        }
    }
}

impl FromStr for Time {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let time = text.parse::<jiff::Timestamp>().map_err(|_| InvalidTime(text.to_owned()))?;
        i64::try_from(time.as_nanosecond()).map(Self).map_err(|_| InvalidTime(text.to_owned()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match jiff::Timestamp::from_nanosecond(self.0.into()) {
            Ok(time) => serializer.collect_str(&time),
            Err(_) => serializer.serialize_str("1970-01-01T00:00:00Z"),
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        let time = Time(1_767_323_045_123_456_789);
        let json = serde_json::to_string(&time).unwrap();
        assert_eq!(json, "\"2026-01-02T03:04:05.123456789Z\"");
        assert_eq!(serde_json::from_str::<Time>(&json).unwrap(), time);
        assert_eq!(time.to_string(), "2026-01-02T03:04:05.123Z");
        let second = 1_767_323_045_000_000_000;
        for (text, read) in [
            ("2026-01-02T03:04:05Z", Some(second)),
            ("2026-01-02T04:04:05+01:00", Some(second)),
            ("2026-01-02T03:04:05", Some(second)),
            ("2026-01-02 03:04:05", Some(second)),
            ("90m", Some(1_000 - 5_400_000_000_000)),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(Time::read(text, 1_000).ok(), read.map(Time), "{text}");
        }
    }
}
