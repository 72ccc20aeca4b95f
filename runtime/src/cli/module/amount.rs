//! Amounts as people write and read them.

use crate::config::duration;
use crate::publish::columns;

/// A text that is no amount of fuel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an amount of fuel such as 50000, 500k, 50M or 1G")]
pub struct InvalidFuel;

/// A text that is no number of seconds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a number of whole seconds such as 60, 60s, 5m or 1h")]
pub struct InvalidSeconds;

const UNITS: [(&str, u64); 3] = [("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000)];

/// Reads an amount of fuel, in the units in which it is shown.
pub fn fuel(text: &str) -> Result<u64, InvalidFuel> {
    let in_units = UNITS.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, *size)));
    let (digits, unit) = in_units.unwrap_or((text, 1));
    whole(digits).and_then(|number| number.checked_mul(unit)).ok_or(InvalidFuel)
}

/// Reads whole seconds, with a unit or without.
pub fn seconds(text: &str) -> Result<u64, InvalidSeconds> {
    match (whole(text), duration::parse(text)) {
        (Some(seconds), _) => Ok(seconds),
        (None, Ok(duration)) if duration.subsec_nanos() == 0 => Ok(duration.as_secs()),
        _ => Err(InvalidSeconds),
    }
}

fn whole(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Bytes in few digits.
#[allow(clippy::cast_precision_loss, reason = "for people")]
pub fn bytes(count: u64) -> String {
    columns::bytes(count as f64)
}

/// Which part of a whole something is.
#[allow(clippy::cast_precision_loss, reason = "for people")]
pub fn percent(part: u64, whole: u64) -> String {
    match (part, whole) {
        (0, _) | (_, 0) => "0%".to_owned(),
        _ => match 100.0 * part as f64 / whole as f64 {
            ..0.1 => "less than 0.1%".to_owned(),
            few @ ..10.0 => format!("{few:.1}%"),
            many => format!("{many:.0}%"),
        },
    }
}

/// So many of something that takes an s.
pub fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        for (text, amount) in
            [("0", 0), ("50000", 50_000), ("500k", 500_000), ("50M", 50_000_000), ("1G", 1_000_000_000)]
        {
            assert_eq!(fuel(text), Ok(amount), "{text}");
        }
        for text in ["", "k", "1.5M", "-1", "+1", "50m", "5 k", "99999999999G"] {
            assert_eq!(fuel(text), Err(InvalidFuel), "{text}");
        }
        for (text, amount) in [("60", 60), ("60s", 60), ("5m", 300), ("1.5h", 5_400), ("1000ms", 1)] {
            assert_eq!(seconds(text), Ok(amount), "{text}");
        }
        for text in ["", "s", "1.5", "500ms", "-1", "1d"] {
            assert_eq!(seconds(text), Err(InvalidSeconds), "{text}");
        }
    }

    #[test]
    fn parts() {
        for (part, whole, said) in
            [(0, 5, "0%"), (5, 0, "0%"), (1, 5_000, "less than 0.1%"), (1, 20, "5.0%"), (1, 2, "50%"), (3, 2, "150%")]
        {
            assert_eq!(percent(part, whole), said);
        }
    }
}
