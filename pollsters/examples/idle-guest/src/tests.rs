use wasmeter_sdk::testing::Host;

use super::*;

/// Guest 0 with the virtual CPU 1, the disk 2 and the network device 3, at a time in seconds.
fn slot(host: Host, seconds: u32, cpu_ms: u64, sent: u64, requests: u64) -> Host {
    host.read_at(seconds)
        .parents([(1, 0), (2, 0), (3, 0)])
        .stat("vcpu.*.time", [(1, cpu_ms * 1_000_000)])
        .stat("net.*.tx.bytes", [(3, sent)])
        .stat("block.*.rd.reqs", [(2, requests)])
        .stat("block.*.wr.reqs", [(2, 0_u64)])
}

/// What comes of slots ten seconds apart, each with what the guest did until then.
fn idle(config: &str, slots: &[(u64, u64, u64)]) -> Vec<Option<f64>> {
    let mut host = Host::new().config(config);
    let mut given = Vec::new();
    for (seconds, (cpu, sent, requests)) in (100..).step_by(10).zip(slots) {
        host = slot(host, seconds, *cpu, *sent, *requests);
        let samples = host.poll::<IdleGuest>().unwrap();
        given.push(samples.names().first().map(|_| samples.reals("guest.idle")[0].1));
    }
    given
}

#[test]
fn it_grows_until_the_guest_does_something() {
    // A tenth of a second of ten is 1 %; a whole one is 10 %.
    let slots = [(0, 0, 0), (100, 0, 0), (200, 0, 0), (1200, 0, 0), (1300, 0, 0)];
    assert_eq!(idle("", &slots), [None, Some(10.0), Some(20.0), Some(0.0), Some(10.0)]);
}

#[test]
fn each_kind_of_work_counts() {
    for busy in [(1000, 0, 0), (0, 20_000, 0), (0, 0, 30)] {
        assert_eq!(idle("", &[(0, 0, 0), busy]), [None, Some(0.0)], "{busy:?}");
    }
    let patient = r#"{"cpu_percent": 20, "sent_bytes": 5000, "disk_requests": 9}"#;
    assert_eq!(idle(patient, &[(0, 0, 0), (1000, 20_000, 30)]), [None, Some(10.0)]);
}

#[test]
fn a_guest_that_was_started_anew_was_busy() {
    assert_eq!(idle("", &[(900, 0, 0), (910, 0, 0), (5, 0, 0), (6, 0, 0)]), [None, Some(10.0), Some(0.0), Some(10.0)]);
}

#[test]
fn a_guest_needs_neither_network_nor_disk() {
    let mut host = Host::new().parents([(1, 0)]).read_at(100).stat("vcpu.*.time", [(1, 0)]);
    host.poll::<IdleGuest>().unwrap();
    assert_eq!(host.read_at(160).poll::<IdleGuest>().unwrap().reals("guest.idle"), [(0, 60.0)]);
}

#[test]
fn wrong_configurations_are_refused() {
    assert!(IdleGuest::describe(r#"{"cpu_percent": -1}"#).unwrap_err().contains("0 or more"));
    assert!(IdleGuest::describe(r#"{"cpu": 1}"#).unwrap_err().contains("unknown field `cpu`"));
}
