//! `cargo xtask bench`: the benchmark.

use crate::cli::Bench;
use crate::exit::Error;
use crate::workspace::Workspace;
use crate::{setup, sizes, step};

/// The part with real guests, which needs Ceilometer.
const LIBVIRT: &str = "libvirt";

/// Builds the benchmark with optimisation and runs it.
pub fn run(workspace: &Workspace, options: &Bench) -> Result<(), Error> {
    let part = options.part.as_deref();
    let needs = if part == Some(LIBVIRT) { setup::FOR_COMPARING } else { setup::FOR_BUILDING };
    setup::run(workspace, needs, options.build)?;
    let cargo = |args: &[&str]| {
        let mut command = workspace.cargo(args);
        command.args(["--release", "--package", "wasmeter-bench"]).args(options.build.flags());
        command
    };
    // It measures the daemon from outside, too.
    step::run("Building the benchmark", cargo(&["build"]).args(["--package", "wasmeter"]))?;
    sizes::print(workspace, &workspace.target().join("release/wasmeter"))?;
    let mut run = cargo(&["run"]);
    run.arg("--").args(part).args(options.build.no_libvirt.then_some("--no-libvirt")).args(&options.args);
    if part == Some(LIBVIRT) {
        run.arg("--python").arg(setup::python(workspace));
    }
    step::run("Running the benchmark", &mut run)?;
    Ok(())
}
