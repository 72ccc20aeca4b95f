//! The private libvirtd: started, stopped, killed, started again.

mod folder;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::processes::{self, Cpu, Processes};
use crate::{BRIDGE, CannotRun, Failed, calls, cannot};

pub(crate) use folder::Folder;

/// What sets up the namespaces.
const INSIDE: &str = include_str!("libvirtd/inside.sh");
/// How long libvirtd may take to serve. It takes a quarter of a second.
const STARTS_WITHIN: Duration = Duration::from_secs(30);
/// How long libvirtd may take to end: asked to, it waits for up to 30 s for calls that it still serves.
const ENDS_WITHIN: Duration = Duration::from_secs(45);
/// How long everything may take to end: memory is given back at several GiB a second.
const GONE_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks at something that takes milliseconds.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);
/// What an error tells of a log.
const TAIL: usize = 10;

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
    /// `unshare`, which waits for the namespaces' first process.
    unshare: Child,
    /// Its pipes, without which it ends.
    script: Mutex<Option<Script>>,
    /// libvirtd's process, if it runs.
    pid: Mutex<Option<Pid>>,
    /// Where in the log the calls begin that count.
    calls_from: Mutex<u64>,
    pub(crate) processes: Processes,
    pub(crate) folder: Folder,
}

/// The script's pipes: it starts a libvirtd for a line, and answers with a process id as seen from inside.
#[derive(Debug)]
struct Script {
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
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
        let mut unshare = unshare(&folder)?;
        let (Some(orders), Some(answers)) = (unshare.stdin.take(), unshare.stdout.take()) else {
            return Err(CannotRun::Namespaces("no pipes".into()));
        };
        let mut script = Script { orders, answers: BufReader::new(answers) };
        if script.answer().as_deref() != Some("ready") {
            drop(script);
            let _ = unshare.wait();
            return Err(CannotRun::Namespaces(tail(&folder.inside_log())));
        }
        let processes = Processes::below(&unshare)?;
        let libvirtd = Libvirtd {
            unshare,
            script: Mutex::new(Some(script)),
            pid: Mutex::new(None),
            calls_from: Mutex::new(0),
            processes,
            folder,
        };
        libvirtd.start_again().map_err(|failed| match failed {
            Failed::NoLibvirtd(log) => CannotRun::Libvirtd(log),
            other => CannotRun::Libvirtd(other.to_string()),
        })?;
        libvirtd.forget_calls();
        Ok(libvirtd)
    }
}

/// Starts the script in namespaces of its own.
fn unshare(folder: &Folder) -> Result<Child, CannotRun> {
    let path = folder.path();
    let script = path.join("inside.sh");
    fs::write(&script, INSIDE)?;
    let user: &[_] = if geteuid().is_root() { &[] } else { &["--user", "--map-root-user", "--map-auto"] };
    Ok(Command::new("unshare")
        .args(["--mount", "--net", "--ipc", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"])
        .args(user)
        .arg("bash")
        .args([script.as_path(), path])
        .arg(BRIDGE)
        // libvirtd and QEMU look at the environment for ways to behave otherwise.
        .env_clear()
        .env("PATH", cannot::search_path())
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(folder.inside_log())?)
        .spawn()?)
}

// === impl Script ===

impl Script {
    /// The next line, unless the script ended.
    fn answer(&mut self) -> Option<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line).ok().filter(|&length| length > 0)?;
        Some(line.trim().to_owned())
    }

    /// Starts a libvirtd and gives its process id as seen from inside.
    fn start(&mut self) -> Option<i32> {
        self.orders.write_all(b"start\n").ok()?;
        self.answer()?.parse().ok()
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
        if self.running().is_some_and(processes::is_alive) {
            return Err(Failed::Runs);
        }
        let inside = lock(&self.script).as_mut().and_then(Script::start).ok_or_else(|| self.no_libvirtd())?;
        let pid = self.processes.outside(inside).ok_or_else(|| self.no_libvirtd())?;
        *lock(&self.pid) = Some(pid);
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
        read(&self.folder.log(), 0)
    }

    /// How many calls libvirtd served, by procedure, since the rig was started or since
    /// [`forget_calls`](Self::forget_calls). It needs [`Options::count_calls`]. The rig's own calls count too: those
    /// of `boot` or `virsh`.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<String, u64> {
        calls::count(&read(&self.folder.log(), *lock(&self.calls_from)))
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
        *lock(&self.pid)
    }

    fn end(&self, signal: Signal) -> Result<(), Failed> {
        let Some(pid) = self.running() else { return Ok(()) };
        // It may have ended by itself.
        let _ = kill_process(pid, signal);
        let until = Instant::now() + ENDS_WITHIN;
        while processes::is_alive(pid) {
            if Instant::now() > until {
                return Err(Failed::TooLong { what: "the end of libvirtd".into(), limit: ENDS_WITHIN });
            }
            thread::sleep(PAUSE);
        }
        *lock(&self.pid) = None;
        Ok(())
    }

    fn no_libvirtd(&self) -> Failed {
        let logs = [self.folder.inside_log(), self.folder.log()].map(|log| tail(&log));
        Failed::NoLibvirtd(logs.join("\n"))
    }
}

impl Drop for Libvirtd {
    fn drop(&mut self) {
        // The script kills everything in the namespaces once nobody can give it orders; unshare ends after the last.
        lock(&self.script).take();
        let until = Instant::now() + GONE_WITHIN;
        while matches!(self.unshare.try_wait(), Ok(None)) {
            if Instant::now() > until {
                let _ = self.unshare.kill();
                let _ = self.unshare.wait();
            }
            thread::sleep(PAUSE);
        }
    }
}

/// Locks, whatever became of a thread that held the lock: a test that failed must still clean up.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What stands in a log after some bytes; nothing if there is no log.
fn read(log: &Path, from: u64) -> String {
    let mut all = Vec::new();
    if let Ok(mut file) = File::open(log) {
        let _ = file.seek(SeekFrom::Start(from)).and_then(|_| file.read_to_end(&mut all));
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// The end of a log, on one line.
fn tail(log: &Path) -> String {
    let all = read(log, 0);
    let mut last: Vec<_> = all.lines().rev().take(TAIL).collect();
    last.reverse();
    last.join("; ")
}
