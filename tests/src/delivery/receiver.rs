//! Receivers that others wrote, or that are written in another language: a program of Python's, in the environment that
//! Ceilometer is in.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use wasmeter_rig::CannotRun;

use crate::support::program::{samples_so_far, until};

/// What receives samples, and writes them down.
pub(super) struct Receiver {
    child: Child,
    folder: TempDir,
    port: u16,
}

/// The program.
const PROGRAM: &str = include_str!("receiver/receiver.py");

// === impl Receiver ===

impl Receiver {
    /// One of this kind, which takes everything.
    pub(super) fn start(kind: &str, more: &[&str]) -> Result<Self, CannotRun> {
        let python = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("peer/venv/bin/python");
        if !python.is_file() {
            return Err(CannotRun::Ceilometer(python));
        }
        let folder = TempDir::new()?;
        let program = folder.path().join("receiver.py");
        fs::write(&program, PROGRAM)?;
        fs::write(folder.path().join("mode"), "take")?;
        let mut command = Command::new(python);
        command.arg("-W").arg("ignore").arg(program).arg(kind).arg(folder.path()).args(more);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line)?;
        let port = line.trim().parse().unwrap_or_else(|_| panic!("the receiver {kind} does not start: {line:?}"));
        Ok(Self { child, folder, port })
    }

    /// Where it listens.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Has it behave in another way.
    pub(super) fn behave(&self, mode: &str) {
        let (now, next) = (self.path("mode"), self.path("mode.next"));
        fs::write(&next, mode).unwrap();
        fs::rename(next, now).unwrap();
    }

    /// All that came so far.
    pub(super) fn received(&self) -> Vec<Value> {
        assert!(self.path("received").exists());
        samples_so_far(&fs::read_to_string(self.path("received")).unwrap())
    }

    /// Ends it. Returns all that came.
    pub(super) fn end(mut self) -> Vec<Value> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.received()
    }

    /// Waits for so many more.
    pub(super) fn until_received(&self, more: usize) {
        let before = self.received().len();
        until("samples at the receiver", || (self.received().len() >= before + more).then_some(()));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
