//! A bad network between the daemon and RabbitMQ.

use std::time::Duration;

use wasmeter::spool::log::Cause;
use wasmeter_rig::{Proxy, Rabbit, or_say};

use super::killed::grown;
use super::{
    Arrived, CONNECTED, GROWTH, LOST, QUEUE, account, balance, publishing, publishing_of, said, samples_of_killed,
    until_measured, until_said,
};
use crate::support::program::until;

/// Less than a message has.
const CUT_AFTER: u64 = 30_000;

#[test]
fn connections_cut_in_mid_message_lose_nothing() {
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    let proxy = Proxy::start(vhost.rabbit().port()).unwrap();
    let folder = publishing(&vhost.url_at(proxy.port()), "", "");
    let daemon = folder.start("run");
    until_said(&daemon, CONNECTED, 1);
    for cut in 1..=6 {
        proxy.cut_after(CUT_AFTER + 7919 * cut as u64);
        until_said(&daemon, CONNECTED, 1 + cut);
    }
    let log = daemon.end();
    let arrived = Arrived::of(&vhost.drain(QUEUE).unwrap());
    let measured = folder.samples("samples");
    arrived.is_all(&measured);
    assert_eq!(balance(&folder.path("spool"), &measured, &arrived), (0, 0));
    assert!((6..=12).contains(&said(&log, LOST)) && said(&log, CONNECTED) == 7, "{log}");
    println!("{} samples, {} again", measured.len(), arrived.again);
}

/// Slower than what is measured, with answers that come late, and then quick again.
#[test]
fn a_slow_network_loses_nothing() {
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    let proxy = Proxy::start(vhost.rabbit().port()).unwrap();
    let folder = publishing(&vhost.url_at(proxy.port()), ", heartbeat_timeout_threshold: 4", "");
    let daemon = folder.start("run");
    until_said(&daemon, CONNECTED, 1);
    proxy.delay(Duration::from_millis(100));
    until_measured(&folder, 2);
    proxy.throttle(50_000);
    until_measured(&folder, 8);
    assert!(proxy.bytes_to_server() > 0);
    proxy.heal().unwrap();
    let log = daemon.end();
    let arrived = Arrived::of(&vhost.drain(QUEUE).unwrap());
    let measured = folder.samples("samples");
    arrived.is_all(&measured);
    assert_eq!(balance(&folder.path("spool"), &measured, &arrived), (0, 0));
    // That it is slow is no reason to begin anew.
    assert_eq!((said(&log, LOST), said(&log, CONNECTED), arrived.again), (0, 1, 0), "{log}");
}

/// A network that swallows everything is noticed by its silence.
#[test]
fn a_silent_network_loses_nothing() {
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    let proxy = Proxy::start(vhost.rabbit().port()).unwrap();
    let folder = publishing(&vhost.url_at(proxy.port()), ", heartbeat_timeout_threshold: 1", "");
    let daemon = folder.start("run");
    until_said(&daemon, CONNECTED, 1);
    proxy.stall();
    until_said(&daemon, "the broker was silent for 2 s", 1);
    proxy.heal().unwrap();
    until_said(&daemon, CONNECTED, 2);
    daemon.end();
    let arrived = Arrived::of(&vhost.drain(QUEUE).unwrap());
    let measured = folder.samples("samples");
    arrived.is_all(&measured);
    assert_eq!(balance(&folder.path("spool"), &measured, &arrived), (0, 0));
}

/// Nothing is lost before the bound. After it, what goes is counted, and no growth is among it. Memory stays.
#[test]
fn unreachable_beyond_the_bound_less_is_made_of_what_waits() {
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    let proxy = Proxy::start(vhost.rabbit().port()).unwrap();
    proxy.refuse();
    let guests = "sim://?domains=68&seed=1&calm=true&disks=1&nics=2";
    let config = format!("{GROWTH}\nspool: {{path: spool, max_size: 1MiB}}");
    let folder = publishing_of(guests, &vhost.url_at(proxy.port()), "", &config);
    // Two slots fit into a segment.
    folder.poll(&["network.incoming.bytes", "cpu"]);
    let daemon = folder.start("run");
    until_said(&daemon, LOST, 1);
    until_measured(&folder, 8);
    let books = || account(&folder.path("spool"), "notifier");
    assert_eq!(books().lost().counts.samples(), 0, "before the bound");
    let before = daemon.memory();
    until("the bound", || (books().lost().counts.samples() > 500).then_some(()));
    let after = daemon.memory();
    proxy.heal().unwrap();
    until_said(&daemon, CONNECTED, 1);
    let log = daemon.end();

    let arrived = Arrived::of(&vhost.drain(QUEUE).unwrap());
    let measured = folder.samples("samples");
    arrived.is_part(&measured);
    let (held, lost) = balance(&folder.path("spool"), &measured, &arrived);
    assert_eq!((held, arrived.samples.len() as u64 + lost), (0, measured.len() as u64));
    let causes: Vec<Cause> = books().dropped.into_keys().collect();
    assert_eq!(causes, [Cause::Thinned]);
    let growth = grown(&measured);
    assert!(!growth.is_empty());
    assert_eq!(grown(&arrived.samples), growth);
    assert_eq!((said(&log, LOST), said(&log, CONNECTED)), (1, 1), "{log}");
    for once in ["Not all that waits in the spool can stay", "All that is left of what waited was delivered."] {
        assert_eq!(said(&log, once), 1, "{log}");
    }
    assert!(after < before + (32 << 20), "{before} bytes became {after}");
    println!("{} samples, {lost} lost, {before} bytes of memory became {after}", measured.len());
}

/// Several times what the spool holds, in records of which two do not fit into a segment, of two starts of the daemon:
/// they are joined, and no growth is lost.
#[test]
fn unreachable_for_much_longer_no_growth_is_lost() {
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    let proxy = Proxy::start(vhost.rabbit().port()).unwrap();
    proxy.refuse();
    let guests = "sim://?domains=300&seed=1&calm=true&disks=1&nics=2";
    let config = format!("{GROWTH}\nspool: {{path: spool, max_size: 1MiB}}");
    let folder = publishing_of(guests, &vhost.url_at(proxy.port()), "", &config);
    folder.poll(&["network.incoming.bytes", "cpu"]);
    let books = || account(&folder.path("spool"), "notifier");
    let until_kept = |records: u64| until("more slots", || (books().appended.records >= records).then_some(()));
    let daemon = folder.start("run");
    until_said(&daemon, LOST, 1);
    until("the first loss", || (books().lost().records > 0).then_some(()));
    let bound = books().held.records;
    until_kept(2 * bound);
    daemon.kill();
    let daemon = folder.start("run");
    until_kept(4 * bound);
    assert!(books().held.records < 2 * bound);
    proxy.heal().unwrap();
    until_said(&daemon, CONNECTED, 1);
    daemon.end();

    let arrived = Arrived::of(&vhost.drain(QUEUE).unwrap());
    let measured = samples_of_killed(&folder.read("samples"), 1);
    arrived.is_part(&measured);
    let (held, lost) = balance(&folder.path("spool"), &measured, &arrived);
    assert_eq!((held, arrived.samples.len() as u64 + lost), (0, measured.len() as u64));
    assert_eq!(books().dropped.into_keys().collect::<Vec<_>>(), [Cause::Thinned]);
    assert_eq!(grown(&arrived.samples), grown(&measured));
    println!("{bound} records are the bound; of {} samples {lost} were lost", measured.len());
}
