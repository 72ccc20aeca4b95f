//! Writing a segment anew: without records that are lost, or with less of them.

use super::super::index::{Entry, Place, State};
use super::super::record::{Header, encode};
use super::super::segment::{REWRITE, SEGMENT_HEADER, header, name};
use super::super::storage::{StorageFile, write_full};
use super::read::Fetched;
use super::*;

/// What a segment is to hold.
pub(super) struct Plan {
    /// All records and runs of it. Runs that are damaged have no form on disk, and none of their own is needed.
    pub entries: Vec<Entry>,
    /// The number of a record with another payload than before, and that payload.
    pub payload: Option<(u64, Vec<u8>)>,
}

impl<S: Storage> Store<S> {
    /// Writes a segment anew as it is planned, and puts it in the old one's place in one step. Nothing changes if that
    /// fails. The new file is durable; under which name, only after [`Store::sync_names`].
    pub(super) fn rewrite(&mut self, first: u64, plan: Plan) -> Result<(), Error> {
        let Some(position) = self.segments.iter().position(|segment| segment.first == first) else { return Ok(()) };
        let last = position + 1 == self.segments.len();
        let (start, joined) = self.segments.get(position).map_or((None, 0), |segment| (segment.start, segment.joined));

        let (file, length, entries) = match self.written_anew(first, (start, joined), &plan) {
            Err(error) if error.is_full() && self.use_reserve() => self.written_anew(first, (start, joined), &plan)?,
            written => written?,
        };
        self.storage.rename(REWRITE, &name(first)).map_err(Error::io(Step::Rewrite))?;
        self.names = true;
        self.renamed = true;
        self.reading = None;
        // Out of what the old one took, before anybody else has it.
        self.keep_reserve();
        for segment in self.segments.range_mut(position.saturating_sub(1)..=position) {
            // It has got smaller: joined with its neighbours it may be, too.
            segment.apart = None;
        }
        if let Some(segment) = self.segments.get_mut(position) {
            segment.length = length;
            segment.allocated = length;
            segment.file = last.then_some(file);
        }
        if last {
            self.appendable = true;
            self.torn = false;
        }
        if self.suspect == Some(first) {
            self.suspect = None;
        }
        let damaged = entries.iter().filter(|entry| entry.state == State::Lost(Cause::Damaged));
        let before = |entry: &Entry| self.index.from(entry.first).next().and_then(Entry::held);
        let damaged: Vec<u64> = damaged.filter(|entry| before(entry).is_some()).map(|entry| entry.first).collect();
        self.index.replace(entries);
        damaged.into_iter().for_each(|sequence| self.tell(sequence, Cause::Damaged));
        Ok(())
    }

    /// The new file, how long it is, and its records with where they are.
    fn written_anew(
        &mut self,
        first: u64,
        frame: (Option<Point>, u64),
        plan: &Plan,
    ) -> Result<(S::File, u64, Vec<Entry>), Error> {
        let file = self.storage.create(REWRITE).map_err(Error::io(Step::Rewrite))?;
        match self.copy(&file, first, frame, plan) {
            Ok((length, entries)) => Ok((file, length, entries)),
            Err(error) => {
                // A full disk is not left fuller; if it stays, the next attempt or the next start removes it.
                let _ = self.storage.remove(REWRITE);
                Err(error)
            }
        }
    }

    /// Writes the records to the new file, and says where they are.
    fn copy(
        &mut self,
        file: &S::File,
        first: u64,
        (start, joined): (Option<Point>, u64),
        plan: &Plan,
    ) -> Result<(u64, Vec<Entry>), Error> {
        let write = |bytes: &[u8], offset| write_full(file, bytes, offset).map_err(Error::io(Step::Rewrite));
        write(&header(self.salt, start), 0)?;
        let (mut entries, mut other) = (plan.entries.clone(), plan.payload.clone());
        let mut offset = SEGMENT_HEADER;
        for entry in entries.iter_mut().filter(|entry| entry.is_record_of(first)) {
            let payload = match entry.state {
                State::Lost(cause) => Err(cause),
                State::Held(place) => match other.take_if(|(sequence, _)| *sequence == entry.first) {
                    Some((_, payload)) => Ok(payload),
                    None => match self.fetch(entry.first, place)? {
                        Fetched::Whole(raw) => Ok(raw.into_payload()),
                        Fetched::Damaged => Err(Cause::Damaged),
                    },
                },
            };
            let head = Header::new(entry.first, entry.time, entry.samples_before);
            let more = u32::try_from(entry.end.saturating_sub(entry.first).saturating_sub(1)).unwrap_or(u32::MAX);
            let dropped = payload.as_ref().err().copied();
            let head = Header { dropped, joined: entry.end <= joined, more, ..head };
            let payload_bytes = payload.as_deref().unwrap_or_default();
            let (head, bytes) = encode(head, &entry.counts, &entry.thinned, payload_bytes, self.salt);
            write(&bytes, offset)?;
            entry.state = match payload {
                Err(cause) => State::Lost(cause),
                Ok(_) => State::Held(Place {
                    segment: first,
                    offset,
                    head: head.head_length(),
                    payload: u64::from(head.payload_length),
                }),
            };
            offset += bytes.len() as u64;
        }
        file.sync().map_err(Error::io(Step::Rewrite))?;
        Ok((offset, entries))
    }
}

// === impl Entry ===

impl Entry {
    /// Whether it has a head in the segment that starts here: of runs, only those that other records stand for, and a
    /// run may begin before it.
    pub(super) fn is_record_of(&self, segment: u64) -> bool {
        let single = self.first.checked_add(1) == Some(self.end);
        self.first >= segment && (single || self.state == State::Lost(Cause::Thinned))
    }
}
