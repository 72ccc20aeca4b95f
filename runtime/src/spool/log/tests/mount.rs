//! File systems that are full and read-only, mounted for the test alone.
//!
//! Each of these tests starts itself once more in a mount namespace of its own, so that nothing of it is left behind,
//! whatever happens. That needs the right to do so: root, or user namespaces.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::super::*;

/// Tells a test that it is in its own namespace.
const INSIDE: &str = "WASMETER_SPOOL_NAMESPACE";
const LIMITS: Limits =
    Limits { bytes: 4 << 20, age: Duration::from_secs(86_400), segment_bytes: 16 << 10, sync: SyncPolicy::OnSync };

/// Runs this test in a namespace of its own; true if it is there already.
fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let name = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    let unshare = |options: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(options).env(INSIDE, "1");
        command
    };
    let plain: &[&str] = &["--mount"];
    let mapped: &[&str] = &["--mount", "--user", "--map-root-user"];
    let works = |options: &&[&str]| unshare(options).arg("true").output().is_ok_and(|output| output.status.success());
    let Some(options) = [plain, mapped].into_iter().find(works) else {
        let tried = unshare(plain).arg("true").output();
        panic!("this test mounts a file system in a namespace of its own, as root or with user namespaces: {tried:?}");
    };
    let output = unshare(options)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", &name])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    false
}

fn mount(options: &str, folder: &Path) {
    let output = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder).output().unwrap();
    assert!(output.status.success(), "cannot mount a tmpfs: {}", String::from_utf8_lossy(&output.stderr));
}

fn open(folder: &Path) -> Result<(Store, Recovery), Error> {
    Store::open(Dir::open_ambient_dir(folder, ambient_authority()).unwrap(), LIMITS, 0)
}

fn counts(number: u64) -> Counts {
    Counts::from_iter([(Key::new("cpu").unwrap(), number)])
}

#[test]
fn a_disk_that_is_full() {
    if !inside("a_disk_that_is_full") {
        return;
    }
    let folder = tempfile::TempDir::new().unwrap();
    mount("size=256k,nr_inodes=64", folder.path());
    let (mut store, _) = open(folder.path()).unwrap();
    store.add_cursor("a", Start::Beginning).unwrap();
    store.settle(0).unwrap();
    // The ledger takes half of it; the rest fills up, and from then on the oldest goes.
    for number in 1..=100_u64 {
        store.append(&vec![number as u8; 4000], counts(1), number as i64).unwrap();
        store.sync().unwrap();
    }
    let full = store.account("a").unwrap();
    assert!(full.balances());
    assert!(full.dropped[&Cause::FullDisk].records > 50, "{full:#?}");
    assert!(full.held.records > 10);

    // Somebody else takes what room there is, and what does not fit even without all the others takes none of them.
    let hog = folder.path().join("hog");
    let filling = std::fs::write(&hog, vec![0; 256 << 10]);
    assert_eq!(filling.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    for number in 0..20_u8 {
        let failed = store.append(&[number; 200_000], counts(1), 200).unwrap_err();
        assert!(failed.is_full(), "{failed}");
    }
    assert_eq!(store.account("a").unwrap(), full);
    std::fs::remove_file(&hog).unwrap();
    store.append(&[1; 4000], counts(1), 300).unwrap();
    store.sync().unwrap();
    store.settle(300).unwrap();
    assert!(store.account("a").unwrap().balances());

    drop(store);
    let (mut store, recovery) = open(folder.path()).unwrap();
    assert!(recovery.damaged.is_empty());
    let mut last = None;
    while let Some(record) = store.next("a").unwrap() {
        assert!(last < Some(record.sequence));
        last = Some(record.sequence);
    }
    assert_eq!(last.map(|last| last.0 + 1), Some(store.next_sequence().0));
    assert!(store.account("a").unwrap().balances());
}

/// While a store is open the kernel refuses to make its disk read-only, unless that has an error: what happens then is
/// tested with a disk in memory.
#[test]
fn a_disk_that_is_read_only_for_a_while() {
    if !inside("a_disk_that_is_read_only_for_a_while") {
        return;
    }
    let folder = tempfile::TempDir::new().unwrap();
    mount("size=4m", folder.path());
    let remount = |mode: &str| {
        let output =
            Command::new("mount").args(["-o", &format!("remount,{mode}")]).arg(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let (mut store, _) = open(folder.path()).unwrap();
    store.add_cursor("a", Start::Beginning).unwrap();
    for number in 1..=20_u64 {
        store.append(&[number as u8; 2000], counts(1), 0).unwrap();
    }
    store.sync().unwrap();
    store.settle(0).unwrap();
    drop(store);

    remount("ro");
    let refused = open(folder.path()).map(drop).unwrap_err();
    assert!(refused.is_read_only(), "{refused}");
    assert!(matches!(refused, Error::NotWritable { .. }), "{refused:?}");
    let look = Store::look(Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap()).unwrap();
    assert_eq!(look.records(Sequence(0)).count(), 20, "a look needs no right to write");

    remount("rw");
    let (mut store, recovery) = open(folder.path()).unwrap();
    assert_eq!((recovery.records, recovery.damaged_bytes), (20, 0));
    assert_eq!(store.append(&[9; 9000], counts(1), 0).unwrap().0, 21);
    store.sync().unwrap();
    assert_eq!(std::iter::from_fn(|| store.next("a").unwrap()).count(), 21);
}
