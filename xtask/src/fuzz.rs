//! `cargo xtask fuzz`: bytes thrown at whatever reads input from outside.

use std::process::Stdio;

use crate::cli::Fuzz;
use crate::exit::Error;
use crate::workspace::Workspace;
use crate::{setup, step, tool};

/// What fuzzing alone needs: coverage is counted by a part of the compiler that is not stable.
const TOOLCHAIN: &str = "nightly";
/// The toolchain that builds modules meanwhile: they need a target that the other one need not have.
const MODULES: &str = "WASMETER_MODULES_TOOLCHAIN";
/// Which cargo-fuzz is installed where there is none.
const VERSION: &str = "0.13.2";

/// Runs one target, or each for a while.
pub fn run(workspace: &Workspace, options: &Fuzz) -> Result<(), Error> {
    setup::run(workspace, setup::FOR_BUILDING, options.build)?;
    // Asked for by name: rustup would install a toolchain that is run, which is for people to decide.
    let installed = workspace.command("rustup").args(["toolchain", "list"]).stdin(Stdio::null()).output();
    let has = installed.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(TOOLCHAIN));
    if !has {
        return Err(Error::ByHand(format!("rustup toolchain install {TOOLCHAIN} --profile minimal")));
    }
    let program = tool::find_or_install(workspace, "cargo-fuzz", VERSION)?;
    let targets = match &options.target {
        Some(target) => vec![target.clone()],
        None => targets(workspace)?,
    };
    for target in targets {
        let mut fuzz = workspace.command(&program);
        if let Some(ours) = std::env::var_os("RUSTUP_TOOLCHAIN") {
            fuzz.env(MODULES, ours);
        }
        fuzz.env("RUSTUP_TOOLCHAIN", TOOLCHAIN).args(["fuzz", "run", &target, "--"]);
        fuzz.arg(format!("-max_total_time={}", options.seconds)).args(&options.args);
        step::run(&format!("Fuzzing {target} for {} s", options.seconds), &mut fuzz)?;
    }
    Ok(())
}

/// All targets: a file for each.
fn targets(workspace: &Workspace) -> Result<Vec<String>, Error> {
    let folder = workspace.root().join("fuzz/targets");
    let failed = |source| Error::File { what: folder.display().to_string(), source };
    let mut names = Vec::new();
    for entry in folder.read_dir().map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}
