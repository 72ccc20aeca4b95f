//! How a version that nobody stands in for has been doing.

use std::time::Duration;

use super::{Change, Ended, Outcome, Rules, is_its_own};
use crate::sandbox::Cause;

/// How a version that nobody stands in for has been doing.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Standing {
    /// Failing slots in a row.
    streak: u32,
    /// Slots in a row since then that did not fail.
    good: u32,
    /// Pauses that are not forgotten.
    pauses: u32,
    /// What failed when it last ran.
    pub failing: Option<Failing>,
    quarantine: Option<Quarantine>,
}

/// What failed in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Failing {
    /// How many; more than there can be if nothing came of any.
    pub resources: u32,
    pub cause: Cause,
}

/// A pause. It is told by when it began, rather than by when it ends: a clock that jumps back then has it over, and
/// one that jumps ahead, too, so that it never lasts longer than it should after the last jump.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Quarantine {
    since: i64,
    cause: Cause,
}

// === impl Standing ===

impl Standing {
    /// For how many resources it fails.
    pub fn failing(&self) -> u32 {
        self.failing.as_ref().map_or(0, |failing| failing.resources)
    }

    /// Until when it pauses, and why, if it does now.
    pub fn quarantined(&self, rules: &Rules, now: i64) -> Option<(i64, Cause)> {
        let Quarantine { since, cause } = self.quarantine.as_ref()?;
        let until = since.saturating_add(rules.pause(self.pauses));
        (*since <= now && now < until).then_some((until, *cause))
    }

    /// What a restart must not change. What failed last is known again after a slot; until then it matters to a trial
    /// only, and whoever begins one saves it along.
    pub fn kept(&self) -> impl PartialEq + '_ {
        let Self { streak: _, good: _, pauses, failing: _, quarantine } = self;
        (pauses, quarantine)
    }

    /// Takes note of a slot.
    pub fn note(&mut self, outcome: Outcome, rules: &Rules) {
        match outcome {
            Outcome::Good | Outcome::Partly { .. } => {
                (self.streak, self.good) = (0, self.good.saturating_add(1));
                if self.good >= rules.forgiven_after {
                    self.pauses = 0;
                }
                self.failing = match outcome {
                    Outcome::Partly { failed, cause } => Some(Failing { resources: failed, cause }),
                    _ => None,
                };
            }
            Outcome::Failed(cause) if is_its_own(cause) => {
                (self.streak, self.good) = (self.streak.saturating_add(1), 0);
                self.failing = Some(Failing { resources: u32::MAX, cause });
            }
            Outcome::Failed(_) | Outcome::NotRun => {}
        }
    }

    /// Begins, goes on with, or ends a quarantine, after a slot that was taken note of.
    pub fn quarantine(&mut self, outcome: Outcome, rules: &Rules, now: i64) -> Option<Change> {
        match (outcome, &mut self.quarantine) {
            (outcome, quarantine @ Some(_)) if outcome.landed() => {
                *quarantine = None;
                Some(Change::QuarantineEnded(Ended::Recovered))
            }
            (Outcome::Failed(cause), quarantine) if is_its_own(cause) => {
                let begins = quarantine.is_none();
                if begins && self.streak < rules.failing_slots {
                    return None;
                }
                self.pauses = self.pauses.saturating_add(1);
                *quarantine = Some(Quarantine { since: now, cause });
                let pause = Duration::from_nanos(rules.pause(self.pauses).unsigned_abs());
                begins.then_some(Change::Quarantined { cause, failed: self.streak, pause })
            }
            _ => None,
        }
    }

    /// Ends a quarantine from outside, and forgets all that led there.
    pub fn release(&mut self, ended: Ended) -> Option<Change> {
        (self.streak, self.good, self.pauses) = (0, 0, 0);
        self.quarantine.take().map(|_| Change::QuarantineEnded(ended))
    }
}
