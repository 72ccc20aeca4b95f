//! A segment: a file of records, named by the number of its first.

use super::index::Point;
use super::record::{LAST_SEQUENCE, Reader, checksum};
use super::storage::{StorageFile, read_full};

/// Bytes before the first record.
pub(super) const SEGMENT_HEADER: u64 = HEADER_LENGTH as u64;
const HEADER_LENGTH: usize = 40;
const MAGIC: &[u8; 8] = b"wmspool1";
const SUFFIX: &str = ".segment";
/// A segment that is being written anew and not yet in its place.
pub(super) const REWRITE: &str = "rewrite.tmp";

/// A segment of the log, without its records.
#[derive(Debug)]
pub(super) struct Segment<F> {
    /// The number of the first record that it may hold; the next segment's is the first that it may not.
    pub first: u64,
    /// What its header says, unless that is damaged.
    pub start: Option<Point>,
    /// Bytes that count: where the next record goes.
    pub length: u64,
    /// Bytes in the file: more than `length` if a half-written record could not be cut off.
    pub allocated: u64,
    /// The time of the first record.
    pub oldest: i64,
    /// The latest time of a record.
    pub newest: i64,
    /// How many passes of thinning it has been through since the spool was opened.
    pub thinned: usize,
    /// The first number of the segment after it, if nothing is gained by joining the two.
    pub apart: Option<u64>,
    /// Records before this number belong to it even if a segment of one of their numbers comes back: they were joined.
    pub joined: u64,
    /// Open if it is the one that is written or read now.
    pub file: Option<F>,
}

// === impl Segment ===

impl<F> Segment<F> {
    /// One of so many bytes, of whose records nothing is known yet.
    pub fn found(first: u64, start: Option<Point>, bytes: u64) -> Self {
        Self {
            first,
            start,
            length: bytes,
            allocated: bytes,
            oldest: i64::MAX,
            newest: i64::MIN,
            thinned: 0,
            apart: None,
            joined: 0,
            file: None,
        }
    }

    /// Widens its times by a record's.
    pub fn note(&mut self, time: i64) {
        self.oldest = self.oldest.min(time);
        self.newest = self.newest.max(time);
    }
}

/// The name of the segment that starts with this record. Names sort like numbers.
pub(super) fn name(first: u64) -> String {
    format!("{first:020}{SUFFIX}")
}

/// The first record of the segment of this name, if it is one's.
pub(super) fn first_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|first| *first < LAST_SEQUENCE)
}

/// What a segment starts with: magic, salt, first record, samples before it, checksum. The samples tell how many there
/// were in the record before, should that be damaged; a start that is not known any more is not guessed.
pub(super) fn header(salt: u64, start: Option<Point>) -> Vec<u8> {
    let Some(start) = start else { return vec![0; HEADER_LENGTH] };
    let mut bytes = MAGIC.to_vec();
    bytes.extend(salt.to_le_bytes());
    bytes.extend(start.next.to_le_bytes());
    bytes.extend(start.samples.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(checksum(salt, &bytes).to_le_bytes());
    bytes
}

/// Where the segment starts, if its header is whole, and of this spool.
pub(super) fn read_start(file: &impl StorageFile, first: u64, salt: u64) -> Option<Point> {
    read_header(file, first).filter(|(found, _)| *found == salt).map(|(_, start)| start)
}

/// The salt and the start in a segment's header, if that is whole and of this segment.
pub(super) fn read_header(file: &impl StorageFile, first: u64) -> Option<(u64, Point)> {
    let mut bytes = header(0, None);
    let read = read_full(file, &mut bytes, 0).ok()?;
    let mut reader = Reader(bytes.get(..read)?.strip_prefix(MAGIC)?);
    let salt = reader.u64()?;
    let start = Point { next: reader.u64()?, samples: reader.u64()? };
    (start.next == first && bytes == header(salt, Some(start))).then_some((salt, start))
}
