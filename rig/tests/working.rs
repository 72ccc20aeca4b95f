//! Guests that work, and what is known of their work.

use std::path::{Path, PathBuf};
use std::slice;
use std::time::{Duration, Instant};
use std::{fs, thread};

use wasmeter_rig::{CannotRun, Devices, Failed, Guest, Libvirtd, System, Work, or_say};

/// For what takes a second on a machine that has nothing else to do.
const SOON: Duration = Duration::from_secs(120);

/// What `cargo xtask setup` put below the target folder.
fn system() -> Result<System, CannotRun> {
    System::below(Path::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/..")))
}

fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// All of it, by name.
fn numbers(devices: &Devices) -> [(&'static str, u64); 8] {
    [
        ("read requests", devices.read_requests),
        ("read bytes", devices.read_bytes),
        ("write requests", devices.write_requests),
        ("written bytes", devices.written_bytes),
        ("incoming packets", devices.incoming_packets),
        ("incoming bytes", devices.incoming_bytes),
        ("outgoing packets", devices.outgoing_packets),
        ("outgoing bytes", devices.outgoing_bytes),
    ]
}

/// How often a guest told its own counters.
fn lines(libvirtd: &Libvirtd, guest: &Guest) -> usize {
    libvirtd.console(guest).matches("counted ").count()
}

/// What the guest's kernel counts, and what its host does.
#[test]
fn both_sides_count_the_same() {
    let Some(system) = or_say(system()) else { return };
    let Some(libvirtd) = or_say(Libvirtd::start()) else { return };
    let guest = Guest::working(1, &system, Work::default());
    libvirtd.boot_working(slice::from_ref(&guest)).unwrap();
    let before = libvirtd.truth(&guest).unwrap();
    // The next line may have been counted before that.
    let told = lines(&libvirtd, &guest);
    soon("two lines more", || lines(&libvirtd, &guest) > told + 2);
    let counted = libvirtd.counted(&guest).unwrap();
    let after = libvirtd.truth(&guest).unwrap();
    let all = [before.devices, counted, after.devices].map(|devices| numbers(&devices));
    for (((name, before), (_, counted)), (_, after)) in all[0].into_iter().zip(all[1]).zip(all[2]) {
        assert!(before < counted && counted <= after, "{name}: {before}, {counted} by the guest, {after}");
    }
    assert!(before.process < after.process);
    assert!(before.from < before.to && before.to < after.from);
    let (before, after) = (before.vcpus, after.vcpus);
    assert!(before.ran < after.ran && before.delayed <= after.delayed, "{before:?} {after:?}");
}

#[test]
fn guests_do_what_they_are_told() {
    let Some(system) = or_say(system()) else { return };
    let Some(libvirtd) = or_say(Libvirtd::start()) else { return };
    let busy = Guest::working(1, &system, Work { cpu: 50, read: 128, written: 16, ping: 500, pings: 20 });
    let lazy = Guest::working(0x0203, &system, Work { cpu: 0, read: 4, written: 8, ping: 100, pings: 5 });
    libvirtd.boot_working(&[busy.clone(), lazy.clone()]).unwrap();
    let did = |guest: &Guest| {
        let before = libvirtd.truth(guest).unwrap();
        let told = lines(&libvirtd, guest);
        soon("three lines more", || lines(&libvirtd, guest) > told + 3);
        (before, libvirtd.truth(guest).unwrap())
    };
    for (guest, read, written, packet) in [(&busy, 128, 16, 500), (&lazy, 4, 8, 100)] {
        let (before, after) = did(guest);
        let requests = after.devices.read_requests - before.devices.read_requests;
        assert_eq!(after.devices.read_bytes - before.devices.read_bytes, requests * (read << 10));
        let requests = after.devices.write_requests - before.devices.write_requests;
        assert_eq!(after.devices.written_bytes - before.devices.written_bytes, requests * (written << 10));
        // The headers of Ethernet, IP and ICMP are 42 bytes; few packets are others'.
        let packets = after.devices.outgoing_packets - before.devices.outgoing_packets;
        let bytes = after.devices.outgoing_bytes - before.devices.outgoing_bytes;
        assert!(packets > 0 && bytes <= packets * (packet + 42), "{bytes} of {packets}");
        assert!(bytes * 10 > packets * (packet + 42) * 5, "{bytes} of {packets}");
    }
    let used = |guest: &Guest| {
        let (before, after) = did(guest);
        (after.process - before.process).as_secs_f64() / after.from.duration_since(before.from).unwrap().as_secs_f64()
    };
    let (busy, lazy) = (used(&busy), used(&lazy));
    assert!(busy > lazy, "{busy} and {lazy} of a core");
}

#[test]
fn what_is_lacking_is_said() {
    let empty = tempfile::tempdir().unwrap();
    let Err(CannotRun::System(lacking)) = System::below(empty.path()) else { panic!("it is here") };
    assert_eq!(lacking, empty.path().join("guest/vmlinuz"));
    assert!(CannotRun::System(lacking).to_string().ends_with("run: cargo xtask setup"));
}

#[test]
fn one_that_does_not_work_says_nothing() {
    let Some(libvirtd) = or_say(Libvirtd::start()) else { return };
    let guest = Guest::new(1);
    assert!(matches!(libvirtd.truth(&guest), Err(Failed::NoGuest(_))));
    libvirtd.boot(slice::from_ref(&guest)).unwrap();
    assert!(matches!(libvirtd.truth(&guest), Err(Failed::Io { .. })));
    assert_eq!((libvirtd.console(&guest), libvirtd.counted(&guest)), (String::new(), None));
    let left: Vec<PathBuf> =
        fs::read_dir(libvirtd.folder().join("guests")).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(left.len(), 1, "{left:?}");
}
