//! Shares of a core as people write them: `25%`, `0.5%`, `150%`.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::yaml::{Kind, Node, Refusal};
use crate::sandbox::price;

/// A share of a core, in hundredths of a per cent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u32);

/// A text that is no share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a share of a core such as 25% or 0.5%")]
pub struct InvalidShare;

/// Parts of a core that a share is counted in.
const PARTS: u64 = 10_000;

// === impl Share ===

impl Share {
    /// So many per cent.
    pub const fn percent(number: u32) -> Self {
        Self(number * 100)
    }

    /// The fuel that this share of a core burns in a second.
    pub const fn fuel(self) -> u64 {
        (price::CORE_SECOND / PARTS) * self.0 as u64
    }

    /// The share of a core that burns so much fuel in a second, about.
    pub fn of_fuel(fuel: u64) -> Self {
        Self(u32::try_from(fuel / (price::CORE_SECOND / PARTS)).unwrap_or(u32::MAX))
    }

    /// A share within bounds out of a file.
    pub(super) fn read(node: &Node, bounds: &RangeInclusive<Self>) -> Result<Self, Refusal> {
        let remedy = format!("Write a share of a core from {} to {}", bounds.start(), bounds.end());
        let share = match &node.kind {
            Kind::Text(text) => text.parse(),
            _ => Err(InvalidShare),
        };
        match share {
            Ok(share) if bounds.contains(&share) => Ok(share),
            Ok(_) => Err(node.refuse("out of bounds", remedy)),
            Err(InvalidShare) => Err(node.refuse(InvalidShare.to_string(), remedy)),
        }
    }
}

impl FromStr for Share {
    type Err = InvalidShare;

    fn from_str(text: &str) -> Result<Self, InvalidShare> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.strip_suffix('%').ok_or(InvalidShare)?;
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        if !digits(whole) || !digits(part) || part.len() > 2 {
            return Err(InvalidShare);
        }
        let part = format!("{part:0<2}").parse::<u32>().map_err(|_| InvalidShare)?;
        let whole = whole.parse::<u32>().ok().and_then(|whole| whole.checked_mul(100)).ok_or(InvalidShare)?;
        whole.checked_add(part).map(Self).ok_or(InvalidShare)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole}%"),
            (whole, part) if part.is_multiple_of(10) => write!(f, "{whole}.{}%", part / 10),
            (whole, part) => write!(f, "{whole}.{part:02}%"),
        }
    }
}

impl serde::Serialize for Share {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_written_as_they_are_read() {
        for (text, fuel) in [
            ("25%", 2_500_000_000),
            ("0.5%", 50_000_000),
            ("0.01%", 1_000_000),
            ("12.34%", 1_234_000_000),
            ("150%", 15_000_000_000),
            ("0%", 0),
        ] {
            let share: Share = text.parse().unwrap();
            assert_eq!((share.to_string().as_str(), share.fuel()), (text, fuel));
            assert_eq!(Share::of_fuel(fuel), share);
        }
        assert_eq!("2.50%".parse::<Share>().unwrap().to_string(), "2.5%");
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for text in ["", "%", "25", ".5%", "5.%", "0.001%", "-1%", "+1%", "1 %", "a%", "99999999999%", "5%%"] {
            assert_eq!(text.parse::<Share>(), Err(InvalidShare), "{text}");
        }
    }
}
