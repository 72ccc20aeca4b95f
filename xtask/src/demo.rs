//! `cargo xtask demo`: from a fresh checkout to samples.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::cli::Demo;
use crate::exit::Error;
use crate::workspace::Workspace;
use crate::{setup, sizes, step};

/// Where the samples go, below the target folder.
const SAMPLES: &str = "demo-samples.jsonl";

/// Builds and becomes the daemon: from then on signals, terminal and exit code are the daemon's own.
pub fn run(workspace: &Workspace, options: &Demo) -> Result<(), Error> {
    setup::run(workspace, setup::FOR_BUILDING, options.build)?;
    let mut build = workspace.cargo(&["build", "--package", "wasmeter"]);
    step::run("Building the modules and the daemon", build.args(options.build.flags()))?;
    let daemon = workspace.target().join("debug/wasmeter");
    sizes::print(workspace, &daemon)?;

    let what = format!("Metering simulated guests; samples go to {}", workspace.target().join(SAMPLES).display());
    step::announce(&what);
    let mut command = daemon_command(workspace, options);
    let source = command.exec();
    Err(step::not_started("Metering", &command, source).into())
}

fn daemon_command(workspace: &Workspace, options: &Demo) -> Command {
    let mut command = workspace.command(workspace.target().join("debug/wasmeter"));
    command.args(["run", "--table", "--output"]).arg(workspace.target().join(SAMPLES));
    if let Some(cycles) = options.cycles {
        command.arg("--cycles").arg(cycles.to_string());
    }
    command.args(&options.args);
    command
}
