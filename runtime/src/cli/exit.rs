//! How the program ends.

use std::process::ExitCode;

use crate::hypervisor::HypervisorError;
use crate::modules::NotLoaded;

/// What the help says about it.
pub const HELP: &str = "\
Exit codes:
   0  done
   1  it could not be started, or failed while it ran; `run --cycles`: an output lacks samples;
      `explain`: there is no value; `module build`: cargo did not build it; `module test`,
      `pipeline test`: something else came than was expected; `module diff --exit-code`: they are
      different; an order was not followed: there is no such deployment or version, no room for
      it, another kind of module runs, or it is written in a file
  64  the command line, the configuration or an order is wrong, or nobody was there to ask
  69  the hypervisor cannot be reached (`run --cycles`: in no cycle), or the daemon that is asked:
      it does not run, is busy, or may not be asked
  70  a module was refused, or failed

Signals of `run`: SIGHUP reads the configuration again (in a terminal, which sends it when it is closed, it ends at
once), SIGUSR2 writes to the log what `status` says, SIGTERM finishes the cycle, SIGINT ends at once.";

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// It could not be started, or failed while it ran.
    Failed = 1,
    /// The command line, the configuration or an order is wrong.
    Usage = 64,
    /// The hypervisor, or the daemon, cannot be reached.
    Unreachable = 69,
    /// A module was refused, or failed.
    Module = 70,
}

/// Prints what is wrong with the command line. Help and version come this way too, and are no errors.
pub fn usage(error: &clap::Error) -> Exit {
    let printed = error.print();
    if printed.is_err() || error.use_stderr() { Exit::Usage } else { Exit::Done }
}

// === impl Exit ===

impl Exit {
    /// How it ends without modules.
    pub fn without_modules(not_loaded: &NotLoaded) -> Self {
        if not_loaded.refused { Self::Module } else { Self::Usage }
    }

    /// How it ends without a host.
    pub fn without_host(error: &HypervisorError) -> Self {
        match error {
            HypervisorError::Uri { .. } => Self::Usage,
            HypervisorError::Unreachable { .. }
            | HypervisorError::Call { .. }
            | HypervisorError::Unusable { .. }
            | HypervisorError::Stuck { .. } => Self::Unreachable,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
