//! Disks that are full, broken, or hang.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::geteuid;
use wasmeter_rig::CannotRun;

use super::program::{Daemon, Folder};

/// A small disk that only those who enter see. It is gone with this.
pub struct Disk {
    holder: Child,
    folder: PathBuf,
}

// === impl Disk ===

impl Disk {
    /// A disk in memory, of so many bytes, at `disk` in this folder.
    pub fn in_memory(folder: &Folder, bytes: u64) -> Result<Self, CannotRun> {
        Self::mounted(folder, &format!("mount -t tmpfs -o size={bytes} tmpfs disk"))
    }

    /// A disk in a file.
    pub fn in_a_file(folder: &Folder) -> Result<Self, CannotRun> {
        Self::mounted(
            folder,
            "truncate -s 16M image && PATH=$PATH:/usr/sbin:/sbin mkfs.ext4 -q image && mount -o loop image disk",
        )
    }

    fn mounted(folder: &Folder, script: &str) -> Result<Self, CannotRun> {
        let path = folder.path("");
        fs::create_dir(folder.path("disk"))?;
        let mut holder = Command::new("unshare");
        if !geteuid().is_root() {
            holder.args(["--user", "--map-root-user"]);
        }
        // It ends with the test.
        let script = format!("({script}) 2>&1 && echo mounted && exec cat");
        holder.args(["--mount", "sh", "-c", &script]).current_dir(&path);
        let mut holder = holder.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut said = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut said)?;
        let disk = Self { holder, folder: path };
        if said == "mounted\n" { Ok(disk) } else { Err(CannotRun::Namespaces(said)) }
    }

    /// A line for the shell that does something where the disk is.
    pub fn enter(&self, script: &str) -> String {
        let user = if geteuid().is_root() { "" } else { "--user --preserve-credentials " };
        let (pid, folder) = (self.holder.id(), self.folder.display());
        format!("exec nsenter {user}--target {pid} --mount sh -c 'cd {folder} && {script}'")
    }

    /// Whether a line for the shell does something there.
    pub fn does(&self, script: &str) -> bool {
        Command::new("sh").args(["-c", &self.enter(script)]).status().unwrap().success()
    }

    /// Starts a daemon there, by a line for the shell that has to become it.
    pub fn start(&self, folder: &Folder, script: &str) -> Daemon {
        folder.start_by_shell(&self.enter(script))
    }

    /// Where a file on it is, seen from outside.
    pub fn path(&self, name: &str) -> PathBuf {
        let inside = self.folder.join("disk").join(name);
        Path::new("/proc").join(self.holder.id().to_string()).join("root").join(inside.strip_prefix("/").unwrap())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// A disk on which whatever is written waits, as long as this is there.
pub struct Frozen<'a>(&'a Disk);

// === impl Frozen ===

impl<'a> Frozen<'a> {
    pub fn new(disk: &'a Disk) -> Self {
        assert!(disk.does("PATH=$PATH:/usr/sbin:/sbin fsfreeze --freeze disk"));
        Self(disk)
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        // Whoever writes there cannot be killed before this, either.
        self.0.does("PATH=$PATH:/usr/sbin:/sbin fsfreeze --unfreeze disk");
    }
}
