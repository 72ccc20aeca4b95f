//! `wasmeter module deploy` and what comes after it, with a daemon that runs.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::terminal::assert_plain;
use crate::support::cloud::Cloud;
use crate::support::program::{Folder, Ran, text, until};

/// From the dry run to the removal.
#[test]
fn a_module_is_deployed_changed_and_removed() {
    let cloud = Cloud::new("");
    let folder = &cloud.folder;
    let daemon = folder.start("run");
    folder.run("module list").is(0).says("nothing is deployed").says("cpu  ");
    let tried = cloud.deploy("probe.wasm --dry-run", "").is(0).says("leave out --dry-run").says("probe.up  gauge");
    tried.says(&format!("dry run     {} samples of {0} guests", cloud.guests.len()));
    assert_eq!(cloud.deployed(), Vec::<Value>::new());

    cloud.deploy("probe.wasm", "").is(0).says("version 1 of acme/probe runs");
    cloud.deploy("probe.wasm", "").is(0).says("acme/probe runs just so already");
    let measured = until("samples of all guests", || {
        let samples = cloud.samples();
        let guests: BTreeSet<String> = samples.iter().map(|sample| text(sample, "resource_id").to_owned()).collect();
        (guests == cloud.guests).then_some(samples)
    });
    assert!(measured.iter().all(|sample| sample["source"] == "acme/probe"), "{measured:?}");
    let table = folder.run("module list --tenant acme").is(0).says("acme/probe        1  ").stdout;
    assert_eq!(table.lines().count(), 2, "{table}");
    folder.run("module list --tenant other").is(0).says("nothing is deployed");
    cloud.shows("probe", "acme/probe runs version 1\n");
    folder.run("module list --tenant acm").is(0).says("nothing is deployed for acm. Did you mean acme?");
    folder.run("module show acme/prob").is(1).complains("There is no deployment acme/prob. Did you mean acme/probe?");
    folder.run("module diff acme/probe").is(64).complains("nothing ran before version 1 of acme/probe");
    folder.run("module diff acme/probe --file probe.wasm --exit-code").is(0).says("are the same");
    folder.run("module diff acme/probe --file hostile.wasm --exit-code").is(1).says("+ module  sha256:");

    let changed = cloud.deploy("probe.wasm --json", "{parts: [own]}").is(0).json();
    assert_eq!((&changed["version"], &changed["on_trial"]), (&2.into(), &true.into()), "{changed}");
    cloud.shows("probe", "acme/probe runs version 2\n");
    let diff = folder.run("module diff probe --tenant acme").is(0).stdout;
    assert_eq!(diff, "--- acme/probe, version 1\n+++ acme/probe, version 2\n+ config.parts  [\"own\"]\n");
    folder.run("module rollback acme/probe --to 9").is(1).complains("There is no version 9 of acme/probe");
    folder.run("module rollback acme/probe").is(0).says("acme/probe: ");
    cloud.shows("probe", "acme/probe runs version 1\n");

    folder.run("module pause acme/probe").is(0).says("acme/probe: ");
    cloud.shows("probe", "acme/probe is paused at version 1, since 2");
    folder.run("module pause acme/probe").is(0);
    cloud.deploy("probe.wasm", "").is(0).says("acme/probe is just so already, and does not run: it is paused. To have");
    folder.run("module resume acme/probe").is(0).says("acme/probe: ");
    let shown = folder.run("module show acme/probe --json").is(0).json();
    assert_eq!(shown["state"]["is"], "running", "{shown}");
    let done: Vec<&str> =
        shown["history"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    for action in ["deploy", "rollback", "pause", "resume"] {
        assert!(done.contains(&action), "{done:?}");
    }

    let asked = folder.run("module remove acme/probe").is(64).complains("acme/probe would be removed, with 2 versions");
    asked.complains("To have that, add --yes");
    folder.run("module remove acme/probe --yes").is(0).says("acme/probe: ");
    folder.run("module show acme/probe").is(1).complains("acme/probe");
    assert_eq!(cloud.deployed(), Vec::<Value>::new());
    daemon.end();
}

/// It is shown, and not deployed unless that is insisted on.
#[test]
fn a_module_that_fails_is_not_deployed() {
    let cloud = Cloud::new("");
    let folder = &cloud.folder;
    folder.write("panic.yaml", "'run: panic'");
    let daemon = folder.start("run");
    let line = "hostile.wasm --grant name=hostile. --grant group=cpu";
    for (more, words) in [("", "is not deployed, because"), (" --dry-run", "would not be deployed, because")] {
        let tried = cloud.deploy(&format!("{line}{more}"), "panic.yaml").is(70).says(words);
        tried.says("\nfailures\n  trap, ").says("poll is told to panic");
    }
    assert_eq!(cloud.deployed(), Vec::<Value>::new());
    cloud.deploy(&format!("{line} --anyway"), "panic.yaml").is(0).says("poll is told to panic").says("version 1 of");
    let said = cloud.shows("hostile", "\nfailures\n  2");
    assert!(said.contains("version 1, trap, ") && said.contains("poll is told to panic"), "{said}");
    daemon.end();
}

/// One that is misspelt cannot be told from one that this hypervisor lacks, but that it has no value can be said.
#[test]
fn a_statistic_that_no_guest_has_is_named() {
    let cloud = Cloud::new("");
    let daemon = cloud.folder.start("run");
    let line = "hostile.wasm --grant name=hostile. --grant group=cpu --dry-run";
    let tried = cloud.deploy(line, "'describe: a key that nobody has'").is(0);
    tried.says("\nreads       cpu.time cpu.tiem\nno value of cpu.tiem\n");
    let refused = cloud.deploy(line, "'describe: a key of no group'").is(70);
    refused.complains("there is no statistic \"a.key\"; one begins with state, cpu, ");
    daemon.end();
}

/// What ran before runs at once; what did not is tried out, shown and on trial, as if it was deployed.
#[test]
fn each_way_back_says_what_becomes_of_it() {
    let cloud = Cloud::new("");
    let folder = &cloud.folder;
    let daemon = folder.start("run");
    let back = |more: &str| folder.run(&format!("module rollback acme/probe {more}"));
    cloud.deploy("probe.wasm", "").is(0);
    back("").is(1).complains("Nothing ran before version 1 of acme/probe").complains("deploy the one that is wanted");
    back("--to 9").is(1).complains("There is no version 9 of acme/probe: the kept ones are 1");
    // A trial does not come to its end meanwhile.
    folder.run("module pause acme/probe").is(0);
    let paused = "acme/probe: it is paused, and does not run before it is resumed\n";
    cloud.deploy("probe.wasm", "{words: hello, times: 1}").is(0).says("version 2 of acme/probe is kept");
    back("--to 2").is(1).complains("ersion 2 of acme/probe runs already, or is on trial: name another one");
    let ended = back("--to 1").is(0).stdout;
    assert_eq!(ended, format!("acme/probe: version 2 is given up, and 1 goes on: it was withdrawn\n{paused}"));

    // Version 2 never took over.
    let tried = back("--to 2 --dry-run").is(0).says("dry run     ").says("probe.up  gauge").says("logged hello");
    let words = "acme/probe stays as it is so far. To have that, leave out --dry-run\n";
    tried.says(&format!("\n\nacme/probe, if this is done: version 2 is on trial\n{paused}{words}"));
    cloud.shows("probe", "acme/probe is paused at version 1, ");
    let tried = back("--to 2").is(0).says("dry run     ").says("probe.up  gauge");
    tried.says(&format!("\n\nacme/probe: version 2 is on trial\n{paused}"));
    back("--to 1").is(0);
    let done = back("--to 2 --json").is(0).json();
    assert_eq!((&done["version"], &done["on_trial"]), (&2.into(), &true.into()), "{done}");
    assert!(done["dry_run"]["samples"].as_u64() > Some(0) && done["changes"][0] == "version 2 is on trial", "{done}");

    folder.run("module resume acme/probe").is(0);
    cloud.shows("probe", "acme/probe runs version 2\n");
    let (again, tried) = (
        "acme/probe, if this is done: version 1 runs again in the place of 2, on its state\n",
        back("--to 1 --dry-run"),
    );
    tried.is(0).says("dry run     ").says(again).says(words);
    let done = back("--to 1 --json").is(0).json();
    assert_eq!((&done["version"], &done["on_trial"], &done["dry_run"]), (&1.into(), &false.into(), &Value::Null));
    daemon.end();
}

/// A version that fails when it is tried out again, and one that may not run any more.
#[test]
fn what_cannot_run_is_not_gone_back_to() {
    let cloud = Cloud::new("");
    let folder = &cloud.folder;
    folder.write("panic.yaml", "'run: panic'");
    let daemon = folder.start("run");
    let deploy = |more: &str, config: &str| cloud.deploy(&format!("hostile.wasm --grant name=hostile. {more}"), config);
    deploy("--grant group=cpu", "").is(0);
    deploy("--grant group=cpu --anyway", "panic.yaml").is(0);
    cloud.shows("hostile", "acme/hostile runs version 1\n");
    let back = |more: &str| folder.run(&format!("module rollback acme/hostile --to 2 {more}"));
    for (more, words) in
        [("", "acme/hostile stays as it is, because"), ("--dry-run", "acme/hostile would stay as it is")]
    {
        back(more).is(70).says("\nfailures\n  trap, ").says(words);
    }
    back("--anyway").is(0).says("poll is told to panic").says("acme/hostile: version 2 is on trial\n");
    until("version 2 to be given up", || {
        let states: Vec<Value> = cloud.deployed().iter().map(|row| row["state"]["is"].clone()).collect();
        (states == ["running"]).then_some(())
    });

    std::fs::create_dir(folder.path("trust.d")).unwrap();
    let config = folder.read("wasmeter.yaml").replace("acme: {", "acme: {signatures: required, ");
    folder.write("wasmeter.yaml", format!("{config}\ntrust: trust.d\n"));
    daemon.signal(rustix::process::Signal::HUP);
    until("it stops", || folder.run("module list --deployed").stdout.contains("cannot run").then_some(()));
    let said = back("").is(70).stderr;
    assert!(
        said.contains("Version 2 of acme/hostile cannot run as things are now: ") && said.contains("sign"),
        "{said}"
    );
    assert!(said.contains("Deploy it anew with what it lacks, or go back to another one."), "{said}");
    daemon.end();
}

#[test]
fn what_may_not_be_deployed_is_refused_in_words() {
    let cloud = Cloud::new("");
    let folder = &cloud.folder;
    folder.write("text.wasm", "fn main() {}\n");
    let daemon = folder.start("run");
    let refused = |line: &str| {
        let ran = folder.run(&format!("module deploy {line} --tenant acme"));
        assert!(ran.code != Some(0) && ran.stdout.is_empty(), "{line}: {:?} {}", ran.code, ran.stdout);
        ran.stderr
    };
    for (line, words) in [
        ("probe.wasm", "probe.up"),
        ("text.wasm", "this is not WebAssembly"),
        ("probe.wasm --grant name=probe. --interval 100000", ": --interval: 100000 is not within 1 to 86400"),
        ("probe.wasm --grant name=probe. --grant interval=0", ": --grant interval: 0 is not within 1 to 86400"),
        ("probe.wasm --grant name=probe. --grant rate=9999", ": --grant rate: 9999 is not within 1 to 6000"),
        ("probe.wasm --grant name=probe. --grant body=1", ": --grant body: 1 is not within 1KiB to 8MiB"),
        ("probe.wasm --grant name=probe. --grant time=2m", ": --grant time: 2m is not within 10ms to 1m"),
        ("probe.wasm --grant name=probe. --memory 1TiB", ": --memory is out of bounds: it can be 1MiB to 64MiB"),
        ("probe.wasm --grant name=probe. --deadline 2m", ": --deadline is out of bounds: it can be 1ms to 1m"),
        ("probe.wasm --grant name=probe. --fuel 0", ": --fuel is out of bounds: it can be 1 to 1000000000000"),
        (
            "probe.wasm --grant name=probe. --fuel-per-resource 2G",
            ": --fuel-per-resource is out of bounds: it can be 0 to",
        ),
    ] {
        let said = refused(line);
        assert!(said.contains(words), "{line}: {said}");
    }
    assert_eq!(cloud.deployed(), Vec::<Value>::new());
    for line in ["show", "pause", "resume", "rollback", "logs", "diff", "remove", "remove --yes"] {
        folder.run(&format!("module {line} acme/nothing")).is(1).complains("acme/nothing");
    }
    daemon.end();
}

#[test]
fn what_a_module_logs_is_followed() {
    let cloud = Cloud::new("");
    let folder = &cloud.folder;
    let daemon = folder.start("run");
    let tried = cloud.deploy("probe.wasm", "{words: hello, times: 2}").is(0);
    tried.says("\nlog\n").says("info   logged hello\n");
    let logged = until("lines", || {
        let said = folder.run("module logs acme/probe").is(0).stdout;
        (said.matches("logged hello").count() >= 4).then_some(said)
    });
    assert!(logged.lines().any(|line| line.ends_with("  info   version 1  logged hello")), "{logged}");
    let last = folder.run("module logs acme/probe --lines 1").is(0).stdout;
    assert_eq!(last.lines().filter(|line| !line.starts_with("...")).count(), 1, "{last}");
    let log = folder.run("module logs acme/probe --json").is(0).json();
    assert!(log["next"].as_u64() >= Some(4), "{log}");

    let mut follow = folder.command("module logs acme/probe --lines 0 --follow");
    let mut child = follow.stdout(Stdio::piped()).spawn().unwrap();
    let lines: Vec<String> =
        BufReader::new(child.stdout.take().unwrap()).lines().take(3).collect::<Result<_, _>>().unwrap();
    assert!(lines.iter().all(|line| line.contains("  info   version 1  ")), "{lines:?}");
    // Whoever read is gone now, so there is nobody to go on for.
    let ended = until("it ends", || child.try_wait().unwrap());
    assert_eq!(ended.code(), Some(0));
    let mut follow = folder.command("module logs acme/probe --follow --json");
    let mut child = follow.stdout(Stdio::piped()).spawn().unwrap();
    for line in BufReader::new(child.stdout.take().unwrap()).lines().take(2) {
        let answer: Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert!(answer["lines"].as_array().is_some_and(|lines| !lines.is_empty()), "{answer}");
    }
    until("it ends", || child.try_wait().unwrap());
    daemon.end();
}

/// What a tenant says commands no terminal, and passes for nothing of ours.
#[test]
fn what_a_module_says_stays_apart() {
    let cloud = Cloud::new("");
    let folder = &cloud.folder;
    let words = r#"{"words": "\u001b]0;x\u0007\u009b31m\nfailures\nend\u007f", "times": 1}"#;
    let daemon = folder.start("run");
    let mut said = vec![cloud.deploy("probe.wasm --dry-run", words), cloud.deploy("probe.wasm --json", words)];
    assert_eq!(said[1].code, Some(0), "{}", said[1].stderr);
    until("a line", || folder.run("module logs acme/probe").stdout.contains("logged").then_some(()));
    for line in ["module show acme/probe", "module logs acme/probe", "module list --deployed"] {
        said.extend([folder.run(line), folder.run(&format!("{line} --json"))]);
    }
    for Ran { code, stdout, stderr } in &said {
        assert_eq!(*code, Some(0), "{stderr}");
        assert_plain("stdout", stdout);
        assert_plain("stderr", stderr);
        assert!(!stdout.lines().any(|line| line == "failures" || line == "end\u{fffd}"), "{stdout}");
    }
    daemon.end();
}

#[test]
fn a_signature_beside_the_file_is_handed_in() {
    let cloud = Cloud::new("trust: trust.d");
    let folder = &cloud.folder;
    let config = folder.read("wasmeter.yaml").replace("acme: {", "acme: {signatures: required, ");
    folder.write("wasmeter.yaml", config);
    std::fs::create_dir(folder.path("trust.d")).unwrap();
    let minisign = |arguments: &[&str]| {
        let ran = Command::new("minisign").args(arguments).current_dir(folder.path("")).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
    };
    minisign(&["-G", "-W", "-f", "-p", "trust.d/release.pub", "-s", "release.key"]);
    let daemon = folder.start("run");
    let unsigned = cloud.deploy("probe.wasm", "");
    assert!(unsigned.code != Some(0) && unsigned.stderr.contains("signed"), "{}", unsigned.stderr);
    minisign(&["-S", "-s", "release.key", "-m", "probe.wasm"]);
    let signed = cloud.deploy("probe.wasm", "").is(0).says(", signed by release\n").says("version 1 of");
    signed.complains("the signature in probe.wasm.minisig is handed in, too");
    folder.run("module show acme/probe").is(0).says("  signed by ").says("release");
    daemon.end();
}

/// Where nobody said whom to trust, a signature is left out.
#[test]
fn a_signature_that_nobody_can_verify_can_be_left_out() {
    let cloud = Cloud::new("");
    let daemon = cloud.folder.start("run");
    cloud.folder.write("probe.wasm.minisig", "as minisign -S writes it");
    let refused = cloud.deploy("probe.wasm", "").is(70);
    let why = "it is signed, and `trust` of the configuration names no folder of keys to hold that against";
    refused.complains(why).complains("Write `trust`, or leave the signature out (--unsigned)");
    cloud.deploy("probe.wasm --unsigned", "").is(0);
    daemon.end();
}

/// Whatever is asked, and in the daemon's files that others may read.
#[test]
fn secrets_are_shown_nowhere() {
    const SECRET: &str = "s3cret-of-acme-9f2c";
    let cloud = Cloud::new("");
    let folder = &cloud.folder;
    folder.write("token", format!("{SECRET}\n"));
    let daemon = folder.start("run");
    let config = "{words: hello, times: 1}";
    let grants = "--secret token=@token --grant http=https://metrics.example:9100/path";
    let mut said = vec![cloud.deploy(&format!("probe.wasm {grants} --json"), config)];
    for line in ["show acme/probe", "logs acme/probe", "diff acme/probe --file hostile.wasm"] {
        said.extend([folder.run(&format!("module {line}")), folder.run(&format!("module {line} --json"))]);
    }
    for Ran { code, stdout, stderr } in &said {
        assert_eq!(*code, Some(0), "{stderr}");
        assert!(!stdout.contains(SECRET) && !stderr.contains(SECRET), "{stdout}{stderr}");
    }
    assert!(said[1].stdout.contains("grants.secrets "), "{}", said[1].stdout);
    let log = daemon.end() + &folder.read("audit.log");
    assert!(!log.contains(SECRET), "{log}");
}

/// All of that is said before a daemon is asked.
#[test]
fn wrong_orders_are_named() {
    let folder = Folder::new("");
    folder.write("probe.wasm", "");
    folder.write("twice.yaml", "a: 1\na: 2\n");
    folder.write("large.yaml", "limit: 18446744073709551616\n");
    folder.write("Probe.wasm", "");
    folder.write("empty", "");
    for (line, code, words) in [
        ("deploy", 64, "FILE"),
        ("deploy probe.wasm", 64, "--tenant"),
        ("deploy probe.wasm --tenant operator", 64, "\"operator\" is no tenant"),
        ("deploy probe.wasm --tenant a --name B", 64, "\"B\" is no name for a deployment"),
        ("deploy Probe.wasm --tenant a", 64, "Name it with --name"),
        ("deploy nowhere.wasm --tenant a", 64, "error: nowhere.wasm cannot be read: No such file"),
        ("deploy probe.wasm --tenant a --config nowhere.yaml", 64, "the configuration nowhere.yaml cannot be read"),
        ("deploy probe.wasm --tenant a --config twice.yaml", 64, "twice.yaml:2:1: error: the key"),
        ("deploy probe.wasm --tenant a --config large.yaml", 64, "large.yaml:1:8: error: `limit` is a whole number of"),
        ("run cpu --config nowhere.yaml", 64, "the configuration nowhere.yaml cannot be read"),
        ("run cpu --config large.yaml", 64, "large.yaml:1:8: error: `limit` is a whole number of more than 64 bits"),
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
