//! What happens to a guest, and when: it boots, works and rests in turn, and its life goes round for ever.
//!
//! A round ends with a stop, a move to another host, or a restart, so the process behind a guest is a new one in each
//! round and its counters start from 0. How far it has come follows from the time alone, whenever it was last asked.

use super::hash::Dice;
use crate::clock::SECOND;

const S: u64 = SECOND.unsigned_abs();

/// How long a guest boots.
const BOOT: u64 = 25 * S;

/// How long a guest that moves in is paused at its new place.
const ARRIVAL: u64 = 4 * S;

/// When calm guests booted: 2025-01-01. On a clock that stands before it they booted in 1970.
const CALM_SINCE: u64 = 1_735_689_600 * S;

/// For how long a guest had run when it froze for ever.
const FROZEN_AFTER: u64 = 3600 * S;

/// What becomes of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Everything that can.
    Eventful,
    /// It runs.
    Calm,
    /// It hangs.
    Frozen,
}

/// The plan of a guest's life.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    fate: Fate,
    dice: Dice,
    /// How long a round takes.
    round: u64,
    /// How far into a round the guest was in 1970.
    offset: u64,
    /// How long a rest and the work after it take together.
    wave: u64,
    /// How long a rest takes.
    rest: u64,
}

/// A guest at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    /// The moment, in nanoseconds since 1970.
    pub(super) at: u64,
    /// What it does.
    pub(super) phase: Phase,
    /// Whether it came from another host.
    pub(super) arrived: bool,
    /// Whether its process hangs.
    pub(super) frozen: bool,
    /// What its process has done.
    pub(super) effort: Effort,
    /// What it has done since a disk was plugged in, while it is.
    pub(super) plugged: Option<Effort>,
    /// How far it is into its present rest and work, in thousandths; it turns back halfway.
    pub(super) swing: u64,
}

/// What a guest does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Lives on another host.
    Away,
    /// Is switched off.
    Stopped,
    /// Is paused while it moves in.
    Arriving,
    /// Starts.
    Booting,
    /// Rests.
    Idle,
    /// Works.
    Working,
}

/// Nanoseconds that a process has spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Effort {
    /// In all.
    pub(super) up: u64,
    /// At work.
    pub(super) busy: u64,
    /// Booting.
    pub(super) boot: u64,
}

/// How much of something a guest does per second.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    /// All the time.
    pub(super) always: u64,
    /// On top of it at work.
    pub(super) busy: u64,
    /// On top of it while booting.
    pub(super) boot: u64,
}

// === impl Schedule ===

impl Schedule {
    pub(super) fn new(dice: Dice, fate: Fate) -> Self {
        let dice = dice.of("life");
        let round = dice.of("round").between(20 * 60, 40 * 60) * S;
        let wave = dice.of("wave").between(90, 300) * S;
        let rest = wave / 100 * dice.of("rest").between(40, 80);
        Self { fate, dice, round, offset: dice.of("offset").below(round), wave, rest }
    }

    pub(super) fn at(&self, now: u64) -> Life {
        match self.fate {
            Fate::Eventful => self.eventful(now),
            Fate::Calm => self.running(now, now.checked_sub(CALM_SINCE).unwrap_or(now) + self.offset),
            Fate::Frozen => Life { frozen: true, ..self.running(now, FROZEN_AFTER + self.offset) },
        }
    }

    fn eventful(&self, now: u64) -> Life {
        let time = now + self.offset;
        let (number, position) = (time / self.round, time % self.round);
        let (end, lasts) = self.end(number);
        let run = self.round - lasts;
        let (before, _) = self.end(number.wrapping_sub(1));
        let arrived = before == Phase::Away;
        let none = Effort::default();
        if position >= run {
            return Life { at: now, phase: end, arrived, frozen: false, effort: none, plugged: None, swing: 0 };
        }
        let effort = |position| self.effort(position, arrived);
        let plug = self.dice.of("plug").number(number);
        let (plugs, unplugs) = (run / 100 * plug.of("in").between(15, 35), run / 100 * plug.of("out").between(60, 90));
        let plugged =
            (plug.below(2) == 0 && (plugs..unplugs).contains(&position)).then(|| effort(position).since(effort(plugs)));
        let phase = match position {
            0..ARRIVAL if arrived => Phase::Arriving,
            0..BOOT if !arrived => Phase::Booting,
            _ => self.working(effort(position).up),
        };
        let effort = effort(position);
        Life { at: now, phase, arrived, frozen: false, effort, plugged, swing: self.swing(effort.up) }
    }

    /// How a round ends, and how long that takes.
    fn end(&self, round: u64) -> (Phase, u64) {
        match self.dice.of("end").number(round).below(4) {
            0 => (Phase::Away, self.round / 16),
            1 => (Phase::Booting, 0),
            _ => (Phase::Stopped, self.round / 10),
        }
    }

    fn running(&self, now: u64, up: u64) -> Life {
        let effort = Effort { boot: BOOT, ..self.effort(up, true) };
        let (phase, swing) = (self.working(up), self.swing(up));
        Life { at: now, phase, arrived: false, frozen: false, effort, plugged: None, swing }
    }

    fn effort(&self, position: u64, arrived: bool) -> Effort {
        let up = if arrived { position.saturating_sub(ARRIVAL) } else { position };
        let busy = up / self.wave * (self.wave - self.rest) + (up % self.wave).saturating_sub(self.rest);
        Effort { up, busy, boot: if arrived { 0 } else { up.min(BOOT) } }
    }

    fn working(&self, up: u64) -> Phase {
        if up % self.wave < self.rest { Phase::Idle } else { Phase::Working }
    }

    fn swing(&self, up: u64) -> u64 {
        let position = up % self.wave;
        position.min(self.wave - position) * 2000 / self.wave
    }
}

// === impl Life ===

impl Life {
    /// Whether there is a process.
    pub(super) fn runs(&self) -> bool {
        !matches!(self.phase, Phase::Away | Phase::Stopped)
    }

    /// Whether the system inside is up.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Idle | Phase::Working)
    }
}

// === impl Effort ===

impl Effort {
    fn since(self, earlier: Self) -> Self {
        Self { up: self.up - earlier.up, busy: self.busy - earlier.busy, boot: self.boot - earlier.boot }
    }
}

// === impl Pace ===

impl Pace {
    /// How much it comes to.
    pub(super) fn after(self, effort: &Effort) -> u64 {
        per_second(self.always, effort.up) + per_second(self.busy, effort.busy) + per_second(self.boot, effort.boot)
    }
}

/// In two parts, as the product alone may be too large.
fn per_second(rate: u64, nanoseconds: u64) -> u64 {
    nanoseconds / S * rate + nanoseconds % S * rate / S
}
