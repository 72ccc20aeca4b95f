//! What can go wrong, as values. None of it ends the store: the next call tries again.

use std::io;

use super::record::Sequence;

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process writes to this folder.
    #[error("another process is writing to this spool")]
    Locked,
    /// The folder can be read at most.
    #[error("cannot write to the spool's folder: it must be mounted read-write and belong to the daemon's user")]
    NotWritable {
        /// What the operating system said.
        source: io::Error,
    },
    /// The record does not fit the bounds.
    #[error("a record of {bytes} bytes does not fit a spool of {limit}")]
    TooLarge {
        /// The record's size.
        bytes: u64,
        /// What fits.
        limit: u64,
    },
    /// The record counts more keys than a header holds.
    #[error("a record counts at most {limit} keys, this one {keys}")]
    TooManyKeys {
        /// Its keys.
        keys: usize,
        /// What fits.
        limit: usize,
    },
    /// There is no cursor of this name.
    #[error("there is no cursor {0:?}")]
    NoCursor(String),
    /// There is a cursor of this name already, or the name is none.
    #[error("a cursor cannot be called {0:?}: the name is taken, empty or longer than 255 bytes")]
    BadName(String),
    /// A cursor acknowledged what it cannot have read.
    #[error("record {acknowledged} is acknowledged before it was committed; the next to commit is {next}")]
    Ahead {
        /// What was acknowledged.
        acknowledged: Sequence,
        /// The next record to be committed.
        next: Sequence,
    },
    /// The disk failed, or is full.
    #[error("cannot {step}")]
    Io {
        /// What was tried.
        step: Step,
        /// What the operating system said.
        source: io::Error,
    },
}

/// What was tried when the disk failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Taking the lock.
    Lock,
    /// Listing the folder.
    List,
    /// Opening a segment.
    Open,
    /// Starting a new segment.
    Create,
    /// Writing a record.
    Write,
    /// Cutting off what is half written.
    Cut,
    /// Making records durable.
    Sync,
    /// Reading a record.
    Read,
    /// Writing a segment anew.
    Rewrite,
    /// Writing positions and totals.
    Ledger,
    /// Removing a segment.
    Remove,
}

// === impl Error ===

impl Error {
    /// For `map_err`.
    pub(super) fn io(step: Step) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { step, source }
    }

    /// For the first file that is opened to write.
    pub(super) fn lock(source: io::Error) -> Self {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        match source.kind() {
            PermissionDenied | ReadOnlyFilesystem => Self::NotWritable { source },
            _ => Self::Io { step: Step::Lock, source },
        }
    }

    /// Whether the disk can only be read: mounted like that, or the kernel no longer trusts it.
    pub fn is_read_only(&self) -> bool {
        match self {
            Self::Io { source, .. } | Self::NotWritable { source } => {
                source.kind() == io::ErrorKind::ReadOnlyFilesystem
            }
            _ => false,
        }
    }

    /// The error and what the operating system said.
    pub fn with_cause(&self) -> String {
        let source = std::error::Error::source(self).map(|source| format!(": {source}"));
        format!("{self}{}", source.unwrap_or_default())
    }

    /// Whether the disk is full, by any of its names.
    pub fn is_full(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge))
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Lock => "lock the spool",
            Self::List => "list the spool's folder",
            Self::Open => "open a segment of the spool",
            Self::Create => "start a segment of the spool",
            Self::Write => "write a record to the spool",
            Self::Cut => "cut off a half-written record of the spool",
            Self::Sync => "make the spool's records durable",
            Self::Read => "read a record of the spool",
            Self::Rewrite => "write a segment of the spool anew",
            Self::Ledger => "write the spool's ledger",
            Self::Remove => "remove a segment of the spool",
        })
    }
}
