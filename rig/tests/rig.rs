//! The rig at work, with real guests.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use wasmeter_rig::{Failed, Guest, Libvirtd, Metadata, Nic, Nova, or_say};

/// For what ends by itself.
const SOON: Duration = Duration::from_secs(30);
/// For what is to hang.
const HANGS: Duration = Duration::from_secs(3);
/// Where the rig that is killed tells what it has.
const TOLD_IN: &str = "RIG_TOLD_IN";

fn three() -> Vec<Guest> {
    let nics = [Nic::plain(), Nic::filtered("clean-traffic", &[("IP", "10.0.0.7")])];
    (1..=3).map(|number| Guest::new(number).disks(2).cdroms(1).nics(&nics).vcpus(&[true, false, true])).collect()
}

fn processes(libvirtd: &Libvirtd) -> Vec<PathBuf> {
    let pids = libvirtd.qemu_pids().into_values().chain(libvirtd.pid());
    pids.map(|pid| Path::new("/proc").join(pid.to_string())).collect()
}

fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn guests_have_what_was_asked_for() {
    let Some(libvirtd) = or_say(Libvirtd::start()) else { return };
    libvirtd.boot(&three()).unwrap();
    let stats = libvirtd.virsh(&["domstats", "instance-00000002"]).unwrap();
    for expected in [
        "state.state=3",
        "vcpu.current=2",
        "vcpu.maximum=3",
        "vcpu.0.state=",
        "vcpu.2.state=",
        "net.count=2",
        "net.1.name=tap2-1",
        "net.1.rx.bytes=",
        "block.count=3",
        "block.1.name=vdb",
        "block.1.capacity=1073741824",
        "block.2.name=hda",
        "cpu.time=",
        "balloon.rss=",
    ] {
        assert!(stats.contains(expected), "{expected} in {stats}");
    }
    assert!(!stats.contains("vcpu.1.state"), "{stats}");
    let definition = libvirtd.virsh(&["dumpxml", "instance-00000002"]).unwrap();
    for expected in ["clean-traffic", "10.0.0.7", "<stats period='10'/>", "nova/1.1"] {
        assert!(definition.contains(expected), "{expected} in {definition}");
    }
}

#[test]
fn guests_run_and_end() {
    let Some(libvirtd) = or_say(Libvirtd::start()) else { return };
    let odd = "<a:a xmlns:a='urn:a'>some</a:a>";
    let other = Guest::new(2).named("it's <odd> & \"quoted\"").metadata(Metadata::Raw(odd.into())).balloon_period(None);
    libvirtd.boot_running(&[Guest::new(1), other.clone()]).unwrap();
    libvirtd.define(&Guest::new(3)).unwrap();
    let running = libvirtd.virsh(&["list", "--name", "--state-running"]).unwrap();
    assert_eq!(running.split('\n').filter(|line| !line.is_empty()).count(), 2, "{running}");
    assert!(running.contains(other.name()), "{running}");
    assert!(libvirtd.virsh(&["dumpxml", &other.uuid()]).unwrap().contains("urn:a"));
    assert!(libvirtd.virsh(&["list", "--name", "--inactive"]).unwrap().contains("instance-00000003"));

    assert_eq!(libvirtd.qemu_pids().len(), 2);
    soon("guests use CPU time", || libvirtd.cpu_time().qemus > Duration::ZERO);
    assert!(libvirtd.cpu_time().libvirtd > Duration::ZERO);
    libvirtd.destroy("instance-00000001").unwrap();
    assert_eq!(libvirtd.qemu_pids().into_keys().collect::<Vec<_>>(), [other.name()]);
    assert!(matches!(libvirtd.destroy("instance-00000001"), Err(Failed::Virsh { .. })));
    assert!(matches!(libvirtd.freeze("instance-00000001"), Err(Failed::NoGuest(_))));
    // One command of several that fails is a failure.
    assert!(libvirtd.virsh(&["destroy nobody; list"]).is_err());
}

#[test]
fn a_frozen_guest_holds_up_who_asks() {
    let Some(libvirtd) = or_say(Libvirtd::start()) else { return };
    libvirtd.boot(&three()).unwrap();
    libvirtd.freeze("instance-00000001").unwrap();
    let hung = libvirtd.virsh_within(HANGS, &["domstats", "--nowait"]);
    assert!(matches!(hung, Err(Failed::TooLong { .. })), "{hung:?}");
    // The one who waits has the guest, so others do not.
    assert!(libvirtd.virsh_within(SOON, &["domstats", "--nowait"]).unwrap().contains("instance-00000001"));
    libvirtd.thaw("instance-00000001").unwrap();
    let whole = || libvirtd.virsh_within(SOON, &["domstats", "--block", "instance-00000001"]).unwrap();
    soon("statistics after thawing", || whole().contains("block.0.rd.reqs"));
}

#[test]
fn guests_outlive_libvirtd() {
    let Some(libvirtd) = or_say(Libvirtd::start()) else { return };
    libvirtd.boot(&three()).unwrap();
    let guests = libvirtd.qemu_pids();
    assert_eq!(guests.len(), 3);
    for end in [Libvirtd::kill, Libvirtd::stop] {
        let before = libvirtd.pid().unwrap();
        assert!(matches!(libvirtd.start_again(), Err(Failed::Runs)));
        end(&libvirtd).unwrap();
        assert_eq!(libvirtd.pid(), None);
        assert!(libvirtd.virsh(&["list"]).is_err());
        libvirtd.start_again().unwrap();
        assert_ne!(libvirtd.pid().unwrap(), before);
        assert_eq!(libvirtd.qemu_pids(), guests);
        let stats = libvirtd.virsh_within(SOON, &["domstats"]).unwrap();
        assert_eq!(stats.matches("state.state=3").count(), 3, "{stats}");
    }
}

#[test]
fn libvirtd_starts_again_beside_a_frozen_guest() {
    let Some(libvirtd) = or_say(Libvirtd::start()) else { return };
    libvirtd.boot(&three()).unwrap();
    libvirtd.freeze("instance-00000001").unwrap();
    let hung = libvirtd.virsh_within(HANGS, &["domstats", "--nowait"]);
    assert!(matches!(hung, Err(Failed::TooLong { .. })), "{hung:?}");
    libvirtd.kill().unwrap();
    libvirtd.start_again().unwrap();
    assert_eq!(libvirtd.qemu_pids().len(), 3);
    let stats = libvirtd.virsh_within(SOON, &["domstats", "instance-00000002"]).unwrap();
    assert!(stats.contains("block.0.rd.reqs"), "{stats}");
}

#[test]
fn calls_are_counted() {
    let Some(libvirtd) = or_say(Libvirtd::options().line("max_client_requests = 7").count_calls().start()) else {
        return;
    };
    assert!(libvirtd.calls().is_empty());
    libvirtd.boot(&[Guest::new(1), Guest::new(2)]).unwrap();
    let calls = libvirtd.calls();
    assert_eq!((calls["DOMAIN_CREATE_WITH_FLAGS"], calls.get("CONNECT_GET_ALL_DOMAIN_STATS")), (2, None), "{calls:?}");
    libvirtd.forget_calls();
    libvirtd.virsh(&["domstats; domstats; dumpxml instance-00000001; list; domcontrol instance-00000002"]).unwrap();
    let calls = libvirtd.calls();
    for (name, count) in [
        ("CONNECT_GET_ALL_DOMAIN_STATS", 2),
        ("DOMAIN_GET_XML_DESC", 1),
        ("DOMAIN_GET_CONTROL_INFO", 1),
        ("CONNECT_LIST_ALL_DOMAINS", 1),
        ("DOMAIN_LOOKUP_BY_NAME", 2),
    ] {
        assert_eq!(calls.get(name), Some(&count), "{name} in {calls:?}");
    }
    libvirtd.kill().unwrap();
    libvirtd.start_again().unwrap();
    assert_eq!(libvirtd.calls()["CONNECT_GET_ALL_DOMAIN_STATS"], 2);
}

#[test]
fn definitions_change() {
    let Some(libvirtd) = or_say(Libvirtd::start()) else { return };
    let guest = Guest::new(1);
    libvirtd.boot(std::slice::from_ref(&guest)).unwrap();
    let name = guest.name();
    let disk = libvirtd.folder().join("disks/more.qcow2");
    fs::copy(libvirtd.folder().join("disks/1-vda.qcow2"), &disk).unwrap();
    let disk = disk.to_string_lossy();
    libvirtd.virsh(&["attach-disk", name, &disk, "vdb", "--subdriver", "qcow2", "--live"]).unwrap();
    assert!(libvirtd.virsh(&["domblklist", name]).unwrap().contains("vdb"));
    libvirtd.virsh(&["metadata", name, "urn:b", "--key", "b", "--set", "<b>more</b>"]).unwrap();
    assert!(libvirtd.virsh(&["dumpxml", name]).unwrap().contains("urn:b"));
    let renamed = Nova { display_name: Some("other".into()), ..Nova::default() };
    libvirtd.define(&guest.nova(renamed)).unwrap();
    assert!(libvirtd.virsh(&["dumpxml", "--inactive", "instance-00000001"]).unwrap().contains("other"));
}

#[test]
fn several_run_beside_each_other() {
    let Some(one) = or_say(Libvirtd::start()) else { return };
    let Some(other) = or_say(Libvirtd::start()) else { return };
    one.boot(&[Guest::new(1)]).unwrap();
    other.boot(&[Guest::new(1), Guest::new(2)]).unwrap();
    assert_eq!((one.qemu_pids().len(), other.qemu_pids().len()), (1, 2));
    drop(other);
    assert!(one.virsh(&["domstats"]).unwrap().contains("instance-00000001"));
}

#[test]
fn what_cannot_run_says_so() {
    let told_in = tempfile::NamedTempFile::new().unwrap();
    let mut test = Command::new(env::current_exe().unwrap());
    test.args(["--exact", "nothing_is_left"])
        .env("PATH", "/nowhere")
        .env("WASMETER_CANNOT_RUN", told_in.path())
        .env_remove("WASMETER_MUST_RUN")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    for _ in 0..2 {
        assert!(test.status().unwrap().success());
    }
    let told = fs::read_to_string(told_in.path()).unwrap();
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines.len(), 2, "{told}");
    for line in lines {
        assert!(line.starts_with("CANNOT RUN: nothing_is_left: there is no "), "{line}");
        assert!(line.contains("virsh") && line.contains("libvirt-clients"), "{line}");
    }
    assert!(!test.env("WASMETER_MUST_RUN", "1").status().unwrap().success());
}

#[test]
fn nothing_is_left() {
    let Some(libvirtd) = or_say(Libvirtd::start()) else { return };
    libvirtd.boot(&three()).unwrap();
    libvirtd.freeze_all().unwrap();
    let folder = libvirtd.folder().to_owned();
    let processes = processes(&libvirtd);
    assert_eq!(processes.len(), 4);
    drop(libvirtd);
    let left: Vec<_> = processes.iter().filter(|process| process.exists()).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!folder.exists());
    for file in ["/proc/self/mounts", "/proc/net/dev"] {
        let text = fs::read_to_string(file).unwrap();
        assert!(!text.contains("rig") && !text.contains("tap1-0"), "{text}");
    }
}

#[test]
fn nothing_is_left_of_a_killed_test() {
    let told_in = tempfile::NamedTempFile::new().unwrap();
    let mut test = Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "is_killed"])
        .env(TOLD_IN, told_in.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let told = || fs::read_to_string(told_in.path()).unwrap();
    let mut ended = false;
    soon("the other test", || {
        ended = test.try_wait().unwrap().is_some();
        ended || told().ends_with("\n\n")
    });
    if ended {
        // It said why.
        return;
    }
    test.kill().unwrap();
    test.wait().unwrap();
    let told = told();
    for left in told.lines().filter(|line| !line.is_empty()) {
        soon(left, || !Path::new(left).exists());
    }
}

#[test]
#[ignore = "it waits for nothing_is_left_of_a_killed_test to kill it"]
fn is_killed() {
    let Some(told_in) = env::var_os(TOLD_IN) else { return };
    let Some(libvirtd) = or_say(Libvirtd::start()) else { return };
    libvirtd.boot(&[Guest::new(1)]).unwrap();
    libvirtd.freeze_all().unwrap();
    let all = processes(&libvirtd).into_iter().chain([libvirtd.folder().to_owned()]);
    let told: String = all.map(|path| format!("{}\n", path.display())).collect();
    fs::write(told_in, told + "\n").unwrap();
    thread::sleep(Duration::from_secs(3600));
}
