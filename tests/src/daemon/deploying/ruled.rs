//! Rules that change while deployments run: a reload takes them over as a restart does.

use rustix::process::Signal;
use serde_json::{Value, json};
use wasmeter::control::deployments::Standing;
use wasmeter::digest::Digest;

use super::{ask, deploy, order, probe, show, tell};
use crate::daemon::tenants::{Cloud, PROBE, said, sign};
use crate::support::program::{Daemon, until};

/// Has these rules be in force.
fn rule(cloud: &Cloud, daemon: &Daemon, config: &str) {
    let in_force = || daemon.log().matches("The configuration was read again and is in force.").count();
    let before = in_force();
    cloud.folder.write("wasmeter.yaml", config);
    daemon.signal(Signal::HUP);
    until("other rules", || (in_force() > before).then_some(()));
}

fn measures(cloud: &Cloud, source: &str) {
    let slots = || cloud.measured(source, "probe.up").len();
    let before = slots();
    until("samples", || (slots() >= before + 2).then_some(()));
}

/// The cloud's configuration, by which some of these keys must have signed what `acme` deploys.
fn requiring(cloud: &Cloud) -> impl Fn(&str) -> String + use<> {
    let config = cloud.folder.read("wasmeter.yaml");
    move |keys| config.replace("acme: {", &format!("acme: {{signatures: required, keys: [{keys}], "))
}

/// Whoever reloads and then orders something need not wait.
#[test]
fn an_order_just_after_a_signal_is_by_the_new_rules() {
    let cloud = Cloud::new("");
    let daemon = cloud.folder.start("run");
    cloud.slots(1);
    let config = cloud.folder.read("wasmeter.yaml");
    for round in 0..3 {
        cloud.folder.write("wasmeter.yaml", format!("{config}# {round}\n"));
        daemon.signal(Signal::HUP);
        let deployed = deploy(&cloud, &format!("probe{round}"), json!({"interval": 600}), &probe());
        assert_eq!(deployed.version, Some(1));
    }
    daemon.end();
}

/// What it is signed with may not sign any more; the version before it may.
#[test]
fn a_version_on_trial_that_may_not_run_is_given_up_alone() {
    let cloud = Cloud::new("trust: trust.d");
    let keys = requiring(&cloud);
    cloud.folder.write("wasmeter.yaml", keys("release, other"));
    let signed = |key: &str, interval: u64| {
        sign(&cloud, key, "resources");
        let signature: Value = cloud.folder.read("deployments.d/resources.minisig").into();
        json!({"signature": signature, "interval": interval})
    };
    let (first, second) = (signed("release", 1), signed("other", 600));
    let daemon = cloud.folder.start("run");
    cloud.slots(1);
    deploy(&cloud, "probe", first, &probe());
    measures(&cloud, "acme/probe");
    assert!(deploy(&cloud, "probe", second, &probe()).on_trial);
    rule(&cloud, &daemon, &keys("release"));
    let given_up = "version 2 is given up, and 1 goes on: it cannot run any more";
    said(&daemon, &format!("Deployment: {given_up}."));
    measures(&cloud, "acme/probe");
    assert_eq!(show(&cloud, "probe").row.state, Standing::Running);
    let told = || show(&cloud, "probe").history.into_iter().find(|entry| entry.action == given_up);
    let why = until("it to be in the audit log", told).why;
    assert!(why.is_some_and(|why| why.contains("signed with other")));
    daemon.end();
    let daemon = cloud.folder.start("run");
    measures(&cloud, "acme/probe");
    assert!(matches!(show(&cloud, "probe").row, row if row.version == 1 && row.state == Standing::Running));
    daemon.end();
}

/// What is written is tried out again once it may run, after a restart, too; and nothing has to be written anew for it.
#[test]
fn a_version_from_a_file_that_may_run_again_is_tried_out_again() {
    let cloud = Cloud::new("trust: trust.d");
    let keys = requiring(&cloud);
    cloud.folder.write("wasmeter.yaml", keys("release, other"));
    let signed = |key: &str, more: &str| {
        sign(&cloud, key, "resources");
        cloud.deploy("acme", "probe", "resources", &format!("{PROBE}\nsignature: resources.minisig\n{more}"));
    };
    signed("release", "");
    let daemon = cloud.folder.start("run");
    measures(&cloud, "acme/probe");
    // Its trial takes longer than this.
    signed("other", "meters: [probe.up]");
    let file = cloud.folder.read("deployments.d/probe-acme.yaml");
    cloud.folder.write("deployments.d/probe-acme.yaml", file.replace("interval: 1\n", "interval: 600\n"));
    rule(&cloud, &daemon, &keys("release, other"));
    said(&daemon, "Deployment: version 2 did well when it was tried out, and is on trial.");
    rule(&cloud, &daemon, &keys("release"));
    said(&daemon, "Deployment: version 2 is given up, and 1 goes on: it cannot run any more.");
    measures(&cloud, "acme/probe");
    daemon.end();
    let daemon = cloud.folder.start("run");
    measures(&cloud, "acme/probe");
    rule(&cloud, &daemon, &keys("release, other"));
    said(&daemon, "Deployment: version 3 is tried out beside 1, and nothing of it counts.");
    said(&daemon, "Deployment: version 3 did well when it was tried out, and is on trial.");
    daemon.end();
}

/// What it lacks excuses nothing that can be told without it: who signed it, and how often it runs.
#[test]
fn what_lacks_something_is_held_to_other_rules() {
    let cloud = Cloud::new("trust: trust.d");
    let keys = requiring(&cloud);
    cloud.folder.write("wasmeter.yaml", keys("release"));
    sign(&cloud, "release", "resources");
    let signature: Value = cloud.folder.read("deployments.d/resources.minisig").into();
    cloud.deploy("acme", "tells", "resources", &format!("{PROBE}\nsignature: resources.minisig"));
    let remove = |file: &str| std::fs::remove_file(cloud.folder.path(file)).unwrap();
    let daemon = cloud.folder.start("run");
    cloud.slots(1);
    deploy(&cloud, "probe", json!({"signature": signature}), &probe());
    measures(&cloud, "acme/probe");
    remove(&format!("deployed/modules/{}.wasm", Digest::of(&probe())));
    remove("deployments.d/resources.wasm");
    rule(&cloud, &daemon, &keys("release"));
    let status = cloud.folder.run("status").is(0).says("acme/probe would not run after a restart: modules/");
    status.says("acme/tells would not run after a restart: modules/").says("Send SIGHUP once that is mended.");
    measures(&cloud, "acme/probe");
    measures(&cloud, "acme/tells");
    remove("trust.d/release.pub");
    rule(&cloud, &daemon, &keys("release"));
    let status = cloud.folder.run("status").is(0).says("acme/probe cannot run: it is signed with the key ");
    status.says("acme/tells cannot run: it is signed with the key ");
    daemon.end();
}

/// A secret that is missing excuses no rule either.
#[test]
fn what_lacks_a_secret_is_held_to_other_rules() {
    let cloud = Cloud::new("");
    let config = cloud.folder.read("wasmeter.yaml");
    cloud.folder.write("deployments.d/token", "hunter2-and-more");
    let grants = "grants: {names: [probe.], http: ['http://metrics.example:9100/x'], secrets: {t: {file: token}}}";
    cloud.deploy("acme", "probe", "resources", grants);
    let daemon = cloud.folder.start("run");
    measures(&cloud, "acme/probe");
    std::fs::remove_file(cloud.folder.path("deployments.d/token")).unwrap();
    rule(&cloud, &daemon, &config);
    cloud.folder.run("status").is(0).says("acme/probe would not run after a restart: the secret t: ");
    cloud.folder.run("module list --deployed").is(0).says("runs; would not run after a restart: the secret");
    cloud.folder.run("module show acme/probe").is(0).says("lacks        the secret t: ");
    measures(&cloud, "acme/probe");
    rule(&cloud, &daemon, &format!("{config}\nbudget: {{shortest_interval: 9}}\n"));
    cloud.folder.run("status").is(0).says("acme/probe cannot run: it runs every 1 s, and may every 9 s");
    daemon.end();
}

/// Intervals, whose a project is, and limits.
#[test]
fn what_runs_is_held_to_other_rules_at_once() {
    let cloud = Cloud::new("");
    let config = cloud.folder.read("wasmeter.yaml");
    let daemon = cloud.folder.start("run");
    cloud.slots(1);
    deploy(&cloud, "probe", json!({}), &probe());
    let path = format!("/deployments/{}/probe/deploy", cloud.single());
    let (status, body) = ask(&cloud.folder, "POST", &path, &order(json!({}), &probe()));
    assert_eq!(status, 200, "{body}");
    let single = format!("{}/probe", cloud.single());
    measures(&cloud, &single);

    let beta = format!("tenants: {{beta: {{projects: ['{}']}}, ", cloud.single());
    let cannot = |words: String| {
        cloud.folder.run("status").is(0).says(&words);
        cloud.folder.run("check").is(64).says("deployments/");
    };
    rule(&cloud, &daemon, &config.replace("tenants: {", &beta));
    cannot(format!("{single} cannot run: {} is a project of the tenant beta, whose rules hold", cloud.single()));
    measures(&cloud, "acme/probe");
    rule(&cloud, &daemon, &format!("{config}\nbudget: {{shortest_interval: 9}}\n"));
    cannot("acme/probe cannot run: it runs every 1 s, and may every 9 s".to_owned());
    rule(&cloud, &daemon, &config);
    measures(&cloud, &single);
    measures(&cloud, "acme/probe");

    let granted = || show(&cloud, "probe").used.fuel_granted;
    let before = granted();
    rule(&cloud, &daemon, &config.replace("deadline: 1m", "deadline: 1m, fuel_base: 60000000"));
    until("another limit", || (granted() > before).then_some(()));
    assert_eq!(show(&cloud, "probe").versions.len(), 1);
    // A pause is none of the rules' business.
    tell(&cloud, "probe/pause");
    rule(&cloud, &daemon, &config);
    assert!(matches!(show(&cloud, "probe").row.state, Standing::Paused { .. }));
    daemon.end();
}
