//! What fails once the rig runs.

use std::io;
use std::time::Duration;

/// Something that the rig was told to do failed.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// virsh said no.
    #[error("virsh {command}: {said}")]
    Virsh {
        /// The command, perhaps shortened.
        command: String,
        /// What virsh said.
        said: String,
    },
    /// It did not end.
    #[error("{what} took longer than {limit:?}")]
    TooLong {
        /// What did not end.
        what: String,
        /// For how long it may take.
        limit: Duration,
    },
    /// There is no such guest, or it is shut off.
    #[error("the guest {0} does not run")]
    NoGuest(String),
    /// libvirtd does not run, or did not start.
    #[error("libvirtd does not run; its log says: {0}")]
    NoLibvirtd(String),
    /// A libvirtd cannot be started beside another.
    #[error("libvirtd still runs; stop or kill it first")]
    Runs,
    /// A file or a process could not be used.
    #[error("{what}: {source}")]
    Io {
        /// What the rig was about to do.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

// === impl Failed ===

impl Failed {
    /// For `map_err`.
    pub(crate) fn io<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Io { what, source: error.into() }
    }
}
