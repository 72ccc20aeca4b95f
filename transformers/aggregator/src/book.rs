//! How many samples wait, of which meters and since when.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use scaling::word;
use wasmeter_sdk::{Call, Converting, Failure, Kind, Meter};

/// What is remembered beside the aggregates.
#[derive(Debug, PartialEq)]
pub struct Book {
    /// When the first sample that waits was read, of those that came since others came out.
    since: Option<i64>,
    /// Samples that did not come out with the others, because their resources were absent, and since when there are any.
    left: u64,
    left_since: Option<i64>,
    /// Aggregates that are kept, of all meters and resources.
    aggregates: usize,
    /// How often others came out, so that cells of them are not taken for more.
    round: u64,
    /// The first of these of which anything may be left.
    open: u64,
    /// Numbers of meters under which there may be cells.
    used: usize,
    /// The meters of which samples wait; the place of each is its number.
    meters: Vec<Waiting>,
    /// Their numbers, by name.
    numbers: BTreeMap<String, Vec<usize>>,
    /// What it was when the call began.
    before: Vec<u8>,
}

/// Samples of one meter.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// The meter that comes in.
    pub meter: Meter,
    /// All of them, with those of this call.
    pub samples: u64,
    /// Those of earlier calls.
    pub kept: u64,
}

/// The name under which it is kept.
const NAME: &str = "waiting";

// === impl Book ===

impl Book {
    pub fn load(call: &Call<'_, Converting>) -> Self {
        let before = call.load_bytes(NAME).unwrap_or_default();
        let mut lines = std::str::from_utf8(&before).unwrap_or_default().lines();
        let mut head = lines.next().unwrap_or_default().split(' ');
        let mut number = || head.next().and_then(|number| number.parse::<i64>().ok());
        let (since, round, used, left_since) = (number(), number(), number(), number());
        let (left, aggregates, open) = (number(), number(), number());
        let whole = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
        let count = |number| whole(number).and_then(|number| usize::try_from(number).ok()).unwrap_or(0);
        let mut book = Self {
            since,
            left: whole(left).unwrap_or(0),
            left_since,
            aggregates: count(aggregates),
            // No cell is of round 0.
            round: whole(round).unwrap_or(1),
            open: whole(open.or(round)).unwrap_or(1),
            used: count(used),
            meters: Vec::new(),
            numbers: BTreeMap::new(),
            before: before.clone(),
        };
        lines.map(Waiting::read).for_each(|waiting| book.push(waiting));
        book
    }

    /// The number of a meter.
    pub fn number(&mut self, meter: &Meter) -> usize {
        let mut known = self.numbers.get(&meter.name).into_iter().flatten().copied();
        if let Some(number) = known.find(|number| self.meter(*number) == Some(meter)) {
            return number;
        }
        let new = Waiting { meter: meter.clone(), samples: 0, kept: 0 };
        let is_free = |waiting: &Waiting| waiting.samples == 0 && waiting.kept == 0;
        match self.meters.iter().position(is_free) {
            Some(place) => {
                self.meters.iter_mut().skip(place).take(1).for_each(|free| *free = new.clone());
                self.numbers.values_mut().for_each(|numbers| numbers.retain(|number| *number != place));
                self.numbers.entry(new.meter.name).or_default().push(place);
                place
            }
            None => {
                self.push(new);
                self.meters.len() - 1
            }
        }
    }

    /// The flush that comes next, which samples wait for.
    pub fn next(&self) -> RangeInclusive<u64> {
        self.round..=self.round
    }

    /// Those that samples were left by, if they were by any.
    pub fn left_by(&self) -> Option<RangeInclusive<u64>> {
        (self.left > 0).then(|| self.open..=self.round - 1)
    }

    fn push(&mut self, waiting: Waiting) {
        self.numbers.entry(waiting.meter.name.clone()).or_default().push(self.meters.len());
        self.meters.push(waiting);
    }

    /// More samples of a meter wait.
    pub fn count(&mut self, number: usize, samples: u64, time: i64) {
        if samples > 0 {
            self.since.get_or_insert(time);
        }
        if let Some(waiting) = self.meters.get_mut(number) {
            waiting.samples = waiting.samples.saturating_add(samples);
        }
    }

    /// Samples of a meter do not wait any more.
    pub fn discount(&mut self, number: usize, samples: u64) {
        if let Some(waiting) = self.meters.get_mut(number) {
            waiting.samples = waiting.samples.saturating_sub(samples);
        }
    }

    /// The same of those that were kept by earlier calls.
    pub fn take_kept(&mut self, number: usize, samples: u64) {
        self.discount(number, samples);
        if let Some(waiting) = self.meters.get_mut(number) {
            waiting.kept = waiting.kept.saturating_sub(samples);
        }
    }

    /// How many samples wait.
    pub fn samples(&self) -> u64 {
        self.meters.iter().map(|waiting| waiting.samples).sum()
    }

    /// How many of them came since others came out.
    pub fn fresh(&self) -> u64 {
        self.samples().saturating_sub(self.left)
    }

    /// How long samples have waited whose resources were absent.
    pub fn left_for(&self, now: i64) -> i64 {
        self.left_since.map_or(0, |since| now.saturating_sub(since))
    }

    /// How many aggregates are kept.
    pub fn aggregates(&self) -> usize {
        self.aggregates
    }

    /// So many more are kept.
    pub fn add(&mut self, aggregates: usize) {
        self.aggregates = self.aggregates.saturating_add(aggregates);
    }

    /// So many less are.
    pub fn remove(&mut self, aggregates: usize) {
        self.aggregates = self.aggregates.saturating_sub(aggregates);
    }

    /// How long the first of those has waited.
    pub fn age(&self, now: i64) -> i64 {
        self.since.map_or(0, |since| now.saturating_sub(since))
    }

    /// The meter of a number.
    pub fn meter(&self, number: usize) -> Option<&Meter> {
        self.meters.get(number).map(|waiting| &waiting.meter)
    }

    /// Whether samples of a meter wait from earlier calls.
    pub fn has_kept(&self, number: usize) -> bool {
        self.meters.get(number).is_some_and(|waiting| waiting.kept > 0)
    }

    /// The meters of which samples wait, by number.
    pub fn meters(&self) -> impl Iterator<Item = (usize, &Waiting)> {
        self.meters.iter().enumerate()
    }

    /// Samples wait for the next call.
    pub fn keep(&mut self) {
        self.used = self.used.max(self.meters.len());
    }

    /// Everything came out but what waits of resources that were absent.
    pub fn leave(&mut self, now: i64) {
        self.round += 1;
        self.since = None;
        self.left = self.samples();
        self.left_since.get_or_insert(now);
    }

    /// So many of those came out.
    pub fn leave_less(&mut self, samples: u64) {
        self.left = self.left.saturating_sub(samples);
        self.left_since = self.left_since.filter(|_| self.left > 0);
    }

    /// Everything came out, or is given up.
    pub fn close(&mut self) {
        // Those that were never kept have left nothing behind.
        self.round += u64::from(self.meters.iter().any(|waiting| waiting.kept > 0));
        self.open = self.round;
        self.meters.clear();
        self.numbers.clear();
        (self.since, self.left, self.left_since, self.aggregates) = (None, 0, None, 0);
    }

    /// Numbers under which there may be cells that nothing refers to any more.
    pub fn take_used(&mut self) -> usize {
        std::mem::take(&mut self.used)
    }

    pub fn save(self, call: &Call<'_, Converting>) -> Result<(), Failure> {
        call.save_waiting(self.samples())?;
        let mut text = String::new();
        if self.used > 0 {
            let Self { since, round, used, left_since, left, aggregates, open, .. } = &self;
            let [since, left_since] =
                [since, left_since].map(|at| at.map_or_else(|| "-".to_owned(), |at| at.to_string()));
            text = format!("{since} {round} {used} {left_since} {left} {aggregates} {open}");
            self.meters.iter().for_each(|waiting| waiting.write(&mut text));
        }
        if text.as_bytes() == self.before { Ok(()) } else { call.save_bytes(NAME, text.as_bytes()) }
    }
}

// === impl Waiting ===

impl Waiting {
    fn read(line: &str) -> Self {
        let mut words = line.splitn(4, ' ');
        let mut next = || words.next().unwrap_or_default();
        let (samples, name, kind) = (next().parse().unwrap_or(0), next().to_owned(), next());
        let kinds = [Kind::Cumulative, Kind::Delta];
        let kind = kinds.into_iter().find(|known| word(*known) == kind).unwrap_or(Kind::Gauge);
        Self { meter: Meter { name, kind, unit: next().to_owned() }, samples, kept: samples }
    }

    fn write(&self, text: &mut String) {
        let Self { meter: Meter { name, kind, unit }, samples, .. } = self;
        text.push_str(&format!("\n{samples} {name} {} {unit}", word(*kind)));
    }
}
