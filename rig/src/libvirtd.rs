//! The private libvirtd: started, stopped, killed, started again.

mod folder;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::namespaces::{self, Namespaces, PAUSE, Setup, lock};
use crate::processes::{self, Cpu};
use crate::{BRIDGE, CannotRun, Failed, calls, cannot, logs};

pub(crate) use folder::Folder;

/// What sets up the namespaces.
const SETUP: &str = include_str!("libvirtd/setup.sh");
/// How long libvirtd may take to serve. It takes a quarter of a second.
const STARTS_WITHIN: Duration = Duration::from_secs(30);
/// How long libvirtd may take to end: asked to, it waits for up to 30 s for calls that it still serves.
const ENDS_WITHIN: Duration = Duration::from_secs(45);

/// How to start a [`Libvirtd`].
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Lines for `libvirtd.conf`, which count before the rig's.
    lines: Vec<String>,
    /// Whether libvirtd logs each call.
    calls_logged: bool,
}

/// A private libvirtd with its guests. Dropping it ends them all and removes all traces.
#[derive(Debug)]
pub struct Libvirtd {
    pub(crate) namespaces: Namespaces,
    /// Where in the log the calls begin that count.
    calls_from: Mutex<u64>,
    pub(crate) folder: Folder,
}

// === impl Options ===

impl Options {
    /// Another line for `libvirtd.conf`, such as `max_workers = 5`.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// Lets [`Libvirtd::calls`] count. It costs libvirtd a line in its log for each call.
    #[must_use]
    pub fn count_calls(mut self) -> Self {
        self.calls_logged = true;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// What is missing here, and the remedy.
    pub fn start(self) -> Result<Libvirtd, CannotRun> {
        cannot::check_installed()?;
        let folder = Folder::new(&self)?;
        let namespaces = Namespaces::new(&Setup {
            more: &["--net", "--ipc"],
            users: &["--user", "--map-root-user", "--map-auto"],
            script: SETUP,
            folder: folder.path(),
            argument: BRIDGE.as_ref(),
            environment: &[],
        })?;
        let libvirtd = Libvirtd { namespaces, calls_from: Mutex::new(0), folder };
        libvirtd.start_again().map_err(|failed| match failed {
            Failed::NoLibvirtd(log) => CannotRun::Libvirtd(log),
            other => CannotRun::Libvirtd(other.to_string()),
        })?;
        libvirtd.forget_calls();
        Ok(libvirtd)
    }
}

// === impl Libvirtd ===

impl Libvirtd {
    /// Starts it with the default options.
    ///
    /// # Errors
    ///
    /// What is missing here, and the remedy.
    pub fn start() -> Result<Self, CannotRun> {
        Self::options().start()
    }

    /// How to start it otherwise.
    #[must_use]
    pub fn options() -> Options {
        Options::default()
    }

    /// Where clients reach it that only read.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("qemu+unix:///system?socket={}", self.folder.socket(true).display())
    }

    /// Where clients reach it that may do everything.
    #[must_use]
    pub fn uri_read_write(&self) -> String {
        format!("qemu+unix:///system?socket={}", self.folder.socket(false).display())
    }

    /// The rig's folder, which goes away with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// libvirtd's process id, if it was started and neither stopped nor killed.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.running().map(|pid| pid.as_raw_nonzero().get())
    }

    /// Asks libvirtd to end, and waits for that. Its guests go on.
    ///
    /// # Errors
    ///
    /// If it does not end. It does not while calls wait for a frozen guest.
    pub fn stop(&self) -> Result<(), Failed> {
        self.end(Signal::TERM)
    }

    /// Kills libvirtd, and waits for its end. Its guests go on.
    ///
    /// # Errors
    ///
    /// If it does not end.
    pub fn kill(&self) -> Result<(), Failed> {
        self.end(Signal::KILL)
    }

    /// Starts libvirtd after it was stopped or killed, and waits until it serves.
    ///
    /// # Errors
    ///
    /// If it does not start, or still runs.
    pub fn start_again(&self) -> Result<(), Failed> {
        if self.namespaces.is_alive() {
            return Err(Failed::Runs);
        }
        let pid = self.namespaces.start().ok_or_else(|| self.no_libvirtd())?;
        let until = Instant::now() + STARTS_WITHIN;
        // A killed libvirtd leaves its socket, on which nobody answers.
        while UnixStream::connect(self.folder.socket(true)).is_err() {
            if !processes::is_alive(pid) || Instant::now() > until {
                return Err(self.no_libvirtd());
            }
            thread::sleep(PAUSE);
        }
        // It listens first, and serves once its drivers are ready. This call asks none of them.
        self.virsh_within(STARTS_WITHIN, &["uri"]).map(drop).map_err(|_| self.no_libvirtd())
    }

    /// What libvirtd logged.
    #[must_use]
    pub fn log(&self) -> String {
        logs::read(&self.folder.log(), 0)
    }

    /// How many calls libvirtd served, by procedure, since the rig was started or since
    /// [`forget_calls`](Self::forget_calls). It needs [`Options::count_calls`]. The rig's own calls count too: those
    /// of `boot` or `virsh`.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<String, u64> {
        calls::count(&logs::read(&self.folder.log(), *lock(&self.calls_from)))
    }

    /// Lets [`calls`](Self::calls) begin anew.
    pub fn forget_calls(&self) {
        *lock(&self.calls_from) = fs::metadata(self.folder.log()).map(|log| log.len()).unwrap_or_default();
    }

    /// What libvirtd and all guests have used since they were started.
    #[must_use]
    pub fn cpu_time(&self) -> Cpu {
        let libvirtd = self.running().map(processes::cpu_time).unwrap_or_default();
        let qemus = self.qemus().into_values().map(processes::cpu_time).sum();
        Cpu { libvirtd, qemus }
    }

    fn running(&self) -> Option<Pid> {
        self.namespaces.server()
    }

    fn end(&self, signal: Signal) -> Result<(), Failed> {
        self.namespaces.end("libvirtd", signal, ENDS_WITHIN)
    }

    fn no_libvirtd(&self) -> Failed {
        let logs = [namespaces::log(self.folder.path()), self.folder.log()].map(|log| logs::tail(&log));
        Failed::NoLibvirtd(logs.join("\n"))
    }
}
