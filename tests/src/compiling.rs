//! Compiling happens elsewhere, and ends.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;
use wasmeter::sandbox::compile::{Compiler, Effort};
use wasmeter::sandbox::{Cause, Sandbox};

use crate::support::{Forge, LIMITS, daemon, disk};

/// A small file that takes long and much to compile: each value is carried through each of many nested loops.
fn costly(loops: usize, values: usize) -> Vec<u8> {
    let step = |n| format!("(local.set {n} (i32.add (local.get {n}) (i32.const 1)))");
    let body: String = (0..values).map(step).collect();
    let (open, close) = ("(loop ".repeat(loops), " (br_if 0 (local.get 0)))".repeat(loops));
    let locals = "i32 ".repeat(values);
    Forge::pollster().item(&format!("(func (local {locals}) {open} {body} {close})")).component()
}

/// A sandbox whose compiler is this program.
fn sandbox_with(compiler: Compiler) -> (TempDir, Sandbox) {
    let folder = TempDir::new().unwrap();
    let sandbox = Sandbox::new(&folder.path().join("cache"), compiler).unwrap();
    (folder, sandbox)
}

#[tokio::test]
async fn what_is_too_costly_to_compile_is_given_up() {
    let usual = Effort::default();
    for (module, effort, words) in [
        (costly(300, 300), Effort { cpu_seconds: 1, ..usual }, "too costly to compile: more than 1 s of CPU time"),
        (
            costly(1_000, 1_000),
            Effort { address_space: 256 << 20, ..usual },
            "too costly to compile: more than 268435456 bytes of memory",
        ),
    ] {
        assert!(module.len() < 20_000, "it costs its author {} bytes", module.len());
        let (_folder, sandbox) = sandbox_with(Compiler::at(daemon()).with_effort(effort));
        let (failed, honest) = (module, disk());
        let (failed, honest) = tokio::join!(sandbox.load(&failed), sandbox.load(&honest));
        let failure = failed.err().unwrap();
        assert_eq!(failure.cause, Cause::Compile);
        assert!(failure.detail.contains(words), "{failure}");
        assert_eq!(honest.err(), None);
    }
}

/// Less than a second of CPU time and little memory is enough for a module that is meant well.
#[tokio::test]
async fn what_is_meant_well_is_cheap() {
    let effort = Effort { cpu_seconds: 10, address_space: 512 << 20 };
    let (_folder, sandbox) = sandbox_with(Compiler::at(daemon()).with_effort(effort));
    let code = sandbox.load(&disk()).await.unwrap();
    let module = sandbox.configure("disk", true, code, String::new(), LIMITS).await.unwrap();
    assert!(!module.description.meters.is_empty());
}

/// A program that does something, run by the shell.
fn script(folder: &TempDir, does: &str) -> PathBuf {
    let path = folder.path().join("compiler");
    fs::write(&path, format!("#!/bin/sh\n{does}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
    path
}

#[tokio::test]
async fn a_compiler_that_fails_is_reported() {
    let folder = TempDir::new().unwrap();
    for (does, cause, words) in [
        ("exit 3", Cause::Compile, "it cannot be compiled"),
        ("echo no room left >&2; exit 3", Cause::Compile, "it cannot be compiled: no room left"),
        ("kill -15 $$", Cause::Host, "the compiler was ended by signal 15"),
        // As a machine does that is short of memory.
        ("kill -9 $$", Cause::Host, "the compiler was ended by signal 9"),
        ("cat", Cause::Host, "is not for this engine"),
        ("cat > /dev/null", Cause::Host, "is not for this engine"),
        ("exit 0", Cause::Host, "is not for this engine"),
    ] {
        let (_folder, sandbox) = sandbox_with(Compiler::at(script(&folder, does)));
        let failure = sandbox.load(&disk()).await.err().unwrap();
        assert_eq!(failure.cause, cause, "{does}: {failure}");
        assert!(failure.detail.contains(words), "{does}: {failure}");
    }
}
