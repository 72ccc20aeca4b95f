//! What can go wrong with Ceilometer and its broker.

use std::io;
use std::path::Path;
use std::time::Duration;

/// How much of a log an error tells, in lines.
const TAIL: usize = 20;

/// Why there are no samples of Ceilometer's.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// A file or a process could not be used.
    #[error("{what}: {source}")]
    Io {
        /// What was about to be done.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A program ended that should not have.
    #[error("{what} ended; its log says:\n{log}")]
    Ended {
        /// The program.
        what: &'static str,
        /// The end of its log.
        log: String,
    },
    /// It takes too long.
    #[error("{what} took longer than {limit:?}; the log says:\n{log}")]
    TooLong {
        /// What does.
        what: &'static str,
        /// For how long it may.
        limit: Duration,
        /// The end of its log.
        log: String,
    },
    /// The broker failed.
    #[error("{0}")]
    Rig(#[from] wasmeter_rig::Failed),
    /// Ceilometer says something that we do not understand.
    #[error("Ceilometer's samples cannot be understood: {0}")]
    Json(#[from] serde_json::Error),
}

// === impl Failed ===

impl Failed {
    /// For `map_err`.
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}

/// The end of a log.
pub(crate) fn tail(log: &Path) -> String {
    let all = std::fs::read(log).unwrap_or_default();
    let all = String::from_utf8_lossy(&all);
    let mut last: Vec<_> = all.lines().rev().take(TAIL).collect();
    last.reverse();
    last.join("\n")
}
