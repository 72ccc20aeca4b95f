//! A process that is killed while it changes deployments in a real folder.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use cap_std::ambient_authority;

use super::super::*;
use crate::control::time::Time;
use crate::modules::audit::{self, Audit, Entry, Outcome, Who};
use crate::modules::deployment::tests::{deployed, first, key, trial_passed};

/// Tells the test below that it is the process to be killed, where to work, and from which change on.
const FOLDER: &str = "WASMETER_STORE_KILLED";
const FROM: &str = "WASMETER_STORE_FROM";
/// How often; more by this variable.
const ROUNDS: u32 = 30;
const REPEAT: &str = "WASMETER_REPEAT";

type State = BTreeMap<Key, Deployment>;

/// What a change makes of a deployment: nothing is its removal.
struct Change {
    key: Key,
    module: Option<Vec<u8>>,
    next: Option<Deployment>,
}

/// Some number that looks like any, always the same.
fn mixed(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed ^ (mixed >> 27)
}

fn change(state: &State, number: u64) -> Change {
    let mixed = mixed(number);
    let key = key(["a", "b", "c"][(mixed % 3) as usize], ["x", "y"][(mixed / 3 % 2) as usize]);
    let now = state.get(&key);
    let small = now.and_then(|now| match (mixed >> 16) % 8 {
        0..=1 => trial_passed(now),
        2 => Some(now.rolled_back().ok()?.0),
        3 => Some(now.paused(1, "me").0),
        4 => Some(now.resumed().0),
        _ => None,
    });
    if let Some(next) = small {
        return Change { key, module: None, next: Some(next) };
    }
    if now.is_some() && (mixed >> 16) % 8 == 7 {
        return Change { key, module: None, next: None };
    }
    let module = (mixed % 23).to_le_bytes().repeat(1 + (mixed % 23) as usize * 1_000);
    let next = match now {
        Some(now) => deployed(now, &module),
        None => first(key.clone(), &module),
    };
    Change { key, module: Some(module), next: Some(next) }
}

fn apply(state: &mut State, number: u64) {
    let Change { key, next, .. } = change(state, number);
    match next {
        Some(next) => drop(state.insert(key, next)),
        None => drop(state.remove(&key)),
    }
}

fn open(folder: &Path) -> Store {
    let (store, oddities) = Store::open(Dir::open_ambient_dir(folder, ambient_authority()).unwrap()).unwrap();
    assert_eq!(oddities, []);
    store
}

fn state(store: &Store) -> State {
    store.deployments().map(|deployment| (deployment.key.clone(), deployment.clone())).collect()
}

fn entry(number: u64, key: Key) -> Entry {
    let (who, action, result) = (Who::Daemon, "change".to_owned(), Outcome::Begun);
    Entry { time: Time(0), who, action, key, version: Some(number), digest: None, result, why: None }
}

fn say(what: &str, number: u64) {
    // In one piece: a kill between two would leave half a line.
    std::io::stderr().write_all(format!("{what} {number}\n").as_bytes()).unwrap();
}

/// Not a test of its own: changes deployments until it is killed, and says how far it is.
#[test]
#[ignore = "started and killed by the test below"]
fn change_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { panic!("{FOLDER} names the folder") };
    let from: u64 = std::env::var(FROM).unwrap().parse().unwrap();
    let folder = Path::new(&folder);
    let mut audit = Audit::at(&folder.join("audit.log"));
    let mut store = open(&folder.join("store"));
    for number in from.. {
        let Change { key, module, next } = change(&state(&store), number);
        let begun = audit.begin(entry(number, key.clone())).unwrap();
        say("begun", number);
        let held = module.map(|module| store.put(&module).unwrap());
        say("put", number);
        match &next {
            Some(next) => store.save(next).unwrap(),
            None => store.remove(&key).unwrap(),
        }
        drop(held);
        audit.end(begun, Time(0), Outcome::Done).unwrap();
        say("done", number);
        if number % 3 == 0 {
            store.collect().unwrap();
            say("collected", number);
        }
    }
}

#[test]
fn each_deployment_is_wholly_old_or_wholly_new_after_a_kill() {
    let rounds = ROUNDS * std::env::var(REPEAT).map_or(1, |times| times.parse::<u32>().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (store_folder, log) = (folder.path().join("store"), folder.path().join("audit.log"));
    std::fs::create_dir(&store_folder).unwrap();
    let (mut expected, mut done, mut unsaid) = (State::new(), 0, 0);
    let mut killed_after = BTreeMap::<String, u32>::new();
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture"])
            .arg(module_path!().split_once("::").unwrap().1.to_owned() + "::change_until_killed")
            .env(FOLDER, folder.path())
            .env(FROM, (done + 1).to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (mut said, mut last) = (None, String::new());
        let mut see = |line: &str| {
            let (what, number) = line.split_once(' ').unwrap_or_default();
            assert!(["begun", "put", "done", "collected"].contains(&what), "{line}");
            if what == "done" {
                said = Some(number.parse().unwrap());
            }
            what.clone_into(&mut last);
        };
        // Somewhere in the middle of its work: how far it gets before it is killed is for the kernel to say.
        let moment = mixed(u64::from(round) << 32 | done);
        for _ in 0..=moment % 60 {
            see(&lines.next().expect("it goes on until it is killed").unwrap());
        }
        std::thread::sleep(Duration::from_micros((moment >> 8) % 2_000));
        child.kill().unwrap();
        lines.map_while(Result::ok).for_each(|line| see(&line));
        *killed_after.entry(last).or_default() += 1;
        assert_eq!(child.wait().unwrap().signal(), Some(9));

        let mut store = open(&store_folder);
        let found = state(&store);
        if let Some(said) = said {
            (done + 1..=said).for_each(|number| apply(&mut expected, number));
            done = said;
        }
        let before = expected.clone();
        if found != expected {
            done += 1;
            unsaid += 1;
            apply(&mut expected, done);
        }
        // Secrets are not shown by Debug, but compared.
        assert!(found == expected, "change {done}: {found:#?}\nis neither {before:#?}\nnor {expected:#?}");
        let entries = audit::tail(&log, 100).unwrap();
        let numbers = |result: &Outcome| -> Vec<u64> {
            entries.iter().filter(|entry| entry.result == *result).map(|entry| entry.version.unwrap()).collect()
        };
        let (begun, ended) = (numbers(&Outcome::Begun), numbers(&Outcome::Done));
        assert!(done == 0 || begun.contains(&done), "{done} was done and is not in {begun:?}");
        assert!(said.is_none_or(|said| ended.contains(&said)), "{said:?} was done and is not in {ended:?}");
        store.collect().unwrap();
        let named = found.values().flat_map(|deployment| &deployment.versions).map(|version| version.digest);
        let named: BTreeSet<String> = named.map(|digest| names::module(&digest)).collect();
        let files = std::fs::read_dir(store_folder.join("modules")).unwrap();
        let files: BTreeSet<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        // A file that was being written goes with the next opening.
        assert_eq!(files, named);
    }
    println!("{done} changes, {unsaid} of them kept but not said to be; kills by what came last: {killed_after:?}");
}
