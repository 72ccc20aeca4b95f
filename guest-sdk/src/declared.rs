//! What a pollster says of itself before it runs, as constants.

use crate::{Kind, Meter};

/// A meter known when the module is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declared {
    /// Lower-case words joined by dots.
    pub name: &'static str,
    /// How its volumes relate.
    pub kind: Kind,
    /// Such as `B`, `ns`, `request`; may be empty.
    pub unit: &'static str,
}

/// A statistic that a pollster reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The key as libvirt names it, with `*` for the number of a device: `block.*.rd.bytes`.
    pub key: &'static str,
    /// Keys that this one stands in for; none if it is always read.
    pub instead_of: &'static [&'static str],
}

/// A meter whose values are levels.
pub const fn gauge(name: &'static str, unit: &'static str) -> Declared {
    Declared { name, kind: Kind::Gauge, unit }
}

/// A meter whose values are counters that grow until they are reset.
pub const fn cumulative(name: &'static str, unit: &'static str) -> Declared {
    Declared { name, kind: Kind::Cumulative, unit }
}

/// A meter whose values are what was added since the value before.
pub const fn delta(name: &'static str, unit: &'static str) -> Declared {
    Declared { name, kind: Kind::Delta, unit }
}

/// A statistic that is always read.
pub const fn read(key: &'static str) -> Wanted {
    Wanted { key, instead_of: &[] }
}

/// A statistic that is read only for guests that lack a value under one of these keys.
pub const fn instead_of(key: &'static str, keys: &'static [&'static str]) -> Wanted {
    Wanted { key, instead_of: keys }
}

/// The position of a meter, for [`Samples::emit`](crate::Samples::emit). As a constant it cannot name a meter that
/// is not there:
///
/// ```
/// # use wasmeter_sdk::*;
/// const METERS: &[Declared] = &[cumulative("cpu", "ns"), gauge("vcpus", "vcpu")];
/// const VCPUS: usize = position(METERS, "vcpus");
/// assert_eq!(VCPUS, 1);
/// ```
///
/// # Panics
///
/// If no meter has this name. In a constant that is an error of the compiler.
#[allow(clippy::panic, clippy::indexing_slicing, reason = "runs in the compiler, which has no iterators")]
#[track_caller]
pub const fn position(meters: &[Declared], name: &str) -> usize {
    let mut at = 0;
    while at < meters.len() {
        if same(meters[at].name, name) {
            return at;
        }
        at += 1;
    }
    panic!("METERS has no meter of this name")
}

/// Whether every name is made of lower-case words joined by dots.
#[allow(clippy::indexing_slicing, reason = "runs in the compiler, which has no iterators")]
pub const fn names_are_plain(meters: &[Declared]) -> bool {
    let mut at = 0;
    while at < meters.len() {
        let name = meters[at].name.as_bytes();
        let (mut byte, mut word) = (0, 0);
        while byte < name.len() {
            match name[byte] {
                b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => word += 1,
                b'.' if word > 0 => word = 0,
                _ => return false,
            }
            byte += 1;
        }
        if word == 0 {
            return false;
        }
        at += 1;
    }
    true
}

/// Whether no name comes twice.
#[allow(clippy::indexing_slicing, reason = "runs in the compiler, which has no iterators")]
pub const fn names_differ(meters: &[Declared]) -> bool {
    let mut at = 0;
    while at < meters.len() {
        let mut before = 0;
        while before < at {
            if same(meters[before].name, meters[at].name) {
                return false;
            }
            before += 1;
        }
        at += 1;
    }
    true
}

#[allow(clippy::indexing_slicing, reason = "runs in the compiler, which has no iterators")]
const fn same(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let mut at = 0;
    while at < left.len() && at < right.len() && left[at] == right[at] {
        at += 1;
    }
    at == left.len() && at == right.len()
}

// === impl Declared ===

impl From<&Declared> for Meter {
    fn from(declared: &Declared) -> Self {
        Self { name: declared.name.into(), kind: declared.kind, unit: declared.unit.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_lower_case_words_joined_by_dots() {
        for (name, plain) in [("cpu", true), ("disk.device.read.bytes", true), ("l3-cache.0_1", true)]
            .into_iter()
            .chain(["", ".", "cpu.", ".cpu", "a..b", "CPU", "a b"].map(|name| (name, false)))
        {
            assert_eq!(names_are_plain(&[gauge(name, "")]), plain, "{name:?}");
        }
    }

    #[test]
    fn a_name_comes_once() {
        assert!(names_differ(&[gauge("a", ""), gauge("b", ""), gauge("ab", "")]));
        assert!(!names_differ(&[gauge("a", ""), gauge("b", ""), cumulative("a", "B")]));
    }
}
