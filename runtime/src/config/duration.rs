//! Durations as people write them: `500ms`, `2.5s`, `2m`, `1h`.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::yaml::{Kind, Node, Refusal};

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a duration such as 500ms, 2.5s, 2m or 1h")]
pub struct InvalidDuration;

/// Reads a number with its unit.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u128 = match text.strip_prefix(digits) {
        Some("ms") => 1_000_000,
        Some("s") => 1_000_000_000,
        Some("m") => 60_000_000_000,
        Some("h") => 3_600_000_000_000,
        _ => return Err(InvalidDuration),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let number = |digits: &str| match digits {
        _ if digits.len() > 9 || !digits.bytes().all(|byte| byte.is_ascii_digit()) => None,
        _ => digits.parse::<u128>().ok(),
    };
    let (Some(whole), Some(part)) = (number(whole), number(fraction)) else { return Err(InvalidDuration) };
    let places = u32::try_from(fraction.len()).map_err(|_| InvalidDuration)?;
    let nanoseconds = whole * unit + part * unit / 10u128.pow(places);
    u64::try_from(nanoseconds).map(Duration::from_nanos).map_err(|_| InvalidDuration)
}

/// Writes a duration so that [`parse`] reads it, in the largest unit without a fraction.
pub fn show(duration: Duration) -> String {
    let (seconds, nanoseconds) = (duration.as_secs(), duration.subsec_nanos());
    match seconds {
        _ if nanoseconds % 1_000_000 != 0 => {
            format!("{}s", format!("{seconds}.{nanoseconds:09}").trim_end_matches('0'))
        }
        _ if nanoseconds != 0 => format!("{}ms", duration.as_millis()),
        0 => "0s".to_owned(),
        _ if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        _ if seconds % 60 == 0 => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

/// For `#[serde(serialize_with)]`.
pub(super) fn serialize<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show(*duration))
}

/// A duration within bounds out of a file.
pub(super) fn read(node: &Node, bounds: &RangeInclusive<Duration>) -> Result<Duration, Refusal> {
    let remedy = format!("Write a duration from {} to {}", show(*bounds.start()), show(*bounds.end()));
    match &node.kind {
        Kind::Text(text) => match parse(text) {
            Ok(duration) if bounds.contains(&duration) => Ok(duration),
            Ok(_) => Err(node.refuse("out of bounds", remedy)),
            Err(InvalidDuration) => Err(node.refuse(InvalidDuration.to_string(), remedy)),
        },
        Kind::Integer(number) => {
            Err(node.refuse("no unit", format!("Write `{number}s` if it is seconds, or use ms, m or h")))
        }
        _ => Err(node.refuse(InvalidDuration.to_string(), remedy)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_fractions() {
        for (text, milliseconds) in
            [("500ms", 500), ("0s", 0), ("5s", 5_000), ("2.5s", 2_500), ("2m", 120_000), ("1.5h", 5_400_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in
            ["", "s", "5", "5 s", "-5s", "+5s", ".5s", "5.s", "5S", "5d", "1e3s", "99999999999s", "5.5.5s", "١s"]
        {
            assert_eq!(parse(text), Err(InvalidDuration), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_shown_can_be_read(nanoseconds in 0u64..900_000_000_000_000_000) {
            let duration = Duration::from_nanos(nanoseconds);
            proptest::prop_assert_eq!(parse(&show(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in "[0-9.]{0,12}.{0,4}") {
            let _ = parse(&text);
        }
    }
}
