//! How the daemon is: as a table, as JSON, in the log, and to Prometheus.

use std::collections::BTreeMap;

use rustix::process::Signal;
use serde_json::Value;

use super::{CALM, FULL, OUTPUTS, conforms, measured, page};
use crate::support::program::{Folder, until};

#[test]
fn it_says_first_what_is_wrong() {
    let folder = Folder::measuring(CALM, OUTPUTS);
    let daemon = folder.start("run");
    measured(&folder, &daemon, 2);
    let said = until("trouble", || {
        let said = folder.run("status").is(0).stdout;
        said.contains("something is wrong").then_some(said)
    });
    let second = said.lines().nth(1).unwrap();
    assert!(second.contains("file:/dev/full cannot deliver") && second.contains("No space left"), "{said}");
    for words in ["hypervisor  sim://", "guests      5 guests", "every 1s", "cpu ", "nowhere", "spool       spool: "] {
        assert!(said.contains(words), "no {words:?} in:\n{said}");
    }
    let status = folder.run("status --json").is(0).json();
    assert_eq!(status["last"]["guests"], 5);
    assert_eq!(status["tasks"][0]["interval_seconds"], 1);
    let publishers = status["publishers"].as_array().unwrap();
    let names: Vec<&str> = publishers.iter().map(|publisher| publisher["name"].as_str().unwrap()).collect();
    assert_eq!(names.iter().filter(|name| ["file:samples", "nowhere", FULL].contains(name)).count(), 3, "{names:?}");
    assert!(status["modules"].as_array().unwrap().iter().all(|module| module["fuel_used_in_all"].as_u64() > Some(0)));
    daemon.end();

    let folder = Folder::measuring(CALM, "outputs: [{test: true, name: nowhere}]");
    let daemon = folder.start("run");
    measured(&folder, &daemon, 1);
    folder.run("status").is(0).says("all is well");
    daemon.end();
}

#[test]
fn guests_that_are_stuck_are_named() {
    let folder = Folder::measuring(
        "sim://?domains=6&calm=true&freeze=2&disks=1&nics=1",
        "reader: {watchdog: 200ms}\noutputs: [{test: true, name: nowhere}]",
    );
    let daemon = folder.start("run");
    let said = until("stuck guests", || {
        let said = folder.run("status").stdout;
        said.contains("Calls are stuck in 2 guests").then_some(said)
    });
    assert!(said.contains("6 guests, 2 stuck"), "{said}");
    daemon.end();
}

/// In a cycle that hangs, too, in either format of the log.
#[test]
fn asked_by_a_signal_it_says_so_in_the_log() {
    for format in ["text", "json"] {
        let config = format!("reader: {{watchdog: 1m}}\n{OUTPUTS}\nlog: {{format: {format}}}");
        let folder = Folder::measuring("sim://?domains=6&calm=true&freeze=3&disks=1&nics=1", &config);
        let daemon = folder.start("run");
        daemon.logs("Measuring.");
        // It takes a moment until it knows what to say.
        until("a status", || {
            daemon.signal(Signal::USR2);
            daemon.log().contains("hypervisor  sim://").then_some(())
        });
        daemon.logs("last cycle  ");
        daemon.logs("nowhere");
        if format == "json" {
            let log = daemon.log();
            let lines =
                log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line}")));
            let said = lines.map(|line| line["fields"]["message"].as_str().unwrap_or_default().to_owned());
            assert!(said.into_iter().any(|line| line.starts_with("hypervisor  sim://")), "{log}");
        }
        daemon.signal(Signal::INT);
        daemon.wait(0);
    }
}

#[test]
fn prometheus_is_told_the_same() {
    let config = format!("{OUTPUTS}\nmetrics: {{listen: '127.0.0.1:0'}}");
    let folder = Folder::measuring(CALM, &config);
    let daemon = folder.start("run");
    measured(&folder, &daemon, 2);
    // What is told of the spool may be of the moment before.
    let delivered = "wasmeter_publisher_samples_delivered_total{publisher=\"nowhere\"} ";
    let own = until("metrics", || {
        let page = page(&daemon)?;
        let own = page.get(page.find("# HELP wasmeter_")?..)?.to_owned();
        let (number, _) = own.split_once(delivered)?.1.split_once('\n')?;
        (number.parse::<u64>().unwrap() > 0).then_some(own)
    });
    let values: BTreeMap<&str, f64> = own
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(series, value)| (series, value.parse().unwrap()))
        .collect();
    for series in [
        "wasmeter_cycles_total",
        "wasmeter_shortest_interval_seconds",
        "wasmeter_guests",
        "wasmeter_spool_bytes",
        "wasmeter_spool_age_seconds",
        "wasmeter_module_fuel_total{module=\"cpu\",tenant=\"operator\"}",
        "wasmeter_publisher_samples_spooled{publisher=\"file:/dev/full\"}",
        "wasmeter_publisher_samples_delivered_total{publisher=\"nowhere\"}",
    ] {
        assert!(values.get(series).is_some_and(|value| *value > 0.0), "{series}:\n{own}");
    }
    for series in [
        "wasmeter_guests_stuck",
        "wasmeter_slots_skipped_total{interval=\"1\"}",
        "wasmeter_publisher_samples_lost_total{publisher=\"nowhere\",cause=\"bytes\"}",
    ] {
        assert!(values.contains_key(series), "{series}:\n{own}");
    }
    conforms(&own);
    daemon.end();
}

/// The disk does not take the books in which publishers' places are, at first.
#[test]
fn outputs_that_the_spool_refused_are_served_once_it_can() {
    let folder = Folder::measuring(CALM, OUTPUTS);
    let daemon = folder.start_by_shell("trap '' XFSZ; ulimit -S -f 100; exec \"$wasmeter\" run -c wasmeter.yaml");
    daemon.logs("every slot tries again to serve outputs");
    let said = until("samples that are delivered", || {
        let said: Value = serde_json::from_str(&folder.run("status --json").stdout).ok()?;
        let publishers = said["publishers"].as_array()?.clone();
        let nowhere = publishers.into_iter().find(|publisher| publisher["name"] == "nowhere")?;
        nowhere["delivered"].as_u64().is_some_and(|delivered| delivered > 0).then_some(said)
    });
    assert!(!said["troubles"].to_string().contains("may not be served"), "{said}");
    daemon.end();
}
