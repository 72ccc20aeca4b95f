//! How many samples wait, of which meters and since when.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use scaling::{Clocks, GONE, LONGEST, Losses, remembered, word};
use wasmeter_sdk::{Batch, Call, Converting, Failure, Kind, Meter, Moment};

use crate::aggregate::Found;
use crate::left::{Left, hour};
use crate::moments;

/// What is remembered beside the aggregates.
#[derive(Debug)]
pub struct Book {
    /// When the first sample that waits was read, of those that came since others came out.
    since: Option<Moment>,
    /// The times of aggregates that are kept, by both clocks.
    clocks: Clocks,
    /// Samples that did not come out with the others, because their resources were absent; the earliest first.
    left: Vec<Left>,
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
/// What the meters take, about: a few hundred.
const METERS_BYTES: u64 = 32 << 10;
/// What a meter takes of which samples were left.
const LEFT_BYTES: u64 = 24;

// === impl Book ===

impl Book {
    /// What is remembered, by the clocks as they are now, before some batches.
    pub fn load(call: &Call<'_, Converting>, batches: &[Batch]) -> Self {
        let before = call.load_bytes(NAME).unwrap_or_default();
        let mut lines = std::str::from_utf8(&before).unwrap_or_default().lines();
        let mut head = lines.next().unwrap_or_default().split(' ');
        let since = head.next().and_then(moments::read).map(|since| remembered(call, since));
        let mut number = || head.next().and_then(|number| number.parse::<i64>().ok());
        let (round, used, aggregates, open) = (number(), number(), number(), number());
        let whole = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
        let count = |number| whole(number).and_then(|number| usize::try_from(number).ok()).unwrap_or(0);
        let mut book = Self {
            since,
            clocks: Clocks::of(call, batches),
            left: Vec::new(),
            aggregates: count(aggregates),
            // No cell is of round 0.
            round: whole(round).unwrap_or(1),
            open: whole(open.or(round)).unwrap_or(1),
            used: count(used),
            meters: Vec::new(),
            numbers: BTreeMap::new(),
            before: before.clone(),
        };
        for line in lines {
            match Left::read(line) {
                Some(left) => book.left.push(Left { at: remembered(call, left.at), ..left }),
                None => book.push(Waiting::read(line)),
            }
        }
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
        (!self.left.is_empty()).then(|| self.open..=self.round - 1)
    }

    fn push(&mut self, waiting: Waiting) {
        self.numbers.entry(waiting.meter.name.clone()).or_default().push(self.meters.len());
        self.meters.push(waiting);
    }

    /// More samples of a meter wait.
    pub fn count(&mut self, number: usize, samples: u64, at: Moment) {
        if samples > 0 {
            self.since.get_or_insert(at);
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
    fn take_kept(&mut self, number: usize, samples: u64) {
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
        self.samples().saturating_sub(self.left.iter().flat_map(|left| left.samples.values()).sum())
    }

    /// What it takes, about.
    pub fn bytes(&self) -> u64 {
        let meters: usize = self.left.iter().map(|left| left.samples.len()).sum();
        METERS_BYTES + meters as u64 * LEFT_BYTES
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
        self.since.map_or(0, |since| now.saturating_sub(since.wall))
    }

    /// A time that an aggregate has, by the clocks as they are now.
    pub fn moment(&self, call: &Call<'_, Converting>, time: i64) -> Moment {
        remembered(call, self.clocks.moment(time))
    }

    /// Aggregates of these times are kept.
    pub fn hold(&mut self, times: &[i64]) {
        self.clocks.hold(times);
    }

    /// These were kept, and are so no longer.
    pub fn release(&mut self, found: &Found) {
        self.clocks.release(&found.times);
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
    pub fn leave(&mut self, now: Moment) {
        let before = |number: usize| -> u64 { self.left.iter().filter_map(|left| left.samples.get(&number)).sum() };
        let samples = self.meters().map(|(number, waiting)| (number, waiting.samples.saturating_sub(before(number))));
        let new = Left {
            at: now,
            last: self.round,
            aggregates: self.aggregates.saturating_sub(self.left.iter().map(|left| left.aggregates).sum()),
            samples: samples.filter(|(_, samples)| *samples > 0).collect(),
        };
        match self.left.last_mut().filter(|last| last.hour() == new.hour()) {
            Some(last) => last.add(new),
            None => self.left.extend(Some(new).filter(|new| !new.samples.is_empty())),
        }
        self.round += 1;
        self.since = None;
    }

    /// Samples of a meter that were left came out.
    pub fn take_left(&mut self, number: usize, found: &Found) {
        self.release(found);
        self.take_kept(number, found.samples());
        self.remove(found.resources.len());
        for (round, (aggregates, samples)) in &found.rounds {
            if let Some(left) = self.left.iter_mut().find(|left| *round <= left.last) {
                left.take(number, *aggregates, *samples);
            }
        }
        self.left.retain(|left| !left.samples.is_empty());
    }

    /// What was left a day ago, or nearly, waits no longer.
    pub fn give_up_old(&mut self, now: i64, losses: &mut Losses) {
        let first = hour(now.saturating_sub(LONGEST));
        let old = self.left.iter().take_while(|left| left.hour() < first).count();
        for Left { last, aggregates, samples, .. } in self.left.drain(..old).collect::<Vec<_>>() {
            self.open = last + 1;
            self.remove(aggregates);
            for (number, samples) in samples {
                self.take_kept(number, samples);
                let meter = self.meter(number).map_or("", |meter| meter.name.as_str());
                losses.count_many(samples, meter, || GONE.into());
            }
        }
    }

    /// Everything came out, or is given up.
    pub fn close(&mut self) {
        // Those that were never kept have left nothing behind.
        self.round += u64::from(self.meters.iter().any(|waiting| waiting.kept > 0));
        self.open = self.round;
        self.meters.clear();
        self.numbers.clear();
        self.left.clear();
        self.clocks.clear();
        (self.since, self.aggregates) = (None, 0);
    }

    /// Numbers under which there may be cells that nothing refers to any more.
    pub fn take_used(&mut self) -> usize {
        std::mem::take(&mut self.used)
    }

    pub fn save(self, call: &Call<'_, Converting>) -> Result<(), Failure> {
        call.save_waiting(self.samples())?;
        let mut text = String::new();
        if self.used > 0 {
            let Self { since, round, used, aggregates, open, .. } = &self;
            let since = since.map_or_else(|| "-".to_owned(), moments::write);
            text = format!("{since} {round} {used} {aggregates} {open}");
            self.left.iter().for_each(|left| left.write(&mut text));
            self.meters.iter().for_each(|waiting| waiting.write(&mut text));
        }
        if text.as_bytes() != self.before {
            call.save_bytes(NAME, text.as_bytes())?;
        }
        self.clocks.save(call)
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
