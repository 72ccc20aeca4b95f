//! Having cargo make a module of a crate.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::cli::Exit;

/// What modules are compiled for.
pub const TARGET: &str = "wasm32-wasip2";

/// How the built-in modules are built: what a crate that says nothing about it gets, too.
const PROFILE: [&str; 5] = ["opt-level=3", "lto=true", "codegen-units=1", "panic=\"abort\"", "strip=true"];

/// Why there is no module.
#[derive(Debug, thiserror::Error)]
pub enum CargoError {
    /// It is no crate.
    #[error("{0} has no Cargo.toml: name the folder of a module, or make one with `wasmeter module new`")]
    NoCrate(PathBuf),
    /// It is many.
    #[error("{0} is a workspace: name the folder of the module in it")]
    Workspace(PathBuf),
    /// It is another kind of crate.
    #[error("{0} makes no module: add `crate-type = [\"cdylib\"]` to its section [lib]")]
    NoModule(PathBuf),
    /// There is no cargo.
    #[error("cargo is not in the PATH: install Rust as https://rustup.rs says, then `rustup target add wasm32-wasip2`")]
    NoCargo,
    /// Cargo cannot be run.
    #[error("cargo cannot be run: {0}")]
    NotRun(#[source] io::Error),
    /// There is nothing to compile it with.
    #[error("the toolchain has no target {TARGET}: run `rustup target add {TARGET}` in the module's folder")]
    NoTarget,
    /// Cargo says that something is wrong, and has said what.
    #[error("cargo did not build it; what is wrong stands above")]
    Failed,
    /// Cargo says what this program does not understand.
    #[error("cargo {0}: use a cargo of 1.85 or later")]
    Odd(&'static str),
}

/// What cargo says of a crate.
struct Crate {
    manifest: PathBuf,
    /// Where its profiles are written.
    workspace: PathBuf,
}

// === impl CargoError ===

impl CargoError {
    /// How the program ends then.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoCrate(_) | Self::Workspace(_) | Self::NoModule(_) => Exit::Usage,
            Self::NoCargo | Self::NotRun(_) | Self::NoTarget | Self::Failed | Self::Odd(_) => Exit::Failed,
        }
    }
}

// === impl Crate ===

impl Crate {
    fn find(folder: &Path) -> Result<Self, CargoError> {
        let manifest = folder.join("Cargo.toml");
        let manifest = manifest.canonicalize().map_err(|_| CargoError::NoCrate(folder.to_owned()))?;
        let mut cargo = Command::new("cargo");
        cargo.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(folder).stderr(Stdio::inherit());
        let output = cargo.output().map_err(CargoError::not_run)?;
        if !output.status.success() {
            return Err(CargoError::Failed);
        }
        let said: Value = serde_json::from_slice(&output.stdout).map_err(|_| CargoError::Odd("metadata is no JSON"))?;
        let packages = said.get("packages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let package = packages.iter().find(|package| is_of(package, &manifest));
        let package = package.ok_or_else(|| CargoError::Workspace(folder.to_owned()))?;
        let targets = package.get("targets").and_then(Value::as_array).into_iter().flatten();
        let mut types = targets.filter_map(|target| target.get("crate_types")?.as_array()).flatten();
        if !types.any(|kind| kind == "cdylib") {
            return Err(CargoError::NoModule(manifest));
        }
        let workspace = said.get("workspace_root").and_then(Value::as_str);
        let workspace = workspace.ok_or(CargoError::Odd("metadata names no workspace"))?.into();
        Ok(Self { manifest, workspace })
    }

    /// The profile of modules: the workspace's `guest`, else its `release`, else that of the built-in modules.
    fn profile(&self) -> Vec<String> {
        let text = fs::read_to_string(self.workspace.join("Cargo.toml")).unwrap_or_default();
        profile(&text)
    }
}

impl CargoError {
    fn not_run(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::NoCargo } else { Self::NotRun(error) }
    }
}

/// Whether something that cargo says is about the crate of this manifest.
fn is_of(said: &Value, manifest: &Path) -> bool {
    said.get("manifest_path").and_then(Value::as_str).is_some_and(|path| Path::new(path) == manifest)
}

fn profile(manifest: &str) -> Vec<String> {
    let has = |section: &str| manifest.lines().any(|line| line.trim() == section);
    if has("[profile.guest]") {
        return vec!["--profile".to_owned(), "guest".to_owned()];
    }
    let mut options = vec!["--release".to_owned()];
    if !has("[profile.release]") {
        options.extend(PROFILE.iter().flat_map(|set| ["--config".to_owned(), format!("profile.release.{set}")]));
    }
    options
}

/// Builds the module of a crate. What cargo says on the way goes to standard error. Returns the file.
pub fn build(folder: &Path) -> Result<PathBuf, CargoError> {
    let made = Crate::find(folder)?;
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--lib", "--target", TARGET, "--message-format", "json-render-diagnostics"]);
    cargo.args(made.profile()).current_dir(folder).stdout(Stdio::piped());
    let mut cargo = cargo.spawn().map_err(CargoError::not_run)?;
    let mut file = None;
    for line in cargo.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
        let line = line.map_err(CargoError::NotRun)?;
        // What is not JSON was printed by a build script.
        let Ok(said) = serde_json::from_str::<Value>(&line) else { continue };
        if is_of(&said, &made.manifest) {
            file = module(&said).or(file);
        }
    }
    if !cargo.wait().map_err(CargoError::NotRun)?.success() {
        return Err(if lacks_target(folder) { CargoError::NoTarget } else { CargoError::Failed });
    }
    file.ok_or(CargoError::Odd("named no file that it built"))
}

/// The module among the files of an artifact.
fn module(said: &Value) -> Option<PathBuf> {
    let files = said.get("filenames")?.as_array()?;
    files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm")).map(PathBuf::from)
}

/// Whether the toolchain that is used there has no standard library for modules.
fn lacks_target(folder: &Path) -> bool {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", TARGET]).current_dir(folder).stderr(Stdio::null());
    let Ok(output) = rustc.output() else { return false };
    let library = String::from_utf8_lossy(&output.stdout);
    output.status.success() && !Path::new(library.trim()).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles() {
        assert_eq!(profile("[profile.release]\n[profile.guest]\n"), ["--profile", "guest"]);
        assert_eq!(profile("[profile.release]\n"), ["--release"]);
        assert!(profile("[package]\n").contains(&"profile.release.panic=\"abort\"".to_owned()));
    }

    #[test]
    fn the_built_in_modules_have_the_same_profile() {
        let workspace = include_str!("../../../../Cargo.toml");
        let guest = workspace.split("[profile.guest]\n").nth(1).unwrap();
        for set in PROFILE {
            assert!(guest.contains(&set.replacen('=', " = ", 1)), "{set}");
        }
    }
}
