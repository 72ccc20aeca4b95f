//! What a record holds, in numbers that can be read without its payload.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::sync::Arc;

use super::record::Reader;

/// A record's header is read before its payload is known to be whole, so what it may hold is bounded.
pub const KEYS: usize = 4096;
/// Longest key in bytes; its length is one byte on disk.
pub const KEY_BYTES: usize = 255;
/// Longest list of counts in bytes on disk.
pub(super) const COUNTS_BYTES: usize = 12 + KEYS * (1 + KEY_BYTES + 8);

/// What is counted: a meter, a class of samples, a tenant's share of one. One to 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

/// A text that is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a key has 1 to 255 bytes")]
pub struct InvalidKey;

/// Numbers of samples by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    by_key: BTreeMap<Key, u64>,
    unread: u64,
}

// === impl Key ===

impl Key {
    /// This text as a key.
    pub fn new(text: &str) -> Result<Self, InvalidKey> {
        if text.is_empty() || text.len() > KEY_BYTES { Err(InvalidKey) } else { Ok(Self(text.into())) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

// === impl Counts ===

impl Counts {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Samples whose keys were damaged: only their number is known.
    pub fn unknown(number: u64) -> Self {
        Self { by_key: BTreeMap::new(), unread: number }
    }

    /// Counts so many more of a key.
    pub fn add(&mut self, key: Key, number: u64) {
        if number > 0 {
            let count = self.by_key.entry(key).or_default();
            *count = count.saturating_add(number);
        }
    }

    /// Counts all of another list.
    pub fn add_all(&mut self, other: &Self) {
        for (key, number) in &other.by_key {
            match self.by_key.get_mut(key) {
                Some(count) => *count = count.saturating_add(*number),
                None => self.add(key.clone(), *number),
            }
        }
        self.unread = self.unread.saturating_add(other.unread);
    }

    /// What is left of it without another list that is part of it.
    pub(super) fn minus(&self, part: &Self) -> Self {
        let mut rest = Self::unknown(self.unread.saturating_sub(part.unread));
        for (key, number) in &self.by_key {
            rest.add(key.clone(), number.saturating_sub(part.of(key.as_str())));
        }
        rest
    }

    /// As much of it as there is in another list.
    pub(super) fn within(&self, whole: &Self) -> Self {
        let mut part = Self::unknown(self.unread.min(whole.unread));
        for (key, number) in &self.by_key {
            part.add(key.clone(), whole.of(key.as_str()).min(*number));
        }
        part
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty() && self.unread == 0
    }

    /// Whether there is at least as much of every key.
    pub(super) fn contains(&self, part: &Self) -> bool {
        part.unread <= self.unread && part.by_key.iter().all(|(key, number)| *number <= self.of(key.as_str()))
    }

    /// The number counted for a key.
    pub fn of(&self, key: &str) -> u64 {
        self.by_key.get(key).copied().unwrap_or_default()
    }

    /// All keys with their numbers, in order.
    pub fn iter(&self) -> btree_map::Iter<'_, Key, u64> {
        self.by_key.iter()
    }

    /// Samples whose keys could not be read.
    pub fn unread(&self) -> u64 {
        self.unread
    }

    /// Samples in all.
    pub fn samples(&self) -> u64 {
        self.by_key.values().fold(self.unread, |sum, number| sum.saturating_add(*number))
    }

    /// How many keys.
    pub fn keys(&self) -> usize {
        self.by_key.len()
    }

    /// Appends their form on disk: how many, then length, key and number of each, then the number without keys.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend(u32::try_from(self.by_key.len()).unwrap_or(u32::MAX).to_le_bytes());
        for (key, number) in &self.by_key {
            bytes.push(u8::try_from(key.0.len()).unwrap_or(u8::MAX));
            bytes.extend(key.0.as_bytes());
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(self.unread.to_le_bytes());
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let mut counts = Self::new();
        for _ in 0..reader.u32()? {
            let length = usize::from(reader.u8()?);
            let key = std::str::from_utf8(reader.take(length)?).ok()?;
            counts.add(Key::new(key).ok()?, reader.u64()?);
        }
        counts.unread = reader.u64()?;
        Some(counts)
    }
}

impl FromIterator<(Key, u64)> for Counts {
    fn from_iter<I: IntoIterator<Item = (Key, u64)>>(pairs: I) -> Self {
        let mut counts = Self::new();
        for (key, number) in pairs {
            counts.add(key, number);
        }
        counts
    }
}
