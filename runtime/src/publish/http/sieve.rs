//! Which samples of a record a server takes, and which it never will.
//!
//! What is refused is asked for again by halves, down to single samples. One half is followed at once, the other waits
//! behind all else: so single samples of all parts of a record are reached soon, and something is taken if anything can
//! be. What is refused alone is asked for once more when all else is known, and given up if it is refused again. Before
//! that and after it there has to be proof that the server takes something at all: so no moment in which it refuses
//! everything costs a sample, however long it is and whenever it begins.

use std::collections::VecDeque;
use std::ops::Range;

/// What is known of a record's samples, by their places in it.
#[derive(Debug)]
pub struct Sieve {
    /// Not known, in the order in which they are asked for.
    waiting: VecDeque<Range<usize>>,
    /// Refused alone.
    refused: Vec<usize>,
    /// Never to be taken.
    lost: Vec<usize>,
    /// How often what is refused alone was asked for again.
    again: usize,
    /// Whether something was taken since then.
    took: bool,
    /// Refusals since it was known that the server takes something.
    in_a_row: usize,
    /// Whether the server seemed to take nothing, and nothing of this record was taken since.
    doubted: bool,
    /// Refusals in all.
    refusals: usize,
}

/// What is next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// These are to be asked for.
    Ask(Range<usize>),
    /// It is to be found out whether the server takes anything at all.
    Prove,
    /// Everything is known.
    Done,
}

/// Refusals in a row after which a server may refuse everything: enough for a few ways from a thousand samples down to
/// one, most of which lead past the samples that are meant.
const ENOUGH: usize = 64;
/// How often what is refused alone is asked for again, as long as some of it is taken: where one of two servers behind
/// a name refuses everything, two samples of a thousand are left after that. So a record takes at most two requests for
/// each of its samples to be halved, and so many more; one more, if the server answers the same to the same.
const MOST_AGAIN: usize = 8;

// === impl Sieve ===

impl Sieve {
    /// Nothing is known of so many samples.
    pub fn new(samples: usize) -> Self {
        Self {
            waiting: VecDeque::from_iter((samples > 0).then_some(0..samples)),
            refused: Vec::new(),
            lost: Vec::new(),
            again: 0,
            took: false,
            in_a_row: 0,
            doubted: false,
            refusals: 0,
        }
    }

    /// What is next, if so many may be asked for at once. What is to be asked for, or to be found out, is before this
    /// is called again.
    pub fn step(&mut self, most: usize) -> Step {
        if self.in_a_row >= ENOUGH || self.in_a_row > 0 && self.waiting.is_empty() {
            return Step::Prove;
        }
        if let Some(places) = self.waiting.pop_front() {
            let end = places.end.min(places.start.saturating_add(most.max(1)));
            if end < places.end {
                self.waiting.push_front(end..places.end);
            }
            return Step::Ask(places.start..end);
        }
        let is_sure = self.again > 0 && !self.took || self.again == MOST_AGAIN;
        if self.refused.is_empty() || is_sure {
            self.lost.append(&mut self.refused);
            return Step::Done;
        }
        self.again += 1;
        self.took = false;
        self.waiting.extend(self.refused.drain(..).map(|place| place..place + 1));
        self.step(most)
    }

    /// Of these nothing was learned: they are asked for again, before all else.
    pub fn put_back(&mut self, places: Range<usize>) {
        self.waiting.push_front(places);
    }

    /// These were taken, but for so many of them, which never will be.
    pub fn taken(&mut self, places: Range<usize>, but: u64) {
        let all = places.len();
        let but = usize::try_from(but).unwrap_or(all).min(all);
        self.lost.extend(spread(places, but));
        if but == all {
            return;
        }
        self.took = true;
        self.in_a_row = 0;
        if std::mem::take(&mut self.doubted) {
            self.begin_anew();
        }
    }

    /// These were refused as they are.
    pub fn refused(&mut self, places: Range<usize>) {
        self.in_a_row += 1;
        self.refusals += 1;
        if places.len() < 2 {
            self.refused.extend(places);
            return;
        }
        let middle = places.start + places.len() / 2;
        let mut halves = [places.start..middle, middle..places.end];
        // Now this one, now that, without a period, so that no order of guests hides those that are taken.
        halves.rotate_left(self.refusals.count_ones() as usize % 2);
        let [followed, other] = halves;
        self.waiting.push_front(followed);
        self.waiting.push_back(other);
    }

    /// The server takes something.
    pub fn proven(&mut self) {
        self.in_a_row = 0;
    }

    /// The server seems to take nothing: what it refuses says nothing. It may be asked again later.
    pub fn doubted(&mut self) {
        (self.in_a_row, self.again, self.doubted) = (0, 0, true);
        if self.waiting.is_empty() {
            self.begin_anew();
        }
    }

    /// Samples that are given up, once everything is known.
    pub fn lost(&mut self) -> &[usize] {
        self.lost.sort_unstable();
        &self.lost
    }

    /// Forgets what was refused: all that was not taken is asked for as if it never was.
    fn begin_anew(&mut self) {
        let refused = self.refused.drain(..).map(|place| place..place + 1);
        let mut open: Vec<Range<usize>> = self.waiting.drain(..).chain(refused).collect();
        open.sort_unstable_by_key(|places| places.start);
        let joined = open.chunk_by(|one, next| one.end == next.start);
        self.waiting.extend(joined.filter_map(|run| Some(run.first()?.start..run.last()?.end)));
        (self.in_a_row, self.again) = (0, 0);
    }
}

/// So many places out of these, about as many of each meter as there are of it: who takes a part does not say which.
fn spread(places: Range<usize>, number: usize) -> impl Iterator<Item = usize> {
    let all = places.len();
    (0..number).map(move |i| places.start + i * all / number)
}

#[cfg(test)]
mod tests;
