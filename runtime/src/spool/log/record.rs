//! A record on disk: a header with a checksum of its own, the counts with theirs, the payload with its.
//!
//! Three checksums, because each part is of use without the next: with a whole header the payload's end is known,
//! with the counts what is lost when only the payload is damaged. All of them start from a number that is drawn for
//! each spool, so that a payload cannot contain what would pass for a record.

use crc32fast::Hasher;

use super::account::Cause;
use super::counts::{COUNTS_BYTES, Counts};

/// Bytes of a header before the counts.
pub(super) const HEADER_BYTES: usize = 64;
/// Mixed with the spool's own number: see the module.
const MAGIC: u32 = 0x5753_50D1;
/// No spool gets here, but a damaged header might.
pub(super) const LAST_SEQUENCE: u64 = 1 << 62;

/// A record's number. Numbers rise by one from 1 and are never used twice for what was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

/// A record as it was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number.
    pub sequence: Sequence,
    /// When it was appended, in nanoseconds since 1970.
    pub time: i64,
    /// What it holds. Of a record whose counts were damaged, but not its payload, only the number is known.
    pub counts: Counts,
    /// The caller's bytes.
    pub payload: Vec<u8>,
}

/// The head of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Set if only the head is left, because the record was dropped.
    pub dropped: Option<Cause>,
    /// Whether a second list of counts says what was taken out of it.
    pub thinned: bool,
    /// Whether its segment was joined with those after it up to this one: then it belongs there even if one of these
    /// is found, too, and is not left over from a write that was given up.
    pub joined: bool,
    pub sequence: u64,
    pub time: i64,
    /// Samples in all records before this one: what a damaged record held is the difference of its neighbours.
    pub samples_before: u64,
    /// Samples of both lists.
    pub samples: u64,
    pub counts_length: u32,
    pub payload_length: u32,
    pub counts_checksum: u32,
    pub payload_checksum: u32,
    /// How many records after it are lost like it and have no head of their own. They hold nothing.
    pub more: u32,
}

/// Reads numbers off a slice; `None` past its end.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub &'a [u8]);

// === impl Header ===

impl Header {
    /// A record's that is yet to be encoded.
    pub fn new(sequence: u64, time: i64, samples_before: u64) -> Self {
        Self {
            dropped: None,
            thinned: false,
            joined: false,
            sequence,
            time,
            samples_before,
            samples: 0,
            counts_length: 0,
            payload_length: 0,
            counts_checksum: 0,
            payload_checksum: 0,
            more: 0,
        }
    }

    pub fn encode(&self, salt: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend(magic(salt));
        bytes.extend([self.dropped.map_or(0, Cause::code), u8::from(self.thinned), u8::from(self.joined), 0]);
        bytes.extend(self.sequence.to_le_bytes());
        bytes.extend(self.time.to_le_bytes());
        bytes.extend(self.samples_before.to_le_bytes());
        bytes.extend(self.samples.to_le_bytes());
        bytes.extend(self.counts_length.to_le_bytes());
        bytes.extend(self.payload_length.to_le_bytes());
        bytes.extend(self.counts_checksum.to_le_bytes());
        bytes.extend(self.payload_checksum.to_le_bytes());
        bytes.extend(self.more.to_le_bytes());
        bytes.extend(checksum(salt, &bytes).to_le_bytes());
        bytes
    }

    /// The header at the start of these bytes, if it is whole.
    pub fn decode(bytes: &[u8], salt: u64) -> Option<Self> {
        let (checked, stored) = bytes.get(..HEADER_BYTES)?.split_at_checked(HEADER_BYTES - 4)?;
        if !checked.starts_with(&magic(salt)) || checksum(salt, checked) != Reader(stored).u32()? {
            return None;
        }
        let header = Self::from_raw(checked)?;
        let run = header.more == 0 || (header.dropped.is_some() && header.samples == 0);
        let plausible = header.counts_length as usize <= 2 * COUNTS_BYTES && header.end() <= LAST_SEQUENCE;
        (plausible && run).then_some(header)
    }

    /// What these bytes say, whole or not.
    pub fn from_raw(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes.get(4..)?);
        let kind = reader.u8()?;
        let dropped = if kind == 0 { None } else { Some(Cause::from_code(kind)?) };
        let thinned = reader.u8()? != 0;
        let joined = reader.u8()? != 0;
        reader.take(1)?;
        Some(Self {
            dropped,
            thinned,
            joined,
            sequence: reader.u64()?,
            time: reader.i64()?,
            samples_before: reader.u64()?,
            samples: reader.u64()?,
            counts_length: reader.u32()?,
            payload_length: reader.u32()?,
            counts_checksum: reader.u32()?,
            payload_checksum: reader.u32()?,
            more: reader.u32()?,
        })
    }

    fn checked(self, listed: &[u8], payload: &[u8], salt: u64) -> Self {
        let (counts_checksum, payload_checksum) = (checksum(salt, listed), checksum(salt, payload));
        Self { counts_checksum, payload_checksum, ..self }
    }

    fn followed_by(&self, listed: &[u8], payload: &[u8], salt: u64) -> Vec<u8> {
        let mut bytes = self.encode(salt);
        bytes.reserve(listed.len() + payload.len());
        bytes.extend(listed);
        bytes.extend(payload);
        bytes
    }

    /// The number after it and those that are lost like it.
    pub fn end(&self) -> u64 {
        self.sequence.saturating_add(1).saturating_add(u64::from(self.more))
    }

    /// Bytes before the payload.
    pub fn head_length(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.counts_length)
    }

    /// Bytes of the whole record.
    pub fn length(&self) -> u64 {
        self.head_length() + u64::from(self.payload_length)
    }

    /// What it holds and what was taken out of it, from the bytes of both lists, if these are whole.
    pub fn counts(&self, bytes: &[u8], salt: u64) -> Option<(Counts, Counts)> {
        if checksum(salt, bytes) != self.counts_checksum {
            return None;
        }
        let reader = &mut Reader(bytes);
        let counts = Counts::decode(reader)?;
        let thinned = if self.thinned { Counts::decode(reader)? } else { Counts::new() };
        (counts.samples().saturating_add(thinned.samples()) == self.samples).then_some((counts, thinned))
    }
}

// === impl Reader ===

impl<'a> Reader<'a> {
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }
}

/// What a header starts with.
pub(super) fn magic(salt: u64) -> [u8; 4] {
    let [a, b, c, d, ..] = salt.to_le_bytes();
    (MAGIC ^ u32::from_le_bytes([a, b, c, d])).to_le_bytes()
}

/// The checksum of these bytes in this spool.
pub(super) fn checksum(salt: u64, bytes: &[u8]) -> u32 {
    let mut hasher = salted(salt);
    hasher.update(bytes);
    hasher.finalize()
}

/// For a checksum in pieces.
pub(super) fn salted(salt: u64) -> Hasher {
    let mut hasher = Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher
}

/// A whole record, ready to be written: what it holds, and what was taken out of it.
pub(super) fn encode(
    header: Header,
    counts: &Counts,
    thinned: &Counts,
    payload: &[u8],
    salt: u64,
) -> (Header, Vec<u8>) {
    let mut listed = Vec::new();
    counts.encode(&mut listed);
    if !thinned.is_empty() {
        thinned.encode(&mut listed);
    }
    let header = Header {
        thinned: !thinned.is_empty(),
        samples: counts.samples().saturating_add(thinned.samples()),
        counts_length: u32::try_from(listed.len()).unwrap_or(u32::MAX),
        payload_length: u32::try_from(payload.len()).unwrap_or(u32::MAX),
        ..header
    };
    let header = header.checked(&listed, payload, salt);
    (header, header.followed_by(&listed, payload, salt))
}

/// A record of any header, whatever that says, with checksums that are right.
pub(super) fn encode_raw(header: Header, listed: &[u8], payload: &[u8], salt: u64) -> Vec<u8> {
    header.checked(listed, payload, salt).followed_by(listed, payload, salt)
}

impl std::fmt::Display for Sequence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
