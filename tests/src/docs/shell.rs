//! A reader at a terminal.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::markdown;
use crate::support::daemon;

/// A folder to work in, beside a clone of this repository.
pub struct Shell {
    folder: TempDir,
    at: PathBuf,
}

// === impl Shell ===

impl Shell {
    /// In an empty folder but for the clone.
    pub fn beside(root: &Path) -> Self {
        let folder = TempDir::new().unwrap();
        symlink(root.canonicalize().unwrap(), folder.path().join("wasmeter")).unwrap();
        let at = folder.path().to_owned();
        Self { folder, at }
    }

    /// Writes a file where the reader is.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.at.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs a command, which has to succeed and to print what is shown. `place` is where it stands.
    pub fn run(&mut self, command: &str, shown: &[String], place: &str) {
        if let Some(folder) = command.strip_prefix("cd ") {
            self.at = self.at.join(folder);
            assert!(self.at.is_dir(), "{place}: there is no folder {folder}");
            return;
        }
        self.lend_a_target_folder();
        // In the order in which a terminal would show it.
        let output = self.process(&format!("{{ {command}\n}} 2>&1")).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{place}: {command}: {}\n{printed}", output.status);
        let lines: Vec<&str> = printed.lines().collect();
        let fits = shown.is_empty() || markdown::is_shown(&lines, shown);
        assert!(fits, "{place}: {command}\nshown:\n{}\nprinted:\n{printed}", shown.join("\n"));
    }

    fn process(&self, script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).current_dir(&self.at);
        // What is set for the build of the tests is not meant for the reader's.
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy();
            let ours = name.starts_with("CARGO") && name != "CARGO_HOME";
            if ours || name.starts_with("RUSTC") || matches!(&*name, "RUSTFLAGS" | "RUST_BACKTRACE" | "WASMETER_LOG") {
                shell.env_remove(&*name);
            }
        }
        let daemon = daemon();
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(daemon.parent().unwrap().to_owned()).chain(env::split_paths(&path));
        shell.env("PATH", env::join_paths(folders).unwrap());
        // All that is needed was fetched for the build of this repository.
        shell.env("CARGO_NET_OFFLINE", "true");
        shell.env("CARGO_INCREMENTAL", "0").env("CARGO_PROFILE_DEV_DEBUG", "0");
        shell.env("XDG_CACHE_HOME", self.folder.path().join("cache"));
        shell
    }

    /// What a package needs is compiled once, and not again in every run of the tests.
    fn lend_a_target_folder(&self) {
        let lent = daemon().ancestors().nth(2).unwrap().join("docs");
        let target = self.at.join("target");
        if self.at.join("Cargo.toml").exists() && !target.exists() {
            fs::create_dir_all(&lent).unwrap();
            symlink(lent, target).unwrap();
        }
    }
}
