//! Namespaces with a server, and all that it starts.
//!
//! A script is their first process: it starts a server whenever a line arrives, and ends with its standard input, which
//! is with the test. Whatever runs in the namespaces ends with it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::processes::{self, Processes};
use crate::{CannotRun, Failed, cannot, logs};

/// What the first process does.
const FIRST: &str = include_str!("namespaces/first.sh");
/// How long everything may take to end: memory is given back at several GiB a second.
const GONE_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks at something that takes milliseconds.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);

/// What to make.
pub(crate) struct Setup<'a> {
    /// unshare's options for namespaces beyond those that all have: of mounts, of processes, and of users unless root
    /// runs this.
    pub(crate) more: &'a [&'a str],
    /// unshare's options about users.
    pub(crate) users: &'a [&'a str],
    /// A script that sets them up, and says which program the server is.
    pub(crate) script: &'a str,
    /// For its files. It is the script's first argument, and removed in the end.
    pub(crate) folder: &'a Path,
    /// The script's second argument.
    pub(crate) argument: &'a OsStr,
    /// The server's environment, besides where programs are.
    pub(crate) environment: &'a [(&'static str, OsString)],
}

/// The namespaces, and the server in them. Dropping this ends all that runs there.
#[derive(Debug)]
pub(crate) struct Namespaces {
    /// `unshare`, which waits for the first process.
    unshare: Child,
    /// That one's pipes, without which it ends.
    script: Mutex<Option<Script>>,
    /// The server's process, if it runs.
    server: Mutex<Option<Pid>>,
    pub(crate) processes: Processes,
}

/// The script's pipes: it starts a server for a line, and answers with a process id as seen from inside.
#[derive(Debug)]
struct Script {
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

// === impl Namespaces ===

impl Namespaces {
    /// Makes them, and waits until the script has set them up.
    pub(crate) fn new(setup: &Setup<'_>) -> Result<Self, CannotRun> {
        let mut unshare = setup.unshare()?;
        let (Some(orders), Some(answers)) = (unshare.stdin.take(), unshare.stdout.take()) else {
            return Err(CannotRun::Namespaces("no pipes".into()));
        };
        let mut script = Script { orders, answers: BufReader::new(answers) };
        if script.answer().as_deref() != Some("ready") {
            drop(script);
            let _ = unshare.wait();
            return Err(CannotRun::Namespaces(logs::tail(&log(setup.folder))));
        }
        let processes = Processes::below(&unshare)?;
        Ok(Self { unshare, script: Mutex::new(Some(script)), server: Mutex::new(None), processes })
    }

    /// The server's process, if it was started and not ended.
    pub(crate) fn server(&self) -> Option<Pid> {
        *lock(&self.server)
    }

    /// Whether the server's process is there.
    pub(crate) fn is_alive(&self) -> bool {
        self.server().is_some_and(processes::is_alive)
    }

    /// Starts the server, unless that fails at once.
    pub(crate) fn start(&self) -> Option<Pid> {
        let inside = lock(&self.script).as_mut().and_then(Script::start)?;
        let server = self.processes.outside(inside)?;
        *lock(&self.server) = Some(server);
        Some(server)
    }

    /// Ends the server, and waits for that.
    pub(crate) fn end(&self, what: &str, signal: Signal, limit: Duration) -> Result<(), Failed> {
        let Some(server) = self.server() else { return Ok(()) };
        // It may have ended by itself.
        let _ = kill_process(server, signal);
        let until = Instant::now() + limit;
        while processes::is_alive(server) {
            if Instant::now() > until {
                return Err(Failed::TooLong { what: format!("the end of {what}"), limit });
            }
            thread::sleep(PAUSE);
        }
        *lock(&self.server) = None;
        Ok(())
    }
}

impl Drop for Namespaces {
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

// === impl Setup ===

impl Setup<'_> {
    /// Starts the script in namespaces of its own.
    fn unshare(&self) -> Result<Child, CannotRun> {
        let script = self.folder.join("first.sh");
        fs::write(&script, FIRST)?;
        fs::write(self.folder.join("setup.sh"), self.script)?;
        let users: &[_] = if geteuid().is_root() { &[] } else { self.users };
        Ok(Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"])
            .args(self.more)
            .args(users)
            .arg("bash")
            .args([script.as_path(), self.folder])
            .arg(self.argument)
            // Servers look at the environment for ways to behave otherwise.
            .env_clear()
            .env("PATH", cannot::search_path())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(log(self.folder))?)
            .spawn()?)
    }
}

// === impl Script ===

impl Script {
    /// The next line, unless the script ended.
    fn answer(&mut self) -> Option<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line).ok().filter(|&length| length > 0)?;
        Some(line.trim().to_owned())
    }

    /// Starts a server and gives its process id as seen from inside.
    fn start(&mut self) -> Option<i32> {
        self.orders.write_all(b"start\n").ok()?;
        self.answer()?.parse().ok()
    }
}

/// What the script logs, and the server before it has a log of its own.
pub(crate) fn log(folder: &Path) -> PathBuf {
    folder.join("inside.log")
}

/// Locks, whatever became of a thread that held the lock: a test that failed must still clean up.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
