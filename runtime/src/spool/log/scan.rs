//! Finds the records of a segment, whatever happened to it.

use std::io;

use super::counts::Counts;
use super::index::Point;
use super::record::{HEADER_BYTES, Header, magic, salted};
use super::segment::SEGMENT_HEADER;
use super::storage::{StorageFile, read_full};

/// Read at once when only heads matter: a head with some keys, seldom more than that.
const HEADS: usize = 4 << 10;
/// Read at once when all bytes matter.
const ALL: usize = 256 << 10;
/// A disk that fails to read is asked again so often before the bytes count as damaged.
const TRIES: u32 = 3;
/// What cannot be read is skipped in steps of a page.
const PAGE: u64 = 4096;
/// A segment with more unreadable pages than this is given up from there on.
const UNREADABLE_PAGES: u32 = 256;

/// What a segment holds.
#[derive(Debug)]
pub(super) struct Scan {
    /// Its records in the order in which they lie there.
    pub found: Vec<Found>,
    /// Bytes that belong to no whole record.
    pub damaged: u64,
    /// Bytes of the file.
    pub length: u64,
    /// The number after the last record that was joined into this segment from those after it, if these are still
    /// there: they hold nothing that counts, and must not bound what is found here.
    pub reach: Option<u64>,
}

/// A record with a whole header.
#[derive(Debug)]
pub(super) struct Found {
    pub header: Header,
    pub offset: u64,
    /// What it holds and what was taken out of it; `None` if they are damaged.
    pub counts: Option<(Counts, Counts)>,
    /// Whether the payload is there and, if that was asked for, whole.
    pub whole: bool,
}

/// A part of the file in memory.
struct Window<'a, F> {
    file: &'a F,
    bytes: Vec<u8>,
    start: u64,
    chunk: usize,
    unreadable: u32,
}

/// What is known of a segment before its records are looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub salt: u64,
    /// Its first number.
    pub first: u64,
    /// The next segment's first number, if there is one.
    pub end: Option<u64>,
    /// Where the next segment starts, if there is one and its header is whole.
    pub next: Option<Point>,
}

/// Reads a segment's heads, and with `verify` the payloads too. Numbers that do not belong into the segment are
/// left-overs of a write that was given up, and not looked at. Memory is bounded by the window and the heads that are
/// whole.
pub(super) fn scan(file: &impl StorageFile, frame: Frame, verify: bool) -> io::Result<Scan> {
    let Frame { salt, first, end, next } = frame;
    let end = end.unwrap_or(u64::MAX);
    let length = file.length()?;
    let chunk = if verify { ALL } else { HEADS };
    let mut window = Window { file, bytes: Vec::new(), start: 0, chunk, unreadable: 0 };
    let mut scan = Scan { found: Vec::new(), damaged: 0, length, reach: None };
    let mut offset = SEGMENT_HEADER.min(length);
    // Where the last record's head lies, if its length was believed without looking at its payload.
    let mut believed = None;
    while offset < length {
        let Some(header) = window.at(offset, HEADER_BYTES).and_then(|bytes| Header::decode(bytes, salt)) else {
            if let (Some(at), Some(last)) = (believed.take(), scan.found.last_mut())
                && !window.payload_is_whole(at, &last.header, salt)
            {
                last.whole = false;
                offset = at + HEADER_BYTES as u64;
            }
            offset = window.find(&magic(salt), offset, length);
            if window.at(offset, HEADER_BYTES).is_none_or(|bytes| Header::decode(bytes, salt).is_none()) {
                offset = offset.saturating_add(1).min(length);
            }
            continue;
        };
        let ours = header.sequence >= first && header.end() <= end;
        let fits = offset.saturating_add(header.length()) <= length;
        if header.joined && fits && header.sequence >= first && header.end() > end {
            scan.reach = scan.reach.max(Some(header.end()));
        }
        let whole = ours && fits && (!verify || window.payload_is_whole(offset, &header, salt));
        if ours {
            let listed = window.at(offset + HEADER_BYTES as u64, header.counts_length as usize);
            let counts = listed.and_then(|bytes| header.counts(bytes, salt));
            scan.found.push(Found { header, offset, counts, whole });
        }
        believed = (whole && !verify).then_some(offset);
        // A head whose payload is not there may be left over from a longer record that was given up, and newer ones
        // may lie where its payload would be.
        offset += if whole { header.length() } else { HEADER_BYTES as u64 };
    }
    if let (Some(at), Some(last)) = (believed.filter(|_| frame.end.is_none()), scan.found.last_mut()) {
        // The one that was being written when the power went.
        last.whole = window.payload_is_whole(at, &last.header, salt);
    }
    scan.settle_conflicts(next);
    let whole = scan.found.iter().filter(|found| found.whole).map(|found| found.header.length());
    scan.damaged = length.saturating_sub(SEGMENT_HEADER).saturating_sub(whole.sum());
    Ok(scan)
}

// === impl Scan ===

impl Scan {
    /// Leaves out what contradicts a later record: left over from an append that was given up, it came back when
    /// the power went before the record that took its place was durable.
    fn settle_conflicts(&mut self, start: Option<Point>) {
        let mut next = start.map(|start| (start.next, start.samples));
        let mut kept = Vec::with_capacity(self.found.len());
        while let Some(found) = self.found.pop() {
            let header = &found.header;
            let after = header.samples_before.saturating_add(header.samples);
            let fits = match next {
                None => true,
                Some((sequence, samples)) if header.end() == sequence => after == samples,
                // What lies after a whole record may be left over itself, but not the next segment.
                Some(_) if found.whole && !kept.is_empty() => true,
                Some((sequence, samples)) => header.end() <= sequence && after <= samples,
            };
            if fits {
                next = Some((header.sequence, header.samples_before));
                kept.push(found);
            }
        }
        kept.reverse();
        self.found = kept;
    }
}

// === impl Window ===

impl<F: StorageFile> Window<'_, F> {
    /// These bytes, if the file has them and the disk gives them.
    fn at(&mut self, offset: u64, length: usize) -> Option<&[u8]> {
        let held = self.start..self.start + self.bytes.len() as u64;
        if !held.contains(&offset) || offset + length as u64 > held.end {
            self.load(offset, length.max(self.chunk));
        }
        let from = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..from.checked_add(length)?)
    }

    fn load(&mut self, offset: u64, length: usize) {
        self.start = offset;
        self.bytes.resize(length, 0);
        for _ in 0..TRIES {
            if let Ok(read) = read_full(self.file, &mut self.bytes, offset) {
                self.bytes.truncate(read);
                return;
            }
        }
        // One bad page in a large chunk must not take the chunk with it.
        let page = usize::try_from(PAGE - offset % PAGE).unwrap_or(0).min(length);
        self.bytes.truncate(page);
        let read = read_full(self.file, &mut self.bytes, offset);
        self.bytes.truncate(*read.as_ref().unwrap_or(&0));
        self.unreadable += u32::from(read.is_err());
    }

    /// As many of these bytes as are at hand, or can be had at once; none if the disk fails.
    fn some(&mut self, offset: u64, length: u64) -> &[u8] {
        let end = self.start + self.bytes.len() as u64;
        if offset < self.start || offset.saturating_add(length.min(HEADER_BYTES as u64)) > end {
            self.load(offset, ALL);
        }
        let from = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        let rest = self.bytes.get(from..).unwrap_or_default();
        rest.get(..usize::try_from(length).unwrap_or(usize::MAX)).unwrap_or(rest)
    }

    /// Where these bytes come next, or the end.
    fn find(&mut self, magic: &[u8; 4], from: u64, end: u64) -> u64 {
        let mut offset = from;
        while offset + magic.len() as u64 <= end && self.unreadable < UNREADABLE_PAGES {
            let bytes = self.some(offset, end - offset);
            if let Some(position) = bytes.windows(magic.len()).position(|bytes| bytes == magic) {
                return offset + position as u64;
            }
            offset = match bytes.len().checked_sub(magic.len() - 1) {
                // The last bytes may be the first of it.
                Some(looked) if looked > 0 => offset + looked as u64,
                _ => (offset / PAGE + 1) * PAGE,
            };
        }
        end
    }

    fn payload_is_whole(&mut self, offset: u64, header: &Header, salt: u64) -> bool {
        let mut hasher = salted(salt);
        let (mut at, end) = (offset + header.head_length(), offset + header.length());
        while at < end {
            let bytes = self.some(at, end - at);
            if bytes.is_empty() {
                return false;
            }
            hasher.update(bytes);
            at += bytes.len() as u64;
        }
        hasher.finalize() == header.payload_checksum
    }
}
