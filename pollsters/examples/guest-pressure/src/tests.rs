use wasmeter_sdk::testing::{Host, Polled};

use super::*;

/// One second in nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// A second slot, ten seconds after the first. Guest 0 has the disk 1 and the virtual CPUs 2 and 3.
fn second_slot(config: &str, then: fn(Host) -> Host, now: fn(Host) -> Host) -> Polled {
    let host = Host::new().config(config).parents([(1, 0), (2, 0), (3, 0)]);
    let mut host = then(host.read_at(100));
    assert!(host.poll::<GuestPressure>().unwrap().names().is_empty());
    now(host.read_at(110)).poll::<GuestPressure>().unwrap()
}

fn pressure(polled: &Polled) -> Vec<(u32, f64)> {
    polled.reals("guest.pressure")
}

/// Of reads: how many there were and how many milliseconds they took, all together. There are no writes.
fn reads(host: Host, requests: u64, ms: u64) -> Host {
    let host = host.stat("block.*.wr.reqs", [(1, 0)]).stat("block.*.wr.times", [(1, 0)]);
    host.stat("block.*.rd.reqs", [(1, requests)]).stat("block.*.rd.times", [(1, ms * 1_000_000)])
}

fn memory(host: Host, usable: u64, faults: u64) -> Host {
    let host = host.stat("balloon.available", [(0, 1000_u64)]).stat("balloon.usable", [(0, usable)]);
    host.stat("balloon.major_fault", [(0, faults)])
}

#[test]
fn steal_is_that_of_the_worst_virtual_cpu() {
    let polled = second_slot(
        "",
        |host| host.stat("vcpu.*.delay", [(2, 0), (3, 5)]),
        |host| host.stat("vcpu.*.delay", [(2, SECOND), (3, 5 + 3 * SECOND)]),
    );
    assert_eq!(pressure(&polled), [(0, 30.0)]);
    assert_eq!(polled.note("guest.pressure", "pressure_of"), [(0, "\"cpu\"".to_owned())]);
    assert!(polled.note("guest.pressure", "pressure_disk").is_empty());
}

#[test]
fn a_busy_disk_that_is_fast_is_no_pressure() {
    // Never idle, at 5 ms a request.
    let polled = second_slot("", |host| reads(host, 0, 0), |host| reads(host, 2000, 10_000));
    assert_eq!(pressure(&polled), [(0, 0.0)]);
    assert!(polled.note("guest.pressure", "pressure_of").is_empty());
}

#[test]
fn a_slow_disk_costs_what_a_healthy_one_would_not_have() {
    // 100 requests of 40 ms: four seconds of ten, of which a healthy disk takes a quarter.
    let polled = second_slot("", |host| reads(host, 0, 0), |host| reads(host, 100, 4000));
    assert_eq!(pressure(&polled), [(0, 30.0)]);
    // Three hundred of them at once: not more than all of the time.
    let polled = second_slot("", |host| reads(host, 0, 0), |host| reads(host, 30_000, 1_200_000));
    assert_eq!(pressure(&polled), [(0, 75.0)]);
    let polled = second_slot(r#"{"disk_latency_ms": 40}"#, |host| reads(host, 0, 0), |host| reads(host, 100, 4000));
    assert_eq!(pressure(&polled), [(0, 0.0)]);
}

#[test]
fn faults_count_where_memory_is_short() {
    // 200 faults that wait for reads of 5 ms.
    let then = |host| memory(reads(host, 0, 0), 50, 0);
    let polled = second_slot("", then, |host| memory(reads(host, 300, 1500), 50, 200));
    assert_eq!(pressure(&polled), [(0, 10.0)]);
    assert_eq!(polled.note("guest.pressure", "pressure_of"), [(0, "\"memory\"".to_owned())]);
    let polled = second_slot("", then, |host| memory(reads(host, 300, 1500), 500, 200));
    assert_eq!(pressure(&polled), [(0, 0.0)]);
    // Pages that come from nowhere that takes time, such as compressed memory.
    let polled = second_slot("", then, |host| memory(reads(host, 0, 0), 50, 200));
    assert_eq!(pressure(&polled), [(0, 0.0)]);
}

#[test]
fn writes_and_flushes_count_as_reads_do() {
    let then = |host| reads(host, 0, 0).stat("block.*.fl.reqs", [(1, 0)]).stat("block.*.fl.times", [(1, 0)]);
    fn flushed(host: Host) -> Host {
        host.stat("block.*.fl.reqs", [(1, 100)]).stat("block.*.fl.times", [(1, 2 * SECOND)])
    }
    let polled = second_slot("", then, |host| {
        let host = flushed(reads(host, 0, 0));
        host.stat("block.*.wr.reqs", [(1, 100)]).stat("block.*.wr.times", [(1, 2 * SECOND)])
    });
    assert_eq!(pressure(&polled), [(0, 20.0)]);
}

#[test]
fn what_is_not_known_is_left_out() {
    // Without a balloon driver, and with a counter that was reset.
    let polled = second_slot(
        "",
        |host| reads(host, 500, 4000).stat("vcpu.*.delay", [(2, 0)]),
        |host| reads(host, 1, 10).stat("vcpu.*.delay", [(2, SECOND)]),
    );
    assert_eq!(pressure(&polled), [(0, 10.0)]);
    assert!(polled.note("guest.pressure", "pressure_memory").is_empty());
    assert!(polled.note("guest.pressure", "pressure_disk").is_empty());
}

#[test]
fn wrong_configurations_are_refused() {
    for (config, words) in [
        (r#"{"disk_latency_ms": 0}"#, "disk_latency_ms is above 0"),
        (r#"{"usable_percent": 101}"#, "usable_percent is from 0 to 100"),
        (r#"{"latency": 3}"#, "unknown field `latency`"),
    ] {
        let error = GuestPressure::describe(config).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    assert!(GuestPressure::describe("").is_ok());
}
