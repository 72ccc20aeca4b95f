//! Modules that the operator deployed for tenants.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;
use wasmeter::digest::Digest;

use crate::support::program::{Daemon, Folder, of_meter, samples_in, samples_so_far, slots, text, until};
use crate::support::{hostile, resources};

const GUESTS: &str = "sim://?domains=24&seed=3&calm=true&disks=1&nics=1";

/// A folder with two tenants: one is a project, the other is two. The third project is nobody's tenant.
pub(super) struct Cloud {
    pub folder: Folder,
    /// Guests by project.
    pub guests: BTreeMap<String, BTreeSet<String>>,
}

// === impl Cloud ===

impl Cloud {
    pub fn new(config: &str) -> Self {
        let once = Folder::measuring(GUESTS, "").run("once --format json").is(0);
        let mut guests: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for sample in of_meter(&samples_in(&once.stdout), "cpu") {
            let of_project = guests.entry(text(sample, "project_id").to_owned()).or_default();
            of_project.insert(text(sample, "resource_id").to_owned());
        }
        let projects: Vec<&String> = guests.keys().collect();
        assert!(projects.len() > 3, "{projects:?}");
        let config = format!(
            "schedule: {{offset: 0s}}\ndeployments: deployments.d\n\
             tenants: {{acme: {{projects: ['{}', '{}']}}}}\noutputs: [{{file: samples}}]\n{config}",
            projects[0], projects[1]
        );
        let folder = Folder::measuring(GUESTS, &config);
        folder.poll(&["cpu"]);
        std::fs::create_dir(folder.path("deployments.d")).unwrap();
        folder.write("deployments.d/resources.wasm", std::fs::read(resources()).unwrap());
        folder.write("deployments.d/hostile.wasm", hostile());
        Self { folder, guests }
    }

    /// A tenant that is one project.
    pub fn single(&self) -> &str {
        self.guests.keys().nth(2).unwrap()
    }

    pub fn guests_of(&self, projects: std::ops::Range<usize>) -> BTreeSet<&str> {
        let some = self.guests.values().skip(projects.start).take(projects.len());
        some.flatten().map(String::as_str).collect()
    }

    pub fn deploy(&self, tenant: &str, name: &str, module: &str, more: &str) {
        let bytes = std::fs::read(self.folder.path(&format!("deployments.d/{module}.wasm"))).unwrap();
        let digest = Digest::of(&bytes);
        let text =
            format!("tenant: '{tenant}'\nname: {name}\nfile: {module}.wasm\ndigest: {digest}\ninterval: 1\n{more}\n");
        self.folder.write(&format!("deployments.d/{name}-{}.yaml", &tenant[..4]), text);
    }

    /// Waits for so many slots more of the operator's.
    pub fn slots(&self, more: usize) {
        let count = || slots(&self.operators()).len();
        let before = count();
        until("more slots", || (count() >= before + more).then_some(()));
    }

    fn operators(&self) -> Vec<Value> {
        let mut all = samples_so_far(&self.folder.read("samples"));
        all.retain(|sample| sample["source"] == "openstack");
        all
    }

    /// Resources by slot, of a meter of a source.
    pub fn measured(&self, source: &str, meter: &str) -> BTreeMap<String, BTreeSet<String>> {
        let (mut all, mut ids): (BTreeMap<String, BTreeSet<String>>, BTreeSet<String>) = Default::default();
        for sample in samples_so_far(&self.folder.read("samples")) {
            // After a kill the last ones come again.
            let is_new = ids.insert(text(&sample, "message_id").to_owned());
            if is_new && sample["source"] == source && sample["counter_name"] == meter {
                let of_slot = all.entry(text(&sample, "timestamp").to_owned()).or_default();
                assert!(of_slot.insert(text(&sample, "resource_id").to_owned()), "{sample} came twice");
            }
        }
        all
    }

    /// Each slot of the operator's, from the first of this source's on and but for the last, has all of these.
    pub fn has_every_slot(&self, source: &str, meter: &str, guests: &BTreeSet<&str>) {
        let measured = self.measured(source, meter);
        let first = measured.keys().next().unwrap_or_else(|| panic!("nothing of {source}"));
        let operators: BTreeSet<String> =
            self.operators().iter().map(|sample| text(sample, "timestamp").to_owned()).collect();
        let all: Vec<&String> = operators.iter().filter(|slot| *slot >= first).collect();
        assert!(all.len() > 2, "{all:?}");
        for slot in &all[..all.len() - 1] {
            let of_slot = measured.get(*slot).map(|some| some.iter().map(String::as_str).collect()).unwrap_or_default();
            assert_eq!(guests, &of_slot, "{source} in {slot}");
        }
    }
}

pub(super) fn said(daemon: &Daemon, words: &str) {
    until(words, || daemon.log().contains(words).then_some(()));
}

pub(super) const PROBE: &str = "grants: {names: [probe.]}";

#[test]
fn each_measures_its_own_guests_and_nobody_elses() {
    let cloud = Cloud::new("");
    cloud.deploy("acme", "probe", "resources", PROBE);
    cloud.deploy(cloud.single(), "probe", "resources", &format!("{PROBE}\nconfig: {{parts: [vda, own]}}"));
    // It reads what the operator's do not, and of guests that nobody knows yet in the first slot.
    cloud.folder.poll(&["power.state"]);
    cloud.deploy("acme", "honest", "hostile", "grants: {names: [hostile.]}");
    let daemon = cloud.folder.start("run");
    cloud.slots(5);
    daemon.end();
    cloud.has_every_slot("acme/honest", "hostile.time", &cloud.guests_of(0..2));
    let first = |source: &str, meter: &str| cloud.measured(source, meter).into_keys().next().unwrap();
    assert_eq!(first("acme/honest", "hostile.time"), first("openstack", "power.state"));
    cloud.has_every_slot("acme/probe", "probe.up", &cloud.guests_of(0..2));
    let single = format!("{}/probe", cloud.single());
    cloud.has_every_slot(&single, "probe.up", &cloud.guests_of(2..3));
    for sample in samples_so_far(&cloud.folder.read("samples")) {
        let projects: Vec<&String> = cloud.guests.keys().collect();
        let place = projects.iter().position(|project| **project == text(&sample, "project_id")).unwrap();
        match text(&sample, "source") {
            "openstack" => assert_eq!(sample["counter_name"], "power.state"),
            "acme/probe" | "acme/honest" => assert!(place < 2, "{sample}"),
            source => assert!(source == single && place == 2, "{sample}"),
        }
    }
    // What it declares stands apart from devices, and from everybody else's.
    let parts = cloud.measured(&single, "probe.dynamic.age");
    let names: BTreeSet<&str> = parts.values().flatten().map(|id| id.split_at(36).1).collect();
    let own = |part: &str| format!("-{}/probe/{part}", cloud.single());
    assert_eq!(names, [own("own"), own("vda")].iter().map(String::as_str).collect());
}

/// A module that never ends, one that traps, and one that is slow: others have every slot, and the log one line for
/// each change.
#[test]
fn whoever_fails_costs_nobody_else() {
    let cloud = Cloud::new("");
    cloud.deploy("acme", "probe", "resources", PROBE);
    let mut wrong: BTreeMap<String, &str> = (0..9).map(|n| (format!("forever{n}"), "run: loop")).collect();
    wrong.insert("trap".to_owned(), "run: divide by zero");
    for (name, wrong) in &wrong {
        cloud.deploy(cloud.single(), name, "hostile", &format!("grants: {{names: [hostile.]}}\nconfig: '{wrong}'"));
    }
    let daemon = cloud.folder.start("run");
    until("all in quarantine", || {
        let begun = daemon.log().matches("it is in quarantine after 3 failing slots in a row").count();
        (begun == wrong.len()).then_some(())
    });
    cloud.slots(2);
    let log = daemon.end();
    cloud.has_every_slot("acme/probe", "probe.up", &cloud.guests_of(0..2));
    for name in wrong.keys() {
        let lines = log.lines().filter(|line| line.contains(&format!("deployment=\"{name}\"")));
        let lines: Vec<&str> = lines.collect();
        assert_eq!(lines.len(), 2, "that it is new, and that it is in quarantine: {lines:#?}");
    }
}

/// Another version is on trial, and takes over; one that fails does not, and no slot is lost.
#[test]
fn another_version_loses_no_slot() {
    let cloud = Cloud::new("");
    cloud.deploy("acme", "probe", "resources", PROBE);
    let daemon = cloud.folder.start("run");
    cloud.slots(2);
    cloud.deploy("acme", "probe", "resources", &format!("{PROBE}\nconfig: {{parts: [new]}}"));
    daemon.signal(Signal::HUP);
    said(&daemon, "Deployment: version 2 is on trial.");
    said(&daemon, "Deployment: version 2 has passed its trial and takes the place of 1.");
    cloud.deploy("acme", "probe", "resources", &format!("{PROBE}\nconfig: nonsense"));
    daemon.signal(Signal::HUP);
    said(&daemon, "Deployment: version 3 is on trial.");
    said(&daemon, "Deployment: version 3 is given up, and 2 goes on: it failed with");
    cloud.slots(2);
    daemon.end();
    cloud.has_every_slot("acme/probe", "probe.up", &cloud.guests_of(0..2));
    assert!(!cloud.measured("acme/probe", "probe.dynamic.age").is_empty());
}

/// The old file is put back during a trial: the new version is withdrawn. One that cannot be loaded any more goes on.
#[test]
fn what_is_taken_back_and_what_is_broken_cost_no_slot() {
    let cloud = Cloud::new("");
    cloud.deploy("acme", "probe", "resources", PROBE);
    cloud.deploy(cloud.single(), "other", "resources", PROBE);
    let daemon = cloud.folder.start("run");
    cloud.slots(2);
    cloud.deploy("acme", "probe", "resources", &format!("{PROBE}\nconfig: {{parts: [new]}}"));
    daemon.signal(Signal::HUP);
    said(&daemon, "Deployment: version 2 is on trial.");
    cloud.deploy("acme", "probe", "resources", PROBE);
    cloud.folder.write(&format!("deployments.d/other-{}.yaml", &cloud.single()[..4]), "tenant: [");
    daemon.signal(Signal::HUP);
    said(&daemon, "Deployment: version 2 is given up, and 1 goes on");
    said(&daemon, "Not all deployments run as they are written now");
    cloud.slots(3);
    daemon.end();
    cloud.has_every_slot("acme/probe", "probe.up", &cloud.guests_of(0..2));
    cloud.has_every_slot(&format!("{}/other", cloud.single()), "probe.up", &cloud.guests_of(2..3));
}

/// Makes a key of minisign's in the folder of keys, and signs a module with it.
fn sign(cloud: &Cloud, key: &str, module: &str) {
    let folder = &cloud.folder;
    std::fs::create_dir_all(folder.path("trust.d")).unwrap();
    let run = |arguments: &[&str]| {
        let ran = Command::new("minisign").args(arguments).current_dir(folder.path("")).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
    };
    let (public, secret) = (format!("trust.d/{key}.pub"), format!("{key}.key"));
    run(&["-G", "-W", "-f", "-p", &public, "-s", &secret]);
    let signature = format!("deployments.d/{module}.minisig");
    run(&["-S", "-s", &secret, "-m", &format!("deployments.d/{module}.wasm"), "-x", &signature]);
}

/// Unsigned, signed by a key that is not the tenant's, and signed by the right one.
#[test]
fn modules_that_have_to_be_signed_are() {
    let cloud = Cloud::new("trust: trust.d");
    let config =
        cloud.folder.read("wasmeter.yaml").replace("acme: {", "acme: {signatures: required, keys: [release], ");
    cloud.folder.write("wasmeter.yaml", config);
    let signed = format!("{PROBE}\nsignature: resources.minisig");
    cloud.deploy("acme", "probe", "resources", PROBE);
    sign(&cloud, "release", "hostile");
    cloud.folder.run("check").is(64).says("modules of acme have to be signed, and this one is not");
    sign(&cloud, "another", "resources");
    cloud.deploy("acme", "probe", "resources", &signed);
    cloud.folder.run("check").is(64).says("it is signed with another, which may not sign for acme");
    sign(&cloud, "release", "resources");
    cloud.folder.run("check").is(0).says("deployments acme/probe");
    let daemon = cloud.folder.start("run");
    cloud.slots(3);
    daemon.end();
    cloud.has_every_slot("acme/probe", "probe.up", &cloud.guests_of(0..2));
}

/// What is wrong with a deployment is said with its file, and others run.
#[test]
fn what_cannot_run_is_named() {
    let cloud = Cloud::new("");
    cloud.deploy("acme", "probe", "resources", PROBE);
    cloud.deploy(cloud.single(), "ungranted", "resources", "grants: {names: [mine.]}");
    cloud.deploy(cloud.single(), "changed", "hostile", "");
    cloud.folder.write("deployments.d/hostile.wasm", "something else");
    cloud.deploy("acme", "long", "resources", &format!("{PROBE}\nconfig: '{}'", "x".repeat(70_000)));
    let daemon = cloud.folder.start("run");
    cloud.slots(2);
    let log = daemon.end();
    assert!(log.contains("the meter probe.up was not granted: names begin with mine., as grants.names says"), "{log}");
    assert!(log.contains("hostile.wasm has changed: its digest is "), "{log}");
    assert!(log.contains("acme/long does not run: it cannot be kept: the configuration has 70000 bytes"), "{log}");
    assert!(!cloud.measured("acme/probe", "probe.up").is_empty());
}
