//! The daemon is asked how it is, and told what to do with samples that wait.

mod books;
mod socket;
mod spool;
mod tapping;
mod telling;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

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

/// What a daemon says at /metrics, once it listens.
pub fn page(daemon: &Daemon) -> Option<String> {
    let log = daemon.log();
    let address = log.split("address=").nth(1)?.split_whitespace().next()?;
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.split_once("\r\n\r\n")?.1.to_owned())
}

/// Prometheus finds nothing wrong with metrics.
pub fn conforms(page: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("promtool: {error}; `cargo xtask setup` installs it"));
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && words.is_empty(), "{words}");
}
