//! What calls answer, and which ones wait.

use std::sync::mpsc;

use super::*;

#[test]
fn the_first_call_waits_for_a_frozen_guest_and_others_do_without() {
    // In this slot of four minutes some guest freezes; find the moment.
    let (sim, clock) = host("sim://?domains=20", START);
    let frozen = |sim: &Sim| {
        let scene = sim.host.scene();
        sim.host.guests.iter().filter(|guest| scene.life(guest).frozen).map(|guest| guest.uuid).collect::<Vec<_>>()
    };
    while frozen(&sim).len() != 1 {
        clock.pass(1_000_000_000);
    }
    let stuck = frozen(&sim);
    let mut other = sim.connect().unwrap();
    let everyone: Vec<Uuid> = read(&sim, Groups::STATE).iter().map(|record| record.guest).collect();
    assert!(other.occupied(&everyone).unwrap().is_empty());

    let mut first = sim.connect().unwrap();
    let (done, answer) = mpsc::channel();
    let call = thread::spawn(move || done.send(first.read(&all(every_group()))).unwrap());
    while other.occupied(&everyone).unwrap().is_empty() {
        thread::yield_now();
    }
    let occupied = other.occupied(&everyone).unwrap();
    assert_eq!(occupied.into_iter().map(|(guest, _)| guest).collect::<Vec<_>>(), stuck);
    assert!(other.define(stuck[0]).unwrap().is_some());
    assert_eq!(other.read(&all(Groups::STATE | Groups::INTERFACE)).unwrap().len(), everyone.len());
    let partial = other.read(&all(every_group())).unwrap();
    for record in &partial {
        assert_eq!(
            words(record).contains("cpu"),
            record.guest != stuck[0] && value(record, "state.state", 0) != Some(5)
        );
        assert!(words(record).contains("state"));
    }
    assert!(answer.try_recv().is_err());

    clock.pass(45_000_000_000);
    let records = answer.recv().unwrap().unwrap();
    call.join().unwrap();
    let thawed = records.iter().find(|record| record.guest == stuck[0]);
    assert!(thawed.is_none_or(|record| words(record).contains("block")));
    assert!(other.occupied(&everyone).unwrap().is_empty());
}

#[test]
fn a_stuck_call_ends_with_its_host() {
    let (sim, _) = host("sim://?domains=3&freeze=2&calm=true", START);
    let mut connection = sim.connect().unwrap();
    let guests = read(&sim, Groups::STATE);
    let only = |n: usize| Request {
        groups: Groups::BLOCK,
        keys: KeySet::All,
        guests: Guests::Only(vec![guests[n].guest, Uuid::nil()]),
    };
    assert_eq!(connection.read(&only(2)).unwrap().len(), 1);
    let request = only(0);
    let call = thread::spawn(move || connection.read(&request));
    let mut other = sim.clone().connect().unwrap();
    while other.occupied(&[guests[0].guest]).unwrap().is_empty() {
        thread::yield_now();
    }
    assert_eq!(other.read(&only(0)).unwrap()[0].stats, []);
    drop(sim);
    assert!(call.join().unwrap().unwrap_err().to_string().contains("the simulated host is gone"));
}

#[test]
fn only_what_is_asked_for_comes_back() {
    let (sim, _) = host("sim://?domains=12&calm=true", START);
    for (group, word) in [
        (Groups::STATE, "state"),
        (Groups::CPU_TOTAL, "cpu"),
        (Groups::BALLOON, "balloon"),
        (Groups::VCPU, "vcpu"),
        (Groups::INTERFACE, "net"),
        (Groups::BLOCK, "block"),
        (Groups::PERF, "perf"),
    ] {
        let records = read(&sim, group);
        assert_eq!(records.len(), 12);
        assert!(records.iter().flat_map(words).all(|w| w == word) && records.iter().any(|r| words(r).contains(word)));
        assert!(records.iter().flat_map(|r| &r.stats).all(|stat| Groups::of_key(&stat.key.name()) == Some(group)));
    }
    assert!(read(&sim, Groups::IOTHREAD | Groups::VM).iter().all(|record| record.stats.is_empty()));
}

#[test]
fn stopped_guests_say_what_needs_no_process() {
    let (sim, clock) = host("sim://?domains=200", START);
    let stopped = loop {
        let scene = sim.host.scene();
        if let Some(guest) = sim.host.guests.iter().find(|guest| scene.life(guest).phase == Phase::Stopped) {
            break guest.uuid;
        }
        clock.pass(1_000_000_000);
    };
    let request = Request { groups: every_group(), keys: KeySet::All, guests: Guests::Only(vec![stopped]) };
    let record = sim.connect().unwrap().read(&request).unwrap().remove(0);
    let keys: BTreeSet<String> = record.stats.iter().map(|stat| stat.key.name()).collect();
    let expected = [
        "balloon.current",
        "balloon.maximum",
        "block.*.allocation",
        "block.*.capacity",
        "block.*.name",
        "block.*.physical",
        "block.count",
        "state.reason",
        "state.state",
        "vcpu.current",
        "vcpu.maximum",
    ];
    assert_eq!(keys.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    assert_eq!(value(&record, "state.state", 0), Some(5));
}
