//! What is odd about a store that is opened. Everything else is served.

use std::fmt;

use crate::digest::Digest;
use crate::modules::deployment::Key;

/// One thing that is odd, where, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Oddity {
    /// A deployment's file cannot be used.
    Damaged {
        /// The file, from the store's folder on.
        file: String,
        /// What is wrong with it.
        what: String,
        /// Whether it was set aside; otherwise it is where it was.
        set_aside: bool,
    },
    /// A deployment's file cannot be read now. It is where it was.
    Unreadable {
        /// The file, from the store's folder on.
        file: String,
        /// What the operating system said.
        what: String,
    },
    /// A later version of the daemon wrote a deployment's file.
    Foreign {
        /// The file, from the store's folder on.
        file: String,
        /// How it is written.
        format: u64,
    },
    /// A module that a version names is missing, changed or unreadable.
    NoModule {
        /// The deployment.
        key: Key,
        /// The version.
        version: u64,
        /// The module.
        digest: Digest,
        /// What is wrong with it, and the remedy.
        what: String,
        /// What that means.
        role: Role,
    },
    /// A file that is none of ours. It is left alone.
    Stranger {
        /// The file, from the store's folder on.
        file: String,
    },
}

/// What a version is to its deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is what runs.
    Current,
    /// It was on trial.
    Trial,
    /// It could be gone back to.
    Kept,
}

// === impl Oddity ===

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { file, what, set_aside: true } => {
                write!(f, "{file} cannot be used: {what}; it was renamed to {file}.damaged: deploy the module again")
            }
            Self::Damaged { file, what, set_aside: false } => {
                write!(f, "{file} cannot be used: {what}; remove it and deploy the module again")
            }
            Self::Unreadable { file, what } => {
                write!(f, "{file} cannot be read: {what}; it is not run: make it readable and restart, or move it away")
            }
            Self::Foreign { file, format } => write!(
                f,
                "{file} was written by a later wasmeter (format {format}); it is not run: run that wasmeter, or \
                 move the file away"
            ),
            Self::NoModule { key, version, what, role, .. } => {
                let meaning = match role {
                    Role::Current => "it does not run",
                    Role::Trial => "its trial has ended",
                    Role::Kept => "it cannot be gone back to",
                };
                write!(f, "version {version} of {key} has no module, so {meaning}: {what}")
            }
            Self::Stranger { file } => write!(f, "{file} is no file of the store; it is left alone: move it away"),
        }
    }
}
