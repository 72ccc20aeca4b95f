//! Nothing that libvirt hands out is left behind.

use std::process::Command;
use std::sync::Arc;

use uuid::Uuid;
use wasmeter::clock::{Clock, SystemClock};
use wasmeter::hypervisor::{self, Groups, Guests, KeySet, Request};
use wasmeter_rig::{Guest, Nic, or_say};

use super::Libvirtd;

/// Where the process that valgrind watches finds its host.
const HOST: &str = "WASMETER_TEST_LEAKS";
/// How valgrind ends if it finds something.
const FOUND: &str = "--error-exitcode=9";

/// Each kind of call a thousand times, over connections that come and go.
fn read(uri: &str) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let host = hypervisor::open(uri, &clock).unwrap();
    let groups = Groups::STATE | Groups::CPU_TOTAL | Groups::BALLOON | Groups::VCPU | Groups::INTERFACE | Groups::BLOCK;
    for round in 0..20 {
        let mut connection = host.connect().unwrap();
        for _ in 0..50 {
            let all = connection.read(&Request { groups, keys: KeySet::All, guests: Guests::All }).unwrap();
            let guests: Vec<Uuid> = all.iter().map(|record| record.guest).collect();
            assert_eq!(guests.len(), 2);
            assert_eq!(
                connection
                    .read(&Request { groups, keys: KeySet::All, guests: Guests::Only(guests.clone()) })
                    .unwrap()
                    .len(),
                2
            );
            assert!(connection.define(guests[round % 2]).unwrap().is_some());
            assert!(connection.define(Uuid::from_u128(1)).unwrap().is_none());
            connection.occupied(&guests).unwrap();
        }
        assert!(connection.doubts().unwrap().is_empty());
    }
}

#[test]
fn a_thousand_reads_leave_nothing_behind() {
    if let Ok(uri) = std::env::var(HOST) {
        return read(&uri);
    }
    let Some(libvirtd) = or_say(Libvirtd::start()) else { return };
    let guests: Vec<Guest> = (1..=2).map(|n| Guest::new(n).disks(2).nics(&[Nic::plain(), Nic::plain()])).collect();
    libvirtd.boot(&guests).unwrap();
    let output = Command::new("valgrind")
        .args(["--quiet", "--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite", FOUND])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "real::leaks::a_thousand_reads_leave_nothing_behind"])
        .env(HOST, libvirtd.uri())
        .output()
        .expect("valgrind runs: install the package `valgrind`");
    let (out, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{complaints}", output.status);
    assert!(out.contains("1 passed"), "{out}");
}
