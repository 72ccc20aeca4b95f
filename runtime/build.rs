//! Builds the pollsters and transformers that come with the daemon, so that `cargo build` makes one program that
//! needs no other file.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "build/sdk.rs"]
mod sdk;

const TARGET: &str = "wasm32-wasip2";
const PROFILE: &str = "guest";

/// Names the toolchain that builds the modules, where the daemon is built with one that lacks their target.
const TOOLCHAIN: &str = "WASMETER_MODULES_TOOLCHAIN";

/// What another cargo must not inherit from the one that runs this script: its flags, its wrappers, its feature and
/// profile settings are those of another build.
const FOREIGN: [&str; 5] =
    ["CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTFLAGS", "CARGO_BUILD_TARGET"];

/// What it must not inherit besides, where it is of another toolchain.
const ONES_OWN: [&str; 3] = ["CARGO", "RUSTC", "RUSTDOC"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..").canonicalize()?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for watched in
        ["pollsters", "transformers", "guest-sdk/src", "guest-sdk/Cargo.toml", "wit", "Cargo.toml", "Cargo.lock"]
    {
        println!("cargo:rerun-if-changed={}", root.join(watched).display());
    }
    let mut guests = crates(&root.join("pollsters"), "pollster")?;
    guests.extend(crates(&root.join("transformers"), "transformer")?);
    println!("cargo:rerun-if-env-changed={TOOLCHAIN}");
    let built = build(&root, &target_folder(&out)?, &guests)?;
    fs::write(out.join("built_in.rs"), table(&guests, &built)?)?;
    sdk::write(&root, &out)
}

/// A crate that becomes a module: its folder is its name, its package has the kind before it.
struct Guest {
    name: String,
    package: String,
    is_pollster: bool,
}

fn crates(folder: &Path, kind: &str) -> Result<Vec<Guest>, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.join("Cargo.toml").is_file() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            found.push(Guest { package: format!("{kind}-{name}"), name, is_pollster: kind == "pollster" });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// A folder that all profiles share, so that modules are built once; not cargo's own, whose lock is taken.
fn target_folder(out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let build =
        out.ancestors().find(|folder| folder.ends_with("build")).ok_or("OUT_DIR is not inside a build folder")?;
    let target = build.parent().and_then(Path::parent).ok_or("OUT_DIR is not inside a target folder")?;
    Ok(target.join("guests"))
}

fn build(root: &Path, target: &Path, guests: &[Guest]) -> Result<PathBuf, Box<dyn Error>> {
    let mut cargo = match env::var_os(TOOLCHAIN) {
        Some(toolchain) => {
            let mut cargo = Command::new("cargo");
            cargo.env("RUSTUP_TOOLCHAIN", toolchain);
            for variable in ONES_OWN {
                cargo.env_remove(variable);
            }
            cargo
        }
        None => Command::new(env::var_os("CARGO").ok_or("CARGO is not set")?),
    };
    cargo.current_dir(root).args(["build", "--profile", PROFILE, "--target", TARGET, "--target-dir"]).arg(target);
    for guest in guests {
        cargo.args(["--package", &guest.package]);
    }
    for variable in FOREIGN {
        cargo.env_remove(variable);
    }
    let output = cargo.output()?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        let remedy = if words.contains("target may not be installed") || words.contains("can't find crate for `core`") {
            format!("; install their target with: rustup target add {TARGET}")
        } else {
            String::new()
        };
        return Err(format!("the modules cannot be built{remedy}\n{words}").into());
    }
    Ok(target.join(TARGET).join(PROFILE))
}

fn table(guests: &[Guest], built: &Path) -> Result<String, Box<dyn Error>> {
    let mut table = String::from("&[\n");
    for guest in guests {
        let file = built.join(format!("{}.wasm", guest.name));
        println!("cargo:rerun-if-changed={}", file.display());
        let Guest { name, is_pollster, .. } = guest;
        writeln!(
            table,
            "    BuiltIn {{ name: {name:?}, is_pollster: {is_pollster}, wasm: include_bytes!({file:?}) }},"
        )?;
    }
    table.push_str("]\n");
    Ok(table)
}
