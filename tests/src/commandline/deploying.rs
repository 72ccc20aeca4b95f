//! `wasmeter module deploy` and what comes after it.

use serde_json::Value;

use crate::support::program::Folder;

/// All of that is said before a daemon is asked.
#[test]
fn wrong_orders_are_named() {
    let folder = Folder::new("");
    folder.write("probe.wasm", "");
    folder.write("twice.yaml", "a: 1\na: 2\n");
    folder.write("Probe.wasm", "");
    folder.write("empty", "");
    for (line, code, words) in [
        ("deploy", 64, "FILE"),
        ("deploy probe.wasm", 64, "--tenant"),
        ("deploy probe.wasm --tenant operator", 64, "\"operator\" is no tenant"),
        ("deploy probe.wasm --tenant a --name B", 64, "\"B\" is no name for a deployment"),
        ("deploy Probe.wasm --tenant a", 64, "Name it with --name"),
        ("deploy nowhere.wasm --tenant a", 70, "nowhere.wasm was refused: unreadable"),
        ("deploy probe.wasm --tenant a --config nowhere.yaml", 64, "the configuration nowhere.yaml cannot be read"),
        ("deploy probe.wasm --tenant a --config twice.yaml", 64, "twice.yaml:2:1: error: the key"),
        ("deploy probe.wasm --tenant a --grant everything", 64, "there is no such grant: write name=acme."),
        ("deploy probe.wasm --tenant a --grant name=acme", 64, "whole words with a point behind"),
        ("deploy probe.wasm --tenant a --fuel much", 64, "not an amount of fuel such as"),
        ("deploy probe.wasm --tenant a --interval 500ms", 64, "not a number of whole seconds such as"),
        ("deploy probe.wasm --tenant a --memory 16M", 64, "not a size such as"),
        ("deploy probe.wasm --tenant a --deadline 0.5ms", 64, "write whole milliseconds"),
        ("deploy probe.wasm --tenant a --meters cpu,!cpu", 64, "--meters: Both included and"),
        ("deploy probe.wasm --tenant a --secret token=s3cret", 64, "write NAME=@FILE"),
        ("deploy probe.wasm --tenant a --secret token=@nowhere", 64, "the secret token cannot be read from nowhere"),
        ("deploy probe.wasm --tenant a --secret token=@empty", 64, "the secret token in empty is empty"),
        ("deploy probe.wasm --tenant a --signature nowhere", 64, "the signature nowhere cannot be read"),
        ("show probe", 64, "\"probe\" says no tenant: write TENANT/NAME"),
        ("show a/probe --tenant a", 64, "the tenant is named twice"),
        ("pause ../probe", 64, "\"..\" is no tenant"),
        ("rollback a/probe --to x", 64, "'x'"),
        ("diff a/probe 1 2 3", 64, "'3'"),
        ("list --built-in --deployed", 64, "cannot be used with"),
    ] {
        let ran = folder.run(&format!("module {line}")).is(code).complains(words);
        assert_eq!(ran.stdout, "", "{line}");
    }
    let said = folder.run("module deploy probe.wasm --tenant a --secret token=s3cret").is(64).stderr;
    assert!(!said.contains("s3cret"), "{said}");
}

#[test]
fn without_a_daemon_only_what_is_built_in_is_known() {
    let folder = Folder::new("");
    folder.write("probe.wasm", "");
    let nobody = "nobody answers at control.sock";
    folder.run("module list").is(0).says("cpu  ").says(nobody).says("so what is deployed is not known");
    assert_eq!(folder.run("module list --json").is(0).json()["deployments"], Value::Null);
    for line in [
        "deploy probe.wasm --tenant acme",
        "list --deployed",
        "list --tenant acme",
        "show acme/probe",
        "logs acme/probe",
        "diff acme/probe",
        "pause acme/probe",
        "resume acme/probe",
        "rollback acme/probe",
        "remove acme/probe",
        "remove acme/probe --yes",
    ] {
        folder.run(&format!("module {line}")).is(69).complains(nobody).complains("Start the daemon");
    }
}
