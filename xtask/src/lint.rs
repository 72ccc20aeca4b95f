//! `cargo xtask lint`: what is checked without running anything.

pub mod deny;

use std::fs;
use std::path::Path;

use crate::cli::Build;
use crate::exit::Error;
use crate::workspace::Workspace;
use crate::{setup, step};

/// Folders whose subfolders are crates that are compiled to modules.
const MODULES: &[&str] = &["pollsters", "pollsters/examples", "transformers"];

/// The crate that modules are written with.
const SDK: &str = "wasmeter-sdk";

/// Where modules run.
const TARGET: &str = "wasm32-wasip2";

/// Runs every check.
pub fn run(workspace: &Workspace, build: Build) -> Result<(), Error> {
    setup::run(workspace, setup::FOR_LINTING, build)?;
    step::run("Formatting", &mut workspace.cargo(&["fmt", "--all", "--check"]))?;

    let strict = ["--", "--deny", "warnings"];
    let mut clippy = workspace.cargo(&["clippy", "--workspace", "--all-targets"]);
    step::run("Clippy", clippy.args(build.flags()).args(strict))?;
    if !build.no_libvirt {
        let mut clippy = workspace.cargo(&["clippy", "--package", "wasmeter", "--no-default-features"]);
        step::run("Clippy, without libvirt", clippy.args(strict))?;
    }
    let mut clippy = workspace.cargo(&["clippy", "--target", TARGET, "--package", SDK]);
    for module in modules(workspace.root())? {
        clippy.args(["--package", &module]);
    }
    step::run("Clippy, of what runs in the sandbox", clippy.args(strict))?;

    let not_run = deny::run(workspace)?;
    eprintln!("==> Checks not run: {}", not_run.len());
    for check in not_run {
        eprintln!("    not run: {check}");
    }
    Ok(())
}

/// The names of the crates that are compiled to modules.
fn modules(root: &Path) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for folder in MODULES {
        let folder = root.join(folder);
        let unreadable = |source| Error::File { what: folder.display().to_string(), source };
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let manifest = entry.map_err(unreadable)?.path().join("Cargo.toml");
            // A folder without a manifest is no crate.
            names.extend(fs::read_to_string(manifest).ok().as_deref().and_then(package_name));
        }
    }
    names.sort();
    Ok(names)
}

/// The name in a manifest of ours, which begins with the package.
fn package_name(manifest: &str) -> Option<String> {
    let value = manifest.lines().find_map(|line| line.strip_prefix("name = "))?;
    Some(value.trim().trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_modules() {
        let root = tempfile::tempdir().unwrap();
        for (folder, manifest) in [
            ("pollsters/cpu", "[package]\nname = \"poll-cpu\"\n"),
            ("pollsters/examples/ping", "[package]\nname = \"ping\"\n"),
            ("transformers/rate", "[package]\nname = \"a-rate\"\n"),
        ] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
            fs::write(root.path().join(folder).join("Cargo.toml"), manifest).unwrap();
        }
        fs::create_dir(root.path().join("pollsters/empty")).unwrap();
        assert_eq!(modules(root.path()).unwrap(), ["a-rate", "ping", "poll-cpu"]);
    }
}
