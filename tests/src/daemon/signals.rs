//! Signals end the daemon, soon and in order.

use std::io::Read;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::program::{Folder, of_meter, slots, until};

/// A read is stuck, and its watchdog takes its time.
const STUCK: &str = "sim://?domains=6&calm=true&freeze=3&disks=1&nics=1";

/// Far less than any deadline that must not be waited for.
const SOON: Duration = Duration::from_secs(15);

/// There is one cycle, at the start.
fn once_a_year(hypervisor: &str, config: &str) -> Folder {
    let folder = Folder::measuring(hypervisor, config);
    folder.write("polling.yaml", "sources: [{name: a, interval: 31536000, meters: ['*']}]");
    folder
}

/// The cycle is in a call that is stuck when the signal comes, and goes on without the frozen guests.
#[test]
fn terminated_it_finishes_the_cycle() {
    let folder = once_a_year(STUCK, "reader: {watchdog: 2s}\nschedule: {drain: 10m}");
    let daemon = folder.start("run --output samples");
    daemon.logs("Modules are loaded.");
    let log = daemon.end();
    let samples = folder.samples("samples");
    assert_eq!(of_meter(&samples, "disk.device.read.bytes").len(), 3, "{log}");
    assert_eq!(of_meter(&samples, "network.incoming.bytes").len(), 6, "{log}");
    assert!(log.contains("Done. cycles=1"), "{log}");
}

#[test]
fn terminated_it_waits_no_longer_than_it_may() {
    let folder = once_a_year(STUCK, "reader: {watchdog: 1m}\nschedule: {drain: 1s}");
    let daemon = folder.start("run --output samples");
    daemon.logs("Modules are loaded.");
    let began = Instant::now();
    let log = daemon.end();
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert!(log.contains("The cycle that ran was given up"), "{log}");
    assert_eq!(folder.read("samples"), "");
}

#[test]
fn interrupted_it_ends_at_once() {
    let folder = once_a_year(STUCK, "reader: {watchdog: 1m}\nschedule: {drain: 10m}");
    let daemon = folder.start("run --output samples");
    daemon.logs("Modules are loaded.");
    let began = Instant::now();
    daemon.signal(Signal::INT);
    let log = daemon.wait(0);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert!(log.contains("The cycle that ran was given up"), "{log}");
}

#[test]
fn interrupted_it_does_not_wait_for_a_cycle_that_drains() {
    let folder = once_a_year(STUCK, "reader: {watchdog: 1m}\nschedule: {drain: 10m}");
    let daemon = folder.start("run --output samples");
    daemon.logs("Modules are loaded.");
    let began = Instant::now();
    daemon.signal(Signal::TERM);
    daemon.signal(Signal::INT);
    daemon.wait(0);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn between_two_cycles_it_ends_at_once() {
    let folder = once_a_year("sim://?domains=2", "log: {format: json}");
    let daemon = folder.start("run --output samples");
    until("a cycle", || (!folder.read("samples").is_empty()).then_some(()));
    let began = Instant::now();
    let log = daemon.end();
    assert!(began.elapsed() < SOON && log.contains("\"cycles\":1,"), "{log}");
}

/// What modules remember is as it was before the cycle, so that the next one makes up for it.
#[test]
fn a_cycle_that_is_given_up_costs_no_growth() {
    let guests = "sim://?domains=4&calm=true&disks=1&nics=1";
    let growth = "transform: [{meters: [network.incoming.bytes], module: delta, \
                  config: {target: {name: network.incoming.growth}}}]\noutputs: [{file: samples}]";
    let module = env!("HOSTILE_WASM");
    let entry = format!("{{file: {module}, config: 'run: loop', fuel_base: 1000000000000, deadline: 1m}}");
    for signals in [&[Signal::INT][..], &[Signal::TERM, Signal::INT]] {
        let folder = Folder::measuring(guests, growth);
        let config = folder.read("wasmeter.yaml");
        folder.run("run --cycles 2").is(0);
        // Others have given what they have long before this one is through.
        folder.write("wasmeter.yaml", format!("{config}modules: {{slow: {entry}}}\n"));
        let daemon = folder.start("run");
        daemon.logs("Measuring.");
        sleep(Duration::from_secs(2));
        signals.iter().for_each(|signal| daemon.signal(*signal));
        let log = daemon.wait(0);
        assert!(log.contains("The cycle that ran was given up"), "{log}");
        folder.write("wasmeter.yaml", config);
        folder.run("run --cycles 1").is(0);
        let samples = folder.samples("samples");
        assert_eq!(slots(&samples).len(), 3);
        crate::delivery::killed::grew_as_counted(&samples);
        let built_in = of_meter(&samples, "network.incoming.bytes.delta");
        assert!(
            built_in.iter().rev().take(4).all(|sample| sample["counter_volume"].as_u64() > Some(0)),
            "{built_in:?}"
        );
    }
}

/// A pipe takes less than a slot, and nobody reads it.
#[test]
fn an_output_that_blocks_keeps_no_signal_from_being_heard() {
    for (signals, drain) in
        [(&[Signal::TERM][..], "1s"), (&[Signal::INT], "10m"), (&[Signal::TERM, Signal::INT], "10m")]
    {
        let folder = once_a_year("sim://?domains=40&calm=true", &format!("schedule: {{drain: {drain}}}"));
        folder.pipe("samples");
        let daemon = folder.start("run --output samples");
        let mut pipe = folder.read_pipe("samples");
        until("samples are on their way", || pipe.read(&mut [0]).is_ok_and(|read| read > 0).then_some(()));
        let began = Instant::now();
        signals.iter().for_each(|signal| daemon.signal(*signal));
        let log = daemon.wait(0);
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        assert!(log.contains("Samples that were not delivered wait in the spool."), "{log}");
    }
}

/// A module takes a minute to describe itself.
#[test]
fn a_reload_keeps_no_signal_from_being_heard() {
    let folder = once_a_year("sim://?domains=2", "schedule: {drain: 1s}");
    let config = folder.read("wasmeter.yaml");
    let module = env!("HOSTILE_WASM");
    let entry = format!("{{file: {module}, config: 'describe: loop', fuel_base: 1000000000000, deadline: 1m}}");
    let daemon = folder.start("run --output samples");
    until("a cycle", || (!folder.read("samples").is_empty()).then_some(()));
    folder.write("wasmeter.yaml", format!("{config}modules: {{slow: {entry}}}\n"));
    daemon.signal(Signal::HUP);
    sleep(Duration::from_secs(1));
    let began = Instant::now();
    let log = daemon.end();
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert!(!log.contains("The configuration stays as it was"), "it was not being read: {log}");
}

#[test]
fn hung_up_by_its_terminal_it_ends() {
    let folder = once_a_year("sim://?domains=2", "");
    let daemon = folder.start_in_terminal("run --output samples");
    until("a cycle", || (!folder.read("samples").is_empty()).then_some(()));
    daemon.signal(Signal::HUP);
    let log = daemon.wait(0);
    assert!(!log.contains("was read again"), "{log}");
}

#[test]
fn a_table_that_nobody_reads_any_more_is_the_end() {
    let folder = Folder::measuring("sim://?domains=2", "");
    let (code, log) = folder.run_unread("run --table");
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("Done. cycles=1"), "{log}");
}
