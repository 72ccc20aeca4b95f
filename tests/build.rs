//! Builds the modules that the tests run.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Packages to build, and the names of what comes out.
const GUESTS: [(&str, &str); 9] = [
    ("example-guest-pressure", "guest_pressure"),
    ("example-idle-guest", "idle_guest"),
    ("example-http-exporter", "http_exporter"),
    ("guest-asking", "asking"),
    ("guest-hostile", "hostile"),
    ("guest-parting", "parting"),
    ("guest-remembering", "remembering"),
    ("guest-resources", "resources"),
    ("pollster-disk", "disk"),
];

fn main() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    for source in ["tests/guests", "pollsters/disk", "pollsters/examples", "guest-sdk/src", "wit", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    let folder = build(&root);
    for (_, name) in GUESTS {
        let path = folder.join(format!("{name}.wasm"));
        println!("cargo::rustc-env={}_WASM={}", name.to_uppercase(), path.display());
    }
}

/// Builds them in a folder of their own, because the cargo that runs this holds the lock of the usual one.
#[allow(clippy::expect_used, clippy::panic, reason = "a build script has nobody to return an error to")]
fn build(root: &Path) -> PathBuf {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    // <target>/<profile>/build/<package>/out
    let target = out.ancestors().nth(4).expect("OUT_DIR is four levels deep").join("guests");
    let mut cargo = Command::new(env::var_os("CARGO").expect("cargo sets CARGO"));
    cargo.args(["build", "--profile", "guest", "--target", "wasm32-wasip2", "--target-dir"]).arg(&target);
    cargo.args(GUESTS.iter().flat_map(|(package, _)| ["--package", package])).current_dir(root);
    // What is set for the build of the tests is not meant for modules: flags, wrappers, the profile, the target.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        let ours = name.starts_with("CARGO") && !matches!(&*name, "CARGO_HOME" | "CARGO_NET_OFFLINE");
        if ours || name.starts_with("RUSTC") || name == "RUSTFLAGS" {
            cargo.env_remove(&*name);
        }
    }
    let status = cargo.status().expect("cargo starts");
    assert!(
        status.success(),
        "the modules cannot be built; `rustup target add wasm32-wasip2` if the target is missing"
    );
    target.join("wasm32-wasip2/guest")
}
