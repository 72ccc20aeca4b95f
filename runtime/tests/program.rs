//! The program itself. That there is a test of it here makes cargo build it together with all other tests, which run
//! it as it is.

use std::process::Command;

#[test]
fn it_says_its_version() {
    let output = Command::new(env!("CARGO_BIN_EXE_wasmeter")).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), concat!("wasmeter ", env!("CARGO_PKG_VERSION")));
    assert!(output.status.success());
}
