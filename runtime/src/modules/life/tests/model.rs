//! What must run, worked out anew each time from all that ever happened to a version.

use std::collections::BTreeSet;

use super::*;

/// A version and all that happened to it.
#[derive(Debug, Clone)]
pub struct Story {
    pub version: u64,
    pub marks: Vec<Mark>,
}

/// What can happen to a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Its samples landed; for so many resources there were none.
    Landed(u32),
    /// It failed, and it was its own doing.
    Failed,
    /// It did well when nothing of it counted, now or before it was ordered.
    TriedOut,
    /// It was not called, or failed by the host's doing, who did its part for the version before.
    Untried,
    /// It paused from then on.
    Paused(i64),
    /// All was forgiven.
    Released,
}

/// The deployment.
#[derive(Debug, Clone)]
pub struct Model {
    pub current: Story,
    pub trial: Option<Story>,
    /// What was current before; the last one was the last.
    pub earlier: Vec<u64>,
    /// Versions that could not run any more when they were on trial.
    pub refused: BTreeSet<u64>,
    pub stopped: bool,
}

/// What is to run.
#[derive(Debug, PartialEq, Eq)]
pub enum Must {
    Nothing,
    Current,
    DryRun,
    Trial,
}

// === impl Story ===

impl Story {
    pub fn new(version: u64) -> Self {
        Self { version, marks: Vec::new() }
    }

    fn was_tried_out(&self) -> bool {
        self.marks.contains(&Mark::TriedOut)
    }

    fn since_released(&self) -> &[Mark] {
        let released = self.marks.iter().rposition(|mark| *mark == Mark::Released);
        &self.marks[released.map_or(0, |place| place + 1)..]
    }

    /// How many resources it failed for when it last ran.
    fn failing(&self) -> u32 {
        let last = self.marks.iter().rev().find_map(|mark| match mark {
            Mark::Landed(failed) => Some(*failed),
            Mark::Failed => Some(u32::MAX),
            _ => None,
        });
        last.unwrap_or(0)
    }

    /// Since when it has been in quarantine: the last thing that happened to it.
    pub fn quarantine(&self) -> Option<i64> {
        match self.since_released().last() {
            Some(Mark::Paused(since)) => Some(*since),
            _ => None,
        }
    }

    fn failed_in_a_row(&self) -> usize {
        let ran = self.since_released().iter().rev().filter(|mark| !matches!(mark, Mark::Paused(_)));
        ran.take_while(|mark| **mark == Mark::Failed).count()
    }

    /// How long its pause is: those before it count since it last was good for so long.
    fn pause(&self, rules: &Rules) -> i64 {
        let (mut in_a_row, mut pauses) = (0, 0);
        for mark in self.since_released() {
            match mark {
                Mark::Landed(_) => in_a_row += 1,
                Mark::Failed => in_a_row = 0,
                Mark::Paused(_) => pauses += 1,
                _ => {}
            }
            if in_a_row >= rules.forgiven_after {
                pauses = 0;
            }
        }
        let mut seconds = rules.first_pause.as_secs();
        for _ in 1..pauses {
            seconds = (seconds * 2).min(rules.longest_pause.as_secs());
        }
        seconds.cast_signed() * SECOND
    }
}

// === impl Model ===

impl Model {
    pub fn must(&self, rules: &Rules, now: i64) -> Must {
        if self.stopped {
            return Must::Nothing;
        }
        if let Some(trial) = &self.trial {
            return if trial.was_tried_out() { Must::Trial } else { Must::DryRun };
        }
        match self.current.quarantine() {
            Some(since)
                if since <= now && i128::from(now) < i128::from(since) + i128::from(self.current.pause(rules)) =>
            {
                Must::Nothing
            }
            _ => Must::Current,
        }
    }

    /// Whose samples must land, if this is how they do.
    pub fn lands(&self, must: &Must, trial: Outcome, current: Outcome) -> Option<u64> {
        let currents = current.landed().then_some(self.current.version);
        match must {
            Must::Nothing => None,
            Must::Current | Must::DryRun => currents,
            Must::Trial if self.is_as_good(trial) => self.trial.as_ref().map(|trial| trial.version),
            Must::Trial => currents,
        }
    }

    fn is_as_good(&self, trial: Outcome) -> bool {
        match trial {
            Outcome::Good => true,
            Outcome::Partly { failed, .. } => failed <= self.current.failing(),
            _ => false,
        }
    }

    /// A slot in which this had to run.
    pub fn slot(&mut self, must: &Must, trial: Outcome, current: Outcome, rules: &Rules, now: i64) {
        match must {
            Must::Nothing => return,
            Must::DryRun => return self.dry_run(trial, current, rules),
            Must::Current | Must::Trial => {}
        }
        let as_good = self.is_as_good(trial);
        if *must == Must::Current || !as_good {
            self.current.marks.extend(mark(current));
        }
        let Some(on_trial) = &mut self.trial else {
            // Whoever failed again in a try, or too often, pauses.
            let again = self.current.failed_in_a_row() >= rules.failing_slots as usize;
            if mark(current) == Some(Mark::Failed) && (again || self.was_in_quarantine()) {
                self.current.marks.push(Mark::Paused(now));
            }
            return;
        };
        let tried = mark(current).is_some();
        on_trial.marks.extend(match trial {
            Outcome::Partly { failed, .. } if as_good => Some(Mark::Landed(failed)),
            Outcome::Good => Some(Mark::Landed(0)),
            Outcome::Partly { cause, .. } | Outcome::Failed(cause) if is_its_own(cause) => Some(Mark::Failed),
            _ => tried.then_some(Mark::Untried),
        });
        let all = &on_trial.marks;
        let last = |is: fn(&Mark) -> bool| all.iter().rev().take_while(|mark| is(mark)).count();
        let good = all.iter().rev().filter(|mark| **mark != Mark::Untried);
        let good = good.take_while(|mark| matches!(mark, Mark::Landed(_))).count();
        let failed = all.iter().filter(|mark| **mark == Mark::Failed).count();
        if good >= rules.trial_slots as usize {
            let version = on_trial.version;
            // What it did on trial does not count later, but for what it cannot read.
            let marks = all.last().copied().into_iter().collect();
            self.trial = None;
            self.earlier.push(std::mem::replace(&mut self.current, Story { version, marks }).version);
        } else if failed >= rules.trial_failures as usize
            || last(|mark| *mark == Mark::Untried) >= rules.trial_untried as usize
        {
            self.trial = None;
        }
    }

    /// A slot in which one was tried out beside the current one, and only the latter counts.
    fn dry_run(&mut self, trial: Outcome, current: Outcome, rules: &Rules) {
        self.current.marks.extend(mark(current));
        let as_good = self.is_as_good(trial);
        let Some(tried) = &mut self.trial else { return };
        if as_good {
            return tried.marks.push(Mark::TriedOut);
        }
        let is_given_up = match trial {
            Outcome::Partly { cause, .. } | Outcome::Failed(cause) if is_its_own(cause) => true,
            _ => {
                tried.marks.extend(mark(current).map(|_| Mark::Untried));
                tried.marks.len() >= rules.trial_untried as usize
            }
        };
        if is_given_up {
            self.trial = None;
        }
    }

    /// Before the slot that it has just failed in.
    fn was_in_quarantine(&self) -> bool {
        let marks = self.current.since_released();
        matches!(marks, [.., Mark::Paused(_), Mark::Failed])
    }

    pub fn deploy(&mut self, version: u64, was_tried_out: bool) {
        self.current.marks.push(Mark::Released);
        let marks = was_tried_out.then_some(Mark::TriedOut).into_iter().collect();
        self.trial = Some(Story { version, marks });
        self.refused.remove(&version);
    }

    pub fn refuse(&mut self) {
        self.refused.extend(self.trial.take().map(|trial| trial.version));
    }

    pub fn roll_back(&mut self) {
        if self.trial.take().is_none()
            && let Some(before) = self.earlier.pop()
        {
            self.current = Story::new(before);
        }
    }

    pub fn roll_back_to(&mut self, version: u64) {
        if self.trial.as_ref().is_some_and(|trial| trial.version == version) {
            return;
        }
        self.trial = None;
        if self.current.version == version {
            return;
        }
        if !self.earlier.contains(&version) {
            return self.deploy(version, true);
        }
        while self.current.version != version {
            self.roll_back();
        }
    }
}

/// What counts of a slot of whoever is current.
fn mark(outcome: Outcome) -> Option<Mark> {
    match outcome {
        Outcome::Good => Some(Mark::Landed(0)),
        Outcome::Partly { failed, .. } => Some(Mark::Landed(failed)),
        Outcome::Failed(cause) => is_its_own(cause).then_some(Mark::Failed),
        Outcome::NotRun => None,
    }
}
