//! libvirt's own client, for all that has no method of its own.

use std::process::Command;
use std::time::Duration;

use crate::commands::{self, Ended};
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
        let command: String = arguments.join(" ").chars().take(SHOWN).collect();
        let mut virsh = Command::new("virsh");
        virsh.args(["--quiet", "--connect", &self.uri_read_write()]).args(arguments);
        virsh.env("PATH", cannot::search_path()).env("LC_ALL", "C");
        let Some(Ended { status, printed, complained: said }) =
            commands::run(&mut virsh, limit).map_err(Failed::io(WHAT))?
        else {
            return Err(Failed::TooLong { what: format!("virsh {command}"), limit });
        };
        if !status.success() || said.lines().any(|line| line.starts_with(ERROR)) {
            return Err(Failed::Virsh { command, said });
        }
        Ok(printed)
    }
}
