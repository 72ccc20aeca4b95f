//! How much the spool keeps, and how hard it holds on to it.

use std::time::Duration;

/// Below this a segment holds hardly more than its own header.
const SMALLEST_SEGMENT: u64 = 512;
/// The oldest segment is what goes first, so that one is never more than this part of the whole, unless a single record
/// is.
const SEGMENTS_AT_LEAST: u64 = 4;

/// Bounds of a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all segments together. The ledger's two small files are not counted, nor the one that is being written
    /// in the place of others, at most a quarter.
    pub bytes: u64,
    /// Records older than this are dropped, by whole segments.
    pub age: Duration,
    /// A segment that reached this size is followed by a new one; at most a quarter of `bytes`.
    pub segment_bytes: u64,
    /// When records become durable.
    pub sync: SyncPolicy,
}

/// When records become durable, and with that visible to cursors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SyncPolicy {
    /// When the caller says so: once a slot.
    #[default]
    OnSync,
    /// With each record.
    EachRecord,
    /// After so many records, and when the caller says so.
    Every(u32),
    /// When the kernel likes. Records survive the daemon's end but not the machine's: what is missing then counts as
    /// damaged, and where a write that had failed has come back instead, books balance in samples but not by key.
    Never,
}

// === impl Limits ===

impl Limits {
    /// The size at which a segment is followed by the next.
    pub(super) fn segment(&self) -> u64 {
        self.segment_bytes.min(self.largest_segment()).max(SMALLEST_SEGMENT)
    }

    /// The size beyond which no two segments are joined.
    pub(super) fn largest_segment(&self) -> u64 {
        self.bytes / SEGMENTS_AT_LEAST
    }

    /// The age in nanoseconds.
    pub(super) fn age_nanos(&self) -> i64 {
        i64::try_from(self.age.as_nanos()).unwrap_or(i64::MAX)
    }
}
