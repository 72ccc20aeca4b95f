//! The rig's folder: what libvirtd finds where it looks for its configuration, and what it writes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::Options;
use crate::cannot::{self, CannotRun};

/// What a Unix socket's path may have, with the zero at its end.
const SOCKET_PATH: usize = 108;
/// What private folders cover inside of the namespaces.
const COVERED: [&str; 4] = ["/run", "/var/lib", "/var/log", "/var/cache"];
/// What guests' disks hold. Their files take 200 KiB, as nothing is written.
const DISK_SIZE: &str = "1G";

/// libvirtd's configuration, after what a test adds: the first of two settings counts.
const LIBVIRTD_CONF: &str = r#"
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_ro_perms = "0777"
"#;
/// One line for each call.
const CALLS_LOGGED: &str = r#"
log_filters = "1:rpc.netserverprogram"
"#;
/// QEMU runs as whoever runs the rig, with no more around it than libvirtd can do in the namespaces: no security
/// labels, no cgroups, no `/dev` of its own, and no virtlogd.
const QEMU_CONF: &str = r#"
user = "root"
group = "root"
security_driver = "none"
dynamic_ownership = 0
remember_owner = 0
cgroup_controllers = []
namespaces = []
seccomp_sandbox = 0
stdio_handler = "file"
"#;
/// libvirt's packages refuse to start without this user, whom nothing needs here.
const QEMU_USER: &str = "libvirt-qemu";

/// The rig's folder, which is removed with it.
#[derive(Debug)]
pub(crate) struct Folder {
    folder: TempDir,
}

// === impl Folder ===

impl Folder {
    /// Makes and fills it.
    pub(super) fn new(options: &Options) -> Result<Self, CannotRun> {
        let folder = tempfile::Builder::new().prefix("rig-").tempdir()?;
        let it = Self { folder };
        if it.socket(true).as_os_str().len() >= SOCKET_PATH || COVERED.iter().any(|part| it.path().starts_with(part)) {
            return Err(CannotRun::Folder(it.path().to_owned()));
        }
        for part in ["etc/nwfilter", "run", "var/lib", "var/log", "var/cache", "disks", "guests"] {
            fs::create_dir_all(it.path().join(part))?;
        }
        it.write_configuration(options)?;
        it.write_users()?;
        it.write_empty_disk()?;
        Ok(it)
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The socket of libvirtd, for clients outside of the namespaces.
    pub(super) fn socket(&self, read_only: bool) -> PathBuf {
        self.path().join(if read_only { "run/libvirt/libvirt-sock-ro" } else { "run/libvirt/libvirt-sock" })
    }

    /// What libvirtd logs.
    pub(crate) fn log(&self) -> PathBuf {
        self.path().join("libvirtd.log")
    }

    /// Where the guests' definitions are.
    pub(crate) fn guests(&self) -> PathBuf {
        self.path().join("guests")
    }

    /// Where the guests' disks are.
    pub(crate) fn disks(&self) -> PathBuf {
        self.path().join("disks")
    }

    /// What the disk of a new guest looks like: `qemu-img` for each of hundreds would take half as long as the guests.
    pub(crate) fn empty_disk(&self) -> PathBuf {
        self.path().join("empty.qcow2")
    }

    /// Where libvirt keeps what it knows of guests that run.
    pub(crate) fn statuses(&self) -> PathBuf {
        self.path().join("run/libvirt/qemu")
    }

    fn write_configuration(&self, options: &Options) -> io::Result<()> {
        let etc = self.path().join("etc");
        let level = if options.calls_logged { 1 } else { 3 };
        let log = format!("log_outputs = \"{level}:file:{}\"\n", self.log().display());
        let filters = if options.calls_logged { CALLS_LOGGED } else { "" };
        let all = [&options.lines.join("\n"), LIBVIRTD_CONF, filters, &log].concat();
        fs::write(etc.join("libvirtd.conf"), all)?;
        fs::write(etc.join("qemu.conf"), QEMU_CONF)?;
        let Some(filters) = cannot::filters() else { return Ok(()) };
        for file in fs::read_dir(filters)? {
            let file = file?;
            fs::copy(file.path(), etc.join("nwfilter").join(file.file_name()))?;
        }
        Ok(())
    }

    fn write_users(&self) -> io::Result<()> {
        for (file, fields) in [("passwd", "x:0:0::/:/bin/false"), ("group", "x:0:")] {
            let all = fs::read_to_string(Path::new("/etc").join(file))?;
            let others = all.lines().filter(|line| !line.starts_with(QEMU_USER));
            let all: String = others.map(|line| format!("{line}\n")).collect();
            fs::write(self.path().join(file), format!("{all}{QEMU_USER}:{fields}\n"))?;
        }
        Ok(())
    }

    fn write_empty_disk(&self) -> Result<(), CannotRun> {
        let made = Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2"])
            .arg(self.empty_disk())
            .arg(DISK_SIZE)
            .env("PATH", cannot::search_path())
            .status()?;
        if made.success() { Ok(()) } else { Err(io::Error::other("qemu-img failed").into()) }
    }
}
