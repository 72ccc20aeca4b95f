//! What is to run in a slot, and how it went.

use super::{Instance, StateId};
use crate::sandbox::Cause;

/// What is to run in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// Nothing.
    Nothing(Idle),
    /// This, and there is nothing to fall back on.
    Current(Instance),
    /// The second, which counts; and the first beside it, on a copy of what that one remembers, of which nothing does.
    DryRun {
        /// What is tried out.
        tried: Instance,
        /// What is there.
        current: Instance,
    },
    /// The first; and if [`Run::falls_back`], the second in its place in the same slot.
    Trial {
        /// What is on trial.
        trial: Instance,
        /// What was there before.
        current: Instance,
        /// For how many resources that one fails.
        bar: u32,
    },
}

/// Why nothing runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "why")]
pub enum Idle {
    /// Somebody wanted it so.
    Paused,
    /// It failed too often.
    Quarantined {
        /// When it is tried again, in nanoseconds of the wall clock, if nobody sets that.
        until: i64,
        /// What it did last.
        cause: Cause,
    },
}

/// How a version did in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It gave what it had for all that it was handed, which may be nothing.
    Good,
    /// It failed for some of what it was handed, and gave or remembers something of the rest.
    Partly {
        /// For how many resources.
        failed: u32,
        /// Why, for the last of them.
        cause: Cause,
    },
    /// It failed for all or some of what it was handed, and nothing came of any.
    Failed(Cause),
    /// It was not called: there is nothing that it could be handed.
    NotRun,
}

/// What ran in a slot. Outcomes of instances that are no longer there are ignored, so a slot may end after a
/// deployment that began while it ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ran {
    /// What was on trial or tried out, by the state that is or will be its own; none if the slot says nothing of it.
    pub trial: Option<(StateId, Outcome)>,
    /// What was current, by its state.
    pub current: Option<(StateId, Outcome)>,
}

/// Whether a failure is the module's own doing, so that it counts.
pub fn is_its_own(cause: Cause) -> bool {
    match cause {
        // The store cannot be read, the operator took a grant back, or the host could not run it, or read nothing.
        Cause::Unreadable | Cause::NotGranted | Cause::Host => false,
        // Its samples are odd, and it knows.
        Cause::Dropped => false,
        Cause::NotAComponent
        | Cause::AbiMismatch
        | Cause::TooLarge
        | Cause::Compile
        | Cause::BadDescription
        | Cause::OutOfFuel
        | Cause::Deadline
        | Cause::Memory
        | Cause::Table
        | Cause::StackOverflow
        | Cause::Trap
        | Cause::Exit
        | Cause::BadData
        | Cause::Undeclared
        | Cause::Forged
        | Cause::NotFinite
        | Cause::TooMuch
        | Cause::ModuleError => true,
    }
}

// === impl Run ===

impl Run {
    /// All that may run on a state of its own.
    pub fn instances(&self) -> impl Iterator<Item = Instance> {
        let (first, then) = match *self {
            Self::Nothing(_) => (None, None),
            Self::Current(current) | Self::DryRun { current, .. } => (Some(current), None),
            Self::Trial { trial, current, .. } => (Some(trial), Some(current)),
        };
        first.into_iter().chain(then)
    }

    /// All versions that may run, first that whose slots these are.
    pub fn versions(&self) -> impl Iterator<Item = u64> + use<> {
        let (first, then) = match *self {
            Self::Nothing(_) => (None, None),
            Self::Current(current) => (Some(current), None),
            Self::DryRun { tried, current } => (Some(current), Some(tried)),
            Self::Trial { trial, current, .. } => (Some(trial), Some(current)),
        };
        first.into_iter().chain(then).map(|instance| instance.version)
    }

    /// What is on trial, or tried out for one.
    pub fn on_trial(&self) -> Option<Instance> {
        match *self {
            Self::Nothing(_) | Self::Current(_) => None,
            Self::DryRun { tried: trial, .. } | Self::Trial { trial, .. } => Some(trial),
        }
    }

    /// Whether what is current has to run in this slot beside what did so on trial, of which nothing may count then: no
    /// samples, and no change of its state.
    pub fn falls_back(&self, trial: Outcome) -> bool {
        match self {
            Self::Nothing(_) | Self::Current(_) => false,
            Self::DryRun { .. } => true,
            Self::Trial { bar, .. } => trial.falls_short(*bar),
        }
    }
}

// === impl Outcome ===

impl Outcome {
    /// Whether what it gave and remembers counts.
    pub fn landed(self) -> bool {
        matches!(self, Self::Good | Self::Partly { .. })
    }

    /// Whether it was called, and the host did its part.
    pub(super) fn was_tried(self) -> bool {
        match self {
            Self::Good | Self::Partly { .. } => true,
            Self::Failed(cause) => is_its_own(cause),
            Self::NotRun => false,
        }
    }

    /// Whether it is worse than that of a version that fails for so many resources. One that is not called gives nothing
    /// where that version may give something.
    pub(super) fn falls_short(self, bar: u32) -> bool {
        match self {
            Self::Good => false,
            Self::Partly { failed, .. } => failed > bar,
            Self::Failed(_) | Self::NotRun => true,
        }
    }
}
