//! The spool's disk: full, read-only, damaged.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use wasmeter::spool::checkpoint;
use wasmeter::spool::log::{Account, Store};
use wasmeter_rig::{Proxy, Rabbit, or_say};

use super::killed::{VERBOSE, grew_as_counted, reported};
use super::{
    Arrived, CONNECTED, GROWTH, LOST, QUEUE, account, publishing_of, said, samples_of_killed, until_measured,
    until_said,
};
use crate::support::Random;
use crate::support::disk::{Disk, Frozen};
use crate::support::program::until;

const GUESTS: &str = "sim://?domains=40&seed=1&calm=true&disks=1&nics=2";
/// Whoever asks is answered within this, whatever the disk does, on a busy machine.
const ANSWER: Duration = Duration::from_secs(10);
const UNKEPT: &str = "The spool cannot keep samples";

/// The samples that a daemon said it measured, when it ended.
fn measured_in_all(log: &str) -> u64 {
    let done = log.lines().rfind(|line| line.contains("Done.")).unwrap();
    let samples = done.split_once(" samples=").unwrap().1.split_once(' ').unwrap().0;
    samples.parse().unwrap()
}

/// Samples that the spool could not take.
fn missed(spool: &Path, output: &str) -> u64 {
    let dir = Dir::open_ambient_dir(spool, ambient_authority()).unwrap();
    checkpoint::read(&dir).missed.of(output).map(|(.., samples)| samples).sum()
}

/// All that is said to be delivered came. More may have come: what was on its way when it had to go counts as lost.
fn is_delivered(came: usize, books: &Account) {
    let (delivered, lost) = (books.acknowledged.counts.samples(), books.lost().counts.samples());
    assert!((delivered..=delivered + lost).contains(&(came as u64)), "{came} came: {books:?}");
}

/// RabbitMQ is unreachable, and somebody else fills the disk; the daemon starts anew while it is full.
#[test]
fn on_a_full_disk_the_oldest_goes_and_is_counted() {
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    let proxy = Proxy::start(vhost.rabbit().port()).unwrap();
    proxy.refuse();
    let config = format!("{GROWTH}\nspool: {{path: disk/spool, max_size: 4MiB}}");
    let folder = publishing_of(GUESTS, &vhost.url_at(proxy.port()), "", &config);
    let Some(disk) = or_say(Disk::in_memory(&folder, 3 << 20)) else { return };
    let daemon = disk.start(&folder, VERBOSE);
    until_said(&daemon, LOST, 1);
    until_measured(&folder, 4);
    // Whatever the daemon gives up is taken by somebody else.
    until("no room", || {
        disk.does("cat /dev/zero >> disk/others 2>&-; true");
        daemon.log().contains(UNKEPT).then_some(())
    });
    let slots = said(&daemon.log(), "Kept.");
    fs::remove_file(disk.path("spool").join("../others")).unwrap();
    daemon.logs("The spool keeps samples again.");
    until_said(&daemon, "Kept.", slots + 2);
    proxy.heal().unwrap();
    until_said(&daemon, CONNECTED, 1);
    let log = daemon.end();
    assert_eq!((said(&log, UNKEPT), said(&log, "The spool keeps samples again.")), (1, 1), "{log}");

    let arrived = Arrived::of(&vhost.drain(QUEUE).unwrap());
    let written = folder.samples("samples");
    arrived.is_part(&written);
    for output in ["notifier", "file:samples"] {
        let books = account(&disk.path("spool"), output);
        assert!(books.balances() && books.held.records == 0, "{books:?}");
        let missed = missed(&disk.path("spool"), output);
        assert_eq!(books.appended.counts.samples() + missed, measured_in_all(&log), "{output}: {missed} {books:?}");
        let came = if output == "notifier" { &arrived.samples } else { &written };
        is_delivered(came.len(), &books);
        println!("{output}: {} came, {} lost, {missed} missed", came.len(), books.lost().counts.samples());
    }
    // What was not kept was not counted either.
    grew_as_counted(&written);
}

/// One that is full when the daemon starts is one that has room later.
#[test]
fn started_on_a_full_disk_it_delivers_what_it_has() {
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    let proxy = Proxy::start(vhost.rabbit().port()).unwrap();
    proxy.refuse();
    let config = "spool: {path: disk/spool, max_size: 4MiB}";
    let folder = publishing_of(GUESTS, &vhost.url_at(proxy.port()), "", config);
    let Some(disk) = or_say(Disk::in_memory(&folder, 3 << 20)) else { return };
    let daemon = disk.start(&folder, VERBOSE);
    until_said(&daemon, "Kept.", 3);
    let kept = reported(&daemon.kill()).unwrap();
    disk.does("cat /dev/zero >> disk/others 2>&-; true");
    proxy.heal().unwrap();
    let daemon = disk.start(&folder, VERBOSE);
    until_said(&daemon, CONNECTED, 1);
    until("what it had", || vhost.queue_length(QUEUE).is_ok_and(|messages| messages > 0).then_some(()));
    fs::remove_file(disk.path("spool").join("../others")).unwrap();
    until_said(&daemon, "Kept.", 2);
    daemon.end();
    let arrived = Arrived::of(&vhost.drain(QUEUE).unwrap());
    arrived.is_part(&samples_of_killed(&folder.read("samples"), 1));
    let books = account(&disk.path("spool"), "notifier");
    assert!(books.balances() && books.held.records == 0, "{books:?}");
    is_delivered(arrived.samples.len(), &books);
    assert!(books.appended.records > kept, "{books:?}");
}

/// As the kernel makes a disk that fails. What was kept before that arrives, and is delivered at once.
#[test]
fn a_disk_that_becomes_read_only_costs_only_what_comes_after() {
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    let config = format!("{GROWTH}\nspool: {{path: disk/spool}}");
    let folder = publishing_of(GUESTS, &vhost.url(), "", &config);
    let Some(disk) = or_say(Disk::in_a_file(&folder)) else { return };
    let daemon = disk.start(&folder, VERBOSE);
    until_said(&daemon, "Kept.", 3);
    // Some systems give this an exit code.
    disk.does("mount -o remount,abort disk");
    until_said(&daemon, UNKEPT, 1);
    let log = daemon.kill();
    let kept = reported(&log).unwrap();
    assert_eq!(said(&log, UNKEPT), 1, "{log}");

    let repair = "umount disk && (PATH=$PATH:/usr/sbin:/sbin e2fsck -fy image >&2; mount -o loop,ro image disk)";
    assert!(disk.does(repair));
    let refused = disk.enter("exec \"$wasmeter\" run -c wasmeter.yaml");
    let output = Command::new("sh").args(["-c", &refused]).env("wasmeter", crate::support::daemon()).output().unwrap();
    let said_there = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said_there.contains("Read-only"), "{said_there}");

    assert!(disk.does("umount disk && mount -o loop image disk"));
    let daemon = disk.start(&folder, VERBOSE);
    until_said(&daemon, "Kept.", 2);
    daemon.end();
    let arrived = Arrived::of(&vhost.drain(QUEUE).unwrap());
    let measured = samples_of_killed(&folder.read("samples"), 1);
    arrived.is_all(&measured);
    grew_as_counted(&measured);
    let books = account(&disk.path("spool"), "notifier");
    assert!(books.balances() && books.acknowledged == books.appended, "{books:?}");
    assert!(books.appended.records > kept && arrived.times().len() as u64 == books.appended.records, "{books:?}");
}

/// Nothing that is written to the disk comes back for seconds. Whoever asks is answered meanwhile, and told; then all
/// goes on as if nothing had been.
#[test]
fn a_disk_that_hangs_keeps_nobody_from_asking() {
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    let config = format!("{GROWTH}\nspool: {{path: disk/spool}}\ncontrol: {{socket: socket}}");
    let folder = publishing_of(GUESTS, &vhost.url(), "", &config);
    let Some(disk) = or_say(Disk::in_a_file(&folder)) else { return };
    let daemon = disk.start(&folder, VERBOSE);
    until_said(&daemon, "Kept.", 3);
    let frozen = Frozen::new(&disk);
    let trouble = until("trouble", || {
        let asked = Instant::now();
        let status = folder.run("status --json").is(0).json();
        assert!(asked.elapsed() < ANSWER, "{:?}", asked.elapsed());
        let troubles = status["troubles"].as_array().unwrap();
        troubles.iter().find(|trouble| trouble.as_str().unwrap().contains("disk has not answered")).cloned()
    });
    folder.run("losses").is(0).says("notifier");
    drop(frozen);
    let kept = said(&daemon.log(), "Kept.");
    until_said(&daemon, "Kept.", kept + 3);
    until("no trouble", || folder.run("status").stdout.contains("all is well").then_some(()));
    daemon.end();
    let arrived = Arrived::of(&vhost.drain(QUEUE).unwrap());
    let measured = folder.samples("samples");
    arrived.is_all(&measured);
    grew_as_counted(&measured);
    let books = account(&disk.path("spool"), "notifier");
    assert!(books.balances() && books.acknowledged == books.appended, "{books:?}");
    println!("{trouble}");
}

/// Flips three bits, but not in the last record of all: if that is not whole, nothing tells it
/// from one that was never written to its end.
fn flip_bits(spool: &Path, random: &mut Random) {
    let look = Store::look(Dir::open_ambient_dir(spool, ambient_authority()).unwrap()).unwrap();
    let last = look.heads().last().unwrap().0.0;
    let mut segments: Vec<PathBuf> = fs::read_dir(spool).unwrap().map(|entry| entry.unwrap().path()).collect();
    // One that begins with the last record has no other.
    segments.retain(|path| path.extension().is_some_and(|end| end == "segment"));
    segments.retain(|path| path.file_stem().unwrap().to_str().unwrap().parse::<u64>().unwrap() < last);
    for _ in 0..3 {
        let path = &segments[random.below(segments.len() as u64) as usize];
        let mut bytes = fs::read(path).unwrap();
        let place = random.below(bytes.len() as u64 / 2) as usize;
        bytes[place] ^= 1 << random.below(8);
        fs::write(path, bytes).unwrap();
    }
}

/// Flipped bits cost the records that they are in, and those are counted.
#[test]
fn damaged_records_are_counted_and_cost_no_others() {
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    let proxy = Proxy::start(vhost.rabbit().port()).unwrap();
    proxy.refuse();
    let folder = publishing_of(GUESTS, &vhost.url_at(proxy.port()), "", "spool: {path: spool, max_size: 2MiB}");
    let mut random = Random(11);
    let mut logs = String::new();
    for _ in 0..2 {
        let daemon = folder.start_by_shell(VERBOSE);
        until_said(&daemon, LOST, 1);
        until_said(&daemon, "Kept.", 6);
        logs += &daemon.kill();
        flip_bits(&folder.path("spool"), &mut random);
    }
    let daemon = folder.start_by_shell(VERBOSE);
    proxy.heal().unwrap();
    until_said(&daemon, CONNECTED, 1);
    until_said(&daemon, "Kept.", 1);
    logs += &daemon.end();
    let arrived = Arrived::of(&vhost.drain(QUEUE).unwrap());
    let measured = samples_of_killed(&folder.read("samples"), 2);
    arrived.is_part(&measured);
    let books = account(&folder.path("spool"), "notifier");
    assert!(books.balances() && books.held.records == 0, "{books:?}");
    let (delivered, lost) = (books.acknowledged.counts.samples(), books.lost().counts.samples());
    assert_eq!((arrived.samples.len() as u64, delivered + lost), (delivered, measured.len() as u64), "{books:?}");
    assert!((1..=6).contains(&books.lost().records), "{books:?}");
    // Either when it started, or when it read them.
    assert!(said(&logs, "damaged on the disk") > 0, "{logs}");
    println!("{} records, {} lost, {lost} samples of {}", books.appended.records, books.lost().records, measured.len());
}
