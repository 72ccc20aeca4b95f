//! Where every record is, and what became of it.

use std::collections::VecDeque;

use super::account::{Cause, Total};
use super::counts::Counts;
use super::ledger::Books;
use super::record::Header;
use super::scan::Found;

/// A record, or a run of records of which nothing is left.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The number of the first.
    pub first: u64,
    /// The number after the last.
    pub end: u64,
    /// Samples in all records before.
    pub samples_before: u64,
    /// What it holds. Of a run only the number is known.
    pub counts: Counts,
    /// What was taken out of it and of those that it stands for.
    pub thinned: Counts,
    pub time: i64,
    pub state: State,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Held(Place),
    Lost(Cause),
}

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The first number of its segment.
    pub segment: u64,
    pub offset: u64,
    pub head: u64,
    pub payload: u64,
}

/// A moment between two records: the next number, and the samples up to there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Point {
    pub next: u64,
    pub samples: u64,
}

/// All records, by number, without a gap.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Points at which somebody's books begin or end: no run of what is damaged goes across.
    known: Vec<Point>,
    entries: VecDeque<Entry>,
}

// === impl Entry ===

impl Entry {
    pub fn samples_after(&self) -> u64 {
        self.samples_before.saturating_add(self.counts.samples()).saturating_add(self.thinned.samples())
    }

    /// What it holds, and what was taken out of it.
    pub fn all(&self) -> Counts {
        let mut all = self.counts.clone();
        all.add_all(&self.thinned);
        all
    }

    pub fn held(&self) -> Option<Place> {
        match self.state {
            State::Held(place) => Some(place),
            State::Lost(_) => None,
        }
    }

    /// What it holds from a point on: all of it, unless the point is inside of a run.
    pub fn total_from(&self, point: Point) -> Total {
        if point.next <= self.first {
            return Total { records: self.end - self.first, counts: self.counts.clone() };
        }
        let samples = self.samples_after().saturating_sub(self.samples_before.max(point.samples));
        Total { records: self.end.saturating_sub(point.next), counts: Counts::unknown(samples) }
    }
}

// === impl Index ===

impl Index {
    /// An empty one that will be told about records of these books.
    pub fn of(books: &Books) -> Self {
        let mut known: Vec<Point> = books.cursors.iter().map(|cursor| cursor.position).collect();
        known.push(books.next);
        known.sort_unstable();
        Self { entries: VecDeque::new(), known }
    }

    /// Adds what a scan found, segment by segment in order.
    pub fn add_found(&mut self, segment: u64, found: Found, at: Point) -> Point {
        let header = found.header;
        if header.sequence < at.next || header.samples_before < at.samples || !self.agrees(&header) {
            // Left over from a write that was given up: another record has its number.
            return at;
        }
        let before = Point { next: header.sequence, samples: header.samples_before };
        self.add_run(at, before);
        if let Some(last) = self.entries.back_mut().filter(|last| last.samples_after() < before.samples) {
            // Less than there was before this one: left over, too, of another record of that number.
            last.counts = Counts::unknown(before.samples.saturating_sub(last.samples_before));
            last.thinned = Counts::new();
            last.state = State::Lost(Cause::Damaged);
        }
        let place = Place {
            segment,
            offset: found.offset,
            head: header.head_length(),
            payload: u64::from(header.payload_length),
        };
        let (counts, thinned) = found.counts.unwrap_or_else(|| (Counts::unknown(header.samples), Counts::new()));
        let entry = Entry {
            first: header.sequence,
            end: header.end(),
            samples_before: header.samples_before,
            counts,
            thinned,
            time: header.time,
            state: match (header.dropped, found.whole) {
                (Some(cause), _) => State::Lost(cause),
                (None, true) => State::Held(place),
                (None, false) => State::Lost(Cause::Damaged),
            },
        };
        let after = Point { next: entry.end, samples: entry.samples_after() };
        self.entries.push_back(entry);
        after
    }

    /// Whether a record can be there by what the books say of the points around it.
    fn agrees(&self, header: &Header) -> bool {
        let samples_after = header.samples_before.saturating_add(header.samples);
        let after = self.known.partition_point(|point| point.next <= header.sequence);
        let next = self.known.get(after);
        let before = after.checked_sub(1).and_then(|before| self.known.get(before));
        next.is_none_or(|point| {
            samples_after <= point.samples && (point.next > header.end() || samples_after == point.samples)
        }) && before.is_none_or(|point| point.samples <= header.samples_before)
    }

    /// Accounts for records of which nothing was found, in a run of its own between any two known points.
    pub fn add_run(&mut self, from: Point, to: Point) {
        let after = self.known.partition_point(|point| point.next <= from.next);
        let inside = self.known.iter().skip(after).take_while(|point| point.next < to.next);
        let mut from = from;
        for cut in inside.chain([&to]) {
            if from.next < cut.next && (cut == &to || (from.samples..=to.samples).contains(&cut.samples)) {
                self.entries.push_back(Entry {
                    first: from.next,
                    end: cut.next,
                    samples_before: from.samples,
                    counts: Counts::unknown(cut.samples.saturating_sub(from.samples)),
                    thinned: Counts::new(),
                    time: i64::MIN,
                    state: State::Lost(Cause::Damaged),
                });
                from = *cut;
            }
        }
    }

    pub fn push(&mut self, entry: Entry) {
        self.entries.push_back(entry);
    }

    /// All entries that end after this number.
    pub fn from(&self, next: u64) -> impl Iterator<Item = &Entry> {
        let start = self.entries.partition_point(|entry| entry.end <= next);
        self.entries.iter().skip(start)
    }

    /// All entries of these numbers, also those that are partly so.
    pub fn between(&self, from: u64, to: u64) -> impl Iterator<Item = &Entry> {
        self.from(from).take_while(move |entry| entry.first < to)
    }

    pub fn entry_mut(&mut self, sequence: u64) -> Option<&mut Entry> {
        let start = self.entries.partition_point(|entry| entry.end <= sequence);
        self.entries.get_mut(start).filter(|entry| entry.first <= sequence)
    }

    /// Puts these entries in the place of those of the same numbers.
    pub fn replace(&mut self, entries: Vec<Entry>) {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return };
        let from = self.entries.partition_point(|entry| entry.end <= first.first);
        let to = self.entries.partition_point(|entry| entry.first < last.end);
        let after = self.entries.split_off(to.max(from));
        self.entries.truncate(from);
        self.entries.extend(entries);
        self.entries.extend(after);
    }

    /// Gives a record or run whose keys are not readable the keys that nothing else accounts for: `appended` is what
    /// all records before this number held, `gone` the part of it that is not in the index any more. If there are
    /// several, or were, it is not known which of them held what, and only their numbers count.
    pub fn resolve(&mut self, next: u64, appended: &Counts, gone: &Counts) {
        if appended.unread() > 0 || gone.unread() > 0 {
            return;
        }
        let mut rest = appended.minus(gone);
        for entry in self.entries.iter().filter(|entry| entry.end <= next && entry.counts.unread() == 0) {
            rest = rest.minus(&entry.all());
        }
        let mut unread = self.entries.iter_mut().filter(|entry| entry.end <= next && entry.counts.unread() > 0);
        if let (Some(entry), None) = (unread.next(), unread.next())
            && rest.samples() == entry.counts.samples()
        {
            entry.counts = rest;
        }
    }

    /// Forgets everything before this number, and adds up what that was.
    pub fn forget_before(&mut self, next: u64, gone: &mut Counts) -> Option<u64> {
        let mut samples = None;
        while let Some(entry) = self.entries.front_mut().filter(|entry| entry.first < next) {
            samples = Some(entry.samples_after());
            gone.add_all(&entry.all());
            if entry.end > next {
                // A run across the border: its samples are counted with the first part.
                entry.first = next;
                entry.samples_before = entry.samples_after();
                entry.counts = Counts::new();
                break;
            }
            self.entries.pop_front();
        }
        samples
    }
}
