//! What the store does on a real folder.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use cap_std::ambient_authority;
use tempfile::TempDir;

use super::super::*;
use super::disk::Disk;
use crate::config::ByteSize;
use crate::modules::deployment::VERSIONS;
use crate::modules::deployment::tests::{deployed, first, key, trial_passed, version};

pub fn dir(folder: &Path) -> Dir {
    Dir::open_ambient_dir(folder, ambient_authority()).unwrap()
}

/// Opens it; nothing may be odd.
pub fn open(folder: &Path) -> Store {
    let (store, oddities) = Store::open(dir(folder)).unwrap();
    assert_eq!(oddities, []);
    store
}

/// Deploys a module.
pub fn deploy(store: &mut Store, key: Key, module: &[u8]) -> Deployment {
    let next = match store.get(&key) {
        Some(now) => deployed(now, module),
        None => first(key, module),
    };
    let _held = store.put(module).unwrap();
    store.save(&next).unwrap();
    next
}

#[test]
fn what_was_deployed_is_there_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let one = deploy(&mut store, key("acme", "one"), b"first");
    deploy(&mut store, key("acme", "two"), b"second");
    deploy(&mut store, key("other", "one"), b"first");
    let one_on_trial = deploy(&mut store, one.key.clone(), b"third");
    assert!(matches!(Store::open(dir(folder.path())), Err(Error::Locked)));
    store.remove(&key("acme", "two")).unwrap();
    assert!(matches!(store.remove(&key("acme", "two")), Err(Error::NoDeployment(_))));
    drop(store);

    let mut store = open(folder.path());
    // With secrets, which are equal although nobody sees them.
    assert_eq!(store.get(&one.key), Some(&one_on_trial));
    assert_eq!(store.deployments().count(), 2);
    assert_eq!(store.of(&"other".parse().unwrap()).count(), 1);
    assert!(store.deployments().all(|deployment| store.serves(deployment)));
    assert_eq!(store.read(&Digest::of(b"third")).unwrap(), b"third");
    for file in ["deployments/acme@one.json", &format!("modules/{}.wasm", Digest::of(b"first"))] {
        assert_eq!(fs::metadata(folder.path().join(file)).unwrap().mode() & 0o777, 0o600, "{file}");
    }
}

#[test]
fn it_can_be_handed_to_another_thread() {
    fn sends<T: Send>() {}
    sends::<(Store, Pinned)>();
}

#[test]
fn modules_are_stored_once_and_mended() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    assert_eq!(store.put(b"x").unwrap().stored, Stored::New);
    assert_eq!(store.put(b"x").unwrap().stored, Stored::Known);
    let digest = Digest::of(b"x");
    fs::write(folder.path().join(format!("modules/{digest}.wasm")), "y").unwrap();
    let error = store.read(&digest).unwrap_err().to_string();
    let found = Digest::of(b"y");
    assert_eq!(
        error,
        format!(
            "modules/{digest}.wasm was changed: its content has the digest {found}; put a backup of it back, or deploy the \
             module of the digest {digest} once more, and find out who or what changed it"
        )
    );
    assert_eq!(store.put(b"x").unwrap().stored, Stored::Mended);
    assert_eq!(store.read(&digest).unwrap(), b"x");
    let missing = store.read(&found).unwrap_err().to_string();
    let remedy = "put a backup of it back, or deploy the module of this digest once more";
    assert_eq!(missing, format!("modules/{found}.wasm is missing: {remedy}"));
    let large = store.put(&vec![0; (16 << 20) + 1]).unwrap_err().to_string();
    let remedy = "make it smaller, or deploy two";
    assert_eq!(large, format!("the module has 16777217 bytes, and at most 16777216 are kept: {remedy}"));
}

#[test]
fn modules_go_when_nobody_needs_them() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let (one, two) = (key("acme", "one"), key("acme", "two"));
    deploy(&mut store, one.clone(), b"shared");
    deploy(&mut store, two.clone(), b"shared");
    deploy(&mut store, one.clone(), b"own");
    let held = store.put(b"held").unwrap();
    let held_too = store.put(b"held").unwrap();
    assert_eq!(store.collect().unwrap().modules, 0);
    store.remove(&one).unwrap();
    assert_eq!(store.collect().unwrap().modules, 1);
    assert!(matches!(store.read(&Digest::of(b"own")), Err(Error::Missing { .. })));
    // What is gone cannot be named any more.
    let gone = first(one, b"own");
    assert!(matches!(store.save(&gone), Err(Error::Missing { .. })));
    drop(held);
    assert_eq!(store.collect().unwrap().modules, 0);
    drop(held_too);
    store.remove(&two).unwrap();
    assert_eq!(store.collect().unwrap().modules, 2);
    assert_eq!(fs::read_dir(folder.path().join("modules")).unwrap().count(), 0);
}

#[test]
fn what_deployments_let_go_of_goes() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let one = key("acme", "one");
    for number in 0..VERSIONS {
        deploy(&mut store, one.clone(), format!("{number}").as_bytes());
    }
    let held = store.put(b"held").unwrap();
    assert_eq!(store.collect_let_go().unwrap().modules, 0);
    deploy(&mut store, one.clone(), b"one more");
    assert_eq!(store.collect_let_go().unwrap().modules, 1);
    // What was held is looked for again, and nothing as long as nobody lets go of anything.
    drop(held);
    assert_eq!(store.collect_let_go().unwrap().modules, 1);
    let unknown = store.put(b"unknown").unwrap();
    drop(unknown);
    assert_eq!(store.collect_let_go().unwrap().modules, 0);
    store.remove(&one).unwrap();
    assert_eq!(store.collect_let_go().unwrap().modules, VERSIONS + 1);
}

#[test]
fn a_tenant_has_room_for_what_its_quota_says() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let (one, acme) = (key("acme", "one"), "acme".parse().unwrap());
    let quota = Quota { deployments: 2, module_bytes: ByteSize::new(10) };
    deploy(&mut store, key("other", "one"), &[1; 100]);
    deploy(&mut store, one.clone(), b"123456");
    let two = first(key("acme", "two"), b"123456");
    // The same module counts once, in versions and in deployments, and others' do not count.
    assert_eq!(store.fit(two.clone(), &quota), Ok(two.clone()));
    deploy(&mut store, two.key.clone(), b"123456");
    assert_eq!(store.used(&acme), Used { deployments: 2, bytes: 6 });
    let three = first(key("acme", "three"), b"123456");
    assert_eq!(
        store.fit(three, &quota).unwrap_err().to_string(),
        "there is no room for this in acme: with it there would be 3 deployments, 2 are used, 0 are free, and 2 \
         is the limit"
    );
    let more = deployed(store.get(&one).unwrap(), b"12345");
    assert_eq!(
        store.fit(more.clone(), &quota).unwrap_err().to_string(),
        "there is no room for this in acme: with it there would be 11 bytes of modules, 6 are used, 4 are free, and 10 \
         is the limit"
    );
    // Under a limit that was lowered, what makes nothing larger goes on.
    let lowered = Quota { deployments: 1, module_bytes: ByteSize::new(5) };
    for next in [store.get(&one).unwrap().paused(1, "me").0, deployed(store.get(&one).unwrap(), b"123456")] {
        assert_eq!(store.fit(next.clone(), &lowered), Ok(next));
    }
    assert_eq!(store.fit(more, &lowered).unwrap_err().key, "module_bytes");
}

#[test]
fn versions_that_nobody_needs_leave_their_room() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let one = key("acme", "one");
    let quota = |bytes| Quota { deployments: 2, module_bytes: ByteSize::new(bytes) };
    // Version 1 is not needed, 2 is the next to go back to, and 3 runs.
    let mut runs = deploy(&mut store, one.clone(), b"1");
    for module in [b"22", b"33"] {
        runs = trial_passed(&deployed(&runs, module)).unwrap();
        store.put(module).unwrap();
        store.save(&runs).unwrap();
    }
    deploy(&mut store, key("acme", "two"), b"else");
    let next = deployed(&runs, b"55555");
    let kept = |bytes: u64| {
        let fitting = store.fit(next.clone(), &quota(bytes)).ok()?;
        fitting.check().unwrap();
        Some(fitting.versions.iter().map(|version| version.number).collect::<Vec<_>>())
    };
    for (bytes, numbers) in [
        (14, Some(vec![1, 2, 3, 4])),
        (13, Some(vec![2, 3, 4])),
        (12, Some(vec![3, 4])),
        (11, Some(vec![3, 4])),
        (10, None),
    ] {
        assert_eq!(kept(bytes), numbers, "{bytes}");
    }
    // What makes nothing larger costs no version.
    assert_eq!(store.fit(runs.paused(1, "me").0, &quota(5)).unwrap().versions, runs.versions);
}

#[test]
fn what_breaks_a_rule_is_not_saved() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let mut wrong = deploy(&mut store, key("acme", "one"), b"1");
    Arc::make_mut(&mut wrong.versions[0]).number = 7;
    let error = store.save(&wrong).unwrap_err().to_string();
    assert_eq!(error, "the deployment acme/one cannot be kept: it has no version 1, which is to run");
    let mut long = version(b"1");
    long.grants.http = vec!["x".repeat(4_096); 1_000];
    long.meters = long.grants.http.clone();
    let (long, _) = store.get(&wrong.key).unwrap().deployed(long).unwrap();
    let error = store.save(&long).unwrap_err().to_string();
    assert!(error.ends_with("shorten its configuration and grants, or remove it and deploy it anew"), "{error}");
    drop(store);
    assert_eq!(open(folder.path()).get(&wrong.key).unwrap().versions.len(), 1);
}

#[test]
fn a_node_keeps_so_many_deployments() {
    let (mut store, _) = Store::open_on(Disk::new(1)).unwrap();
    let _held = store.put(b"1").unwrap();
    for number in 0..DEPLOYMENTS {
        store.save(&first(key(&format!("t{number}"), "n"), b"1")).unwrap();
    }
    let more = first(key("more", "n"), b"1");
    let error = store.save(&more).unwrap_err().to_string();
    assert_eq!(error, "there are 10000 deployments, which is as many as one node keeps: remove one");
    store.save(&store.get(&key("t7", "n")).unwrap().paused(1, "me").0).unwrap();
}

/// A disk that takes a new name and cannot make it durable: what was refused is not in force after a crash, or else it is
/// said that this is not known.
#[test]
fn what_could_not_be_made_durable_is_put_back() {
    for (lasts, known) in [(1, true), (2, false)] {
        let disk = Disk::new(1);
        let (mut store, _) = Store::open_on(disk.clone()).unwrap();
        let first = first(key("t", "n"), b"one");
        let _held = (store.put(b"one").unwrap(), store.put(b"two").unwrap());
        store.save(&first).unwrap();
        // Written, renamed, and not synced.
        disk.fail(2, lasts);
        let error = store.save(&deployed(&first, b"two")).unwrap_err();
        assert_eq!(matches!(error, Error::Io { step: Step::Sync, .. }), known, "{error}");
        assert_eq!(matches!(error, Error::Unsettled { .. }), !known, "{error}");
        assert_eq!(store.is_settled(), known);
        disk.fail(1, lasts);
        assert!(store.remove(&first.key).is_err());
        disk.heal();
        store.settle().unwrap();
        assert!(store.is_settled());
        drop((store, _held));
        disk.crash();
        let (store, _) = Store::open_on(disk).unwrap();
        assert_eq!(store.get(&first.key), Some(&first));
    }
}
