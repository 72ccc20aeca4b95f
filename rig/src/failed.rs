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
    /// A guest that is to work does not use all of its devices.
    #[error("the guest {guest} does not work; its console says: {said}")]
    Idle {
        /// The guest's name.
        guest: String,
        /// All that it said.
        said: String,
    },
    /// libvirtd does not run, or did not start.
    #[error("libvirtd does not run; its log says: {0}")]
    NoLibvirtd(String),
    /// A server cannot be started beside another.
    #[error("it still runs; stop or kill it first")]
    Runs,
    /// RabbitMQ does not run, or did not start.
    #[error("RabbitMQ does not run; its log says: {0}")]
    NoRabbit(String),
    /// rabbitmqctl said no.
    #[error("rabbitmqctl {command}: {said}")]
    Ctl {
        /// The command, without its arguments, as passwords may be among them.
        command: String,
        /// What rabbitmqctl said.
        said: String,
    },
    /// RabbitMQ did not do what a client asked for.
    #[error("{what}: {source}")]
    Amqp {
        /// What was asked for.
        what: &'static str,
        /// What became of it.
        source: lapin::Error,
    },
    /// RabbitMQ rejected a message, for instance as its queue is full.
    #[error("RabbitMQ did not take the message")]
    NotTaken,
    /// A certificate could not be made.
    #[error("a certificate cannot be made: {0}")]
    Certificate(rcgen::Error),
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
