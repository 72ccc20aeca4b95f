//! Running a program to its end.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::namespaces::PAUSE;

/// How a program ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// What it wrote to standard output.
    pub(crate) printed: String,
    /// What it wrote to standard error.
    pub(crate) complained: String,
}

/// Runs a program, and gives nothing if it had to be ended because it took too long.
pub(crate) fn run(command: &mut Command, limit: Duration) -> io::Result<Option<Ended>> {
    // Files, as a pipe that nobody reads yet would hold it up.
    let [mut printed, mut complained] = [tempfile::tempfile()?, tempfile::tempfile()?];
    let mut program =
        command.stdin(Stdio::null()).stdout(printed.try_clone()?).stderr(complained.try_clone()?).spawn()?;
    let until = Instant::now() + limit;
    let status = loop {
        if let Some(status) = program.try_wait()? {
            break status;
        }
        if Instant::now() > until {
            let _ = program.kill();
            let _ = program.wait();
            return Ok(None);
        }
        thread::sleep(PAUSE);
    };
    Ok(Some(Ended { status, printed: text(&mut printed)?, complained: text(&mut complained)? }))
}

fn text(file: &mut File) -> io::Result<String> {
    let mut all = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut all)?;
    Ok(String::from_utf8_lossy(&all).into_owned())
}
