//! What grants may be, wherever they are written: in files of the operator's, in orders, in the store.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::ByteSize;
use crate::hypervisor::Groups;
use crate::sandbox::host::http::limits::{BODY_CEILING, DEADLINE_CEILING};

/// Beginnings of names, and groups.
pub const MOST_NAMES: usize = 100;
/// Origins of a secret.
pub const MOST_ORIGINS: usize = 16;
/// Seconds from slot to slot: a second to a day.
pub const INTERVAL: RangeInclusive<u64> = 1..=86_400;
/// The longest body of an answer.
pub const BODY: RangeInclusive<ByteSize> = ByteSize::new(1 << 10)..=ByteSize::new(BODY_CEILING as u64);
/// What all requests of a call may take together.
pub const TIME: RangeInclusive<Duration> = Duration::from_millis(10)..=DEADLINE_CEILING;
/// Requests in a minute.
pub const PER_MINUTE: RangeInclusive<u64> = 1..=6_000;

/// What beginnings of names are.
pub const BEGINNINGS: &str = "whole words with a point behind, of letters, digits, _ and -, such as `acme.`";

/// Whether a text is a beginning of names: whole words as meters have them, each with a point behind. `ac` would grant names of `acme.` too,
/// and a text without words every name there is.
pub fn is_beginning(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(is_plain);
    text.strip_suffix('.').is_some_and(|words| words.split('.').all(is_word))
}

/// Whether a text is a group of statistics.
pub fn is_group(text: &str) -> bool {
    Groups::keys().any(|known| known == text)
}

/// All groups, as words.
pub fn groups() -> String {
    Groups::keys().collect::<Vec<_>>().join(", ")
}
