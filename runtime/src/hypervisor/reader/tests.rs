use super::*;
use crate::clock::{ManualClock, SECOND};
use crate::contract::Wanted;
use crate::hypervisor::sim::Sim;
use crate::hypervisor::{KeyId, Stat};

/// Short, because nothing in a simulated host takes time but what is stuck.
const WATCHDOG: Duration = Duration::from_millis(300);

fn host(uri: &str) -> (Arc<dyn Hypervisor>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(1_763_632_800 * SECOND));
    (Arc::new(Sim::from_uri(uri, clock.clone()).unwrap()), clock)
}

fn want(keys: &[&str], instead: Option<(&str, &[&str])>) -> Want {
    let mut want = Want::default();
    let wanted = |key: &str, instead_of: &[&str]| Wanted {
        key: key.to_owned(),
        instead_of: instead_of.iter().map(|key| (*key).to_owned()).collect(),
    };
    let mut all: Vec<_> = keys.iter().map(|key| wanted(key, &[])).collect();
    all.extend(instead.map(|(key, instead_of)| wanted(key, instead_of)));
    want.add(&all);
    want
}

fn with(reading: &Reading, key: &str) -> Vec<Uuid> {
    let key = KeyId::of(key).unwrap();
    let has = |record: &&Record| record.stats.iter().any(|stat: &Stat| stat.key == key);
    reading.records.iter().filter(has).map(|record| record.guest).collect()
}

#[tokio::test]
async fn only_what_is_wanted_is_read() {
    let (host, _) = host("sim://?domains=10&calm=true");
    let mut reader = Reader::new(host, WATCHDOG, 5);
    let reading = reader.read(&want(&["net.*.rx.bytes"], None)).await.unwrap();
    assert_eq!(with(&reading, "state.state").len(), 10);
    assert!(with(&reading, "balloon.current").is_empty());
    let reading = reader.read(&want(&["balloon.current"], None)).await.unwrap();
    assert_eq!(with(&reading, "balloon.current").len(), 10);
    assert!(with(&reading, "net.count").is_empty());
}

#[tokio::test]
async fn a_fall_back_is_read_of_those_that_need_it() {
    let (host, _) = host("sim://?domains=60&calm=true");
    let mut reader = Reader::new(host, WATCHDOG, 5);
    let keys = ["vcpu.current", "vcpu.*.time", "vcpu.*.wait"];
    let reading = reader.read(&want(&keys, Some(("cpu.time", &["vcpu.*.time", "vcpu.*.wait"])))).await.unwrap();
    let (waits, total) = (with(&reading, "vcpu.*.wait"), with(&reading, "cpu.time"));
    assert!(!total.is_empty() && total.len() < 30, "{} of 60 guests lack waits", total.len());
    assert!(total.iter().all(|guest| !waits.contains(guest)));
    assert_eq!(waits.len() + total.len(), 60);
}

/// Whoever is frozen gives what needs no process, everybody else gives everything, and that in the very slot in
/// which the frozen one is met.
#[tokio::test]
async fn a_stuck_guest_costs_only_itself() {
    let (host, _) = host("sim://?domains=10&calm=true&freeze=1");
    let mut reader = Reader::new(host, WATCHDOG, 5);
    let want = want(&["block.*.rd.bytes", "net.*.rx.bytes"], None);
    for slot in 0..3 {
        let reading = reader.read(&want).await.unwrap();
        assert_eq!(reading.missing, None);
        assert_eq!(reading.records.len(), 10);
        assert_eq!(reading.stuck.len(), 1, "slot {slot}");
        let read = with(&reading, "block.*.rd.bytes");
        assert_eq!(read.len(), 9);
        assert!(reading.stuck.iter().all(|guest| !read.contains(guest)));
        assert_eq!(reader.stuck_calls(), 1, "one call met it, and no second one does");
    }
}

#[tokio::test]
async fn beyond_the_bound_nothing_that_can_block_is_asked() {
    let (host, _) = host("sim://?domains=10&calm=true&freeze=4");
    let mut reader = Reader::new(host, WATCHDOG, 2);
    let want = want(&["block.*.rd.bytes", "net.*.rx.bytes"], None);
    let reading = reader.read(&want).await.unwrap();
    assert!(reading.missing.is_some());
    assert!(with(&reading, "block.*.rd.bytes").is_empty());
    assert_eq!(with(&reading, "net.count").len(), 10);
    assert_eq!(reader.stuck_calls(), 2);
}

#[tokio::test]
async fn what_thaws_is_back_in_the_next_slot() {
    let (host, clock) = host("sim://?domains=12&seed=3");
    let mut reader = Reader::new(host, WATCHDOG, 5);
    let want = want(&["block.*.rd.bytes"], None);
    // Some guest freezes every few minutes, for less than one.
    let mut frozen = Reading::default();
    for _ in 0..200 {
        frozen = reader.read(&want).await.unwrap();
        if !frozen.stuck.is_empty() {
            break;
        }
        clock.pass(5 * SECOND.unsigned_abs());
    }
    assert!(!frozen.stuck.is_empty(), "nobody froze");
    clock.pass(60 * SECOND.unsigned_abs());
    while reader.stuck_calls() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let reading = reader.read(&want).await.unwrap();
    assert!(reading.stuck.is_disjoint(&frozen.stuck));
}
