//! One of Ceilometer's programs at work.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Failed;
use crate::failed::tail;

/// How long it may take to end; it takes a second.
const ENDS_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks at what it does.
const PAUSE: Duration = Duration::from_millis(100);

/// The program. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Agent {
    program: Child,
    log: PathBuf,
}

// === impl Agent ===

impl Agent {
    /// Starts it with a configuration and its other files in a folder.
    pub(crate) fn start(
        program: &Path,
        arguments: &[&str],
        folder: &Path,
        configuration: &str,
    ) -> Result<Self, Failed> {
        const WHAT: &str = "Ceilometer cannot be started";
        let path = folder.join("ceilometer.conf");
        fs::write(&path, configuration).map_err(Failed::io(WHAT))?;
        let log = folder.join("ceilometer.log");
        let printed = File::create(&log).map_err(Failed::io(WHAT))?;
        // It ends with this program, whatever becomes of that.
        let program = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .args(arguments)
            .arg("--config-file")
            .arg(path)
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(printed.try_clone().map_err(Failed::io(WHAT))?)
            .stderr(printed)
            .spawn()
            .map_err(Failed::io(WHAT))?;
        Ok(Self { program, log })
    }

    pub(crate) fn id(&self) -> u32 {
        self.program.id()
    }

    /// What it has logged.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until there is what one looks for while it runs.
    pub(crate) fn wait<T>(
        &mut self,
        what: &'static str,
        limit: Duration,
        mut look: impl FnMut(&Self) -> Result<Option<T>, Failed>,
    ) -> Result<T, Failed> {
        let until = Instant::now() + limit;
        loop {
            if let Some(found) = look(self)? {
                return Ok(found);
            }
            if !matches!(self.program.try_wait(), Ok(None)) {
                return Err(Failed::Ended { what: "Ceilometer", log: tail(&self.log) });
            }
            if Instant::now() > until {
                return Err(Failed::TooLong { what, limit, log: tail(&self.log) });
            }
            thread::sleep(PAUSE);
        }
    }

    /// Asks it to end, and waits for that.
    pub(crate) fn end(&mut self) -> Result<(), Failed> {
        if let Some(pid) = i32::try_from(self.id()).ok().and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::TERM);
        }
        let until = Instant::now() + ENDS_WITHIN;
        while matches!(self.program.try_wait(), Ok(None)) {
            if Instant::now() > until {
                let log = tail(&self.log);
                return Err(Failed::TooLong { what: "the end of Ceilometer", limit: ENDS_WITHIN, log });
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if self.end().is_err() {
            let _ = self.program.kill();
            let _ = self.program.wait();
        }
    }
}
