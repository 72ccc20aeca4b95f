//! QEMU's monitor, at a socket of the rig's own.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::Devices;
use crate::Failed;

/// It answers in less than a millisecond.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);
const WHAT: &str = "QEMU cannot be asked";
/// How libvirt calls the first virtio disk.
const FIRST_DISK: &str = "/virtio-disk0/";

/// A connection to it.
pub(super) struct Monitor(BufReader<UnixStream>);

// === impl Monitor ===

impl Monitor {
    /// Connects.
    pub(super) fn connect(socket: &Path) -> Result<Self, Failed> {
        let stream = UnixStream::connect(socket).map_err(Failed::io(WHAT))?;
        stream.set_read_timeout(Some(ANSWERS_WITHIN)).map_err(Failed::io(WHAT))?;
        let mut monitor = Self(BufReader::new(stream));
        monitor.ask("qmp_capabilities").map_err(Failed::io(WHAT))?;
        Ok(monitor)
    }

    /// What the first disk did.
    pub(super) fn first_disk(&mut self) -> Result<Devices, Failed> {
        let disks = self.ask("query-blockstats").map_err(Failed::io(WHAT))?;
        let is_first =
            |disk: &&Value| disk.get("qdev").and_then(Value::as_str).is_some_and(|at| at.contains(FIRST_DISK));
        let disk = disks.as_array().and_then(|disks| disks.iter().find(is_first)).and_then(|disk| disk.get("stats"));
        let count = |name| disk?.get(name)?.as_u64();
        let counts = || {
            Some(Devices {
                read_requests: count("rd_operations")?,
                read_bytes: count("rd_bytes")?,
                write_requests: count("wr_operations")?,
                written_bytes: count("wr_bytes")?,
                ..Devices::default()
            })
        };
        counts().ok_or_else(|| Failed::io(WHAT)(io::Error::other(format!("it says {disks}"))))
    }

    /// What it answers to a command; whatever else it tells is left out.
    fn ask(&mut self, command: &str) -> io::Result<Value> {
        self.0.get_mut().write_all(format!("{}\n", json!({"execute": command})).as_bytes())?;
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let mut said: Value = serde_json::from_str(&line)?;
            if let Some(answer) = said.get_mut("return") {
                return Ok(answer.take());
            }
            if let Some(error) = said.get("error") {
                return Err(io::Error::other(error.to_string()));
            }
        }
    }
}
