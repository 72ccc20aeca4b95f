//! `cargo xtask bench`: the benchmark.

use crate::cli::Bench;
use crate::exit::Error;
use crate::workspace::Workspace;
use crate::{setup, sizes, step};

/// Builds the benchmark with optimisation and runs it.
pub fn run(workspace: &Workspace, options: &Bench) -> Result<(), Error> {
    setup::run(workspace, setup::FOR_BUILDING, options.build)?;
    let cargo = |args: &[&str]| {
        let mut command = workspace.cargo(args);
        command.args(["--release", "--package", "wasmeter-bench"]).args(options.build.flags());
        command
    };
    // It measures the daemon from outside, too.
    step::run("Building the benchmark", cargo(&["build"]).args(["--package", "wasmeter"]))?;
    sizes::print(workspace, &workspace.target().join("release/wasmeter"))?;
    let mut run = cargo(&["run"]);
    run.arg("--").args(options.build.no_libvirt.then_some("--no-libvirt")).args(&options.args);
    step::run("Running the benchmark", &mut run)?;
    Ok(())
}
