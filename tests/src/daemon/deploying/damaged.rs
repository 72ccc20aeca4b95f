//! Files of the store that were damaged while the daemon was down: what is said, and that nothing but mending them is
//! needed.

use rustix::process::Signal;
use serde_json::json;
use wasmeter::digest::Digest;

use super::{deploy, probe, show};
use crate::daemon::tenants::{Cloud, said};
use crate::support::hostile;
use crate::support::program::until;

/// Two deployments, whose daemon has ended.
fn deployed() -> Cloud {
    let cloud = Cloud::new("");
    let daemon = cloud.folder.start("run");
    cloud.slots(1);
    deploy(&cloud, "one", json!({}), &probe());
    deploy(&cloud, "two", json!({}), &hostile());
    cloud.slots(2);
    daemon.end();
    cloud.folder.run("check").is(0).says("acme/one acme/two").says("ready to run\n");
    cloud
}

/// Waits for slots of the first one.
fn measured(cloud: &Cloud) {
    let slots = || cloud.measured("acme/one", "probe.up").len();
    let before = slots();
    until("it to run again", || (slots() >= before + 2).then_some(()));
}

#[test]
fn a_file_that_was_damaged_is_named_and_taken_up_when_it_is_back() {
    let cloud = deployed();
    let file = "deployed/deployments/acme@one.json";
    let backup = cloud.folder.read(file);
    let cut = &backup[..backup.len() - 9];
    cloud.folder.write(file, cut);
    // A look moves nothing.
    let words = "deployments/acme@one.json cannot be used";
    cloud.folder.run("check").is(64).says(words).says("Put a backup of deployments/acme@one.json").says("acme/two");
    assert_eq!(cloud.folder.read(file), cut);

    let daemon = cloud.folder.start("run");
    said(&daemon, words);
    cloud.slots(2);
    let trouble = "acme/one is not deployed any more: in ";
    cloud.folder.run("status").is(0).says(trouble).says("deployments/acme@one.json.damaged");
    cloud.folder.run("module list --deployed").is(0).says("acme/two  ");
    // Beside the daemon, too.
    cloud.folder.run("check").is(0).says("so acme/one does not run").says("ready to run, with warnings");
    cloud.folder.write(file, &backup);
    daemon.signal(Signal::HUP);
    said(&daemon, "A deployment is in the store again, and goes on with nothing remembered.");
    measured(&cloud);
    let status = cloud.folder.run("status").is(0);
    assert!(!status.stdout.contains(trouble), "{}", status.stdout);
    cloud.folder.run("module show acme/one").is(0).says("acme/one runs version 1");
    // It is as it would have been, also to the next daemon.
    daemon.end();
    let daemon = cloud.folder.start("run");
    measured(&cloud);
    daemon.end();
    cloud.has_every_slot("acme/two", "hostile.time", &cloud.guests_of(0..2));
}

#[test]
fn a_module_that_was_damaged_is_named_and_runs_when_it_is_back() {
    let cloud = deployed();
    let file = format!("deployed/modules/{}.wasm", Digest::of(&probe()));
    cloud.folder.write(&file, "else");
    let check = || {
        let ran = cloud.folder.run("check").is(64);
        ran.says("acme@one.json: error: acme/one does not run: modules/").says("`wasmeter module remove acme/one`")
    };
    check();
    let daemon = cloud.folder.start("run");
    said(&daemon, "version 1 of acme/one has no module, so it does not run: modules/");
    cloud.slots(2);
    cloud.folder.run("status").is(0).says("acme/one cannot run: modules/").says("put a backup of it back");
    cloud.folder.run("module show acme/one").is(0).says("put a backup of it back");
    check();
    cloud.folder.write(&file, probe());
    daemon.signal(Signal::HUP);
    measured(&cloud);
    daemon.end();
    cloud.has_every_slot("acme/two", "hostile.time", &cloud.guests_of(0..2));
}

/// One that is damaged while it runs goes on as it was, which is said, and by the rules of then once it is mended: by a
/// backup, or by the same module that is deployed once more.
#[test]
fn a_module_that_is_damaged_while_it_runs_goes_on() {
    let cloud = Cloud::new("");
    let daemon = cloud.folder.start("run");
    cloud.slots(1);
    deploy(&cloud, "one", json!({}), &probe());
    measured(&cloud);
    let granted = || show(&cloud, "one").used.fuel_granted;
    let before = granted();
    let file = format!("deployed/modules/{}.wasm", Digest::of(&probe()));
    cloud.folder.write(&file, "else");
    let config = cloud.folder.read("wasmeter.yaml");
    cloud.folder.write("wasmeter.yaml", config.replace("deadline: 1m", "deadline: 1m, fuel_base: 60000000"));
    daemon.signal(Signal::HUP);
    said(&daemon, "A deployment goes on as it was.");
    measured(&cloud);
    assert_eq!(granted(), before);
    let trouble = "acme/one would not run after a restart: modules/";
    let is_said = || cloud.folder.run("status").is(0).stdout.contains(trouble);
    assert!(is_said());
    cloud.folder.write(&file, probe());
    daemon.signal(Signal::HUP);
    until("another limit", || (granted() > before).then_some(()));
    assert!(!is_said());
    measured(&cloud);
    cloud.folder.write(&file, "else");
    daemon.signal(Signal::HUP);
    until("what is wrong", || is_said().then_some(()));
    assert_eq!(deploy(&cloud, "one", json!({}), &probe()).version, Some(2));
    until("another version", || (!is_said()).then_some(()));
    assert_eq!(std::fs::read(cloud.folder.path(&file)).unwrap(), probe());
    measured(&cloud);
    daemon.end();
}

/// What was ordered is held against today's rules, whether a daemon runs or not.
#[test]
fn check_says_what_would_not_run_by_other_rules() {
    let cloud = deployed();
    let daemon = cloud.folder.start("run");
    let config = cloud.folder.read("wasmeter.yaml");
    for (rules, code, words) in [
        (config.replace("acme: {", "acme: {signatures: required, "), 64, "error: acme/one does not run: "),
        (config.replace("acme: {", "other: {"), 0, "warning: acme is no tenant of the configuration"),
        (format!("{config}\nbudget: {{node: 0.6%, tenant: 0.6%}}\n"), 0, "warning: acme/two has no fuel for sure: "),
        (format!("{config}\nbudget: {{shortest_interval: 9}}\n"), 64, "acme/one does not run: it runs every 1 s"),
    ] {
        cloud.folder.write("wasmeter.yaml", rules);
        cloud.folder.run("check").is(code).says(words).says("deployed/deployments/acme@");
    }
    daemon.end();
}
