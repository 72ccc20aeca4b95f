//! A process that is killed while it writes to a real folder.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::super::*;

/// Tells the test below that it is the process to be killed, and where to write.
const FOLDER: &str = "WASMETER_SPOOL_KILLED";
/// How often; more by this variable.
const ROUNDS: u32 = 20;
const REPEAT: &str = "WASMETER_REPEAT";
const LIMITS: Limits =
    Limits { bytes: 64 << 20, age: Duration::from_secs(86_400), segment_bytes: 64 << 10, sync: SyncPolicy::OnSync };

fn open(folder: &Path) -> Store {
    Store::open(Dir::open_ambient_dir(folder, ambient_authority()).unwrap(), LIMITS, 0).unwrap().0
}

fn payload(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(1 + number as usize % 400)
}

/// Not a test of its own: writes until it is killed, and prints what is committed.
#[test]
#[ignore = "started and killed by the test below"]
fn write_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { panic!("{FOLDER} names the folder") };
    let mut store = open(Path::new(&folder));
    if store.account("a").is_err() {
        store.add_cursor("a", Start::Beginning).unwrap();
        store.settle(0).unwrap();
    }
    loop {
        let number = store.next_sequence().0;
        let counts = Counts::from_iter([(Key::new("cpu").unwrap(), number)]);
        store.append(&payload(number), counts, 0).unwrap();
        store.sync().unwrap();
        // In one piece, so that none is left by half.
        std::io::stderr().write_all(format!("committed {number}\n").as_bytes()).unwrap();
        if number.is_multiple_of(16) {
            store.settle(0).unwrap();
        }
    }
}

#[test]
fn nothing_that_was_committed_is_missing_after_a_kill() {
    let rounds = std::env::var(REPEAT).map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut committed = 0;
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture"])
            .arg(module_path!().split_once("::").unwrap().1.to_owned() + "::write_until_killed")
            .env(FOLDER, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        // Somewhere in the middle of its work: how far it got when it is killed is for the kernel to say.
        let until = committed + 1 + u64::from(round * 7 % 40);
        let number = |line: String| line.strip_prefix("committed ").map(|number| number.parse::<u64>().unwrap());
        while committed < until {
            let line = lines.next().expect("it writes until it is killed").unwrap();
            committed = number(line.clone()).unwrap_or_else(|| panic!("{line}"));
        }
        child.kill().unwrap();
        committed = lines.map_while(Result::ok).filter_map(number).last().unwrap_or(committed);
        assert_eq!(child.wait().unwrap().signal(), Some(9));

        let mut store = open(folder.path());
        let next = store.next_sequence().0;
        assert!((committed + 1..=committed + 2).contains(&next), "{committed} committed, the next is {next}");
        for expected in 1..next {
            let record = store.next("a").unwrap().unwrap();
            assert_eq!((record.sequence.0, record.payload), (expected, payload(expected)));
        }
        assert_eq!(store.next("a").unwrap(), None);
        let account = store.account("a").unwrap();
        assert!(account.balances());
        assert_eq!(account.held.records, account.appended.records);
        committed = next - 1;
    }
}
