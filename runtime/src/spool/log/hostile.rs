//! Folders that somebody else has filled: what a fuzzer calls.
//!
//! Checksums keep nearly all of what a fuzzer makes up from being looked at, so it may have them put right.

use std::time::Duration;

use super::counts::{Counts, Key};
use super::ledger::sealed;
use super::limits::{Limits, SyncPolicy};
use super::look::Look;
use super::record::{HEADER_BYTES, Header, Reader, Record, Sequence, encode_raw};
use super::segment::{header, name};
use super::storage::Memory;
use super::store::{Start, Store};
use super::thin::{Thin, Thinned};

/// The salt of everything whose checksums are put right.
const SALT: u64 = 0x5EED;
const LIMITS: Limits =
    Limits { bytes: 64 << 10, age: Duration::from_secs(1 << 20), segment_bytes: 4 << 10, sync: SyncPolicy::OnSync };

/// Fills a folder with what these bytes describe, and works with it.
///
/// A byte says what comes, two how long it is: a segment or a ledger as it is, a ledger whose checksum is put right,
/// or a segment whose records are: of each the first 60 bytes of its header as they are, then counts and payload, of
/// the lengths that the header says, as far as there is that much.
pub fn fuzz(bytes: &[u8]) {
    let folder = Memory::default();
    let mut reader = Reader(bytes);
    while let Some(()) = fill(&folder, &mut reader) {}
    work_with(&folder);
}

fn fill(folder: &Memory, reader: &mut Reader<'_>) -> Option<()> {
    let (kind, low, high) = (reader.u8()?, reader.u8()?, reader.u8()?);
    let length = usize::from(u16::from_le_bytes([low, high])).min(reader.0.len());
    let bytes = reader.take(length)?;
    let ledger = if kind & 4 == 0 { "ledger.0" } else { "ledger.1" };
    match kind % 4 {
        0 => folder.put(&name(u64::from(kind >> 3)), bytes.to_vec()),
        1 => folder.put(ledger, bytes.to_vec()),
        2 => {
            let mut books = SALT.to_le_bytes().to_vec();
            books.extend(bytes);
            folder.put(ledger, sealed(u64::from(kind >> 3), &books));
        }
        _ => {
            let (first, segment) = segment(bytes)?;
            folder.put(&name(first), segment);
        }
    }
    Some(())
}

fn segment(bytes: &[u8]) -> Option<(u64, Vec<u8>)> {
    let mut reader = Reader(bytes);
    let start = super::index::Point { next: reader.u64()?, samples: reader.u64()? };
    let mut segment = header(SALT, Some(start));
    while let Some(raw) = reader.take(HEADER_BYTES - 4) {
        let head = Header::from_raw(raw)?;
        let mut take = |length: u32| {
            let length = usize::try_from(length).unwrap_or(usize::MAX).min(reader.0.len());
            reader.take(length).unwrap_or_default()
        };
        let listed = take(head.counts_length);
        let payload = take(head.payload_length);
        segment.extend(encode_raw(head, listed, payload, SALT));
    }
    Some((start.next, segment))
}

/// Opens, looks at, reads, writes and opens once more.
pub fn work_with(folder: &Memory) {
    let heads = |look: &Look<Memory>| look.heads().count() + look.records(Sequence(0)).flatten().count();
    let _ = Look::at(folder).map(|look| (heads(&look), look.accounts()));
    for now in [0, 1 << 40] {
        let Ok((mut store, _)) = Store::open_on(folder.clone(), LIMITS, now) else { return };
        store.set_thin(LastOnly);
        let _ = store.add_cursor("fuzz", Start::Beginning);
        let cursors: Vec<String> = store.accounts().into_iter().map(|account| account.cursor).take(8).collect();
        let counts: Counts = Key::new("fuzz").into_iter().map(|key| (key, 1)).collect();
        for round in 0..24 {
            let _ = store.append(&[round; 4000], counts.clone(), now);
            let _ = store.sync();
            for cursor in &cursors {
                while let Ok(Some(record)) = store.next(cursor) {
                    if record.sequence.0 % 3 == 0 {
                        let _ = store.acknowledge(cursor, record.sequence);
                    }
                }
                let _ = store.account(cursor).map(|account| account.balances());
            }
            let _ = store.settle(now);
        }
        let _ = (store.take_dropped(), store.oldest(), store.bytes());
        let _ = Look::at(folder).map(|look| (heads(&look), look.accounts()));
    }
}

/// Keeps the last record of each segment.
struct LastOnly;

impl Thin for LastOnly {
    fn may_thin(&self, _: usize, _: &Counts, _: &Counts) -> bool {
        true
    }

    fn passes(&self) -> usize {
        1
    }

    fn thin(&mut self, _: usize, records: &[Record], _: &Counts) -> Option<Thinned> {
        records.last().map(|last| Thinned { counts: last.counts.clone(), payload: last.payload.clone() })
    }
}
