//! cargo-deny: licences, origins and known faults of the dependencies, as deny.toml wants them.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use crate::exit::Error;
use crate::step;
use crate::workspace::Workspace;

/// The release that is installed where none is.
const VERSION: &str = "0.20.2";

/// Runs every check that can be run here; returns those that could not, each with its reason.
pub fn run(workspace: &Workspace) -> Result<Vec<String>, Error> {
    let program = program(workspace)?;
    let deny = |args: &[&str]| {
        let mut command = workspace.command(&program);
        command.args(args);
        command
    };
    let what = "Licences, origins and versions of dependencies";
    step::run(what, &mut deny(&["check", "--hide-inclusion-graph", "bans", "licenses", "sources"]))?;

    let mut not_run = Vec::new();
    match step::run("Fetching the database of advisories", &mut deny(&["fetch", "db"])) {
        Ok(()) => step::run("Advisories on dependencies", &mut deny(&["check", "advisories"]))?,
        Err(error) => {
            eprintln!("warning: {error}");
            not_run.push("advisories on dependencies: their database cannot be fetched from here".to_owned());
        }
    }
    Ok(not_run)
}

/// The cargo-deny to use: the machine's own, or ours, installed if need be.
fn program(workspace: &Workspace) -> Result<OsString, Error> {
    let of_machine = OsString::from("cargo-deny");
    if version(&mut workspace.command(&of_machine)).is_some() {
        return Ok(of_machine);
    }
    let tools = workspace.target().join("tools");
    let ours = tools.join("bin/cargo-deny").into_os_string();
    if version(&mut workspace.command(&ours)).is_none_or(|version| version != VERSION) {
        let mut install = workspace.cargo(&["install", "cargo-deny", "--locked", "--version", VERSION, "--root"]);
        step::run(&format!("Installing cargo-deny {VERSION} into {}", tools.display()), install.arg(&tools))?;
    }
    Ok(ours)
}

/// The version that a cargo-deny says it has; `None` if it cannot be run.
fn version(program: &mut Command) -> Option<String> {
    let output =
        program.arg("--version").stderr(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).split_whitespace().last()?.to_owned())
}
