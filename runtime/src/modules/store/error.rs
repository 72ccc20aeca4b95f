//! What can go wrong, as values. After none of it is a deployment half old and half new.

use std::fmt;
use std::io;

use super::names;
use super::storage::Shelf;
use crate::digest::Digest;
use crate::modules::deployment::{Invalid, Key};

/// Why a call came to nothing. Files are named from the store's folder on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process writes to this folder.
    #[error("another process uses this store: end it, or give this one a state folder of its own")]
    Locked,
    /// The disk failed, or is full.
    #[error("cannot {step} {file}")]
    Io {
        /// What was tried.
        step: Step,
        /// With which file.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// Whether it happened is not known.
    #[error(
        "cannot make {file} durable: until the disk answers again it goes on as it was, and after a crash it may be \
         as it was to become; do it once more"
    )]
    Unsettled {
        /// Which file.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// There is no such module.
    #[error("{} is missing: put a backup of it back, or deploy the module of this digest once more", path(digest))]
    Missing {
        /// The module.
        digest: Digest,
    },
    /// The module's file holds something else.
    #[error(
        "{} was changed: its content has the digest {found}; put a backup of it back, or deploy the module of the \
         digest {digest} once more, and find out who or what changed it",
        path(digest)
    )]
    Changed {
        /// The module.
        digest: Digest,
        /// What the file holds.
        found: Digest,
    },
    /// Modules have a largest size.
    #[error("the module has {bytes} bytes, and at most {most} are kept: make it smaller, or deploy two")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// What is kept.
        most: usize,
    },
    /// The deployment breaks a rule.
    #[error("the deployment {key} cannot be kept: {invalid}")]
    Invalid {
        /// Which.
        key: Key,
        /// In which way.
        invalid: Invalid,
    },
    /// The deployment would fill more than a file.
    #[error(
        "the deployment {key} with its versions takes {bytes} bytes, and at most {most} are kept: shorten its \
         configuration and grants, or remove it and deploy it anew"
    )]
    TooLong {
        /// Which.
        key: Key,
        /// What it takes.
        bytes: usize,
        /// What is kept.
        most: u64,
    },
    /// There is no such deployment.
    #[error("there is no deployment {0}")]
    NoDeployment(Key),
    /// The deployment's file was left alone when the store was opened.
    #[error("{} is left alone: {why}", file(Shelf::Deployments, &names::deployment(key)))]
    Closed {
        /// Which.
        key: Key,
        /// Why, and the remedy.
        why: String,
    },
    /// A deployment's file may name any module.
    #[error("no module is removed while {file} cannot be read: make it readable or move it away, and send SIGHUP")]
    Unread {
        /// The file.
        file: String,
    },
    /// There are too many deployments.
    #[error("there are {0} deployments, which is as many as one node keeps: remove one")]
    TooMany(usize),
}

/// What was tried when the disk failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Making a folder.
    Make,
    /// Taking the lock.
    Lock,
    /// Listing a folder.
    List,
    /// Reading a file.
    Read,
    /// Writing a file.
    Write,
    /// Setting a file aside.
    SetAside,
    /// Removing a file.
    Remove,
    /// Making names durable.
    Sync,
}

fn path(digest: &Digest) -> String {
    file(Shelf::Modules, &names::module(digest))
}

/// A file's path from the store's folder on; the shelf's if the name is empty.
pub(super) fn file(shelf: Shelf, name: &str) -> String {
    format!("{}/{name}", shelf.folder())
}

// === impl Error ===

impl Error {
    /// For `map_err`.
    pub(super) fn io(step: Step, shelf: Shelf, name: &str) -> impl Fn(io::Error) -> Self {
        let file = file(shelf, name);
        move |source| Self::Io { step, file: file.clone(), source }
    }

    /// The error and what the operating system said.
    pub fn with_cause(&self) -> String {
        let source = std::error::Error::source(self).map(|source| format!(": {source}"));
        format!("{self}{}", source.unwrap_or_default())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Make => "make or open",
            Self::Lock => "lock",
            Self::List => "list",
            Self::Read => "read",
            Self::Write => "write",
            Self::SetAside => "set aside",
            Self::Remove => "remove",
            Self::Sync => "make durable",
        })
    }
}
