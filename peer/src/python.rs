//! The environment of Python's that Ceilometer is in.

use std::path::{Path, PathBuf};

use wasmeter_rig::CannotRun;

/// Its Python, below cargo's target folder, where `cargo xtask setup` makes it.
///
/// # Errors
///
/// If it is not there.
pub fn python(target: &Path) -> Result<PathBuf, CannotRun> {
    let python = target.join("peer/venv/bin/python");
    if python.is_file() { Ok(python) } else { Err(CannotRun::Ceilometer(python)) }
}
