//! Modules that the operator deployed for tenants.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;
use wasmeter::digest::Digest;

use crate::support::program::{Daemon, Folder, of_meter, run, samples_in, samples_so_far, slots, text, until};
use crate::support::{hostile, resources};

pub(super) const GUESTS: &str = "sim://?domains=24&seed=3&calm=true&disks=1&nics=1";

/// A folder with two tenants: one is a project, the other is two. The third project is nobody's tenant.
pub(super) struct Cloud {
    pub folder: Folder,
    /// Guests by project.
    pub guests: BTreeMap<String, BTreeSet<String>>,
}

// === impl Cloud ===

impl Cloud {
    pub fn new(config: &str) -> Self {
        Self::on(GUESTS, config)
    }

    /// The same guests on a host that may be in trouble.
    pub fn on(hypervisor: &str, config: &str) -> Self {
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
        let folder = Folder::measuring(hypervisor, &config);
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
    cloud.deploy("acme", "honest", "hostile", "grants: {names: [hostile.], groups: [cpu]}");
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
    let cloud = Cloud::new("budget: {tenant: 25%}");
    cloud.deploy("acme", "probe", "resources", PROBE);
    let mut wrong: BTreeMap<String, &str> = (0..9).map(|n| (format!("forever{n}"), "run: loop")).collect();
    wrong.insert("trap".to_owned(), "run: divide by zero");
    for (name, wrong) in &wrong {
        cloud.deploy(
            cloud.single(),
            name,
            "hostile",
            &format!("grants: {{names: [hostile.], groups: [cpu]}}\nconfig: '{wrong}'"),
        );
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

/// Whoever gives nothing but failures is paused, for however many guests it fails; who gives samples of others is not,
/// and neither is who has nothing to say. A version that does so takes over from nobody.
#[test]
fn whoever_fails_for_some_and_gives_nothing_of_others_is_paused() {
    let cloud = Cloud::new("");
    let host = cloud.folder.run("once --format json").is(0);
    let of_acme = cloud.guests_of(0..2);
    let sample = samples_in(&host.stdout).into_iter().find(|sample| of_acme.contains(text(sample, "resource_id")));
    let odd = sample.unwrap()["resource_metadata"]["display_name"].to_string();
    let deploy = |name: &str, config: &str| {
        cloud.deploy("acme", name, "resources", &format!("grants: {{names: [probe.]}}\nconfig: {{{config}}}"));
    };
    let barren = format!("odd: {odd}, silent: true");
    deploy("barren", &barren);
    deploy("partly", &format!("odd: {odd}"));
    deploy("silent", "silent: true");
    let daemon = cloud.folder.start("run");
    said(&daemon, "it is in quarantine after 3 failing slots in a row, the last with trap");
    deploy("silent", &barren);
    daemon.signal(Signal::HUP);
    said(&daemon, "version 2 is given up, and 1 goes on: it failed with trap when it was tried out");
    cloud.slots(3);
    let log = daemon.end();
    for (name, pauses) in [("barren", 1), ("partly", 0), ("silent", 0)] {
        let lines = log.lines().filter(|line| line.contains(&format!("deployment=\"{name}\"")));
        assert_eq!(lines.filter(|line| line.contains("quarantine")).count(), pauses, "{name}: {log}");
    }
    let given = cloud.measured("acme/partly", "probe.up");
    assert!(given.values().all(|guests| guests.len() == of_acme.len() - 1), "{given:?}");
}

/// Another version is tried out and on trial, and takes over; one that fails does not, and no slot is lost.
#[test]
fn another_version_loses_no_slot() {
    let cloud = Cloud::new("");
    cloud.deploy("acme", "probe", "resources", PROBE);
    let daemon = cloud.folder.start("run");
    cloud.slots(2);
    cloud.deploy("acme", "probe", "resources", &format!("{PROBE}\nconfig: {{parts: [new]}}"));
    daemon.signal(Signal::HUP);
    said(&daemon, "Deployment: version 2 did well when it was tried out, and is on trial.");
    said(&daemon, "Deployment: version 2 has passed its trial and takes the place of 1.");
    cloud.deploy("acme", "probe", "resources", &format!("{PROBE}\nconfig: nonsense"));
    daemon.signal(Signal::HUP);
    said(&daemon, "Deployment: version 3 is tried out beside 2, and nothing of it counts.");
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
    said(&daemon, "Deployment: version 2 did well when it was tried out, and is on trial.");
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
pub(super) fn sign(cloud: &Cloud, key: &str, module: &str) {
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
    let project = cloud.guests.keys().next().unwrap();
    cloud.deploy(project, "around", "resources", PROBE);
    let daemon = cloud.folder.start("run");
    cloud.slots(2);
    // What runs is not said to stop.
    cloud.deploy("acme", "probe", "resources", "grants: {names: [theirs.]}");
    daemon.signal(Signal::HUP);
    said(
        &daemon,
        "acme/probe goes on as it was, as what is written now cannot run: the meter probe.up was not granted",
    );
    until("the list to say so", || {
        let list = cloud.folder.run("module list --tenant acme").is(0).stdout;
        list.contains("  runs; its file cannot be followed\n").then_some(())
    });
    let shown = cloud.folder.run("module show acme/probe").is(0);
    shown.says("so it goes on as it was: see wasmeter check\n");
    let before = cloud.measured("acme/probe", "probe.up").len();
    until("more of it", || (cloud.measured("acme/probe", "probe.up").len() > before + 1).then_some(()));
    let log = daemon.end();
    assert!(log.contains("the meter probe.up was not granted: names begin with `mine.`"), "{log}");
    assert!(!log.contains("acme/probe does not run"), "{log}");
    assert!(log.contains("hostile.wasm has changed: its digest is "), "{log}");
    let around = format!("{project}/around does not run: {project} is a project of the tenant acme, whose rules hold");
    assert!(log.contains(&around), "{log}");
    assert!(log.contains("acme/long does not run: it cannot be kept: the configuration has 70000 bytes"), "{log}");
    assert!(!cloud.measured("acme/probe", "probe.up").is_empty());
}

/// It goes on as the file says from which it runs, whatever that one is called.
#[test]
fn a_second_file_of_a_deployment_changes_nothing() {
    let cloud = Cloud::new("");
    cloud.deploy("acme", "probe", "resources", PROBE);
    let (own, other) = ("deployments.d/probe-acme.yaml", "deployments.d/a.yaml");
    let text = cloud.folder.read(own);
    let daemon = cloud.folder.start("run");
    cloud.slots(2);
    cloud.folder.write(other, format!("{text}config: {{parts: [other]}}\n"));
    let why = "probe-acme.yaml, so this file of it is not followed";
    cloud.folder.run("check").is(64).says("a.yaml:2:1: error: acme/probe runs from ").says(why);
    // Wherever it is asked from.
    run(&format!("check -c {}", cloud.folder.path("wasmeter.yaml").display())).is(64).says(why);
    daemon.signal(Signal::HUP);
    said(&daemon, why);
    // Where none is the one that it runs from, none is followed, as at the first start.
    cloud.folder.write("deployments.d/b.yaml", text);
    std::fs::remove_file(cloud.folder.path(own)).unwrap();
    daemon.signal(Signal::HUP);
    said(&daemon, "b.yaml, too, and neither is followed");
    said(&daemon, "a.yaml, too, and neither is followed");
    let lists = |state: &str| {
        until(state, || cloud.folder.run("module list --tenant acme").is(0).stdout.contains(state).then_some(()));
    };
    lists("  runs; its file cannot be followed\n");
    std::fs::remove_file(cloud.folder.path(other)).unwrap();
    daemon.signal(Signal::HUP);
    lists("  runs\n");
    cloud.slots(4);
    let log = daemon.end();
    assert!(!log.contains("version 2"), "{log}");
    cloud.has_every_slot("acme/probe", "probe.up", &cloud.guests_of(0..2));
}

/// A deployment is known by its key: one whose file has another name goes on, even if what is in it cannot run. Whoever
/// asks how the daemon is hears of that.
#[test]
fn a_file_that_has_another_name_and_cannot_run_ends_nothing() {
    let cloud = Cloud::new("");
    cloud.deploy("acme", "probe", "resources", PROBE);
    cloud.deploy("acme", "other", "resources", PROBE);
    let daemon = cloud.folder.start("run");
    cloud.slots(2);
    cloud.folder.run("status").is(0).says("all is well");
    let written = |name: &str, more: &str| {
        let old = cloud.folder.path(&format!("deployments.d/{name}-acme.yaml"));
        let text = std::fs::read_to_string(&old).unwrap();
        std::fs::remove_file(old).unwrap();
        cloud.folder.write(&format!("deployments.d/renamed-{name}.yaml"), format!("{text}{more}"));
    };
    // Another digest, and something that cannot be read at all.
    written("probe", "config: {parts: [new]}\n");
    let file = "deployments.d/renamed-probe.yaml";
    let digest = Digest::of(&std::fs::read(resources()).unwrap()).to_string();
    cloud.folder.write(file, cloud.folder.read(file).replace(&digest, &Digest::of(b"").to_string()));
    written("other", "fuel_base: much\n");
    daemon.signal(Signal::HUP);
    said(&daemon, "acme/probe goes on as it was, as what is written now cannot run: ");
    said(&daemon, "The configuration was read again and is in force.");
    let status = cloud.folder.run("status").is(0);
    let words = "renamed-probe.yaml:2:1: acme/probe goes on as it was, as what is written now cannot run: ";
    status.says(words).says("write the new digest if that is what you want.").says("renamed-other.yaml:");
    cloud.slots(2);
    daemon.end();
    let daemon = cloud.folder.start("run");
    cloud.slots(2);
    cloud.folder.run("status").is(0).says("renamed-probe.yaml:2:1: ");
    let log = daemon.end();
    assert!(!log.contains("it is removed"), "{log}");
    for name in ["acme/probe", "acme/other"] {
        cloud.has_every_slot(name, "probe.up", &cloud.guests_of(0..2));
    }
}

/// What does not fit is refused, and says what is free; it runs once something else is gone.
#[test]
fn what_does_not_fit_does_not_run() {
    let cloud = Cloud::new("budget: {node: 1.2%, tenant: 1%}");
    let remove = |file: &str| std::fs::remove_file(cloud.folder.path(&format!("deployments.d/{file}"))).unwrap();
    cloud.deploy("acme", "probe", "resources", PROBE);
    cloud.deploy(cloud.single(), "probe", "resources", PROBE);
    cloud.deploy(cloud.single(), "second", "resources", &format!("{PROBE}\nfuel_base: 60_000_000"));
    cloud.folder.run("check").is(64).says("second does not run: second of").says("or raise budget.");
    let daemon = cloud.folder.start("run");
    cloud.slots(2);
    cloud.deploy("acme", "third", "resources", &format!("{PROBE}\nfuel_base: 45_000_000"));
    remove(&format!("second-{}.yaml", &cloud.single()[..4]));
    daemon.signal(Signal::HUP);
    said(&daemon, "of the 120,000,000 of this node (budget.node: 1.2% of a core) ");
    remove(&format!("probe-{}.yaml", &cloud.single()[..4]));
    daemon.signal(Signal::HUP);
    until("the third", || (!cloud.measured("acme/third", "probe.up").is_empty()).then_some(()));
    cloud.deploy("acme", "fourth", "resources", PROBE);
    daemon.signal(Signal::HUP);
    said(&daemon, "of the 100,000,000 of acme (budget.tenant: 1% of a core) ");
    cloud.slots(2);
    daemon.end();
    cloud.has_every_slot("acme/probe", "probe.up", &cloud.guests_of(0..2));
    assert!(cloud.measured(&format!("{}/second", cloud.single()), "probe.up").is_empty());
}

/// A module that burns all that its tenant has leaves to the others what they were admitted with.
#[test]
fn what_was_admitted_is_there_whatever_others_burn() {
    let cloud = Cloud::new("budget: {node: 9%, tenant: 4.5%}");
    cloud.deploy("acme", "probe", "resources", PROBE);
    let burns = "grants: {names: [hostile.], groups: [cpu]}\nconfig: 'run: loop'\nfuel_base: 200_000_000";
    cloud.deploy("acme", "burns", "hostile", burns);
    cloud.deploy(cloud.single(), "burns", "hostile", burns);
    let daemon = cloud.folder.start("run");
    until("both in quarantine", || (daemon.log().matches("it is in quarantine after 3").count() == 2).then_some(()));
    cloud.slots(2);
    daemon.end();
    cloud.has_every_slot("acme/probe", "probe.up", &cloud.guests_of(0..2));
}

/// One module of a day does not let its tenant save up a day's fuel.
#[test]
fn no_more_is_saved_up_than_is_needed_at_once() {
    let cloud = Cloud::new("");
    cloud.deploy("acme", "daily", "resources", PROBE);
    let file = "deployments.d/daily-acme.yaml";
    cloud.folder.write(file, cloud.folder.read(file).replace("interval: 1\n", "interval: 86400\n"));
    let daemon = cloud.folder.start("run");
    cloud.slots(6);
    let saved = cloud.folder.run("status --json").is(0).json()["budgets"]["tenants"]["acme"]["saved"].as_u64().unwrap();
    assert!((9_000_000_000..11_000_000_000).contains(&saved), "ten seconds of a tenth of a core: {saved}");
    daemon.end();
}

/// Whoever asks is answered, and samples are delivered slot by slot, while modules burn all that they can.
#[test]
fn burning_keeps_nothing_from_whoever_asks_or_waits_for_samples() {
    let cloud = Cloud::new("budget: {node: 6400%, tenant: 6400%}\nmetrics: {listen: '127.0.0.1:0'}");
    cloud.deploy("acme", "probe", "resources", PROBE);
    let burns = "grants: {names: [hostile.], groups: [cpu]}\nconfig: 'run: loop'\nfuel_base: 200_000_000_000\n\
                 deadline: 1m";
    let burners = ["one", "two", "three"];
    burners.iter().for_each(|name| cloud.deploy(cloud.single(), name, "hostile", burns));
    let daemon = cloud.folder.start("run");
    // Each call burns for a minute, and only after three of them is a module in quarantine.
    let late = "A module is slower than its interval, and leaves out slots.";
    until("all to burn", || (daemon.log().matches(late).count() == burners.len()).then_some(()));
    let mut delivered = 0;
    for _ in 0..8 {
        delivered = until("the next delivery", || {
            let status = cloud.folder.run("status --json").is(0).json();
            status["publishers"][0]["delivered"].as_u64().filter(|so_far| *so_far > delivered)
        });
        cloud.folder.run("losses --json").is(0);
        assert!(crate::control::page(&daemon).unwrap().contains("\nwasmeter_cycles_total "));
    }
    daemon.end();
    cloud.has_every_slot("acme/probe", "probe.up", &cloud.guests_of(0..2));
}

/// Statistics that guests' processes are asked for are not read every second without a grant, unless the operator reads
/// them anyway; and deployments have no shorter interval than they may.
#[test]
fn what_is_read_how_often_is_granted() {
    let cloud = Cloud::new("budget: {shortest_interval: 5}");
    let granted = |more: &str| format!("grants: {{names: [hostile.], shortest_interval: 1{more}}}");
    cloud.deploy("acme", "probe", "hostile", "grants: {names: [hostile.]}");
    let check = |words: &str| cloud.folder.run("check").is(64).says(words);
    check("it runs every 1 s, and may every 5 s. Write at least 5, or grant it: `grants: {shortest_interval: 1}`");
    cloud.deploy("acme", "probe", "hostile", &granted(""));
    // The operator polls `cpu`, which reads other statistics of the same guests.
    check(
        "every 1 s it reads statistics of cpu, for which guests' processes are asked, and which are granted every 10 s",
    );
    check("Write an interval of at least 10, or grant them: `grants: {groups: [cpu]}`");
    cloud.deploy("acme", "probe", "hostile", &granted(", groups: [cpus]"));
    check("`cpus` is no group of statistics. Write some of state, cpu, ");
    cloud.deploy("acme", "probe", "hostile", &granted(", groups: [cpu]"));
    cloud.folder.run("check").is(0);
}

/// What is read for a module is paid for by its tenant; who cannot pay leaves out slots, and nobody else does.
#[test]
fn what_is_read_has_its_price() {
    let cloud = Cloud::new("budget: {tenant: 1.2%}");
    cloud.deploy("acme", "probe", "resources", PROBE);
    cloud.deploy("acme", "dear", "hostile", "grants: {names: [hostile.], groups: [cpu]}");
    cloud
        .folder
        .run("check")
        .is(64)
        .says("dear of acme asks for")
        .says("for what is read for it), and of the 120,000,000");
    let daemon = cloud.folder.start("run");
    // Before anything was read, nobody knows how many guests there are.
    said(&daemon, "A deployment needs more than it was admitted with.");
    said(
        &daemon,
        "What a version of a deployment reads costs more than its tenant has left; it leaves out slots until there is \
         enough.",
    );
    until("both to be told", || {
        let list = cloud.folder.run("module list --tenant acme").is(0).stdout;
        let waits = list.contains("  waits, as its reads cost more than is left\n");
        (waits && list.contains("  runs\n")).then_some(())
    });
    cloud.slots(3);
    daemon.end();
    cloud.has_every_slot("acme/probe", "probe.up", &cloud.guests_of(0..2));
    let (dear, probe) = (cloud.measured("acme/dear", "hostile.time"), cloud.measured("acme/probe", "probe.up"));
    assert!(!dear.is_empty() && dear.len() < probe.len(), "{} of {}", dear.len(), probe.len());
}

/// Who uses what is told to the operator, and measured where that is wanted.
#[test]
fn what_is_used_is_told_and_measured() {
    let cloud = Cloud::new("budget: {meters: true}\nmetrics: {listen: '127.0.0.1:0'}");
    cloud.folder.poll(&["cpu", "wasmeter.module.*"]);
    cloud.deploy("acme", "probe", "resources", PROBE);
    let failing = "grants: {names: [hostile.], groups: [cpu]}\nconfig: 'run: divide by zero'";
    cloud.deploy(cloud.single(), "fails", "hostile", failing);
    let daemon = cloud.folder.start("run");
    said(&daemon, "it is in quarantine after 3 failing slots in a row");
    cloud.slots(2);
    let status = cloud.folder.run("status --json").is(0).json();
    let module = |tenant: &str, name: &str| {
        let mut all = status["modules"].as_array().unwrap().iter();
        all.find(|module| module["tenant"] == tenant && module["name"] == name).unwrap().clone()
    };
    let (probe, fails) = (module("acme", "probe"), module(cloud.single(), "fails"));
    for key in ["fuel_used_in_all", "samples_in_all", "memory_peak", "calls"] {
        assert!(probe[key].as_u64() > Some(0), "{key} of {probe}");
    }
    assert!(probe["seconds_in_all"].as_f64() > Some(0.0));
    assert_eq!((probe["deployment"]["version"].as_u64(), &probe["deployment"]["pause"]), (Some(1), &Value::Null));
    assert!(probe["deployment"]["fuel_per_second"].as_u64() > Some(50_000_000), "{probe}");
    assert!(fails["reads_in_all"].as_u64() > Some(0) && fails["failures"]["trap"].as_u64() > Some(0), "{fails}");
    assert_eq!(fails["deployment"]["pause"]["why"], "trap");
    assert!(fails["deployment"]["pause"]["until"].is_string());
    let share = &status["budgets"]["tenants"]["acme"];
    assert_eq!(share["limit"], 1_000_000_000);
    assert_eq!(share["free"].as_u64().unwrap(), 1_000_000_000 - share["admitted"].as_u64().unwrap());
    cloud
        .folder
        .run("status")
        .is(0)
        .says(&format!("{}/fails is in quarantine for another ", cloud.single()))
        .says("acme/probe")
        .says("all tenants  ");
    let own = until("metrics", || {
        let page = crate::control::page(&daemon)?;
        Some(page.get(page.find("# HELP wasmeter_")?..)?.to_owned())
    });
    crate::control::conforms(&own);
    let probe = "module=\"probe\",tenant=\"acme\"";
    let fails = format!("module=\"fails\",tenant=\"{}\"", cloud.single());
    for series in [
        format!("module_seconds_total{{{probe}}} "),
        format!("module_samples_total{{{probe}}} "),
        format!("module_fuel_admitted{{{probe}}} 5"),
        format!("deployment_version{{{probe}}} 1\n"),
        format!("deployment_paused{{{fails}}} 1\n"),
        "budget_fuel 2500000000\n".to_owned(),
        "tenant_budget_fuel{tenant=\"acme\"} 1000000000\n".to_owned(),
        "tenant_budget_fuel_free{tenant=\"acme\"} ".to_owned(),
    ] {
        assert!(own.contains(&format!("\nwasmeter_{series}")), "{series}:\n{own}");
    }
    daemon.end();
    let fuel: Vec<Value> =
        cloud.operators().into_iter().filter(|sample| sample["counter_name"] == "wasmeter.module.fuel").collect();
    let of = |resource: &str| -> Vec<u64> {
        let of = fuel.iter().filter(|sample| sample["resource_id"] == resource);
        of.map(|sample| sample["counter_volume"].as_u64().unwrap()).collect()
    };
    for resource in ["acme/probe", "operator/cpu"] {
        let volumes = of(resource);
        assert!(volumes.len() > 2 && volumes.is_sorted_by(|one, next| one < next), "{resource}: {volumes:?}");
    }
    assert!(fuel.iter().all(|sample| sample["source"] == "openstack" && sample["counter_type"] == "cumulative"));
}

/// A tenant's transformer is handed what the operator's pollsters and its tenant's own give, of its guests alone, in the
/// same slot; it remembers across restarts, and one that fails falls back.
#[test]
fn transformers_see_what_is_their_tenants() {
    let cloud = Cloud::new("");
    let delta = wasmeter::modules::built_in().find(|module| module.name == "delta").unwrap();
    cloud.folder.write("deployments.d/delta.wasm", delta.wasm);
    let growth = |meters: &str| {
        format!("meters: [{meters}]\nconfig: {{target: {{name: growth.of}}}}\ngrants: {{names: [growth.]}}")
    };
    cloud.deploy("acme", "growth", "delta", &growth("cpu"));
    cloud.deploy(cloud.single(), "growth", "delta", &growth("cpu"));
    cloud.deploy("acme", "probe", "resources", &format!("{PROBE}\nconfig: {{parts: [own]}}"));
    cloud.deploy("acme", "second", "delta", &growth("probe.up"));
    cloud.deploy("acme", "parts", "delta", &growth("probe.dynamic.age"));
    cloud.deploy(cloud.single(), "none", "delta", &growth("probe.up"));
    let single = format!("{}/growth", cloud.single());
    let daemon = cloud.folder.start("run");
    until("a growth", || (!cloud.measured(&single, "growth.of").is_empty()).then_some(()));
    cloud.slots(2);
    daemon.end();
    let before = cloud.measured("acme/growth", "growth.of").len();
    let daemon = cloud.folder.start("run");
    cloud.slots(2);
    // With two inputs there is no one name; one of them is known only when it comes.
    cloud.deploy("acme", "growth", "delta", &growth("cpu, probe.up"));
    daemon.signal(Signal::HUP);
    said(&daemon, "Deployment: version 2 is tried out beside 1, and nothing of it counts.");
    said(&daemon, "Deployment: version 2 is given up, and 1 goes on: it failed with");
    cloud.slots(2);
    daemon.end();
    for (source, guests) in [("acme/growth", 0..2), ("acme/second", 0..2), (&single, 2..3)] {
        cloud.has_every_slot(source, "growth.of", &cloud.guests_of(guests));
    }
    assert!(cloud.measured("acme/growth", "growth.of").len() > before);
    let parts = cloud.measured("acme/parts", "growth.of");
    assert!(parts.values().flatten().all(|id| id.ends_with("-acme/probe/own")), "{parts:?}");
    assert_eq!(parts.values().last().unwrap().len(), cloud.guests_of(0..2).len());
    assert!(cloud.measured(&format!("{}/none", cloud.single()), "growth.of").is_empty());
}

/// Of a guest that leaves its tenant nothing is remembered for it: whoever bills by differences bills nothing that the
/// guest did elsewhere, should it come back.
#[test]
fn a_guest_that_comes_back_comes_as_a_new_one() {
    let cloud = Cloud::new("");
    let delta = wasmeter::modules::built_in().find(|module| module.name == "delta").unwrap();
    cloud.folder.write("deployments.d/delta.wasm", delta.wasm);
    let growth = "meters: [cpu]\nconfig: {target: {name: growth.of}}\ngrants: {names: [growth.]}";
    cloud.deploy("acme", "growth", "delta", growth);
    let daemon = cloud.folder.start("run");
    let leaving = cloud.guests_of(1..2);
    let has_growth =
        |guest: &str| cloud.measured("acme/growth", "growth.of").values().filter(|of| of.contains(guest)).count();
    until("growths", || leaving.iter().all(|guest| has_growth(guest) > 0).then_some(()));
    let (both, reloads) = (cloud.folder.read("wasmeter.yaml"), || daemon.log().matches("and is in force.").count());
    let projects: Vec<&String> = cloud.guests.keys().collect();
    cloud.folder.write("wasmeter.yaml", both.replace(&format!(", '{}'", projects[1]), ""));
    daemon.signal(Signal::HUP);
    until("it to leave", || (reloads() == 1).then_some(()));
    cloud.slots(3);
    let away = cloud.measured("openstack", "cpu").into_keys().next_back().unwrap();
    let before: Vec<usize> = leaving.iter().map(|guest| has_growth(guest)).collect();
    cloud.folder.write("wasmeter.yaml", both);
    daemon.signal(Signal::HUP);
    until("it to come back", || {
        leaving.iter().zip(&before).all(|(guest, before)| has_growth(guest) > *before).then_some(())
    });
    daemon.end();

    let samples = samples_so_far(&cloud.folder.read("samples"));
    let of = |meter: &str, guest: &str| -> BTreeMap<String, i64> {
        let found = samples.iter().filter(|one| one["counter_name"] == meter && text(one, "resource_id") == guest);
        found.map(|one| (text(one, "timestamp").to_owned(), one["counter_volume"].as_i64().unwrap())).collect()
    };
    let mut busy = 0;
    for guest in leaving {
        let (used, grown) = (of("cpu", guest), of("growth.of", guest));
        let (back, first) = grown.range(away.clone()..).next().unwrap();
        assert!(*first <= used[back] - used[&away], "{guest} used {used:?}, of which acme has {grown:?}");
        let (left, _) = grown.range(..away.clone()).next_back().unwrap();
        busy += usize::from(used[left] < used[&away]);
    }
    assert!(busy > 0, "nobody did anything elsewhere");
}

/// Nova tells a tenant of no node, and neither do samples that its transformers are handed.
#[test]
fn a_tenants_transformer_is_not_told_the_node() {
    let scale =
        "0 * volume + (1 if resource_metadata.instance_host else 2) + (4 if resource_metadata.display_name else 0)";
    let config = |name: &str| format!("config: {{target: {{name: {name}, unit: x, type: gauge, scale: {scale:?}}}}}");
    let cloud =
        Cloud::new(&format!("transform: [{{meters: [cpu], module: unit_conversion, {}}}]", config("operators.view")));
    let converts = wasmeter::modules::built_in().find(|module| module.name == "unit_conversion").unwrap();
    cloud.folder.write("deployments.d/converts.wasm", converts.wasm);
    let more = format!("meters: [cpu]\n{}\ngrants: {{names: [tenants.]}}", config("tenants.view"));
    cloud.deploy("acme", "view", "converts", &more);
    let daemon = cloud.folder.start("run");
    until("a view", || (!cloud.measured("acme/view", "tenants.view").is_empty()).then_some(()));
    daemon.end();
    let samples = samples_so_far(&cloud.folder.read("samples"));
    for (meter, seen) in [("operators.view", 5.0), ("tenants.view", 6.0)] {
        let views = of_meter(&samples, meter);
        assert!(
            !views.is_empty() && views.iter().all(|view| view["counter_volume"].as_f64() == Some(seen)),
            "{views:?}"
        );
    }
}

/// What a transformer would give of the operator's meters has to be granted, before it runs.
#[test]
fn what_a_transformer_gives_is_granted() {
    let cloud = Cloud::new("");
    let delta = wasmeter::modules::built_in().find(|module| module.name == "delta").unwrap();
    cloud.folder.write("deployments.d/delta.wasm", delta.wasm);
    cloud.deploy("acme", "growth", "delta", "meters: [cpu]\ngrants: {names: [growth.]}");
    cloud.folder.run("check").is(64).says("the meter cpu is the operator's; choose a name of its own");
}

/// What a tenant may keep holds for what is written, too; what is there before comes first.
#[test]
fn what_is_written_has_a_quota() {
    let cloud = Cloud::new("store: {deployments: 2}");
    cloud.deploy("acme", "second", "resources", PROBE);
    cloud.deploy("acme", "third", "resources", PROBE);
    let daemon = cloud.folder.start("run");
    until("samples", || (!cloud.measured("acme/third", "probe.up").is_empty()).then_some(()));
    cloud.deploy("acme", "first", "resources", PROBE);
    // Another version of what is there takes no more room.
    cloud.deploy("acme", "third", "resources", &format!("{PROBE}\nconfig: {{parts: [own]}}"));
    daemon.signal(Signal::HUP);
    said(&daemon, "Deployment: version 2 is tried out beside 1, and nothing of it counts.");
    let words = "first-acme.yaml:2:1: error: acme/first does not run: there is no room for this in acme: with it \
                 there would be 3 deployments, 2 are used, 0 are free, and 2 is the limit. Remove a deployment, or raise \
                 tenants.acme.deployments";
    until("the refusal", || daemon.log().contains("acme/first does not run").then_some(()));
    assert!(daemon.log().contains(words), "{}", daemon.log());
    std::fs::remove_file(cloud.folder.path("deployments.d/second-acme.yaml")).unwrap();
    daemon.signal(Signal::HUP);
    until("the first", || (!cloud.measured("acme/first", "probe.up").is_empty()).then_some(()));
    daemon.end();
    cloud.folder.run("check").is(0);
}

/// Modules that take their time to say what they give are asked beside the slots.
#[test]
fn a_reload_delays_no_slot() {
    let cloud = Cloud::new("budget: {node: 6400%, tenant: 6400%}");
    cloud.deploy("acme", "probe", "resources", PROBE);
    let daemon = cloud.folder.start("run");
    cloud.slots(2);
    for name in ["one", "two", "three", "four"] {
        let slow = "config: 'describe: loop'\nfuel_base: 30000000000\ndeadline: 10s\ngrants: {names: [hostile.]}";
        cloud.deploy("acme", name, "hostile", slow);
    }
    daemon.signal(Signal::HUP);
    let before = slots(&samples_so_far(&cloud.folder.read("samples"))).len();
    said(&daemon, "acme/four does not run: ");
    let meanwhile = slots(&samples_so_far(&cloud.folder.read("samples"))).len() - before;
    assert!(meanwhile >= 3, "{meanwhile} slots: it was over too soon to delay any");
    said(&daemon, "The configuration was read again and is in force.");
    cloud.slots(2);
    let log = daemon.end();
    assert!(!log.contains("Slots were left out"), "{log}");
    cloud.has_every_slot("acme/probe", "probe.up", &cloud.guests_of(0..2));
}
