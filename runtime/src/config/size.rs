//! Sizes as people write them: `4096`, `10KiB`, `32MiB`, `1GiB`.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::yaml::{Kind, Node, Refusal};

const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

/// A text that is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a size such as 4096, 10KiB, 32MiB or 1GiB")]
pub struct InvalidSize;

// === impl ByteSize ===

impl ByteSize {
    /// This many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// This many times 2^20 bytes.
    pub const fn mebibytes(number: u32) -> Self {
        Self((number as u64) << 20)
    }

    /// How many bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// A size within bounds out of a file.
    pub(super) fn read(node: &Node, bounds: &RangeInclusive<ByteSize>) -> Result<Self, Refusal> {
        let remedy = format!("Write a size from {} to {}", bounds.start(), bounds.end());
        let size = match &node.kind {
            Kind::Integer(number) => u64::try_from(*number).map(Self).map_err(|_| InvalidSize),
            Kind::Text(text) => text.parse(),
            _ => Err(InvalidSize),
        };
        match size {
            Ok(size) if bounds.contains(&size) => Ok(size),
            Ok(_) => Err(node.refuse("out of bounds", remedy)),
            Err(InvalidSize) => Err(node.refuse(InvalidSize.to_string(), remedy)),
        }
    }
}

impl FromStr for ByteSize {
    type Err = InvalidSize;

    fn from_str(text: &str) -> Result<Self, InvalidSize> {
        let suffixed = UNITS.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, *size)));
        let (digits, unit) = suffixed.unwrap_or((text, 1));
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidSize);
        }
        digits.parse().ok().and_then(|number: u64| number.checked_mul(unit)).map(Self).ok_or(InvalidSize)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, size)| self.0 != 0 && self.0.is_multiple_of(*size)) {
            Some((unit, size)) => write!(f, "{}{unit}", self.0 / size),
            None => write!(f, "{}", self.0),
        }
    }
}

impl serde::Serialize for ByteSize {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        for (text, bytes) in [("0", 0), ("4096", 4096), ("10KiB", 10 << 10), ("32MiB", 32 << 20), ("1GiB", 1 << 30)] {
            assert_eq!(text.parse(), Ok(ByteSize::new(bytes)), "{text}");
        }
        for text in ["", "KiB", "1.5MiB", "10MB", "10 MiB", "-1", "+1", "10mib", "99999999999999TiB"] {
            assert_eq!(text.parse::<ByteSize>(), Err(InvalidSize), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_shown_can_be_read(bytes: u64) {
            proptest::prop_assert_eq!(ByteSize::new(bytes).to_string().parse(), Ok(ByteSize::new(bytes)));
        }
    }
}
