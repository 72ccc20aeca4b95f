//! Making less of what waits.

use super::super::account::Total;
use super::super::counts::KEYS;
use super::super::index::{Entry, State};
use super::super::record::{Header, Record, encode};
use super::super::segment::SEGMENT_HEADER;
use super::super::thin::Thinned;
use super::read::Fetched;
use super::rewrite::Plan;
use super::*;

impl<S: Storage> Store<S> {
    /// Makes less of one more segment; false if there is none left of which less can be made, or the disk fails: it
    /// may still be able to remove one.
    pub(super) fn thin_next(&mut self) -> bool {
        for pass in 0..self.thin.passes() {
            while let Some(first) = self.next_to_thin(pass) {
                match self.thin_segment(first, pass) {
                    Ok(true) => return true,
                    Ok(false) => {}
                    Err(_) => return false,
                }
                if let Some(segment) = self.segments.iter_mut().find(|segment| segment.first == first) {
                    segment.thinned = pass + 1;
                }
            }
        }
        false
    }

    /// The oldest segment that has not been through this pass, is not being written, and of which nothing is under way.
    fn next_to_thin(&self, pass: usize) -> Option<u64> {
        let ends = self.segments.iter().skip(1).map(|next| next.first);
        let mut segments = self.segments.iter().zip(ends).filter(|(segment, _)| segment.thinned <= pass);
        segments.find(|(segment, end)| self.is_at_rest(segment.first, *end)).map(|(segment, _)| segment.first)
    }

    /// Whether every cursor has acknowledged all of it, or was given nothing of it yet.
    pub(super) fn is_at_rest(&self, first: u64, end: u64) -> bool {
        let held = self.index.between(first, end).find(|entry| entry.held().is_some());
        held.map(|entry| entry.first).is_some_and(|held| {
            let mut cursors = self.cursors.iter();
            cursors.all(|reading| reading.head <= held || reading.cursor.position.next >= end)
        })
    }

    /// Has the rule make less of a segment; false if nothing is gained.
    fn thin_segment(&mut self, first: u64, pass: usize) -> Result<bool, Error> {
        let Some(position) = self.segments.iter().position(|segment| segment.first == first) else { return Ok(false) };
        let Some(end) = self.segments.get(position + 1).map(|next| next.first) else { return Ok(false) };
        let before = self.segments.get(position).map_or(0, |segment| segment.allocated);

        let (waiting, mut segment) = (self.waiting(), Counts::new());
        self.index
            .between(first, end)
            .filter(|entry| entry.held().is_some())
            .for_each(|entry| segment.add_all(&entry.counts));
        if !self.thin.may_thin(pass, &segment, &waiting) {
            return Ok(false);
        }
        let records = self.records(first, end)?;
        let Some(thinned) = self.thin.thin(pass, &records, &waiting) else { return Ok(false) };
        let entries: Vec<Entry> = self.index.between(first, end).cloned().collect();
        let Some((plan, lost)) = plan(entries, thinned) else { return Ok(false) };
        if self.length_of(first, &plan) >= before {
            return Ok(false);
        }
        self.put_in_place(first, plan, &lost)?;
        // Thinned, even if it is not known yet whether that is durable.
        let _ = self.sync_names();
        Ok(true)
    }

    pub(super) fn put_in_place(&mut self, first: u64, plan: Plan, lost: &Lost) -> Result<(), Error> {
        // Positions first, in both files: what was acknowledged is not given once more as part of another record, not
        // even if one of the files is lost.
        self.write_books(true)?;
        self.rewrite(first, plan)?;
        self.tell_thinned(lost);
        Ok(())
    }

    /// All records of these numbers that are there.
    pub(super) fn records(&mut self, first: u64, end: u64) -> Result<Vec<Record>, Error> {
        let held = self.index.between(first, end).filter_map(|entry| Some((entry.first, entry.held()?)));
        let mut records = Vec::new();
        for (sequence, place) in held.collect::<Vec<_>>() {
            match self.fetch(sequence, place)? {
                Fetched::Damaged => self.lose(sequence),
                Fetched::Whole(raw) => records.extend(self.record(sequence, raw.into_payload())),
            }
        }
        Ok(records)
    }

    /// What somebody has not acknowledged yet.
    pub(super) fn waiting(&self) -> Counts {
        let least = self.cursors.iter().map(|reading| reading.cursor.position.next).min();
        let mut waiting = Counts::new();
        for entry in self.index.from(least.unwrap_or(self.floor.next)).filter(|entry| entry.held().is_some()) {
            waiting.add_all(&entry.counts);
        }
        waiting
    }

    /// Bytes of a segment like this, in which one record at most is held.
    pub(super) fn length_of(&self, first: u64, plan: &Plan) -> u64 {
        let payload = plan.payload.as_ref().map(|(_, payload)| payload.len() as u64).unwrap_or_default();
        let records = plan.entries.iter().filter(|entry| entry.is_record_of(first));
        let heads = records.map(|entry| {
            let head = Header::new(entry.first, entry.time, entry.samples_before);
            encode(head, &entry.counts, &entry.thinned, &[], self.salt).0.head_length()
        });
        heads.fold(SEGMENT_HEADER.saturating_add(payload), u64::saturating_add)
    }

    /// Tells everybody who waits for these records what they will not get of them.
    fn tell_thinned(&mut self, lost: &Lost) {
        let waiting = self.cursors.iter().filter(|reading| reading.cursor.position.next <= lost.first.0);
        let mut names: Vec<_> = waiting.map(|reading| Some(reading.cursor.name.clone())).collect();
        if self.cursors.is_empty() {
            names.push(None);
        }
        let Lost { first, last, total } = lost;
        self.dropped.extend(names.into_iter().map(|cursor| Dropped {
            cursor,
            cause: Cause::Thinned,
            first: *first,
            last: *last,
            total: total.clone(),
        }));
    }
}

/// What goes when less is made of segments.
pub(super) struct Lost {
    first: Sequence,
    last: Sequence,
    total: Total,
}

/// The segment, or two joined, as it will be. All that its records held is booked with the last of them, as held or as
/// taken out; the others hold nothing any more. `None` if the rule answered with more than there was.
pub(super) fn plan(mut entries: Vec<Entry>, thinned: Thinned) -> Option<(Plan, Lost)> {
    let Thinned { counts, payload } = thinned;
    let is_held = |entry: &Entry| entry.held().is_some();
    let from = entries.iter().position(is_held)?;
    let to = entries.iter().rposition(is_held)?;
    let (mut held, mut taken, mut records) = (Counts::new(), Counts::new(), 0);
    for entry in entries.iter().filter(|entry| is_held(entry)) {
        held.add_all(&entry.counts);
        taken.add_all(&entry.thinned);
        records += 1;
    }
    let lost = held.minus(&counts);
    taken.add_all(&lost);
    if !held.contains(&counts) || counts.keys() > KEYS || taken.keys() > KEYS {
        return None;
    }
    let (first, kept, after) = (entries.get(from)?.first, entries.get(to)?.first, entries.get(to)?.samples_after());
    let last = entries.iter().take(to).rfind(|entry| is_held(entry)).map_or(kept, |entry| entry.first);

    let mut samples = entries.get(from)?.samples_before;
    for entry in entries.iter_mut().take(to + 1).skip(from) {
        entry.samples_before = samples;
        if entry.first == kept {
            entry.counts = counts.clone();
            entry.thinned = taken.clone();
        } else if is_held(entry) {
            entry.counts = Counts::new();
            entry.thinned = Counts::new();
            entry.state = State::Lost(Cause::Thinned);
        }
        samples = entry.samples_after();
    }
    let lost =
        Lost { first: Sequence(first), last: Sequence(last), total: Total { records: records - 1, counts: lost } };
    let entries = in_runs(entries);
    (samples == after).then_some((Plan { entries, payload: Some((kept, payload)) }, lost))
}

/// Makes runs of records that the same one stands for, so that what stands for many is not outgrown by their heads.
fn in_runs(entries: Vec<Entry>) -> Vec<Entry> {
    let is_empty = |entry: &Entry| {
        entry.state == State::Lost(Cause::Thinned) && entry.counts.is_empty() && entry.thinned.is_empty()
    };
    let mut runs: Vec<Entry> = Vec::with_capacity(entries.len());
    for entry in entries {
        match runs.last_mut().filter(|last| {
            let fits = entry.end.saturating_sub(last.first) <= u64::from(u32::MAX);
            fits && is_empty(last) && is_empty(&entry) && last.end == entry.first
        }) {
            Some(last) => last.end = entry.end,
            None => runs.push(entry),
        }
    }
    runs
}
