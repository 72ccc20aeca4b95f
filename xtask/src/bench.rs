//! `cargo xtask bench`: the benchmark.

use crate::cli::Bench;
use crate::exit::Error;
use crate::workspace::Workspace;
use crate::{setup, sizes, step};

/// The parts that need Ceilometer: with real guests, and with a real RabbitMQ.
const BESIDE_CEILOMETER: [&str; 2] = ["libvirt", "amqp"];

/// Builds the benchmark with optimisation and runs it.
pub fn run(workspace: &Workspace, options: &Bench) -> Result<(), Error> {
    let part = options.part.as_deref();
    let beside_ceilometer = part.is_some_and(|part| BESIDE_CEILOMETER.contains(&part));
    let needs = if beside_ceilometer { setup::FOR_COMPARING } else { setup::FOR_BUILDING };
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
    if beside_ceilometer {
        run.arg("--python").arg(setup::python(workspace));
    }
    step::run("Running the benchmark", &mut run)?;
    Ok(())
}
