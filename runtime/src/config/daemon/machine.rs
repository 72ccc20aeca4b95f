//! What the machine says about itself where the file says nothing.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The machine's name.
pub(in crate::config) fn host_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// A folder for what can be made again.
pub(super) fn cache_folder() -> PathBuf {
    folder("/var/cache", "XDG_CACHE_HOME", ".cache").join("wasmeter")
}

/// A folder for what has to outlive the daemon: the one that systemd made for it, if there is one.
pub(super) fn state_folder() -> PathBuf {
    let made = env::var_os("STATE_DIRECTORY").map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = made.unwrap_or_else(|| folder("/var/lib", "XDG_STATE_HOME", ".local/state").join("wasmeter"));
    folder.join("spool")
}

/// The number of a group of this machine, which may be written as a number already.
pub fn group_number(group: &str) -> Option<u32> {
    group.parse().ok().or_else(|| {
        let all = fs::read_to_string("/etc/group").ok()?;
        let mut named = all.lines().filter_map(|line| line.strip_prefix(group)?.strip_prefix(':'));
        named.next()?.split(':').nth(1)?.parse().ok()
    })
}

/// Where the service of this machine can be asked.
pub const SERVICE_SOCKET: &str = "/run/wasmeter/control.sock";

/// Where a daemon can be asked: in the folder that systemd made for it, else in the user's, if there is one.
pub(super) fn control_socket() -> Option<PathBuf> {
    let named = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(made) = named("RUNTIME_DIRECTORY") {
        return Some(made.join("control.sock"));
    }
    if rustix::process::geteuid().is_root() {
        return Some(Path::new(SERVICE_SOCKET).to_owned());
    }
    Some(named("XDG_RUNTIME_DIR")?.join("wasmeter/control.sock"))
}

/// The system's folder for root, and the user's for others.
fn folder(system: &str, variable: &str, in_home: &str) -> PathBuf {
    let user = || {
        let named = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        named(variable).or_else(|| Some(named("HOME")?.join(in_home)))
    };
    let user = if rustix::process::geteuid().is_root() { None } else { user() };
    user.unwrap_or_else(|| PathBuf::from(system))
}
