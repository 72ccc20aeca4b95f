//! Frozen guests cost themselves, whoever and however many they are.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use uuid::Uuid;
use wasmeter::clock::{Clock, SystemClock};
use wasmeter::contract::Wanted;
use wasmeter::hypervisor::reader::{Reader, Reading, Want};
use wasmeter::hypervisor::{self, Connection, Guests, KeyId, Request};
use wasmeter_rig::{Guest, Libvirtd, or_say};

use super::{fleet, guests_with, metering, wait_for_slots};
use crate::support::program::{samples_so_far, slots, until};
use crate::support::repeat;

/// So many guests, and twice as many where tests are repeated for long.
fn guests() -> Vec<Guest> {
    fleet(if repeat() > 1 { 100 } else { 50 })
}

/// What a guest's process has to answer, and what needs no process.
const MONITORED: &str = "block.*.rd.bytes";
const FREE: &str = "net.*.rx.bytes";
/// Long, so that nothing but the scout gives a call up.
const WATCHDOG: Duration = Duration::from_secs(60);
/// As the daemon is configured.
const DRAIN: Duration = Duration::from_secs(2);
/// Other clients of libvirtd are answered within this time, which is long for a machine that is busy.
const ANSWERED: Duration = Duration::from_secs(20);

fn reader(libvirtd: &Libvirtd) -> Reader {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Reader::new(hypervisor::open(&libvirtd.uri(), &clock).unwrap(), clock, WATCHDOG, 5)
}

fn want() -> Want {
    let mut want = Want::default();
    want.add(
        &[MONITORED, FREE, "balloon.rss", "vcpu.*.time"].map(|key| Wanted { key: key.into(), instead_of: vec![] }),
    );
    want
}

fn with(reading: &Reading, key: &str) -> BTreeSet<Uuid> {
    let key = KeyId::of(key).unwrap();
    let has = reading.records.iter().filter(|record| record.stats.iter().any(|stat| stat.key == key));
    has.map(|record| record.guest).collect()
}

fn uuids(guests: &[Guest]) -> BTreeSet<Uuid> {
    guests.iter().map(|guest| guest.uuid().parse().unwrap()).collect()
}

/// Connections beside the reader's, and the guests that are read over each: half of them, as the reader does.
struct Beside {
    halves: Vec<(Box<dyn Connection>, Request)>,
}

impl Beside {
    fn of(libvirtd: &Libvirtd, guests: &BTreeSet<Uuid>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let host = hypervisor::open(&libvirtd.uri(), &clock).unwrap();
        let guests: Vec<Uuid> = guests.iter().copied().collect();
        let half = |guests: &[Uuid]| {
            let request =
                Request { groups: want().groups(), keys: want().to_read(), guests: Guests::Only(guests.to_vec()) };
            (host.connect().unwrap(), request)
        };
        let mut beside = Self { halves: guests.chunks(guests.len().div_ceil(2)).map(half).collect() };
        beside.read();
        beside
    }

    fn read(&mut self) -> Duration {
        let began = Instant::now();
        std::thread::scope(|scope| {
            for (connection, request) in &mut self.halves {
                scope.spawn(|| connection.read(request).unwrap());
            }
        });
        began.elapsed()
    }
}

/// The time of a cycle as a multiple of what libvirt takes for the guests that are not frozen. What else the machine
/// does lengthens both. Also the last of some readings.
async fn cycles(reader: &mut Reader, mut beside: Beside) -> (f64, Reading) {
    let (mut cycle, mut call, mut last) = (Duration::MAX, Duration::MAX, None);
    for _ in 0..12 {
        let began = Instant::now();
        last = Some(reader.read(&want()).await.unwrap());
        cycle = cycle.min(began.elapsed());
        call = call.min(beside.read());
    }
    (cycle.as_secs_f64() / call.as_secs_f64(), last.unwrap())
}

/// No cycle waits for who is known to be frozen.
fn no_longer(what: &str, now: f64, healthy: f64) {
    println!("{what}: a cycle takes {:.2} times a healthy one", now / healthy);
    assert!(now / healthy <= 1.5, "{what}: {now} instead of {healthy}");
}

fn others_are_answered(libvirtd: &Libvirtd) {
    for command in ["list", "nodeinfo", "domstate instance-00000001", "domstats --state --interface"] {
        let arguments: Vec<&str> = command.split(' ').collect();
        libvirtd.virsh_within(ANSWERED, &arguments).unwrap();
    }
}

async fn all_are_back(reader: &mut Reader, all: &BTreeSet<Uuid>, slots: usize) {
    for _ in 0..slots {
        // As long as a short interval.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let reading = reader.read(&want()).await.unwrap();
        if with(&reading, MONITORED) == *all && reading.stuck.is_empty() {
            return;
        }
    }
    panic!("guests are not back after {slots} slots");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_frozen_costs_only_itself() {
    let Some(libvirtd) = or_say(Libvirtd::start()) else { return };
    let guests = guests();
    let all = uuids(&guests);
    libvirtd.boot(&guests).unwrap();
    let mut reader = reader(&libvirtd);
    let (healthy, reading) = cycles(&mut reader, Beside::of(&libvirtd, &all)).await;
    assert_eq!(with(&reading, MONITORED), all);
    // Nobody twice: who offends again is left out for longer.
    let rounds = if repeat() > 1 { guests.len() / 8 } else { 1 };
    let frozen = guests.chunks_exact(8).take(rounds).flat_map(|some| [&some[..1], &some[1..3], &some[3..8]]);
    for frozen in frozen {
        frozen.iter().for_each(|guest| libvirtd.freeze(guest.name()).unwrap());
        let stuck = uuids(frozen);
        let sampled: BTreeSet<Uuid> = all.difference(&stuck).copied().collect();
        let what = format!("{} frozen", stuck.len());
        let first = reader.read(&want()).await.unwrap();
        let (now, later) = cycles(&mut reader, Beside::of(&libvirtd, &sampled)).await;
        for reading in [first, later] {
            assert_eq!(reading.missing, None, "{what}");
            assert_eq!((&with(&reading, MONITORED), &reading.stuck), (&sampled, &stuck), "{what}");
            assert_eq!(with(&reading, FREE), all, "{what}");
        }
        assert_eq!(reader.stuck_calls(), stuck.len(), "{what}: each is met by one call");
        others_are_answered(&libvirtd);
        no_longer(&what, now, healthy);
        frozen.iter().for_each(|guest| libvirtd.thaw(guest.name()).unwrap());
        all_are_back(&mut reader, &all, 2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_may_freeze() {
    let Some(libvirtd) = or_say(Libvirtd::start()) else { return };
    let guests = guests();
    let all = uuids(&guests);
    libvirtd.boot(&guests).unwrap();
    let mut reader = reader(&libvirtd);
    reader.read(&want()).await.unwrap();
    libvirtd.freeze_all().unwrap();
    reader.read(&want()).await.unwrap();
    let began = Instant::now();
    let reading = reader.read(&want()).await.unwrap();
    // Whoever waits for a frozen guest waits for longer.
    assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
    assert_eq!(reading.missing.as_deref(), Some("calls are stuck in 6 guests, and no more are risked"));
    assert_eq!((with(&reading, FREE), with(&reading, MONITORED)), (all.clone(), BTreeSet::new()));
    others_are_answered(&libvirtd);
    libvirtd.thaw_all().unwrap();
    all_are_back(&mut reader, &all, 2).await;
}

/// The daemon, too: in every slot, and to its end.
#[test]
fn the_daemon_goes_on_and_ends() {
    let Some(libvirtd) = or_say(Libvirtd::start()) else { return };
    let guests = fleet(10);
    libvirtd.boot(&guests).unwrap();
    let folder = metering(&libvirtd, "reader: {watchdog: 1m}\nschedule: {drain: 2s}");
    let daemon = folder.start("run --output samples");
    wait_for_slots(&folder, 2);
    libvirtd.freeze(guests[4].name()).unwrap();
    daemon.logs("Calls are stuck in guests");
    wait_for_slots(&folder, 3);
    let samples = samples_so_far(&folder.read("samples"));
    let slots = slots(&samples);
    let of_whole_slots = &slots[..slots.len() - 1];
    for slot in of_whole_slots {
        assert_eq!(guests_with(slot, "network.incoming.bytes").len(), 10);
        assert!(guests_with(slot, "disk.device.read.bytes").len() >= 9);
    }
    let last = guests_with(of_whole_slots.last().unwrap(), "disk.device.read.bytes");
    assert!(last.len() == 9 && !last.contains(&guests[4].uuid()), "{last:?}");
    libvirtd.thaw(guests[4].name()).unwrap();
    daemon.logs("No calls are stuck in these guests any more");
    // In the middle of a cycle that does not end by itself, or between two.
    libvirtd.freeze_all().unwrap();
    let frozen = Instant::now();
    until("a cycle that is stuck", || (frozen.elapsed() > Duration::from_millis(1200)).then_some(()));
    daemon.signal(Signal::TERM);
    let ending = Instant::now();
    let log = daemon.wait(0);
    assert!(ending.elapsed() < DRAIN + ANSWERED, "{:?}: {log}", ending.elapsed());
    assert_eq!(log.matches("Calls are stuck in guests").count(), log.matches("stuck=").count().min(1), "{log}");
}
