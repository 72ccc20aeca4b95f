//! A kernel and busybox for guests of tests, taken out of Debian's packages: installed, a kernel would be one that this
//! machine starts with.

use crate::exit::Error;
use crate::step;
use crate::workspace::Workspace;

/// Where they are, below the target folder.
pub const FOLDER: &str = "guest";

/// Downloads the packages and unpacks what is needed of them.
const UNPACK: &str = include_str!("guest/unpack.sh");

/// What is there once all of it is.
const LAST: &str = "busybox";

/// Whether they are here.
pub fn is_here(workspace: &Workspace) -> bool {
    workspace.target().join(FOLDER).join(LAST).is_file()
}

/// Puts them there.
pub fn make(workspace: &Workspace) -> Result<(), Error> {
    let folder = workspace.target().join(FOLDER);
    let mut shell = workspace.command("sh");
    step::run("Unpacking a kernel and busybox", shell.args(["-c", UNPACK, "cargo-xtask"]).arg(folder))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rig_looks_where_it_is_put() {
        assert_eq!(FOLDER, wasmeter_rig::SYSTEM_FOLDER);
    }
}
