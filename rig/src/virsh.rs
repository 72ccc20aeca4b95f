//! libvirt's own client, for all that has no method of its own.

use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::libvirtd::PAUSE;
use crate::{Failed, Libvirtd, cannot};

/// Generous: starting a guest takes less than a second, and `boot` hands over hundreds at once.
const WITHIN: Duration = Duration::from_secs(600);
/// What virsh writes before what failed. One that runs several commands tells only the last one's end in its status.
const ERROR: &str = "error: ";
/// How much of a command an error shows.
const SHOWN: usize = 80;

// === impl Libvirtd ===

impl Libvirtd {
    /// Runs virsh with these arguments, and gives what it prints. A single argument may hold several commands,
    /// separated by semicolons.
    ///
    /// # Errors
    ///
    /// If any of the commands fails.
    pub fn virsh(&self, arguments: &[&str]) -> Result<String, Failed> {
        self.virsh_within(WITHIN, arguments)
    }

    /// The same with a limit: calls hang while a guest is frozen, and so does virsh.
    ///
    /// # Errors
    ///
    /// If any of the commands fails, or [`Failed::TooLong`]. libvirtd goes on with what it was asked.
    pub fn virsh_within(&self, limit: Duration, arguments: &[&str]) -> Result<String, Failed> {
        const WHAT: &str = "virsh cannot be run";
        // Files, as a pipe that nobody reads yet would hold it up.
        let [mut printed, mut complained] =
            [tempfile::tempfile().map_err(Failed::io(WHAT))?, tempfile::tempfile().map_err(Failed::io(WHAT))?];
        let clone = |file: &File| file.try_clone().map_err(Failed::io(WHAT));
        let mut virsh = Command::new("virsh")
            .args(["--quiet", "--connect", &self.uri_read_write()])
            .args(arguments)
            .env("PATH", cannot::search_path())
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(clone(&printed)?)
            .stderr(clone(&complained)?)
            .spawn()
            .map_err(Failed::io(WHAT))?;
        let command: String = arguments.join(" ").chars().take(SHOWN).collect();
        let until = Instant::now() + limit;
        let status = loop {
            if let Some(status) = virsh.try_wait().map_err(Failed::io(WHAT))? {
                break status;
            }
            if Instant::now() > until {
                let _ = virsh.kill();
                let _ = virsh.wait();
                return Err(Failed::TooLong { what: format!("virsh {command}"), limit });
            }
            thread::sleep(PAUSE);
        };
        let said = text(&mut complained).map_err(Failed::io(WHAT))?;
        if !status.success() || said.lines().any(|line| line.starts_with(ERROR)) {
            return Err(Failed::Virsh { command, said });
        }
        text(&mut printed).map_err(Failed::io(WHAT))
    }
}

fn text(file: &mut File) -> std::io::Result<String> {
    let mut all = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut all)?;
    Ok(String::from_utf8_lossy(&all).into_owned())
}
