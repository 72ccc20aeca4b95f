//! What runs of a deployment: a version, another one on trial, or nothing because it is paused or in quarantine.
//!
//! This decides, and does nothing: it has no clock, no files and no modules. Each slot asks [`Deployment::plan`] what is
//! to run, runs it, and tells [`Deployment::outcome`] how it went. Whoever runs it keeps the deployment, of which this is
//! a part, together with the states that it names, and drops all states that [`Life::states`] does not name; so a kill
//! at any moment leaves it as it was before or after.
//!
//! # A dry run
//!
//! A new version that nobody tried out before is tried out in its first slot: it runs beside the version before it, on a
//! copy of what that remembers, and whatever comes of it is dropped. If it does well, which is no worse than the version
//! before it in the same slot, its trial begins with the next slot; if it fails it is given up at once. If it could not
//! run, or nothing was for it, it is tried out in the slot after that.
//!
//! # A trial
//!
//! Then it runs on trial, on a copy of the state. While it does well its samples count, and the version before
//! it does not run. When it fails in a slot, nothing of what it gave there counts; the version before it runs in that
//! same slot, on the old state, and so it does where nothing is for the new one. So of each slot one version's samples
//! land, and no slot is lost. After [`Rules::trial_slots`] good slots in a row the new version takes over with its
//! state, and the old state is dropped; after [`Rules::trial_failures`] failures in all it is given up and its state is
//! dropped, and so it is, in a dry run, too, after [`Rules::trial_untried`] slots in a row in which only the version
//! before it could run. One that is still at a slot when the next one comes failed in it, in a dry run, too. One that
//! may not run any more, by rules that changed, is given up at once, as long as there is a version to go on with; that
//! is remembered, as it may be tried again once it may run. Nobody waits for one when the daemon ends, and that slot
//! says nothing of it.
//!
//! # Going back
//!
//! What ran before can be gone back to, at once and without a trial: it has shown that it works, and whoever goes back
//! does so because the current version is bad. The state goes on: it begins as a copy of the current version's, so that
//! no difference between two slots is lost. A version that never ran but on trial goes on trial again, after whoever goes
//! back to it tried it out.
//!
//! # Quarantine
//!
//! A version that has nobody to fall back on goes on when it fails, until it failed in [`Rules::failing_slots`] slots
//! in a row. Then it pauses, for longer each time, with one try after each pause. The causes of these failures may
//! differ, or a module that knows two ways to fail would never be stopped; the last of them is named. The first try
//! that does not fail ends it, and for [`Rules::forgiven_after`] such slots in a row it is remembered how long the last
//! pause was, so that one that fails on and off pauses for longer and longer, too. Ended at once, and forgotten, it is
//! by another version of the module, by [`Deployment::resumed`], and by another version of the host.
//!
//! # What counts
//!
//! | outcome | in a trial, or a dry run | otherwise |
//! |---|---|---|
//! | nothing failed | good | good |
//! | some resources failed, and something came of others | good if not more of them than failed with the version before it | good |
//! | some or all failed, nothing came of any, and it is the module's own doing | a failure | a failing slot |
//! | some or all failed, and it is the host's doing | does not count, and the version before it runs | does not count |
//! | it did not run: nothing was for it | does not count, and the version before it runs | does not count |
//!
//! That the host read nothing of what a module asked for is its doing, too.
//!
//! A dry run is neither a good slot of the trial nor one that failed. The version before it runs in it as ever.
//!
//! A module that fails for some resources and gives samples of others is never paused: that would take away samples that
//! are good. The sandbox bounds what looking for the odd ones costs. And what fails for a guest with the old version need
//! not keep a new one from taking over. Of a module that fails for some and gives nothing of the others a pause takes
//! nothing away, so that counts as if it had failed for all; unless it remembers something of the others, as whoever
//! needs several slots for a sample does. One that has nothing to say and does not fail does well.

use std::collections::BTreeSet;

#[cfg(doc)]
use super::deployment::Deployment;
use crate::sandbox::Cause;

pub use change::{Change, Ended, GivenUp};
pub use rules::Rules;
pub use slot::{Idle, Outcome, Ran, Run, is_its_own};
use standing::Standing;

mod change;
mod check;
mod rules;
mod slot;
mod standing;

/// What runs of one deployment, and how it has been doing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Life {
    current: Instance,
    standing: Standing,
    trial: Option<Trial>,
    /// Numbers of versions that were current before and can be gone back to; the last one was the last to run.
    earlier: Vec<u64>,
    /// States that the current one is a copy of a copy of, the last one last. A trial's is a copy of the current one.
    #[serde(default)]
    origins: Vec<StateId>,
    /// Versions that were given up because they could not run any more: whoever wants one may have it tried again.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    refused: BTreeSet<u64>,
    /// The version of the host that all of this happened with.
    host: String,
    /// Numbers of states are given once, so that what is left of an old one cannot be taken for a new one.
    next_state: u64,
}

/// So many copies are made of a state between two slots that are kept, and more are not looked for.
const ORIGINS: usize = 16;

/// Which of a deployment's states is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct StateId(pub u64);

/// A version with its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// The number of the version that runs.
    pub version: u64,
    /// What it runs on. No other instance does, now or later.
    pub state: StateId,
}

/// A version that has yet to show that it works.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// What is on trial.
    pub instance: Instance,
    /// That it is tried out first: nothing of it counts, and it has no state yet.
    #[serde(default)]
    pub dry: bool,
    /// In how many slots it did well since it last failed.
    pub good: u32,
    /// In how many slots it failed.
    pub failed: u32,
    /// In how many slots in a row it was not run or called, and the version before it was.
    pub untried: u32,
}

// === impl Life ===

impl Life {
    /// What is current.
    pub fn current(&self) -> Instance {
        self.current
    }

    /// What is on trial.
    pub fn trial(&self) -> Option<&Trial> {
        self.trial.as_ref()
    }

    /// Numbers of versions that can be gone back to; the last one was the last to run.
    pub fn earlier(&self) -> &[u64] {
        &self.earlier
    }

    /// The states that are in use. All others of this deployment can go.
    pub fn states(&self) -> impl Iterator<Item = StateId> {
        let trial = self.trial.as_ref().filter(|trial| !trial.dry).map(|trial| trial.instance.state);
        std::iter::once(self.current.state).chain(trial)
    }

    /// States that this one of [`Life::states`] is a copy of a copy of, from the one that it was copied from on.
    pub fn origins(&self, state: StateId) -> impl Iterator<Item = StateId> {
        let from = (state != self.current.state).then_some(self.current.state);
        from.into_iter().chain(self.origins.iter().rev().copied())
    }

    /// For how many resources what is current failed when it last ran, and why; `u32::MAX` if nothing came of any.
    pub fn failing(&self) -> Option<(u32, Cause)> {
        self.standing.failing.map(|failing| (failing.resources, failing.cause))
    }

    /// The life of a first version. It has nobody to fall back on, so it is on no trial.
    ///
    /// Numbers of its states begin with the nanoseconds since 1970, so that no deployment of its name before it had the
    /// same.
    pub(super) fn new(version: u64, host: &str, at: i64) -> Self {
        let first = u64::try_from(at).unwrap_or_default();
        Self {
            current: Instance { version, state: StateId(first) },
            standing: Standing::default(),
            trial: None,
            earlier: Vec::new(),
            origins: Vec::new(),
            refused: BTreeSet::new(),
            host: host.to_owned(),
            next_state: first.saturating_add(1),
        }
    }

    /// What is to run now.
    pub(super) fn plan(&self, rules: &Rules, now: i64) -> Run {
        match &self.trial {
            Some(Trial { instance, dry: true, .. }) => Run::DryRun { tried: *instance, current: self.current },
            Some(Trial { instance, .. }) => {
                Run::Trial { trial: *instance, current: self.current, bar: self.standing.failing() }
            }
            None => match self.standing.quarantined(rules, now) {
                Some((until, cause)) => Run::Nothing(Idle::Quarantined { until, cause }),
                None => Run::Current(self.current),
            },
        }
    }

    /// What follows from how a slot went. Every change is told once.
    pub(super) fn outcome(&mut self, ran: &Ran, rules: &Rules, now: i64) -> Option<Change> {
        let before = self.standing.failing();
        let current = ran.current.filter(|(state, _)| *state == self.current.state).map(|(_, outcome)| outcome);
        if let Some(outcome) = current {
            self.standing.note(outcome, rules);
        }
        match (&self.trial, ran.trial) {
            (Some(trial), Some((state, outcome))) if trial.instance.state == state => {
                // In a dry run both had the same slot.
                let bar = if trial.dry { self.standing.failing() } else { before };
                self.judge(outcome, current, bar, rules)
            }
            // Whoever is on trial has somebody to fall back on, whom nobody stops as long.
            (Some(_), _) => None,
            (None, _) => current.and_then(|outcome| self.standing.quarantine(outcome, rules, now)),
        }
    }

    /// Puts a version on trial, in place of another one that is. Unless it was tried out already, that comes first.
    pub(super) fn try_out(&mut self, version: u64, was_tried_out: bool) -> Vec<Change> {
        let mut changes = Vec::from_iter(self.give_up(GivenUp::Replaced));
        changes.extend(self.standing.release(Ended::AnotherVersion));
        self.refused.remove(&version);
        let (instance, dry) = (self.instance(version), !was_tried_out);
        changes.push(match dry {
            true => Change::DryRunBegun { tried: instance, current: self.current },
            false => Change::TrialBegun { trial: instance, copy_of: self.current.state },
        });
        self.trial = Some(Trial { instance, dry, good: 0, failed: 0, untried: 0 });
        changes
    }

    /// Ends a trial because somebody wants the version before it.
    pub(super) fn withdraw(&mut self) -> Option<Change> {
        self.give_up(GivenUp::Withdrawn)
    }

    /// Ends a trial because its version cannot run any more.
    pub(super) fn refuse(&mut self) -> Option<Change> {
        self.refused.extend(self.trial.as_ref().map(|trial| trial.instance.version));
        self.give_up(GivenUp::CannotRun)
    }

    /// Whether this version was given up because it could not run any more, rather than for anything that it did.
    pub fn was_refused(&self, version: u64) -> bool {
        self.refused.contains(&version)
    }

    /// Goes back at once to a version that was current before. What was left on the way is not gone back to again.
    pub(super) fn go_back(&mut self, version: u64) -> Vec<Change> {
        let mut changes = Vec::from_iter(self.withdraw());
        changes.extend(self.standing.release(Ended::AnotherVersion));
        if let Some(place) = self.earlier.iter().position(|earlier| *earlier == version) {
            self.earlier.truncate(place);
        }
        let current = self.instance(version);
        let before = self.replace(current);
        changes.push(Change::RolledBack { current, before });
        changes
    }

    /// A version that is no longer kept.
    pub(super) fn forget(&mut self, version: u64) {
        self.earlier.retain(|earlier| *earlier != version);
        self.refused.remove(&version);
    }

    /// Ends a quarantine.
    pub(super) fn resume(&mut self) -> Option<Change> {
        self.standing.release(Ended::Resumed)
    }

    /// Tells which version of the host runs it. With another one than before a module may well work that did not.
    pub(super) fn on_host(&mut self, host: &str) -> Option<Change> {
        if self.host == host {
            return None;
        }
        host.clone_into(&mut self.host);
        self.standing.release(Ended::NewHost)
    }

    /// Whether it differs from what it was in more than how the last slots went: after a restart a version counts its
    /// slots anew, and nothing else is otherwise.
    pub(super) fn is_worth_saving(&self, before: &Self) -> bool {
        self.kept() != before.kept()
    }

    fn kept(&self) -> impl PartialEq + '_ {
        // With the current one these change, too.
        let Self { current, standing, trial, earlier, origins: _, refused, host, next_state } = self;
        // Of these there are only as many as the rules let a version on trial fail.
        let trial = trial.as_ref().map(|trial| (trial.instance, trial.dry, trial.failed));
        (current, standing.kept(), trial, earlier, refused, host, next_state)
    }

    fn instance(&mut self, version: u64) -> Instance {
        let state = StateId(self.next_state);
        self.next_state = self.next_state.saturating_add(1);
        Instance { version, state }
    }

    fn judge(&mut self, outcome: Outcome, current: Option<Outcome>, bar: u32, rules: &Rules) -> Option<Change> {
        let trial = self.trial.as_mut()?;
        match outcome {
            outcome if trial.dry && !outcome.falls_short(bar) => {
                (trial.dry, trial.untried) = (false, 0);
                Some(Change::DryRunPassed { trial: trial.instance, copy_of: self.current.state })
            }
            Outcome::Partly { cause, .. } | Outcome::Failed(cause) if trial.dry && is_its_own(cause) => {
                self.give_up(GivenUp::FailedDryRun(cause))
            }
            outcome if !outcome.falls_short(bar) => {
                (trial.good, trial.untried) = (trial.good.saturating_add(1), 0);
                (trial.good >= rules.trial_slots).then(|| self.promote(outcome, rules))?
            }
            Outcome::Partly { cause, .. } | Outcome::Failed(cause) if is_its_own(cause) => {
                (trial.good, trial.untried) = (0, 0);
                trial.failed = trial.failed.saturating_add(1);
                (trial.failed >= rules.trial_failures).then(|| self.give_up(GivenUp::Failed(cause)))?
            }
            // It is the host's doing, or nobody's, unless it happens with this version only.
            outcome if current.is_some_and(Outcome::was_tried) => {
                trial.untried = trial.untried.saturating_add(1);
                let why = if outcome == Outcome::NotRun { GivenUp::NotCalled } else { GivenUp::Untried };
                (trial.untried >= rules.trial_untried).then(|| self.give_up(why))?
            }
            _ => None,
        }
    }

    fn promote(&mut self, outcome: Outcome, rules: &Rules) -> Option<Change> {
        let trial = self.trial.take()?;
        let before = self.replace(trial.instance);
        self.standing.note(outcome, rules);
        self.earlier.push(before.version);
        Some(Change::TrialPassed { current: self.current, before })
    }

    /// Has another one be current, on a state that began as a copy.
    fn replace(&mut self, current: Instance) -> Instance {
        let before = std::mem::replace(&mut self.current, current);
        self.standing = Standing::default();
        self.origins.push(before.state);
        let too_many = self.origins.len().saturating_sub(ORIGINS);
        self.origins.drain(..too_many);
        before
    }

    fn give_up(&mut self, why: GivenUp) -> Option<Change> {
        let trial = self.trial.take()?;
        Some(Change::TrialGivenUp { trial: trial.instance, current: self.current, why })
    }
}

#[cfg(test)]
mod tests;
