//! Ceilometer in an environment of Python's, made once and again when the list of packages changes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::exit::Error;
use crate::step;
use crate::workspace::Workspace;

/// Where it is, below the target folder.
pub const FOLDER: &str = "peer/venv";

/// What is in it, each package with its version.
const PACKAGES: &str = "peer/requirements.txt";

/// What is in an environment that is finished, as it was when that was made.
const MADE_OF: &str = "requirements.txt";

/// The environment's Python.
pub fn python(workspace: &Workspace) -> PathBuf {
    workspace.target().join(FOLDER).join("bin/python")
}

/// Whether it is here and has what it should have.
pub fn is_here(workspace: &Workspace) -> bool {
    let wanted = fs::read(workspace.root().join(PACKAGES));
    let made_of = fs::read(workspace.target().join(FOLDER).join(MADE_OF));
    matches!((wanted, made_of), (Ok(wanted), Ok(made_of)) if wanted == made_of) && python(workspace).is_file()
}

/// Makes it anew.
pub fn make(workspace: &Workspace) -> Result<(), Error> {
    let folder = workspace.target().join(FOLDER);
    let packages = workspace.root().join(PACKAGES);
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|source| unusable(&folder, source))?;
    }
    step::run("Making an environment", workspace.command("python3").args(["-m", "venv"]).arg(&folder))?;
    let mut pip = workspace.command(python(workspace));
    // pip tells each package as it comes to it.
    pip.args(["-m", "pip", "--disable-pip-version-check", "install", "--progress-bar", "off", "--requirement"]);
    step::run("Installing Ceilometer", pip.arg(&packages))?;
    let made_of = folder.join(MADE_OF);
    fs::copy(&packages, &made_of).map(drop).map_err(|source| unusable(&made_of, source))
}

fn unusable(path: &Path, source: std::io::Error) -> Error {
    Error::File { what: path.display().to_string(), source }
}
