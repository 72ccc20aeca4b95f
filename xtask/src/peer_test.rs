//! `cargo xtask peer-test`: wasmeter and the real Ceilometer on the same guests.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::process::Command;

use crate::cli::{Build, PeerTest};
use crate::exit::Error;
use crate::workspace::Workspace;
use crate::{setup, step};

/// Builds both sides' programs and compares what they say.
pub fn run(workspace: &Workspace, options: &PeerTest) -> Result<(), Error> {
    setup::run(workspace, setup::FOR_COMPARING, Build { no_libvirt: false })?;
    let (profile, folder): (&[&str], _) = if options.release { (&["--release"], "release") } else { (&[], "debug") };
    // All of it, as the tests are built: fewer packages would want fewer features, and another engine.
    let mut build = workspace.cargo(&["build", "--workspace", "--all-targets"]);
    step::run("Building the daemon and the peer test", build.args(profile))?;
    let mut comparison = comparison(workspace, folder)?;
    if options.keep {
        comparison.arg("--keep");
    }
    compare(&mut comparison)
}

/// What compares, once it is built, with the programs in this folder of the target folder.
pub fn comparison(workspace: &Workspace, folder: &str) -> Result<Command, Error> {
    let programs = workspace.target().join(folder);
    // Of a run before, so that modules are not compiled each time. wasmeter takes it from nobody else.
    let cache = workspace.target().join("peer/cache").join(folder);
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&cache);
    made.map_err(|source| Error::File { what: cache.display().to_string(), source })?;
    let mut test = workspace.command(programs.join("wasmeter-peer"));
    test.arg("--python").arg(setup::python(workspace));
    test.arg("--daemon").arg(programs.join("wasmeter")).arg("--cache").arg(&cache);
    Ok(test)
}

/// Compares.
pub fn compare(comparison: &mut Command) -> Result<(), Error> {
    step::run("Comparing with Ceilometer", comparison)?;
    Ok(())
}
