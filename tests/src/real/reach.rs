//! Hosts are reached in all the ways that libvirt knows.

use std::os::unix::fs::PermissionsExt;

use wasmeter_rig::{Libvirtd, or_say};

use super::{fleet, metering};
use crate::support::program::{Folder, of_meter, run, samples_in};

/// Carries what one side says to the other, as a connection to another machine would.
const BRIDGE: &str = "#!/usr/bin/perl
use IO::Socket::UNIX; use IO::Select;
my $host = IO::Socket::UNIX->new('SOCKET') or die;
my %to = (fileno(STDIN) => $host, fileno($host) => \\*STDOUT);
my $both = IO::Select->new(\\*STDIN, $host);
while (my @some = $both->can_read) {
    for my $from (@some) { sysread($from, my $words, 65536) or exit; syswrite($to{fileno($from)}, $words); }
}
";

#[test]
fn a_remote_libvirtd_is_like_a_local_one() {
    let Some(libvirtd) = or_say(Libvirtd::start()) else { return };
    libvirtd.boot(&fleet(2)).unwrap();
    let local = metering(&libvirtd, "");
    let (_, socket) = libvirtd.uri().split_once("socket=").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let bridge = local.path("bridge");
    local.write("bridge", BRIDGE.replace("SOCKET", &socket));
    std::fs::set_permissions(&bridge, std::fs::Permissions::from_mode(0o755)).unwrap();
    let remote = Folder::measuring(&format!("'qemu+ext:///system?command={}'", bridge.display()), "");
    let samples = [&local, &remote].map(|folder| samples_in(&folder.run("once --format json").is(0).stdout));
    for meter in ["power.state", "network.incoming.bytes", "disk.device.capacity"] {
        let [here, there] = [&samples[0], &samples[1]].map(|samples| {
            let of = of_meter(samples, meter);
            of.iter()
                .map(|sample| (sample["resource_id"].clone(), sample["counter_volume"].clone()))
                .collect::<Vec<_>>()
        });
        assert_eq!(here.len(), 2, "{meter}");
        assert_eq!(here, there, "{meter}");
    }
}

/// An operator's first look at a node.
#[test]
fn what_is_wrong_with_a_connection_is_said_with_a_remedy() {
    let nowhere = "qemu+unix:///system?socket=/nowhere/libvirt-sock-ro";
    for (uri, words) in [
        (nowhere, "is libvirtd or virtqemud running, and its read-only socket enabled?"),
        ("qemu+pigeon:///system", "write one such as qemu:///system"),
    ] {
        let ran = run(&format!("check --hypervisor {uri}"));
        assert!(ran.stdout.contains(words), "{uri}: {} {}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains("not ready to run"), "{}", ran.stdout);
    }
}

#[test]
fn check_and_once_show_a_node() {
    let Some(libvirtd) = or_say(Libvirtd::start()) else { return };
    let guests = [fleet(2), vec![wasmeter_rig::Guest::new(3).metadata(wasmeter_rig::Metadata::None)]].concat();
    libvirtd.boot_running(&guests[..1]).unwrap();
    libvirtd.boot(&guests[1..]).unwrap();
    let folder = metering(&libvirtd, "");
    let checked = folder.run("check").is(0);
    // Its firmware has no balloon driver.
    for words in ["1 of 1 running guests give no balloon statistics", "guests      3, of which 1 are not metered"] {
        assert!(checked.stdout.contains(words), "{}", checked.stdout);
    }
    let table = folder.run("once").is(0).stdout;
    for name in ["vm-1", "vm-2", " 2 guests, "] {
        assert!(table.contains(name), "{table}");
    }
}
