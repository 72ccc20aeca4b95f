//! What is here and what is not.

use std::env;
use std::io::{self, IsTerminal};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Need, guest, venv};
use crate::os::Os;
use crate::workspace::Workspace;

/// Programs that the rig runs.
const RIG: [&str; 9] =
    ["libvirtd", "virsh", "qemu-system-x86_64", "qemu-img", "ip", "iptables", "ebtables", "mount", "unshare"];
/// Where libvirt's network filters may be, as shipped and as put to use.
const FILTERS: [&str; 2] = ["/usr/share/libvirt/nwfilter", "/etc/libvirt/nwfilter"];
/// Where daemons are; users often do not have these in their `PATH`.
const SBIN: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
/// Succeeds if Python can make environments and compile what goes into them.
const PYTHON: &str = "import ensurepip, os, sys, sysconfig\n\
    sys.exit(not os.path.exists(os.path.join(sysconfig.get_path('include'), 'Python.h')))";

/// As much of a machine as a set-up depends on.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The system.
    pub os: Os,
    /// What we may do to it. Not looked for, and `None`, where nothing is lacking.
    pub privilege: Privilege,
    /// rustup is here.
    pub rustup: bool,
    /// What it does not have of what is needed.
    pub lacks: Vec<Need>,
}

/// How packages can be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// We are root.
    Root,
    /// With sudo, which needs no password or has a terminal to ask for it.
    Sudo,
    /// Not at all.
    None,
}

// === impl Machine ===

impl Machine {
    /// Looks at this machine.
    pub fn observe(workspace: &Workspace, needs: &[Need]) -> Self {
        let lacks: Vec<Need> = needs.iter().copied().filter(|need| !need.is_here(workspace)).collect();
        let privilege = if lacks.is_empty() { Privilege::None } else { Privilege::observe(workspace) };
        Self { os: Os::detect(), privilege, rustup: on_path("rustup"), lacks }
    }
}

// === impl Need ===

impl Need {
    fn is_here(self, workspace: &Workspace) -> bool {
        match self {
            Self::Compiler => env::var_os("CC").is_some() || on_path("cc"),
            Self::PkgConfig => on_path("pkg-config"),
            Self::Libvirt => succeeds(workspace.command("pkg-config").args(["--exists", "libvirt >= 6.0.0"])),
            Self::WasmTarget => sysroot(workspace).is_some_and(|root| root.join("lib/rustlib/wasm32-wasip2").is_dir()),
            Self::Linters => {
                let programs = ["bin/rustfmt", "bin/cargo-clippy"];
                sysroot(workspace).is_some_and(|root| programs.iter().all(|program| root.join(program).is_file()))
            }
            Self::Rig => {
                RIG.iter().all(|program| on_path(program)) && FILTERS.iter().any(|folder| Path::new(folder).is_dir())
            }
            Self::Guest => guest::is_here(workspace),
            Self::Uidmap => is_root(workspace) || on_path("newuidmap"),
            Self::Systemd => on_path("systemd-analyze"),
            Self::Valgrind => on_path("valgrind"),
            Self::Minisign => on_path("minisign"),
            Self::RabbitMq => on_path("rabbitmq-server"),
            Self::Prometheus => on_path("prometheus") && on_path("promtool"),
            Self::Python => succeeds(workspace.command("python3").args(["-c", PYTHON])),
            Self::Ceilometer => venv::is_here(workspace),
        }
    }
}

// === impl Privilege ===

impl Privilege {
    fn observe(workspace: &Workspace) -> Self {
        if is_root(workspace) {
            return Self::Root;
        }
        // Where it would have to ask for a password, there must be someone to answer.
        let sudo = on_path("sudo")
            && (succeeds(workspace.command("sudo").args(["--non-interactive", "true"])) || io::stdin().is_terminal());
        if sudo { Self::Sudo } else { Self::None }
    }
}

fn is_root(workspace: &Workspace) -> bool {
    stdout(workspace.command("id").arg("-u")).as_deref() == Some("0")
}

/// Where the Rust in use has its libraries and programs.
fn sysroot(workspace: &Workspace) -> Option<PathBuf> {
    stdout(workspace.command("rustc").args(["--print", "sysroot"])).map(PathBuf::from)
}

/// There is a program of this name.
fn on_path(program: &str) -> bool {
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).chain(SBIN.map(PathBuf::from)).any(|folder| {
        let file = folder.join(program).metadata();
        file.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    })
}

fn succeeds(command: &mut Command) -> bool {
    stdout(command).is_some()
}

/// What a program prints, or `None` if it fails. What it complains about is not ours to show: it is a question.
fn stdout(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
