//! Writing a segment anew, without records that were dropped.

use super::super::index::{Entry, Place, State};
use super::super::record::{Header, encode};
use super::super::segment::{REWRITE, SEGMENT_HEADER, header, name};
use super::super::storage::{StorageFile, write_full};
use super::read::Fetched;
use super::*;

/// Where a record is in the new file, or why it is not.
type Moved = Vec<(u64, State)>;

impl<S: Storage> Store<S> {
    /// Writes a segment anew without the payloads of these records, and puts it in the old one's place in one step.
    /// Nothing changes if that fails.
    pub(super) fn rewrite(&mut self, first: u64, dropping: &[u64], cause: Cause) -> Result<(), Error> {
        let Some(position) = self.segments.iter().position(|segment| segment.first == first) else { return Ok(()) };
        let end = self.segments.get(position + 1).map_or(self.next.next, |next| next.first);
        let last = position + 1 == self.segments.len();
        let start = self.segments.get(position).and_then(|segment| segment.start);
        let entries: Vec<Entry> = self.index.between(first, end).cloned().collect();

        let file = self.storage.create(REWRITE).map_err(Error::io(Step::Rewrite))?;
        let copied = self.copy(&file, first, start, &entries, dropping, cause);
        let (length, moved) = match copied {
            Ok(copied) => copied,
            Err(error) => {
                // A full disk is not left fuller; if it stays, the next attempt or the next start removes it.
                let _ = self.storage.remove(REWRITE);
                return Err(error);
            }
        };
        self.storage.rename(REWRITE, &name(first)).map_err(Error::io(Step::Rewrite))?;
        self.names = true;
        self.reading = None;
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
        for (sequence, state) in moved {
            let before = self.index.entry_mut(sequence).map(|entry| std::mem::replace(&mut entry.state, state));
            if let (Some(State::Held(_)), State::Lost(cause)) = (before, state) {
                self.tell(sequence, cause);
            }
        }
        // The new file is durable; under which name is not known before this.
        self.storage.sync().map_err(Error::io(Step::Sync))?;
        self.names = false;
        Ok(())
    }

    fn copy(
        &mut self,
        file: &S::File,
        first: u64,
        start: Option<Point>,
        entries: &[Entry],
        dropping: &[u64],
        cause: Cause,
    ) -> Result<(u64, Moved), Error> {
        let write = |bytes: &[u8], offset| write_full(file, bytes, offset).map_err(Error::io(Step::Rewrite));
        write(&header(self.salt, start), 0)?;
        let (mut offset, mut moved) = (SEGMENT_HEADER, Vec::new());
        for entry in entries.iter().filter(|entry| entry.first >= first && entry.end == entry.first + 1) {
            let lost = match entry.state {
                State::Lost(cause) => Some(cause),
                State::Held(_) => dropping.contains(&entry.first).then_some(cause),
            };
            let payload = match (lost, entry.held()) {
                (None, Some(place)) => match self.fetch(entry.first, place)? {
                    Fetched::Whole(raw) => Ok(raw.into_payload()),
                    Fetched::Damaged => Err(Cause::Damaged),
                },
                (lost, _) => Err(lost.unwrap_or(Cause::Damaged)),
            };
            let head = Header::new(entry.first, entry.time, entry.samples_before);
            let head = Header { dropped: payload.as_ref().err().copied(), ..head };
            let (head, bytes) = encode(head, &entry.counts, payload.as_deref().unwrap_or_default(), self.salt);
            write(&bytes, offset)?;
            let state = match payload {
                Err(cause) => State::Lost(cause),
                Ok(_) => State::Held(Place {
                    segment: first,
                    offset,
                    head: head.head_length(),
                    payload: u64::from(head.payload_length),
                }),
            };
            moved.push((entry.first, state));
            offset += bytes.len() as u64;
        }
        file.sync().map_err(Error::io(Step::Rewrite))?;
        Ok((offset, moved))
    }
}
