//! Modules that are deployed through the control socket.

mod damaged;
mod hanging;
mod killed;
mod ruled;
mod transformers;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use wasmeter::control::deployments::{Deployed, Log, Shown, Standing};
use wasmeter::digest::Digest;
use wasmeter::modules::audit::{Entry, Outcome, Who};

use super::tenants::{Cloud, GUESTS, PROBE, said};
use crate::support::program::{Folder, Ran, until};
use crate::support::{hostile, resources};

/// Sends a request, and gives the status and the body of the answer.
pub(super) fn ask(folder: &Folder, method: &str, path: &str, body: &[u8]) -> (u16, String) {
    try_ask(folder, method, path, body).expect("an answer")
}

/// The same of a daemon that may be killed meanwhile.
pub(super) fn try_ask(folder: &Folder, method: &str, path: &str, body: &[u8]) -> Option<(u16, String)> {
    let mut stream = UnixStream::connect(folder.path("control.sock")).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.trim_end().to_owned()))
}

fn order(mut more: Value, module: &[u8]) -> Vec<u8> {
    let known = more.as_object_mut().unwrap();
    known.entry("interval").or_insert(json!(1));
    known.entry("grants").or_insert(json!({"names": ["probe.", "hostile."], "groups": ["cpu"]}));
    [more.to_string().as_bytes(), b"\n", module].concat()
}

fn deploy(cloud: &Cloud, name: &str, more: Value, module: &[u8]) -> Deployed {
    let path = format!("/deployments/acme/{name}/deploy");
    let (status, body) = ask(&cloud.folder, "POST", &path, &order(more, module));
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

fn refused(cloud: &Cloud, name: &str, more: Value, module: &[u8]) -> (u16, String) {
    let path = format!("/deployments/acme/{name}/deploy");
    let refused = ask(&cloud.folder, "POST", &path, &order(more, module));
    assert_ne!(refused.0, 200, "{}", refused.1);
    refused
}

fn tell(cloud: &Cloud, what: &str) -> Vec<String> {
    let (status, body) = ask(&cloud.folder, "POST", &format!("/deployments/acme/{what}"), b"");
    assert_eq!(status, 200, "{body}");
    let done: Value = serde_json::from_str(&body).unwrap();
    done["changes"].as_array().unwrap().iter().map(|change| change.as_str().unwrap().to_owned()).collect()
}

pub(super) fn show(cloud: &Cloud, name: &str) -> Shown {
    let (status, body) = ask(&cloud.folder, "GET", &format!("/deployments/acme/{name}"), b"");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

fn probe() -> Vec<u8> {
    std::fs::read(resources()).unwrap()
}

/// Modules of versions that neither run nor are the next to go back to make room for others, ordered or written.
#[test]
fn versions_that_nobody_needs_leave_their_room() {
    let module = |number: u8| {
        // A section of its own, which nobody reads.
        [probe(), vec![0, 3, 1, b'x', number]].concat()
    };
    let two_and_a_half = probe().len() * 5 / 2 / 1024;
    let cloud = Cloud::new(&format!("store: {{module_bytes: {two_and_a_half}KiB}}"));
    let write = |number: u8| {
        cloud.folder.write("deployments.d/numbered.wasm", module(number));
        cloud.deploy(cloud.single(), "written", "numbered", PROBE);
    };
    write(1);
    let daemon = cloud.folder.start("run");
    cloud.slots(1);
    for number in 1..=3 {
        assert_eq!(deploy(&cloud, "probe", json!({}), &module(number)).version, Some(number.into()));
    }
    // Which one goes beside them depends on whether the second one took over.
    let keeps_two = |path: &str| {
        let shown: Shown = serde_json::from_str(&ask(&cloud.folder, "GET", path, b"").1).unwrap();
        let kept: Vec<u64> = shown.versions.iter().map(|version| version.number).collect();
        (kept.len() == 2 && kept.last() == Some(&3)).then_some(())
    };
    assert_eq!(keeps_two("/deployments/acme/probe"), Some(()));
    for number in 2..=3 {
        write(number);
        daemon.signal(Signal::HUP);
        said(&daemon, &format!("Deployment: version {number} is tried out beside "));
    }
    until("the third version", || keeps_two(&format!("/deployments/{}/written", cloud.single())));
    assert_eq!(refused(&cloud, "another", json!({}), &module(4)).0, 507);
    daemon.end();
}

/// Tried out, deployed, upgraded, taken back, paused, resumed, restarted, removed: no slot is lost that need not be.
#[test]
fn a_deployment_lives_through_all_that_can_be_ordered() {
    let cloud = Cloud::new("");
    let daemon = cloud.folder.start("run");
    cloud.slots(1);
    let tried = deploy(&cloud, "probe", json!({"dry_run": true}), &probe());
    let (guests, run) = (cloud.guests_of(0..2).len(), tried.dry_run.unwrap());
    assert_eq!((tried.version, run.guests as usize, run.samples as usize), (None, guests, guests));
    assert_eq!((run.meters.len(), &*run.meters[0].name), (1, "probe.up"));
    assert!(run.fuel > 0 && run.fuel < run.fuel_granted, "{run:?}");
    assert_eq!(ask(&cloud.folder, "GET", "/deployments", b""), (200, "[]".to_owned()));

    let first = deploy(&cloud, "probe", json!({}), &probe());
    assert_eq!((first.version, first.on_trial, first.unchanged), (Some(1), false, false));
    assert!(deploy(&cloud, "probe", json!({}), &probe()).unchanged);
    cloud.slots(2);
    let second = deploy(&cloud, "probe", json!({"config": "{\"parts\": [\"new\"], \"words\": \"hello\"}"}), &probe());
    assert_eq!((second.version, second.on_trial), (Some(2), true));
    until("the trial to be over", || (show(&cloud, "probe").row.version == 2).then_some(()));
    let shown = show(&cloud, "probe");
    assert_eq!((shown.row.state, shown.versions.len(), shown.earlier), (Standing::Running, 2, vec![1]));
    assert!(shown.used.calls > 3 && shown.used.samples > 3 * guests as u64, "{:?}", shown.used);
    let (_, log) = ask(&cloud.folder, "GET", "/deployments/acme/probe/log?after=0", b"");
    let log: Log = serde_json::from_str(&log).unwrap();
    assert!(log.lines.iter().any(|line| line.version == Some(2) && line.text.contains("hello")), "{log:?}");
    let path = format!("/deployments/acme/probe/log?after={}&wait=30", log.next);
    let (_, more) = ask(&cloud.folder, "GET", &path, b"");
    let more: Log = serde_json::from_str(&more).unwrap();
    assert!(!more.lines.is_empty() && more.next > log.next, "{more:?}");

    // After a restart, and after a kill: the same versions, and what they remember.
    cloud.slots(1);
    daemon.end();
    let daemon = cloud.folder.start("run");
    until("the daemon to answer", || (cloud.folder.path("control.sock").exists()).then_some(()));
    cloud.slots(2);
    assert_eq!((show(&cloud, "probe").row.version, show(&cloud, "probe").earlier), (2, vec![1]));
    daemon.kill();
    let daemon = cloud.folder.start("run");
    cloud.slots(2);
    assert_eq!(tell(&cloud, "probe/rollback"), ["version 1 runs again in the place of 2, on its state"]);
    assert_eq!(show(&cloud, "probe").row.version, 1);
    cloud.slots(2);
    cloud.has_every_slot("acme/probe", "probe.up", &cloud.guests_of(0..2));

    assert_eq!(tell(&cloud, "probe/pause"), ["it is paused"]);
    assert!(matches!(show(&cloud, "probe").row.state, Standing::Paused { .. }));
    cloud.slots(1);
    let paused = cloud.measured("acme/probe", "probe.up").len();
    cloud.slots(2);
    assert_eq!(cloud.measured("acme/probe", "probe.up").len(), paused);
    assert_eq!(tell(&cloud, "probe/resume"), ["it is resumed"]);
    until("samples", || (cloud.measured("acme/probe", "probe.up").len() > paused).then_some(()));
    assert_eq!(tell(&cloud, "probe/remove"), ["it is removed"]);
    let (status, why) = ask(&cloud.folder, "POST", "/deployments/acme/probe/remove", b"");
    assert_eq!((status, &*why), (404, "There is no deployment acme/probe. See wasmeter module list."));
    daemon.end();
    assert_eq!(std::fs::read_dir(cloud.folder.path("deployed/modules")).unwrap().count(), 0);
    let audit = cloud.folder.read("audit.log");
    let lines = audit.lines().map(|line| serde_json::from_str::<Entry>(line).unwrap());
    let did = lines.filter(|entry| matches!(entry.who, Who::Peer { .. }) && entry.result != Outcome::Begun);
    let did: Vec<_> = did.map(|entry| (entry.action, entry.version, entry.digest, entry.result)).collect();
    let (module, gone) = (Some(Digest::of(&probe())), "There is no deployment acme/probe. See wasmeter module list.");
    let done = |action: &str, version| (action.to_owned(), version, module, Outcome::Done);
    let ordered = [
        done("dry-run", None),
        done("deploy", Some(1)),
        done("deploy", Some(1)),
        done("deploy", Some(2)),
        done("rollback", Some(1)),
        done("pause", Some(1)),
        done("resume", Some(1)),
        done("remove", Some(1)),
        ("remove".to_owned(), None, None, Outcome::Failed(gone.to_owned())),
    ];
    assert_eq!(did, ordered, "each says which module runs after it, or ran before");
}

/// A file that says what runs makes no other version of it, nor do limits that it does not set; and each thing that
/// files do is in the audit log with the version and its module.
#[test]
fn a_file_takes_over_what_was_ordered_as_it_is() {
    let cloud = Cloud::new("");
    let daemon = cloud.folder.start("run");
    cloud.slots(1);
    let order = json!({"grants": {"names": ["probe."]}, "limits": {"memory": 4 << 20}});
    assert_eq!(deploy(&cloud, "probe", order, &probe()).version, Some(1));
    cloud.deploy("acme", "probe", "resources", &format!("{PROBE}\nmemory: 4MiB"));
    let reload = |times: usize| {
        daemon.signal(Signal::HUP);
        let words = "The configuration was read again and is in force.";
        until("a reload", || (daemon.log().matches(words).count() >= times).then_some(()));
    };
    reload(1);
    let shown = show(&cloud, "probe");
    assert!(shown.row.file.is_some() && shown.row.state == Standing::Running, "{:?}", shown.row);
    let config = cloud.folder.read("wasmeter.yaml").replace("deadline: 1m", "deadline: 1m, fuel_base: 60000000");
    cloud.folder.write("wasmeter.yaml", config);
    reload(2);
    let shown = show(&cloud, "probe");
    let limits = shown.versions[0].in_force.unwrap().limits;
    assert_eq!((shown.versions.len(), limits.fuel_base, limits.memory), (1, Some(60_000_000), Some(4 << 20)));
    std::fs::remove_file(cloud.folder.path("deployments.d/probe-acme.yaml")).unwrap();
    reload(3);
    daemon.end();
    let audit = cloud.folder.read("audit.log");
    let lines = audit.lines().map(|line| serde_json::from_str::<Entry>(line).unwrap());
    let did: Vec<_> = lines.filter(|entry| entry.who == Who::File).collect();
    let did: Vec<_> = did.into_iter().map(|entry| (entry.action, entry.version, entry.digest)).collect();
    let done = |action: &str| (action.to_owned(), Some(1), Some(Digest::of(&probe())));
    assert_eq!(did, ["adopt", "remove"].map(done));
}

/// What is on trial and what is current are granted the same name.
#[test]
fn a_name_that_several_versions_were_granted_is_told_once() {
    let cloud = Cloud::new("");
    let daemon = cloud.folder.start("run");
    cloud.slots(1);
    deploy(&cloud, "probe", json!({}), &probe());
    tell(&cloud, "probe/pause");
    // A trial goes on when that is over.
    assert!(deploy(&cloud, "probe", json!({"config": "{\"words\": \"hello\"}"}), &probe()).on_trial);
    assert_eq!(show(&cloud, "probe").row.names, ["hostile.", "probe."]);
    daemon.end();
}

/// Whatever keeps a module from being deployed: a dry run says so in the same words.
#[test]
fn a_dry_run_refuses_what_the_order_would_be_refused_for() {
    let cloud = Cloud::new("store: {deployments: 3}");
    cloud.deploy("acme", "written", "resources", PROBE);
    let daemon = cloud.folder.start("run");
    cloud.slots(1);
    let delta = wasmeter::modules::built_in().find(|module| module.name == "delta").unwrap().wasm.to_vec();
    let growth = json!({"meters": ["cpu"], "config": "{\"target\": {\"name\": \"probe.of\"}}"});
    deploy(&cloud, "probe", json!({}), &probe());
    deploy(&cloud, "growth", growth.clone(), &delta);
    let large = json!({"limits": {"fuel_base": 1_000_000_000}});
    for (name, order, module, expected, words) in [
        ("written", json!({}), &probe(), 409, "which comes first: change it there, and reload"),
        ("probe", growth, &delta, 409, "acme/probe is a pollster, and this module is none: remove it first"),
        ("growth", json!({}), &probe(), 409, "acme/growth is a transformer, and this module is none"),
        ("large", large, &probe(), 507, "budget.tenant"),
        ("fourth", json!({}), &probe(), 507, "4 deployments, 3 are used, 0 are free"),
    ] {
        let mut dry = order.clone();
        dry["dry_run"] = json!(true);
        let (status, why) = refused(&cloud, name, order, module);
        assert!(status == expected && why.contains(words), "{name}: {status} {why}");
        assert_eq!(refused(&cloud, name, dry, module), (status, why), "{name}");
    }
    let (said, dry) = (deploy(&cloud, "probe", json!({}), &probe()), json!({"dry_run": true}));
    let tried = deploy(&cloud, "probe", dry, &probe());
    assert_eq!((said.unchanged, said.version, tried.unchanged, tried.version), (true, Some(1), true, None));
    let tried = deploy(&cloud, "probe", json!({"dry_run": true, "config": "{\"words\": \"hello\"}"}), &probe());
    assert_eq!(
        (tried.unchanged, tried.on_trial, tried.changes),
        (false, true, vec!["version 2 is on trial".to_owned()])
    );
    assert_eq!(show(&cloud, "probe").versions.len(), 1);
    daemon.end();
}

/// Who compares with the slot before has something to say in the second one.
#[test]
fn a_pollster_that_gives_nothing_at_first_is_tried_out_on_the_same_once_more() {
    let cloud = Cloud::new("");
    let daemon = cloud.folder.start("run");
    cloud.slots(1);
    let module = std::fs::read(env!("IDLE_GUEST_WASM")).unwrap();
    let order = |more: Value| {
        let mut order = json!({"interval": 30, "grants": {"names": ["guest."]}, "dry_run": true});
        order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        order
    };
    let guests = cloud.guests_of(0..2).len() as u64;
    // Each time anew, as nothing of it is kept.
    for _ in 0..2 {
        let run = deploy(&cloud, "idle", order(json!({})), &module).dry_run.unwrap();
        assert_eq!((run.slots, run.samples, run.failures.len()), (2, guests, 0), "{run:?}");
        // No counter moved, so all are idle since the slot before.
        assert_eq!(run.meters[0].example.as_ref().map(|(_, idle)| *idle), Some(30.0), "{run:?}");
    }
    let run = deploy(&cloud, "probe", order(json!({"grants": {"names": ["probe."]}})), &probe()).dry_run.unwrap();
    assert_eq!((run.slots, run.samples), (1, guests), "this one gives all at once: {run:?}");
    daemon.end();
}

/// What the operator's modules read in each of its slots makes parts of guests that it is handed, too: that it is as many
/// as in a slot, the test of the quarantine says.
#[test]
fn a_dry_run_is_handed_what_is_read_in_its_slots_anyway() {
    let cloud = Cloud::new("");
    cloud.folder.write("polling.yaml", "sources: [{name: a, interval: 2, meters: [cpu]}]\n");
    let daemon = cloud.folder.start("run");
    cloud.slots(1);
    let tried = |interval: u64| {
        let run = deploy(&cloud, "probe", json!({"interval": interval, "dry_run": true}), &probe()).dry_run.unwrap();
        assert_eq!(run.reads.groups, Vec::<String>::new(), "it reads nothing itself");
        (run.resources, run.fuel_granted)
    };
    let (alone, beside) = (tried(1), tried(4));
    // Virtual CPUs are read in each of the latter.
    assert!(alone.0 < beside.0 && alone.1 < beside.1, "{alone:?} {beside:?}");
    daemon.end();
}

/// Nothing is said of a module for which the host has no answer.
#[test]
fn a_host_that_does_not_answer_is_to_blame_itself() {
    let cloud = Cloud::on(&format!("{GUESTS}&freeze=24"), "");
    cloud.folder.poll(&["power.state"]);
    let daemon = cloud.folder.start("run");
    cloud.slots(1);
    cloud.folder.write("hostile.wasm", hostile());
    let deploy = "module deploy hostile.wasm --tenant acme --interval 10 --grant name=hostile.";
    let words = "It cannot be tried out, as the host does not answer: ";
    for line in [deploy.to_owned(), format!("{deploy} --dry-run")] {
        cloud.folder.run(&line).is(69).complains(words);
    }
    assert!(cloud.folder.run("module list --tenant acme --json").is(0).json().as_array().unwrap().is_empty());
    daemon.end();
}

/// What holds without being said, and what it has for sure.
#[test]
fn limits_are_shown_where_nobody_set_them() {
    let cloud = Cloud::new("");
    let daemon = cloud.folder.start("run");
    cloud.slots(1);
    deploy(&cloud, "probe", json!({"limits": {"memory": 8 << 20}}), &probe());
    let asking = std::fs::read(crate::support::asking()).unwrap();
    let grants = json!({"names": ["asking."], "http": ["GET http://a.example/"]});
    deploy(&cloud, "asking", json!({"grants": grants, "anyway": true}), &asking);
    let shown = show(&cloud, "probe");
    let in_force = shown.versions[0].in_force.unwrap();
    let limits = json!({"fuel_base": 50_000_000, "fuel_per_resource": 20_000, "memory": 8 << 20, "deadline": 60_000});
    assert_eq!((serde_json::to_value(in_force.limits).unwrap(), in_force.requests), (limits, None));
    let share = shown.share.unwrap();
    assert!(share.fuel_per_second > 50_000_000 && share.of_tenant == 1_000_000_000, "{share:?}");
    let said = cloud.folder.run("module show acme/asking").is(0);
    said.says("  60 a minute\n").says("limits.memory").says("  32.0M\n").says("share  ");
    daemon.end();
}

/// Whoever waits for lines is in nobody's way, however many want to, and is told when there will be none.
#[test]
fn many_wait_for_lines_and_others_are_answered() {
    let cloud = Cloud::new("");
    let daemon = cloud.folder.start("run");
    cloud.slots(1);
    deploy(&cloud, "probe", json!({}), &probe());
    let mut waiting: Vec<UnixStream> = Vec::new();
    for _ in 0..300 {
        let mut stream = UnixStream::connect(cloud.folder.path("control.sock")).unwrap();
        let path = "/deployments/acme/probe/log?after=0&wait=60";
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).unwrap();
        waiting.push(stream);
    }
    assert_eq!(ask(&cloud.folder, "GET", "/status", b"").0, 200);
    let rest = |stream: &mut UnixStream| {
        stream.set_nonblocking(false).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let mut refused = Vec::new();
    until("those who are too many to be answered", || {
        waiting.retain_mut(|stream| {
            stream.set_nonblocking(true).unwrap();
            let is_answered = stream.read(&mut [0]).map_err(|error| error.kind()) != Err(ErrorKind::WouldBlock);
            if is_answered {
                refused.push(rest(stream));
            }
            !is_answered
        });
        (waiting.len() <= 96).then_some(())
    });
    assert_eq!(waiting.len(), 96, "they wait still");
    let words = "96 others follow what modules log already. End one of them, or ask again.\n";
    for answer in refused {
        assert!(answer.starts_with("TTP/1.1 503 ") && answer.ends_with(words), "{answer}");
    }
    // Whoever follows asks again.
    let follower = cloud.folder.command("module logs acme/probe --follow").stderr(Stdio::piped()).spawn();
    let (mut follower, mut said) = (follower.unwrap(), String::new());
    BufReader::new(follower.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
    assert!(said.starts_with(words.trim_end()), "{said}");
    // And any order finds a place.
    tell(&cloud, "probe/remove");
    Ran::of(&follower.wait_with_output().unwrap()).is(1).complains("acme/probe");
    for mut stream in waiting {
        let answer = rest(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        assert!(answer.ends_with("acme/probe was removed, so nothing comes of it any more.\n"), "{answer}");
    }
    deploy(&cloud, "aloud", json!({"config": "{\"words\": \"hello\"}"}), &probe());
    let follow = |name: &str| {
        let mut follower = cloud.folder.command(&format!("module logs acme/{name} --follow"));
        let mut follower = follower.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // From now on it follows.
        BufReader::new(follower.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
        follower
    };
    deploy(&cloud, "second", json!({"config": "{\"words\": \"hello\"}"}), &probe());
    let [first, second] = ["aloud", "second"].map(follow);
    tell(&cloud, "aloud/remove");
    let ended = Ran::of(&first.wait_with_output().unwrap()).is(1);
    assert!(ended.stderr.contains("acme/aloud"), "{}", ended.stderr);
    daemon.end();
    Ran::of(&second.wait_with_output().unwrap()).is(0).complains("The daemon ended.");
}

/// What is wrong is refused with the reason, before anything changes.
#[test]
fn what_cannot_be_deployed_is_refused() {
    let cloud = Cloud::new("store: {deployments: 2}");
    cloud.deploy("acme", "written", "resources", PROBE);
    let daemon = cloud.folder.start("run");
    cloud.slots(1);
    let (status, why) = refused(&cloud, "written", json!({}), &probe());
    assert!(status == 409 && why.contains("which comes first: change it there, and reload"), "{why}");
    let (status, why) = refused(&cloud, "other", json!({}), b"no module");
    assert!(status == 422 && why.contains("deployed: this is not WebAssembly. Take the whole file of a "), "{why}");
    let (status, why) = refused(&cloud, "other", json!({"grants": {}}), &probe());
    assert!(status == 422 && why.contains("the meter probe.up was not granted"), "{why}");
    assert!(why.contains("--grant name: ") && why.contains("such as by `--grant name='probe.'`"), "{why}");
    for (order, words) in [
        (
            json!({"grants": {"names": ["probe."], "http": ["ftp://a.example/"]}}),
            "--grant http: entry 1: character 1: ",
        ),
        (
            json!({"grants": {"names": ["probe."], "http": ["http://10.1.2.3/"]}}),
            "--grant http: http://10.1.2.3/: 10.1.2.3 is not a public address (private). Grant the address, if \
             it is meant: `--grant address='10.1.2.3'`",
        ),
        (
            json!({"grants": {"names": ["probe."], "addresses": ["10.1.2.3"]}}),
            "nothing may be requested. Grant what may be requested, such as `--grant http='https://HOST:PORT/PATH'`",
        ),
    ] {
        let (status, why) = refused(&cloud, "other", order, &probe());
        assert!(status == 400 && why.contains(words), "{status} {why}");
    }
    let remembering = std::fs::read(env!("REMEMBERING_WASM")).unwrap();
    let (status, why) =
        refused(&cloud, "other", json!({"meters": ["time"], "grants": {"names": ["remembering."]}}), &remembering);
    assert!(status == 400 && why.contains("--meters: no meter is wanted that it gives: remembering.mark"), "{why}");
    let (status, why) = refused(&cloud, "other", json!({}), &std::fs::read(crate::support::asking()).unwrap());
    assert!(status == 422 && why.contains("`--grant http='GET https://HOST:PORT/PATH'` grants it"), "{why}");
    let sockets = r#"(component (import "wasi:sockets/tcp@0.2.6" (instance))
        (instance $i) (export "wasmeter:plugin/poller@0.1.1" (instance $i)))"#;
    let (status, why) = refused(&cloud, "other", json!({}), &wat::parse_str(sockets).unwrap());
    assert!(status == 422 && why.contains("it imports what nothing grants: wasi:sockets/tcp@0.2.6 ("), "{why}");
    assert!(why.ends_with("requests with wasmeter:plugin/http). Have the module do without."), "{why}");
    let (status, why) = refused(&cloud, "other", json!({"grants": {"names": [""]}}), &probe());
    assert!(status == 400 && why.contains("is no beginning of names; write whole words"), "{why}");
    let large = json!({"limits": {"fuel_base": 1_000_000_000}, "dry_run": true});
    let (status, why) = refused(&cloud, "large", large, &probe());
    assert_eq!(status, 507);
    assert!(why.contains("of the 1,000,000,000 of acme (budget.tenant: 10% of a core) "), "{why}");
    let (status, why) = refused(&cloud, "other", json!({"config": "run: loop"}), &hostile());
    assert!(status == 422 && why.contains("\"cause\":\"out-of-fuel\""), "{why}");
    let (status, why) = refused(&cloud, "other", json!({"interval": 0}), &probe());
    assert!(status == 400 && why.contains("--interval: 0 is not within 1 to 86400"), "{why}");
    let (status, why) = refused(&cloud, "other", json!({"unknown": 1}), &probe());
    assert!(status == 400 && why.contains("unknown field `unknown`"), "{why}");
    deploy(&cloud, "second", json!({}), &probe());
    let (status, why) = refused(&cloud, "other", json!({}), &probe());
    assert!(status == 507 && why.contains("3 deployments, 2 are used, 0 are free"), "{why}");
    let (status, why) = refused(&cloud, "Wrong", json!({}), &probe());
    assert!(status == 400 && why.contains("is no name for a deployment"), "{why}");
    let (status, why) = ask(&cloud.folder, "POST", "/deployments/acme/written/rollback", b"");
    assert!(status == 409 && why.contains("Nothing ran before version 1"), "{why}");
    let (_, rows) = ask(&cloud.folder, "GET", "/deployments", b"");
    let rows: Value = serde_json::from_str(&rows).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 2, "{rows}");
    assert!(rows[1]["file"].as_str().unwrap().ends_with("deployments.d/written-acme.yaml"), "{rows}");
    daemon.end();
}

/// A quarantine is kept across restarts, and ended by somebody who resumes it.
#[test]
fn a_quarantine_outlives_the_daemon() {
    let cloud = Cloud::new("");
    let daemon = cloud.folder.start("run");
    cloud.slots(1);
    let tried = deploy(&cloud, "wrong", json!({"config": "run: divide by zero", "anyway": true}), &hostile());
    said(&daemon, "it is in quarantine after 3 failing slots in a row");
    let failed = show(&cloud, "wrong");
    assert!(matches!(&failed.row.state, Standing::Quarantined { cause, .. } if cause == "trap"), "{failed:?}");
    assert!(failed.failures.len() >= 3 && failed.failures[0].why.contains("divide by zero"), "{failed:?}");
    // Looking for an odd guest took more calls than one.
    assert!(failed.used.calls > 3, "{failed:?}");
    assert_eq!(failed.used.fuel_granted, tried.dry_run.unwrap().fuel_granted, "it is handed what it was tried out on");
    // Each half failed, and is one line with the others of its slot.
    let slots: BTreeSet<_> = failed.failures.iter().map(|failed| failed.at).collect();
    assert_eq!(slots.len(), failed.failures.len(), "{failed:?}");
    until("it to be told", || cloud.folder.read("audit.log").contains("quarantine").then_some(()));
    let history = show(&cloud, "wrong").history;
    let told = history.last().and_then(|entry| entry.why.as_deref());
    assert!(told.is_some_and(|why| why.starts_with("trap: ") && why.contains("divide by zero")), "{history:?}");
    let again = deploy(&cloud, "wrong", json!({"config": "run: divide by zero", "dry_run": true}), &hostile());
    assert!(again.unchanged && again.quarantined, "{again:?}");
    // What is in the audit log is kept a moment later.
    let kept = || cloud.folder.read("deployed/deployments/acme@wrong.json").contains("\"quarantine\":{");
    until("it to be kept", || kept().then_some(()));
    daemon.kill();
    let daemon = cloud.folder.start("run");
    cloud.slots(2);
    assert!(matches!(show(&cloud, "wrong").row.state, Standing::Quarantined { .. }));
    assert_eq!(tell(&cloud, "wrong/resume"), ["it is no longer in quarantine: it was resumed"]);
    daemon.end();
}
