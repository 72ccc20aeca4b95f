//! The daemon is asked how it is, and told what to do with samples that wait.

mod books;
mod socket;
mod spool;
mod telling;

use serde_json::Value;

use crate::support::program::{Daemon, Folder, until};

/// Guests that only run.
const CALM: &str = "sim://?domains=5&calm=true&disks=2&nics=1";

/// A file, one that takes everything, and one that can never be written.
const OUTPUTS: &str = "outputs: [{file: samples}, {test: true, name: nowhere}, {file: /dev/full}]";
const FULL: &str = "file:/dev/full";

/// What the daemon says of its losses. The equation holds whenever somebody asks.
fn losses(folder: &Folder) -> Value {
    let losses = folder.run("losses --json").is(0).json();
    for publisher in losses["publishers"].as_array().unwrap() {
        balanced(publisher, &losses);
    }
    losses
}

fn balanced(publisher: &Value, losses: &Value) {
    let number = |key: &str| publisher[key].as_u64().unwrap();
    let (come, gone) =
        (number("measured") + number("replayed"), number("delivered") + number("spooled") + number("lost"));
    assert_eq!(come, gone, "{publisher:#}");
    assert_eq!(publisher["balances"], true, "{publisher:#}");
    let causes = publisher["lost_by_cause"].as_object().unwrap();
    assert_eq!(causes.values().map(|samples| samples.as_u64().unwrap()).sum::<u64>(), number("lost"));
    let rows = losses["lost"].as_array().unwrap().iter().filter(|row| row["publisher"] == publisher["name"]);
    assert_eq!(rows.map(|row| row["samples"].as_u64().unwrap()).sum::<u64>(), number("lost"), "{losses:#}");
}

/// What a publisher's books say under a key.
fn number(losses: &Value, publisher: &str, key: &str) -> u64 {
    let publishers = losses["publishers"].as_array().unwrap();
    let found = publishers.iter().find(|found| found["name"] == publisher);
    found.unwrap_or_else(|| panic!("no {publisher}: {losses:#}"))[key].as_u64().unwrap()
}

/// Waits until a daemon answers and has measured so many cycles.
fn measured(folder: &Folder, daemon: &Daemon, cycles: u64) {
    until("cycles", || {
        let ran = folder.run("status --json");
        let status: Option<Value> = serde_json::from_str(&ran.stdout).ok();
        assert!(!daemon.log().contains("panicked at runtime"), "{}", daemon.log());
        (status?["counters"]["cycles"].as_u64()? >= cycles).then_some(())
    });
}
