//! A file that is no module of this host is refused in words of its own.

use wasmeter::sandbox::{Cause, engine};

use crate::support::{Forge, Host, LIMITS, disk, module, poll, sandbox};

#[tokio::test]
async fn what_is_no_module_is_told_what_it_is() {
    let whole = disk();
    let native = engine::compiling().unwrap().precompile_component(&whole).unwrap();
    assert_eq!(native[..4], *b"\x7fELF");
    let core = wat::parse_str("(module (func (export \"poll\")))").unwrap();
    let other = wat::parse_str("(component (instance $i) (export \"wasi:cli/run@0.2.6\" (instance $i)))").unwrap();
    let empty =
        wat::parse_str("(component (instance $i) (export \"wasmeter:plugin/poller@0.1.0\" (instance $i)))").unwrap();
    for (what, bytes, cause, words) in [
        ("a core module", &core[..], Cause::NotAComponent, "core module, not a component"),
        ("a file cut short", &whole[..whole.len() / 2], Cause::NotAComponent, "damaged or cut short"),
        ("a file cut to nothing", &whole[..5], Cause::NotAComponent, "cut short: 5 bytes"),
        ("no file", &[], Cause::NotAComponent, "cut short: 0 bytes"),
        ("native code", &native, Cause::NotAComponent, "precompiled native code, which is never trusted"),
        ("a text", b"#!/usr/bin/python3", Cause::NotAComponent, "not WebAssembly"),
        ("another world", &other, Cause::AbiMismatch, "another world: it exports wasi:cli/run@0.2.6"),
        ("an interface without functions", &empty, Cause::AbiMismatch, "does not have everything"),
        ("too long a file", &vec![0; 17 << 20], Cause::TooLarge, "17825792 bytes and at most 16777216"),
    ] {
        let failure = sandbox().load(bytes).await.err().unwrap();
        assert_eq!(failure.cause, cause, "{what}: {failure}");
        assert!(failure.detail.contains(words), "{what}: {failure}");
    }
}

/// Whichever byte is damaged, the answer is an answer.
#[tokio::test]
async fn a_damaged_file_does_no_harm() {
    let whole = Forge::pollster().component();
    let input = Host::of(2).slot();
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        if let Ok(module) = module(&bytes, "", LIMITS).await {
            let _ = poll(&module, &input).await;
        }
    }
}

/// Patch versions add and take nothing away.
#[tokio::test]
async fn modules_of_this_minor_line_run() {
    let input = Host::of(2).slot();
    for version in ["0.1.0", "0.1.7"] {
        let bytes = Forge::pollster().version(version).component();
        let module = module(&bytes, "", LIMITS).await.unwrap();
        assert_eq!(module.code.manifest.contract, version);
        assert_eq!(module.description.meters[0].name, "forged.meter");
        assert!(poll(&module, &input).await.result.is_ok());
    }
}

#[tokio::test]
async fn modules_of_other_lines_are_refused_by_name() {
    for version in ["0.2.0", "1.0.0", "0.0.1"] {
        let failure = sandbox().load(&Forge::pollster().version(version).component()).await.err().unwrap();
        assert_eq!(failure.cause, Cause::AbiMismatch, "{version}: {failure}");
        let words = format!("it wants wasmeter:plugin@{version} and this host serves 0.1.");
        assert!(failure.detail.contains(&words), "{failure}");
    }
}

/// What a later patch version added is not here yet.
#[tokio::test]
async fn what_is_not_served_yet_is_named() {
    let bytes = Forge::pollster()
        .version("0.1.9")
        .contract("read-at: func() -> moment;", "read-at: func() -> moment; tomorrow: func() -> u64;")
        .import("wasmeter:plugin/clock@0.1.9", "tomorrow", "$tomorrow (result i64)")
        .poll("(drop (call $tomorrow)) (i32.const 512)")
        .component();
    let failure = sandbox().load(&bytes).await.err().unwrap();
    assert_eq!(failure.cause, Cause::AbiMismatch, "{failure}");
    assert!(failure.detail.contains("wasmeter:plugin@0.1.9, of which this host (0.1."), "{failure}");
}

/// A type that reads otherwise under the same version is no module of this contract.
#[tokio::test]
async fn types_are_compared() {
    let bytes = Forge::pollster().contract("unit: string,", "unit: string, scale: u32,").component();
    let failure = module(&bytes, "", LIMITS).await.err().unwrap();
    assert_eq!(failure.cause, Cause::AbiMismatch, "{failure}");
}
