//! Steps: commands whose output shows through, named before they run and timed after.

use std::io;
use std::process::{Command, ExitStatus};
use std::time::Instant;

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The program could not be started.
    #[error("{what}: cannot run {program}: {source}")]
    NotStarted {
        /// The step.
        what: String,
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// The program ended, and not well. It has told why.
    #[error("{what}: {status}")]
    Failed {
        /// The step.
        what: String,
        /// Exit code or signal.
        status: ExitStatus,
    },
}

/// Runs one step to its end.
pub fn run(what: &str, command: &mut Command) -> Result<(), StepError> {
    announce(what);
    let start = Instant::now();
    let status = command.status().map_err(|source| not_started(what, command, source))?;
    if !status.success() {
        return Err(StepError::Failed { what: what.to_owned(), status });
    }
    eprintln!("    {what}: {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// The heading of a step, for those that are no command of their own.
pub fn announce(what: &str) {
    eprintln!("==> {what}");
}

/// The error of a program that could not be started.
pub fn not_started(what: &str, command: &Command, source: io::Error) -> StepError {
    StepError::NotStarted {
        what: what.to_owned(),
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    }
}
