//! Where the repository and its build are, and how to call cargo there.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::exit::Error;

/// What cargo tells a program that it runs about that program's own package. A cargo called from here must not take
/// it for its own: build scripts that watch such a variable would run again on every other build.
const OWN_PACKAGE: &[&str] = &["CARGO_PKG_", "CARGO_MANIFEST_"];

/// The checkout.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
    cargo: OsString,
}

impl Workspace {
    /// Finds the checkout that this program was built from.
    pub fn locate() -> Result<Self, Error> {
        let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&package).join("..");
        let root = root.canonicalize().map_err(|source| Error::File { what: root.display().to_string(), source })?;
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| Ok(root.join("target")), std::path::absolute);
        let target = target.map_err(|source| Error::File { what: "CARGO_TARGET_DIR".to_owned(), source })?;
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Ok(Self { root, target, cargo })
    }

    /// The top folder of the checkout.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder that cargo builds into.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// A call of the cargo that this program was started by.
    pub fn cargo(&self, args: &[&str]) -> Command {
        let mut command = self.command(&self.cargo);
        command.args(args);
        command
    }

    /// A call of any program, in the top folder of the checkout.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        for (name, _) in env::vars_os() {
            if OWN_PACKAGE.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        // A relative one would mean another folder there than here.
        if env::var_os("CARGO_TARGET_DIR").is_some() {
            command.env("CARGO_TARGET_DIR", &self.target);
        }
        command
    }
}
