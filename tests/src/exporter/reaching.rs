//! Who gets to metrics, and what they can do to others.

use std::io::Write;
use std::net::{TcpListener, TcpStream};

use rustix::process::Signal;

use super::{address, addresses, page};
use crate::support::program::{Daemon, Folder, until};

const CALM: &str = "sim://?domains=20&calm=true";
const OPEN: &str = "metrics: {listen: '127.0.0.1:0'}\n";
/// ann:hunter2
const ANN: &str = "authorization: Basic YW5uOmh1bnRlcjI=\r\n";
/// ann:hunter3
const OTHER: &str = "authorization: Basic YW5uOmh1bnRlcjM=\r\n";

fn measures(daemon: &Daemon, headers: &str) {
    let address = address(daemon);
    until("a slot", || page::get(&address, headers).contains("\nceilometer_cpu{").then_some(()));
}

fn reloads(daemon: &Daemon, answer: &str) {
    let before = daemon.log().matches(answer).count();
    daemon.signal(Signal::HUP);
    until(answer, || (daemon.log().matches(answer).count() > before).then_some(()));
}

#[test]
fn users_alone_see_metrics_and_no_log_has_their_passwords() {
    let users = "metrics: {listen: ['127.0.0.1:0'], users: {ann: {password: hunter2}}}\n";
    let folder = Folder::measuring(CALM, users);
    let daemon = folder.start("run --output samples");
    measures(&daemon, ANN);
    let address = address(&daemon);
    for headers in ["", OTHER, "authorization: Bearer YW5uOmh1bnRlcjI=\r\n"] {
        let answer = page::get(&address, headers);
        assert!(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{answer}");
        assert!(answer.contains("www-authenticate: Basic realm=\"wasmeter\"") && !answer.contains("ceilometer_"));
    }
    // Another password is in force with the next reload, at the same address.
    folder.write("wasmeter.yaml", folder.read("wasmeter.yaml").replace("hunter2", "hunter3"));
    reloads(&daemon, "The configuration was read again and is in force.");
    assert!(page::get(&super::address(&daemon), OTHER).starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(super::address(&daemon), address);
    assert!(page::get(&address, ANN).starts_with("HTTP/1.1 401 "));
    let log = daemon.end();
    assert!(!log.contains("hunter") && !log.contains("YW5u"), "{log}");
}

#[test]
fn nobody_is_kept_waiting_by_others() {
    let folder = Folder::measuring(CALM, OPEN);
    let daemon = folder.start("run --output samples");
    measures(&daemon, "");
    let address = address(&daemon);
    // Some send nothing, some a part of a request, and some take nothing of the answer.
    let whole = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let slow: Vec<TcpStream> = ["", "GET /metr", &whole, &whole.repeat(50)]
        .iter()
        .cycle()
        .take(40)
        .map(|sent| {
            let mut stream = TcpStream::connect(&address).unwrap();
            stream.write_all(sent.as_bytes()).unwrap();
            stream
        })
        .collect();
    for _ in 0..20 {
        assert!(page::get(&address, "").contains("\nceilometer_cpu{"));
    }
    // Slots go on as well.
    let before = folder.read("samples").len();
    until("another slot", || (folder.read("samples").len() > before).then_some(()));
    drop(slow);
    daemon.end();
}

#[test]
fn what_is_too_long_or_odd_is_refused() {
    let folder = Folder::measuring(CALM, OPEN);
    let daemon = folder.start("run --output samples");
    measures(&daemon, "");
    let address = address(&daemon);
    let long = format!("x: {}\r\n", "a".repeat(9000));
    assert!(page::get(&address, &long).starts_with("HTTP/1.1 431 "));
    assert!(page::get(&address, &"x: y\r\n".repeat(200)).starts_with("HTTP/1.1 431 "));
    let ask = |request: &str| page::ask(&address, &format!("{request}\r\nhost: x\r\nconnection: close\r\n\r\n"));
    assert!(ask("GET / HTTP/1.1").starts_with("HTTP/1.1 404 "));
    assert!(ask("DELETE /metrics HTTP/1.1").starts_with("HTTP/1.1 405 "));
    assert!(ask("\u{1}\u{2}").starts_with("HTTP/1.1 400 "));
    let head = ask("HEAD /metrics HTTP/1.1");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    // Who speaks TLS to it, or does not to one who does, gets no metrics and harms nobody.
    assert!(page::ask(&address, "\u{16}\u{3}\u{1}\u{2}").is_empty() || !page::get(&address, "").is_empty());
    measures(&daemon, "");
    daemon.end();
}

#[test]
fn an_address_in_use_is_named_and_changes_nothing() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let used = other.local_addr().unwrap();
    let words = &format!("{used} cannot be listened on: Address already in use");
    let folder = Folder::measuring(CALM, &format!("metrics: {{listen: '{used}'}}\n"));
    let ran = folder.run("run --cycles 1 --output samples").is(1).complains(words);
    assert!(ran.stderr.contains("wasmeter.yaml:3:19: error: "), "{}", ran.stderr);

    folder.write("wasmeter.yaml", folder.read("wasmeter.yaml").replace(&used.to_string(), "127.0.0.1:0"));
    let daemon = folder.start("run --output samples");
    measures(&daemon, "");
    let address = address(&daemon);
    let config = folder.read("wasmeter.yaml");
    folder.write("wasmeter.yaml", config.replace("127.0.0.1:0", &used.to_string()));
    reloads(&daemon, words);
    measures(&daemon, "");
    // As soon as it is free it is taken, and the other given up.
    drop(other);
    reloads(&daemon, "The configuration was read again and is in force.");
    assert_eq!(addresses(&daemon), [address.clone(), used.to_string()]);
    measures(&daemon, "");
    until("the other is given up", || TcpStream::connect(&address).is_err().then_some(()));
    daemon.end();
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let config = "metrics: {listen: '127.0.0.1:0', tls: {certificate: c, key: k}, users: {a: {password_file: p}}}\n";
    let folder = Folder::measuring(CALM, config);
    folder.write("p", "\n");
    let ran = folder.run("run --cycles 1 --output samples").is(64);
    for words in ["c cannot be read: No such file or directory", "the password of a cannot be used: ", "nothing in its"]
    {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    let checked = folder.run("check");
    assert!(checked.code != Some(0) && (checked.stdout + &checked.stderr).contains("c cannot be read: No such file"));
}
