//! The daemon killed with SIGKILL while deployments are ordered, at any moment.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::{order, probe, try_ask};
use crate::daemon::tenants::Cloud;
use crate::support::program::until;
use crate::support::{Random, repeat};

/// How often it is killed; with WASMETER_REPEAT=10 that is 200 times.
const KILLS: u32 = 20;
const NAMES: [&str; 3] = ["one", "two", "three"];

/// What there must be of a deployment: the configurations of its versions, and whether it is paused; none if it is not.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Must {
    configs: Vec<String>,
    paused: bool,
}

/// A deployment as it was when an order about it was last answered, and as it is if the one under way was followed.
#[derive(Debug, Clone, Default)]
struct Known {
    before: Option<Must>,
    after: Option<Option<Must>>,
}

fn found(cloud: &Cloud, name: &str) -> Option<Must> {
    let path = format!("/deployments/acme/{name}");
    let (status, body) = try_ask(&cloud.folder, "GET", &path, b"").unwrap();
    if status == 404 {
        return None;
    }
    let shown: Value = serde_json::from_str(&body).unwrap();
    assert_ne!(shown["state"]["is"], "broken", "{shown}");
    let versions = shown["versions"].as_array().unwrap();
    let number = |version: &Value| version["number"].as_u64().unwrap();
    assert!(versions.iter().any(|version| version["number"] == shown["version"]), "{shown}");
    assert!(versions.windows(2).all(|two| number(&two[0]) < number(&two[1])), "{shown}");
    let configs = versions.iter().map(|version| version["config"]["parts"][0].as_str().unwrap().to_owned());
    Some(Must { configs: configs.collect(), paused: shown["state"]["is"] == "paused" })
}

/// Versions of a deployment before it is removed. Ten are kept, and then the oldest goes.
const VERSIONS: usize = 8;

/// An order at random, with what comes of it.
fn random_order(random: &mut Random, count: &mut u64, before: Option<&Must>) -> (&'static str, Vec<u8>, Option<Must>) {
    let choice = if before.is_none() { 0 } else { random.below(5) };
    let before = before.cloned().unwrap_or_else(|| Must { configs: Vec::new(), paused: false });
    match choice {
        _ if before.configs.len() == VERSIONS => ("remove", Vec::new(), None),
        0 | 1 => {
            *count += 1;
            let config = format!("c{count}");
            let body = order(json!({"config": format!("{{\"parts\": [\"{config}\"]}}")}), &probe());
            ("deploy", body, Some(Must { configs: [before.configs, vec![config]].concat(), ..before }))
        }
        2 => ("pause", Vec::new(), Some(Must { paused: true, ..before })),
        3 => ("resume", Vec::new(), Some(Must { paused: false, ..before })),
        _ => ("rollback", Vec::new(), Some(before)),
    }
}

/// Orders until the daemon does not answer any more.
fn order_about(cloud: &Cloud, name: &str, seed: u64, known: &Mutex<Known>, stop: &AtomicBool, followed: &Mutex<u64>) {
    let (mut random, mut count) = (Random(seed), seed << 32);
    while !stop.load(Ordering::Relaxed) {
        let before = known.lock().unwrap().before.clone();
        let (what, body, after) = random_order(&mut random, &mut count, before.as_ref());
        known.lock().unwrap().after = Some(after.clone());
        let Some((status, said)) = try_ask(&cloud.folder, "POST", &format!("/deployments/acme/{name}/{what}"), &body)
        else {
            // It was killed, or is not there yet.
            return;
        };
        let mut known = known.lock().unwrap();
        known.after = None;
        match status {
            200 => {
                known.before = after;
                *followed.lock().unwrap() += 1;
            }
            // There is nothing to go back to, or it is busy.
            409 | 503 => {}
            _ => panic!("{what} {name}: {status} {said}"),
        }
    }
}

#[test]
fn killed_at_any_moment_each_is_wholly_old_or_wholly_new() {
    let cloud = Cloud::new("");
    let mut random = Random(5);
    let known: [Mutex<Known>; NAMES.len()] = Default::default();
    let followed = Mutex::new(0);
    let kills = u64::from(KILLS * repeat());
    for kill in 0..=kills {
        let daemon = cloud.folder.start("run");
        until("the daemon to answer", || try_ask(&cloud.folder, "GET", "/deployments", b""));
        for (name, known) in NAMES.iter().zip(&known) {
            let (mut known, found) = (known.lock().unwrap(), found(&cloud, name));
            let is_old = found == known.before;
            let is_new = known.after.as_ref() == Some(&found);
            assert!(is_old || is_new, "{name} is {found:?}, after {known:?}");
            *known = Known { before: found, after: None };
        }
        if kill == kills {
            let log = daemon.end();
            assert!(!log.contains("ERROR"), "{log}");
            break;
        }
        let stop = AtomicBool::new(false);
        let (stop, cloud, followed) = (&stop, &cloud, &followed);
        let (wait, seed) = (random.below(1500), kill * 10);
        let log = thread::scope(|scope| {
            for (at, (name, known)) in (0..).zip(NAMES.iter().zip(&known)) {
                scope.spawn(move || order_about(cloud, name, seed + at, known, stop, followed));
            }
            thread::sleep(Duration::from_millis(wait));
            let log = daemon.kill();
            stop.store(true, Ordering::Relaxed);
            log
        });
        assert!(!log.contains("ERROR") && !log.contains("The store of deployments"), "{log}");
    }
    let followed = followed.into_inner().unwrap();
    assert!(followed > kills, "{followed} orders only");
    println!("{kills} kills, {followed} orders were followed");
}
