//! How long ago remembered samples were read.

use std::collections::BTreeMap;

use wasmeter_sdk::{Batch, Call, Converting, Failure, Moment};

/// When remembered samples were read, by both clocks: one that was set makes nothing older or younger.
///
/// A sample is remembered with its time by the wall clock. That time is kept here as long as any sample has it. What
/// stands in the [bits](SPARE) of it that tell no times apart is whoever's that remembers it.
#[derive(Debug, Default)]
pub struct Clocks(BTreeMap<i64, Reading>);

#[derive(Debug, Clone, Copy)]
struct Reading {
    /// The time by the clock that is never set.
    monotonic: u64,
    /// Remembered samples of then.
    samples: u64,
}

/// How long it is from remembered samples to those of a batch.
#[derive(Debug)]
pub struct Since<'c> {
    clocks: &'c Clocks,
    now: Moment,
    /// The last time that was asked for, and what came of it: mostly all are the same.
    last: Option<(i64, i64)>,
}

/// Nanoseconds that no two readings are apart. These bits of a time can hold something else.
pub const SPARE: i64 = 0b11;
/// Times that are kept. Nobody releases samples of resources that are gone: of too many times the oldest go.
const TIMES: usize = 64;
/// The name under which they are kept.
const CLOCKS: &str = "clocks";

// === impl Clocks ===

impl Clocks {
    /// What is known before some batches, and the times of these.
    pub fn of(call: &Call<'_, Converting>, batches: &[Batch]) -> Self {
        let bytes = call.load_bytes(CLOCKS).unwrap_or_default();
        let mut numbers = bytes.chunks_exact(8).filter_map(|number| Some(u64::from_le_bytes(number.try_into().ok()?)));
        let mut clocks = Self::default();
        while let (Some(wall), Some(monotonic), Some(samples)) = (numbers.next(), numbers.next(), numbers.next()) {
            clocks.0.insert(wall.cast_signed(), Reading { monotonic, samples });
        }
        batches.iter().for_each(|batch| clocks.learn(batch.at));
        clocks
    }

    /// What is known from before the machine was started says nothing any more.
    fn learn(&mut self, Moment { wall, monotonic }: Moment) {
        let Some(monotonic) = monotonic else { return };
        let wall = told(wall);
        if self.0.get(&wall).is_some_and(|known| known.monotonic == monotonic) {
            return;
        }
        if self.0.iter().any(|(then, known)| *then < wall && known.monotonic > monotonic) {
            self.0.clear();
        }
        self.0.insert(wall, Reading { monotonic, samples: 0 });
    }

    /// Samples of these times are remembered.
    pub fn hold(&mut self, times: &[i64]) {
        self.count(times, u64::saturating_add);
    }

    /// Samples of these times may give way to others. Until these are saved, their times are known.
    pub fn release(&mut self, times: &[i64]) {
        self.count(times, u64::saturating_sub);
    }

    fn count(&mut self, times: &[i64], change: impl Fn(u64, u64) -> u64) {
        for alike in times.chunk_by(|a, b| told(*a) == told(*b)) {
            if let Some(known) = alike.first().and_then(|time| self.0.get_mut(&told(*time))) {
                known.samples = change(known.samples, alike.len() as u64);
            }
        }
    }

    /// A time by both clocks, as far as it is known by the other one.
    pub fn moment(&self, wall: i64) -> Moment {
        Moment { wall, monotonic: self.0.get(&told(wall)).map(|known| known.monotonic) }
    }

    /// No samples are remembered any more.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// How long it is to the samples of a batch.
    pub fn since(&self, batch: &Batch) -> Since<'_> {
        Since { clocks: self, now: batch.at, last: None }
    }

    /// Keeps the times of samples that are remembered, for the next call.
    pub fn save(mut self, call: &Call<'_, Converting>) -> Result<(), Failure> {
        self.0.retain(|_, known| known.samples > 0);
        // The latest stay, whatever clock on the wall they were read by.
        while self.0.len() > TIMES
            && let Some(first) = self.0.iter().min_by_key(|(_, known)| known.monotonic).map(|(wall, _)| *wall)
        {
            self.0.remove(&first);
        }
        let numbers = self.0.iter().flat_map(|(wall, known)| [wall.cast_unsigned(), known.monotonic, known.samples]);
        call.save_bytes(CLOCKS, &numbers.flat_map(u64::to_le_bytes).collect::<Vec<u8>>())
    }
}

// === impl Since ===

impl Since<'_> {
    /// Nanoseconds since a sample of this time, by the clock that is never set where both times are known by it; below
    /// zero if it is younger.
    #[inline]
    pub fn nanos(&mut self, before: i64) -> i64 {
        match self.last {
            Some((time, nanos)) if time == before => nanos,
            _ => {
                let nanos = self.between(before);
                self.last = Some((before, nanos));
                nanos
            }
        }
    }

    fn between(&self, before: i64) -> i64 {
        match (self.clocks.0.get(&told(before)), self.now.monotonic) {
            (Some(then), Some(now)) => i64::try_from(i128::from(now) - i128::from(then.monotonic)).unwrap_or(i64::MAX),
            _ => told(self.now.wall).saturating_sub(told(before)),
        }
    }
}

/// A time as far as times are told apart.
fn told(time: i64) -> i64 {
    time & !SPARE
}
