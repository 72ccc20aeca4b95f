//! Programs that cargo builds: the machine's own, or ours below the target folder.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use crate::exit::Error;
use crate::step;
use crate::workspace::Workspace;

/// A program to use: the machine's own, or ours, installed if need be.
pub fn find_or_install(workspace: &Workspace, name: &str, release: &str) -> Result<OsString, Error> {
    let of_machine = OsString::from(name);
    if version(&mut workspace.command(&of_machine)).is_some() {
        return Ok(of_machine);
    }
    let tools = workspace.target().join("tools");
    let ours = tools.join("bin").join(name).into_os_string();
    if version(&mut workspace.command(&ours)).is_none_or(|version| version != release) {
        let mut install = workspace.cargo(&["install", name, "--locked", "--version", release, "--root"]);
        step::run(&format!("Installing {name} {release} into {}", tools.display()), install.arg(&tools))?;
    }
    Ok(ours)
}

/// The version that a program says it has; `None` if it cannot be run.
fn version(program: &mut Command) -> Option<String> {
    let output =
        program.arg("--version").stderr(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).split_whitespace().last()?.to_owned())
}
