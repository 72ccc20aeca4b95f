//! What the log says: a line for each change, and none as long as all is as it was.

use std::fmt;
use std::time::Duration;

use super::{Instance, StateId};
use crate::sandbox::Cause;

/// Something is other than it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A version is tried out beside the current one.
    DryRunBegun {
        /// What is tried out. It has no state yet.
        tried: Instance,
        /// What is current, as before.
        current: Instance,
    },
    /// A version that was tried out is on trial. Its state is a copy, which has to be there before this is kept.
    DryRunPassed {
        /// What is on trial.
        trial: Instance,
        /// The state that its own begins as.
        copy_of: StateId,
    },
    /// A version is on trial. Its state is a copy, which has to be there before this is kept.
    TrialBegun {
        /// What is on trial.
        trial: Instance,
        /// The state that its own begins as.
        copy_of: StateId,
    },
    /// A version on trial has taken over.
    TrialPassed {
        /// What is current now.
        current: Instance,
        /// What was before. Its state can go.
        before: Instance,
    },
    /// A version on trial, or that was tried out for one, is no longer.
    TrialGivenUp {
        /// What was on trial. Its state can go.
        trial: Instance,
        /// What is current, as before.
        current: Instance,
        /// Why.
        why: GivenUp,
    },
    /// A version that ran before is current again. Its state is a copy of that of the version that it takes the place
    /// of, which has to be there before this is kept.
    RolledBack {
        /// What is current now.
        current: Instance,
        /// What was until now. Its state can go once it was copied.
        before: Instance,
    },
    /// Somebody paused it.
    Paused,
    /// Somebody resumed it.
    Resumed,
    /// It runs in no slot for a while.
    Quarantined {
        /// What it did last.
        cause: Cause,
        /// In how many slots in a row it failed.
        failed: u32,
        /// How long it pauses. The next pauses are longer, and are not told.
        pause: Duration,
    },
    /// It runs in every slot again.
    QuarantineEnded(Ended),
}

/// Why a trial ended without its version taking over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenUp {
    /// It failed when it was tried out, because of this.
    FailedDryRun(Cause),
    /// It failed too often, the last time because of this.
    Failed(Cause),
    /// The host could run the version before it, and not this one.
    Untried,
    /// The version before it was called, and this one was not.
    NotCalled,
    /// It cannot run any more, such as by rules that changed.
    CannotRun,
    /// Somebody wanted the version before it.
    Withdrawn,
    /// Another one came.
    Replaced,
}

/// Why a quarantine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// A try did not fail.
    Recovered,
    /// Another version of the module is to run.
    AnotherVersion,
    /// Somebody resumed it.
    Resumed,
    /// There is another version of the host.
    NewHost,
}

// === impl Change ===

impl Change {
    /// Whether something is to be said of why, such as what failed last.
    pub fn is_by_failing(&self) -> bool {
        match self {
            Self::Quarantined { .. } => true,
            Self::TrialGivenUp { why, .. } => !matches!(why, GivenUp::Withdrawn | GivenUp::Replaced),
            _ => false,
        }
    }
}

/// A sentence without its full stop, after the deployment's name.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DryRunBegun { tried, current } => {
                write!(f, "version {} is tried out beside {}, and nothing of it counts", tried.version, current.version)
            }
            Self::DryRunPassed { trial, .. } => {
                write!(f, "version {} did well when it was tried out, and is on trial", trial.version)
            }
            Self::TrialBegun { trial, .. } => write!(f, "version {} is on trial", trial.version),
            Self::TrialPassed { current, before } => {
                write!(f, "version {} has passed its trial and takes the place of {}", current.version, before.version)
            }
            Self::TrialGivenUp { trial, current, why } => {
                write!(f, "version {} is given up, and {} goes on: {why}", trial.version, current.version)
            }
            Self::RolledBack { current, before } => {
                write!(f, "version {} runs again in the place of {}, on its state", current.version, before.version)
            }
            Self::Paused => f.write_str("it is paused"),
            Self::Resumed => f.write_str("it is resumed"),
            Self::Quarantined { cause, failed, pause } => write!(
                f,
                "it is in quarantine after {failed} failing slots in a row, the last with {cause}; it is tried again \
                 in {} s, and less and less often if it goes on failing",
                pause.as_secs()
            ),
            Self::QuarantineEnded(ended) => write!(f, "it is no longer in quarantine: {ended}"),
        }
    }
}

impl fmt::Display for GivenUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FailedDryRun(cause) => write!(f, "it failed with {cause} when it was tried out"),
            Self::Failed(cause) => write!(f, "it failed with {cause}"),
            Self::Untried => f.write_str("the host could not run it"),
            Self::NotCalled => f.write_str("nothing came that it is for, and the version before it was called"),
            Self::CannotRun => f.write_str("it cannot run any more"),
            Self::Withdrawn => f.write_str("it was withdrawn"),
            Self::Replaced => f.write_str("another one takes its place"),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Recovered => "it works again",
            Self::AnotherVersion => "there is another version of it",
            Self::Resumed => "it was resumed",
            Self::NewHost => "there is another version of wasmeter",
        })
    }
}
