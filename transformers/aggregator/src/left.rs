//! What did not come out when others did.

use std::collections::BTreeMap;

use wasmeter_sdk::Moment;

use crate::moments;

/// Samples that were left when others came out, within an hour.
#[derive(Debug, PartialEq)]
pub struct Left {
    /// When the first of them were.
    pub at: Moment,
    /// The last flush that left any of them.
    pub last: u64,
    /// How many aggregates they are.
    pub aggregates: usize,
    /// How many there are of each meter, by its number.
    pub samples: BTreeMap<usize, u64>,
}

/// What a line begins with that is of such.
const WORD: &str = "left ";
/// An hour, in nanoseconds.
const HOUR: i64 = 3_600 * 1_000_000_000;

/// The hour of a time.
pub fn hour(time: i64) -> i64 {
    time.div_euclid(HOUR)
}

// === impl Left ===

impl Left {
    /// From a line, if it is of such.
    pub fn read(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix(WORD)?.split(' ');
        let (at, last, aggregates) = (moments::read(words.next()?)?, words.next()?, words.next()?);
        let of_meter = |word: &str| {
            let (number, samples) = word.split_once(':')?;
            Some((number.parse().ok()?, samples.parse().ok()?))
        };
        let samples = words.filter_map(of_meter).collect();
        Some(Self { at, last: last.parse().ok()?, aggregates: aggregates.parse().ok()?, samples })
    }

    pub fn write(&self, text: &mut String) {
        let Self { at, last, aggregates, samples } = self;
        text.push_str(&format!("\n{WORD}{} {last} {aggregates}", moments::write(*at)));
        samples.iter().for_each(|(number, samples)| text.push_str(&format!(" {number}:{samples}")));
    }

    /// The hour since 1970 in which they were left.
    pub fn hour(&self) -> i64 {
        hour(self.at.wall)
    }

    /// More of them were left.
    pub fn add(&mut self, later: Self) {
        self.last = later.last;
        self.aggregates = self.aggregates.saturating_add(later.aggregates);
        for (number, samples) in later.samples {
            let known = self.samples.entry(number).or_insert(0);
            *known = known.saturating_add(samples);
        }
    }

    /// So many of them are left no more.
    pub fn take(&mut self, number: usize, aggregates: usize, samples: u64) {
        self.aggregates = self.aggregates.saturating_sub(aggregates);
        if let Some(known) = self.samples.get_mut(&number) {
            *known = known.saturating_sub(samples);
        }
        self.samples.retain(|_, samples| *samples > 0);
    }
}
