//! The daemon killed with SIGKILL, at any moment.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde_json::Value;
use wasmeter::spool::log::Store;
use wasmeter_rig::{Rabbit, or_say};

use super::{Arrived, GROWTH, QUEUE, account, publishing_of, samples_of_killed, until_said};
use crate::support::program::{Folder, of_meter, text};
use crate::support::{Random, repeat};

/// How often it is killed; with WASMETER_REPEAT=10 that is 200 times.
const KILLS: u32 = 20;
const GUESTS: &str = "sim://?domains=15&seed=1&calm=true&disks=1&nics=2";
/// Says which records it has.
pub(super) const VERBOSE: &str = "exec env WASMETER_LOG=info,wasmeter::agent=debug \"$wasmeter\" run -c wasmeter.yaml";

/// The number of the last record that a daemon said to be kept.
pub(super) fn reported(log: &str) -> Option<u64> {
    let numbers = log.lines().filter_map(|line| line.split_once("Kept. record=")?.1.trim().parse().ok());
    numbers.max()
}

/// The number of the last record that is there.
pub(super) fn committed(folder: &Folder) -> u64 {
    // It may have been killed before it had a spool.
    let Ok(dir) = Dir::open_ambient_dir(folder.path("spool"), ambient_authority()) else { return 0 };
    Store::look(dir).unwrap().next_sequence().0 - 1
}

/// Every growth that a resource had, in all, is what its counter grew by: none is missing, none counted twice.
pub fn grew_as_counted(samples: &[Value]) {
    let mut first: BTreeMap<&str, (&str, u64)> = BTreeMap::new();
    let mut last = first.clone();
    for sample in of_meter(samples, "network.incoming.bytes") {
        let (id, now) = (text(sample, "resource_id"), text(sample, "timestamp"));
        let value = sample["counter_volume"].as_u64().unwrap();
        let begin = first.entry(id).or_insert((now, value));
        *begin = (*begin).min((now, value));
        let end = last.entry(id).or_insert((now, value));
        *end = (*end).max((now, value));
    }
    assert!(!first.is_empty());
    let grown = grown(samples);
    for (id, (_, begin)) in first {
        assert_eq!(grown.get(id).copied(), Some(last[id].1 - begin), "the growth of {id}");
    }
}

/// What each resource's growth comes to.
pub(super) fn grown(samples: &[Value]) -> BTreeMap<&str, u64> {
    let mut grown: BTreeMap<&str, u64> = BTreeMap::new();
    for sample in of_meter(samples, "network.incoming.growth") {
        *grown.entry(text(sample, "resource_id")).or_default() += sample["counter_volume"].as_u64().unwrap();
    }
    grown
}

#[test]
fn killed_at_any_moment_it_loses_nothing() {
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    let folder = publishing_of(GUESTS, &vhost.url(), "", GROWTH);
    let mut random = Random(7);
    let (mut before, mut ahead, mut all) = (0, 0, 0);
    let kills = KILLS * repeat();
    for kill in 0..kills {
        let daemon = folder.start_by_shell(VERBOSE);
        // Any moment, or one at which the next slot is on its way.
        if kill % 2 == 0 {
            sleep(Duration::from_millis(random.below(2000)));
        } else {
            until_said(&daemon, "Kept.", 1);
            sleep(Duration::from_millis(700 + random.below(600)));
        }
        let log = daemon.kill();
        let said = reported(&log).unwrap_or(before);
        let committed = committed(&folder);
        assert!((said..=said + 1).contains(&committed), "{committed} are there of {said} that were reported: {log}");
        assert!(!log.contains("damaged") && !log.contains("ERROR"), "{log}");
        ahead += committed - said;
        all += u64::from(said > before);
        before = committed;
    }
    let daemon = folder.start_by_shell(VERBOSE);
    until_said(&daemon, "Kept.", 1);
    daemon.end();

    let deliveries = vhost.drain(QUEUE).unwrap();
    let arrived = Arrived::of(&deliveries);
    let measured = samples_of_killed(&folder.read("samples"), kills as usize);
    arrived.is_all(&measured);
    // Each record is a slot, and each of its messages was the same every time.
    let books = account(&folder.path("spool"), "notifier");
    assert!(books.balances() && books.acknowledged == books.appended, "{books:?}");
    assert_eq!((arrived.times().len() as u64, committed(&folder)), (books.appended.records, books.appended.records));
    let bodies: BTreeSet<&[u8]> = deliveries.iter().map(|delivery| &*delivery.body).collect();
    let samples: usize = bodies.iter().map(|body| super::samples_of(body).len()).sum();
    assert_eq!(samples, measured.len());
    grew_as_counted(&arrived.samples);
    assert!(all > 0);
    println!(
        "{kills} kills, {} slots, {ahead} not yet reported, {} samples, {} again",
        books.appended.records,
        measured.len(),
        arrived.again
    );
}
