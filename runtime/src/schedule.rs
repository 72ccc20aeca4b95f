//! When to measure: one cycle at once, then slots that are aligned to the wall clock.
//!
//! [`Slots`] is a plain state machine over the two clocks, so that every clock change can be tried in a test. Slots
//! of one interval stand at multiples of it since 1970, moved by an offset that is stable for the host, so that the
//! hosts of a cloud do not all ask at once. Slots of different intervals that fall together are one cycle.
//!
//! An interval that comes later does not begin at once, but with the next slot of all the operator's intervals that it is
//! a multiple of: what the operator's modules do in each of its slots they do in the first one, too.

pub mod plan;

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::clock::{Moment, SECOND};
use crate::config::daemon::AutoDuration;

/// How long to sleep at most: a clock that was set is noticed that soon.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// Slots of all intervals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots {
    offset: i64,
    /// The operator's intervals, in seconds.
    operators: Vec<u64>,
    rows: Vec<Row>,
}

/// Slots of one interval.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    /// In nanoseconds.
    interval: i64,
    /// The number of the last slot that ran or was left out; `None` before anybody asked.
    last: Option<i64>,
    /// When that was noted, on the clock that only runs forwards.
    noted: u64,
    /// Whether any ran.
    begun: bool,
    /// When it ran, on the clock that only runs forwards.
    ran: u64,
    /// The wall clock went back since; a slot that comes again too soon is a repetition.
    set_back: bool,
    /// Its cycle is running.
    running: bool,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Measure for these intervals.
    Run(Due),
    /// Sleep, then ask again.
    Sleep(Duration),
}

/// Intervals that are due together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// The intervals in seconds, ascending.
    pub intervals: Vec<u64>,
    /// Slots that were left out since the last cycle.
    pub left_out: LeftOut,
}

/// Slots that did not run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// How many there was time for, by interval in seconds.
    pub slots: Vec<(u64, u64)>,
    /// Whether there are others: the wall clock went over them, and no such time passed.
    pub is_clock_set: bool,
}

/// The offset of a host in nanoseconds: the same after each start, different from host to host.
pub fn offset(setting: AutoDuration, host: &str) -> i64 {
    match setting {
        AutoDuration::Fixed(duration) => i64::try_from(duration.as_nanos()).unwrap_or(0),
        AutoDuration::Auto => {
            // A digest, because it is the same with every version of this program. Whole milliseconds of a day; each
            // interval takes its part.
            let spread = Sha256::digest(host).iter().take(7).fold(0, |all: i64, byte| all << 8 | i64::from(*byte));
            spread % 86_400_000 * 1_000_000
        }
    }
}

// === impl Slots ===

impl Slots {
    /// Slots of the operator's intervals and of tenants', in seconds.
    pub fn new(operators: &[u64], tenants: &[u64], offset: i64) -> Self {
        let mut sorted = [operators, tenants].concat();
        sorted.sort_unstable();
        sorted.dedup();
        let row = |seconds: u64| {
            let interval = i64::try_from(seconds).unwrap_or(i64::MAX / SECOND).saturating_mul(SECOND).max(SECOND);
            Row { interval, last: None, noted: 0, begun: false, ran: 0, set_back: false, running: false }
        };
        Self { offset, operators: operators.to_vec(), rows: sorted.into_iter().map(row).collect() }
    }

    /// The same slots with other intervals after a change of configuration: those that stay go on.
    pub fn reconfigure(&self, operators: &[u64], tenants: &[u64], offset: i64) -> Self {
        let mut new = Self::new(operators, tenants, offset);
        if offset == self.offset {
            for row in &mut new.rows {
                if let Some(old) = self.rows.iter().find(|old| old.interval == row.interval) {
                    *row = old.clone();
                }
            }
        }
        new
    }

    /// The cycle that ran is over. Slots that began meanwhile are left out: the next cycle comes in its slot, not late
    /// in this one.
    pub fn finished(&mut self, now: Moment) -> LeftOut {
        let mut left_out = LeftOut::default();
        for row in &mut self.rows {
            if !std::mem::take(&mut row.running) {
                continue;
            }
            let slot = row.slot(now, self.offset);
            let overrun = row.last.map_or(0, |last| slot.saturating_sub(last));
            if overrun > 0 {
                left_out.add(row.seconds(), overrun, row.had_time_for(now, self.offset));
                row.note(slot, now);
            }
        }
        left_out
    }

    /// The next slot of each interval after this moment, in seconds and in nanoseconds since 1970.
    pub fn upcoming(&self, now: Moment) -> impl Iterator<Item = (u64, i64)> {
        let next = move |row: &Row| {
            let slot = row.slot(now, self.offset).saturating_add(1);
            (row.seconds(), slot.saturating_mul(row.interval).saturating_add(self.offset))
        };
        self.rows.iter().map(next)
    }

    /// What to do at this moment. Whoever gets slots to run says when they are finished.
    pub fn next(&mut self, now: Moment) -> Next {
        let mut due = Due::default();
        let mut wait = LONGEST_SLEEP;
        // Ascending, so that of each one all that it is a multiple of come before it.
        for row in &mut self.rows {
            let seconds = row.seconds();
            let divides = |other: &&u64| **other < seconds && seconds.is_multiple_of(**other);
            let may_begin = self.operators.iter().filter(divides).all(|other| due.intervals.contains(other));
            match row.due(now, self.offset, may_begin) {
                Some((passed, in_time)) => {
                    due.intervals.push(seconds);
                    due.left_out.add(seconds, passed, in_time);
                }
                None => wait = wait.min(row.wait(now, self.offset)),
            }
        }
        if due.intervals.is_empty() { Next::Sleep(wait) } else { Next::Run(due) }
    }
}

// === impl LeftOut ===

impl LeftOut {
    /// Adds slots that the wall clock passed, as far as there was time for them.
    fn add(&mut self, seconds: u64, passed: i64, in_time: i64) {
        let slots = passed.min(in_time).max(0);
        self.is_clock_set |= slots < passed;
        if slots > 0 {
            self.slots.push((seconds, slots.unsigned_abs()));
        }
    }
}

// === impl Row ===

impl Row {
    /// Whether a slot is due, how many before it the wall clock passed, and how many of them there was time for. The
    /// first one may come between its others.
    fn due(&mut self, now: Moment, offset: i64, may_begin: bool) -> Option<(i64, i64)> {
        let slot = self.slot(now, offset);
        if may_begin && !self.begun {
            self.run(slot, now);
            return Some((0, 0));
        }
        let Some(last) = self.last else {
            self.note(slot, now);
            return None;
        };
        if slot < last {
            // The clock went back. Go on from here, instead of waiting for it to come round again.
            self.note(slot, now);
            self.set_back = true;
            return None;
        }
        if slot == last {
            return None;
        }
        let again = std::mem::take(&mut self.set_back)
            && now.monotonic.saturating_sub(self.ran) < self.interval.unsigned_abs() / 2;
        if again {
            self.note(slot, now);
            return None;
        }
        let in_time = self.had_time_for(now, offset);
        self.run(slot, now);
        Some((slot - last - 1, in_time - 1))
    }

    fn note(&mut self, slot: i64, now: Moment) {
        (self.last, self.noted) = (Some(slot), now.monotonic);
    }

    /// How many slots began, by the wall clock as it is set now, since the last one was noted.
    fn had_time_for(&self, now: Moment, offset: i64) -> i64 {
        let since = i64::try_from(now.monotonic.saturating_sub(self.noted)).unwrap_or(i64::MAX);
        let noted = Moment { wall: now.wall.saturating_sub(since), monotonic: self.noted };
        self.slot(now, offset).saturating_sub(self.slot(noted, offset))
    }

    fn run(&mut self, slot: i64, now: Moment) {
        self.note(slot, now);
        self.begun = true;
        self.ran = now.monotonic;
        self.set_back = false;
        self.running = true;
    }

    fn slot(&self, now: Moment, offset: i64) -> i64 {
        now.wall.saturating_sub(offset).div_euclid(self.interval)
    }

    fn wait(&self, now: Moment, offset: i64) -> Duration {
        let into = now.wall.saturating_sub(offset).rem_euclid(self.interval);
        Duration::from_nanos((self.interval - into).unsigned_abs())
    }

    fn seconds(&self) -> u64 {
        (self.interval / SECOND).unsigned_abs()
    }
}

#[cfg(test)]
mod tests;
