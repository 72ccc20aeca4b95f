//! Which samples of a record a server takes, and which it never will.
//!
//! What is refused is asked again by halves. One half is followed down to a single sample, the other waits behind all
//! else: so single samples of all parts of a record are reached soon, and something is taken if anything can be. What was
//! refused while nothing was taken says nothing, and is asked again. So is what was refused since a server took a sample
//! that it refuses now.

use std::collections::VecDeque;
use std::ops::Range;

/// What is known of a record's samples, by their places in it.
#[derive(Debug)]
pub struct Sieve {
    /// The most that is asked for at once.
    batch: usize,
    /// Not known, in the order in which they are asked for.
    waiting: VecDeque<Range<usize>>,
    /// Refused since something was taken last, and not made smaller.
    refused: Vec<Range<usize>>,
    /// Never to be taken.
    lost: Vec<usize>,
    /// A sample that was taken. If it is refused, everything is.
    witness: Option<usize>,
    /// Whether it is asked for just now.
    asks_witness: bool,
    /// Whether what was refused is being asked for once more, as all else is known, and none of it was taken so far: the
    /// server may have refused everything for a moment.
    again: bool,
    /// Whether others of this server's samples were taken meanwhile, so that what it refuses of these is meant.
    trusted: bool,
    /// Refusals since something was taken.
    in_a_row: usize,
    /// Refusals of what was known to be asked again.
    refusals: usize,
}

/// What is next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// These are to be asked for.
    Ask(Range<usize>),
    /// The server seems to take nothing; it may be asked again later.
    Nothing,
    /// Everything is known.
    Done,
}

/// Refusals after which a server seems to take nothing: enough for a few ways from a thousand samples down to one.
const ENOUGH: usize = 64;
/// Refusals of a record after which nothing is made smaller any more: a server that is odd costs no more than that.
const MOST: usize = 8192;

// === impl Sieve ===

impl Sieve {
    /// Nothing is known of so many samples, which are asked for in batches.
    pub fn new(samples: usize, batch: usize) -> Self {
        let mut sieve = Self {
            batch: batch.max(1),
            waiting: VecDeque::new(),
            refused: Vec::from_iter((samples > 0).then_some(0..samples)),
            lost: Vec::new(),
            witness: None,
            asks_witness: false,
            again: false,
            trusted: false,
            in_a_row: 0,
            refusals: 0,
        };
        sieve.begin_anew();
        sieve
    }

    /// What is next. What is to be asked for gets an answer before this is called again.
    pub fn step(&mut self) -> Step {
        if self.in_a_row >= ENOUGH {
            match self.witness {
                Some(place) => return self.ask_witness(place),
                None if self.trusted => {}
                None => {
                    self.in_a_row = 0;
                    return Step::Nothing;
                }
            }
        }
        if let Some(places) = self.waiting.pop_front() {
            return Step::Ask(places);
        }
        if self.refused.is_empty() {
            return Step::Done;
        }
        if !self.takes() && !self.trusted {
            self.begin_anew();
            return Step::Nothing;
        }
        if !std::mem::replace(&mut self.again, true) {
            self.waiting.extend(self.refused.drain(..));
            return self.step();
        }
        match self.witness {
            Some(place) if self.in_a_row > 0 => self.ask_witness(place),
            _ => {
                self.lost.extend(self.refused.drain(..).flatten());
                Step::Done
            }
        }
    }

    fn ask_witness(&mut self, place: usize) -> Step {
        self.asks_witness = true;
        Step::Ask(place..place + 1)
    }

    /// These were taken, but for so many of them.
    pub fn taken(&mut self, places: Range<usize>, but: u64) {
        if !std::mem::take(&mut self.asks_witness) {
            self.again = false;
            self.lost.extend(spread(places.clone(), but));
        }
        if !self.takes() && !self.trusted {
            self.begin_anew();
        }
        self.witness = Some(places.start);
        self.in_a_row = 0;
    }

    /// These were refused as they are.
    pub fn refused(&mut self, places: Range<usize>) {
        if std::mem::take(&mut self.asks_witness) {
            (self.witness, self.trusted) = (None, false);
            return;
        }
        self.in_a_row += 1;
        self.refusals += 1;
        if places.len() < 2 || self.refusals > MOST {
            self.refused.push(places);
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

    /// The server takes samples of another record.
    pub fn trust(&mut self) {
        self.trusted = true;
        self.begin_anew();
    }

    /// Whether the server took something of it, and was not seen to refuse everything since.
    pub fn takes(&self) -> bool {
        self.witness.is_some()
    }

    /// Samples that are given up, once everything is known.
    pub fn lost(&mut self) -> &[usize] {
        self.lost.sort_unstable();
        &self.lost
    }

    /// Forgets what was refused: all that was not taken is asked for in whole batches.
    fn begin_anew(&mut self) {
        let mut open: Vec<Range<usize>> = self.waiting.drain(..).chain(self.refused.drain(..)).collect();
        open.sort_unstable_by_key(|places| places.start);
        let joined = open.chunk_by(|one, next| one.end == next.start);
        for (start, end) in joined.filter_map(|run| Some((run.first()?.start, run.last()?.end))) {
            let starts = (start..end).step_by(self.batch);
            self.waiting.extend(starts.map(|start| start..end.min(start.saturating_add(self.batch))));
        }
        (self.in_a_row, self.refusals, self.again) = (0, 0, false);
    }
}

/// So many places out of these, about as many of each meter as there are of it: who takes a part does not say which.
fn spread(places: Range<usize>, number: u64) -> impl Iterator<Item = usize> {
    let all = places.len();
    let number = usize::try_from(number).unwrap_or(all).min(all);
    (0..number).map(move |i| places.start + i * all / number)
}

#[cfg(test)]
mod tests;
