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
        /// The deployment.
        key: Key,
        /// What is wrong with it.
        what: String,
        /// What it is called since it was set aside; otherwise it is where it was.
        set_aside: Option<String>,
    },
    /// A deployment's file was set aside before, and nobody mended it.
    SetAside {
        /// What the file was called.
        file: String,
        /// The deployment.
        key: Key,
        /// What it is called now.
        set_aside: String,
    },
    /// A deployment's file cannot be read now. It is where it was.
    Unreadable {
        /// The file, from the store's folder on.
        file: String,
        /// The deployment.
        key: Key,
        /// What the operating system said.
        what: String,
    },
    /// A later version of the daemon wrote a deployment's file.
    Foreign {
        /// The file, from the store's folder on.
        file: String,
        /// The deployment.
        key: Key,
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

impl Oddity {
    /// The deployment that is not there because of it.
    pub fn lacks(&self) -> Option<&Key> {
        match self {
            Self::Damaged { key, .. }
            | Self::SetAside { key, .. }
            | Self::Unreadable { key, .. }
            | Self::Foreign { key, .. } => Some(key),
            Self::NoModule { .. } | Self::Stranger { .. } => None,
        }
    }

    /// What is odd, without a full stop.
    pub fn message(&self) -> String {
        match self {
            Self::Damaged { file, key, what, set_aside } => {
                let renamed = set_aside.as_ref().map(|name| format!(", and was renamed to {name}")).unwrap_or_default();
                format!("{file} cannot be used{renamed}, so {key} does not run: {what}")
            }
            Self::SetAside { file, key, set_aside } => {
                format!("{file} could not be used and was renamed to {set_aside}, so {key} does not run")
            }
            Self::Unreadable { file, key, what } => format!("{file} cannot be read, so {key} does not run: {what}"),
            Self::Foreign { file, key, format } => {
                format!("{file} was written by a later wasmeter (format {format}), so {key} does not run")
            }
            Self::NoModule { key, version, what, role, .. } => {
                let meaning = match role {
                    Role::Current => "it does not run",
                    Role::Trial => "its trial has ended",
                    Role::Kept => "it cannot be gone back to",
                };
                format!("version {version} of {key} has no module, so {meaning}: {what}")
            }
            Self::Stranger { file } => format!("{file} is no file of the store, and is left alone"),
        }
    }

    /// What to do.
    pub fn remedy(&self) -> String {
        match self {
            Self::Damaged { file, key, set_aside: None, .. } => format!(
                "Put a backup of {file} in its place and send SIGHUP to the daemon, or remove it and deploy {key} again"
            ),
            Self::Damaged { file, key, set_aside: Some(set_aside), .. } | Self::SetAside { file, key, set_aside } => {
                format!(
                    "Put a backup of {file} back and send SIGHUP to the daemon, or deploy {key} again; then remove \
                     {set_aside}"
                )
            }
            Self::Unreadable { .. } => "Make it readable and send SIGHUP to the daemon, or move it away".to_owned(),
            Self::Foreign { .. } => "Run that wasmeter, or move the file away".to_owned(),
            Self::NoModule { .. } => "Send SIGHUP to the daemon once that is mended".to_owned(),
            Self::Stranger { .. } => "Move it away".to_owned(),
        }
    }
}

/// Both, with one full stop between them.
impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.message(), self.remedy())
    }
}
