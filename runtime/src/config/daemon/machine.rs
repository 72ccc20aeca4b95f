//! What the machine says about itself where the file says nothing.

use std::env;
use std::fs;
use std::path::PathBuf;

/// The machine's name.
pub(in crate::config) fn host_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// A folder for what can be made again.
pub(super) fn cache_folder() -> PathBuf {
    let system = || PathBuf::from("/var/cache");
    let user = || {
        let named = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")))
    };
    let folder = if rustix::process::geteuid().is_root() { system() } else { user().unwrap_or_else(system) };
    folder.join("wasmeter")
}
