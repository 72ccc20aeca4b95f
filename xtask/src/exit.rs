//! How a command ends: its errors, and the exit code of each.

use std::io;
use std::process::ExitCode;

use crate::step::StepError;

/// The exit codes of `cargo xtask`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All steps succeeded.
    Ok = 0,
    /// A step failed; its own output says why.
    StepFailed = 1,
    /// The command line is wrong (`EX_USAGE`).
    Usage = 64,
    /// The machine lacks something that only its administrator can install; what to run has been printed
    /// (`EX_UNAVAILABLE`).
    SetupByHand = 69,
}

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A command that was run did not succeed.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The set-up is not ours to do. The commands have been printed.
    #[error("run the commands above, then start again")]
    SetupByHand,
    /// Something is missing that nobody asked this command to install.
    #[error("something is missing; run `{0}`, then start again")]
    ByHand(String),
    /// The set-up ran and did not help.
    #[error("still missing after the set-up: {0}")]
    SetupWithoutEffect(String),
    /// Some file or folder of the repository cannot be used.
    #[error("{what}: {source}")]
    File {
        /// Which, and what for.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// The exit code that tells this error from the others.
    pub fn exit(&self) -> Exit {
        match self {
            Self::SetupByHand | Self::ByHand(_) => Exit::SetupByHand,
            Self::Step(_) | Self::SetupWithoutEffect(_) | Self::File { .. } => Exit::StepFailed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
