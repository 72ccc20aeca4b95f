//! Files that are damaged, missing, of others, or no files.

use std::fs;
use std::os::unix::fs::symlink;

use proptest::collection::vec;
use proptest::prelude::*;
use rustix::fs::{CWD, FileType, mknodat};
use tempfile::TempDir;

use super::super::record::{Found, decode, encode};
use super::super::*;
use super::cases::{deploy, dir, open};
use crate::modules::deployment::tests::{deployed, first, key, trial_passed};

fn texts(oddities: &[Oddity]) -> Vec<String> {
    oddities.iter().map(ToString::to_string).collect()
}

#[test]
fn no_damaged_bit_is_taken_for_a_deployment() {
    let deployment = first(key("acme", "one"), b"1");
    let bytes = encode(&deployment).unwrap();
    assert!(matches!(decode(&bytes), Found::Deployment(found) if *found == deployment));
    for place in 0..bytes.len() {
        assert!(matches!(decode(&bytes[..place]), Found::Damaged(_)), "cut at {place}");
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1 << bit;
            // A digit of the head's JSON that became a space, and the like, is the same.
            let same = matches!(decode(&flipped), Found::Deployment(found) if *found == deployment);
            assert!(same || matches!(decode(&flipped), Found::Damaged(_)), "bit {bit} of {place}");
        }
    }
}

/// A deployment's file with this body.
fn with_body(format: u64, body: &[u8]) -> Vec<u8> {
    let hash = Digest::of_parts(&[&format.to_le_bytes(), body]);
    let head = format!("{{\"format\":{format},\"digest\":\"{hash}\",\"more\":1}}\n");
    [head.as_bytes(), body, b"\n"].concat()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Even if somebody makes the digest fit.
    #[test]
    fn what_is_read_keeps_all_rules(edits in vec((any::<usize>(), any::<u8>(), 0..3_u8), 0..4)) {
        let first = first(key("acme", "one"), b"1");
        let bytes = encode(&deployed(&first, b"2")).unwrap();
        let mut body = bytes.split(|byte| *byte == b'\n').nth(1).unwrap().to_vec();
        for (place, byte, how) in edits {
            let place = place % body.len();
            match how {
                0 => body[place] = byte,
                1 => drop(body.remove(place)),
                // One digit for another.
                _ => body[place] = if body[place].is_ascii_digit() { b'0' + byte % 10 } else { body[place] },
            }
        }
        if let Found::Deployment(found) = decode(&with_body(1, &body)) {
            prop_assert_eq!(found.check(), Ok(()));
            let again = decode(&encode(&found).unwrap());
            prop_assert!(matches!(again, Found::Deployment(again) if again == found));
        }
    }
}

#[test]
fn what_could_not_run_is_kept_and_takes_no_room_where_there_is_none() {
    let first = first(key("acme", "one"), b"1");
    let both = (0..2).fold(first.clone(), |now, _| deployed(&now, b"x").without_trial().0);
    for (deployment, written) in [(first, false), (both, true)] {
        let bytes = encode(&deployment).unwrap();
        assert_eq!(String::from_utf8_lossy(&bytes).contains("\"refused\":"), written);
        let Found::Deployment(found) = decode(&bytes) else { panic!("{written}") };
        assert_eq!(*found, deployment);
        assert_eq!([2, 3].map(|number| found.life.was_refused(number)), [written; 2]);
    }
}

#[test]
fn a_damaged_deployment_is_set_aside_and_disturbs_no_other() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let one = deploy(&mut store, key("acme", "one"), b"one");
    let two = deploy(&mut store, key("acme", "two"), b"two");
    let three = deploy(&mut store, key("acme", "three"), b"three");
    drop(store);
    let files = folder.path().join("deployments");
    let whole = fs::read(files.join("acme@one.json")).unwrap();
    fs::write(files.join("acme@one.json"), &whole[..whole.len() - 9]).unwrap();
    fs::copy(files.join("acme@two.json"), files.join("acme@three.json")).unwrap();

    let (mut store, oddities) = Store::open(dir(folder.path())).unwrap();
    assert_eq!(
        texts(&oddities),
        [
            "deployments/acme@one.json cannot be used, and was renamed to deployments/acme@one.json.damaged, so acme/one \
             does not run: it is not what was written. Put a backup of deployments/acme@one.json back and send SIGHUP to \
             the daemon, or deploy acme/one again; then remove deployments/acme@one.json.damaged",
            "deployments/acme@three.json cannot be used, and was renamed to deployments/acme@three.json.damaged, so \
             acme/three does not run: it is the deployment acme/two. Put a backup of deployments/acme@three.json back and \
             send SIGHUP to the daemon, or deploy acme/three again; then remove deployments/acme@three.json.damaged",
        ]
    );
    assert!(store.deployments().eq([&two]));
    // Whoever mends the file finds the module, also after a restart. Nothing told of the third.
    assert_eq!(store.collect().unwrap().modules, 1);
    drop(store);
    let (mut store, oddities) = Store::open(dir(folder.path())).unwrap();
    assert_eq!(
        texts(&oddities)[0],
        "deployments/acme@one.json could not be used and was renamed to deployments/acme@one.json.damaged, so acme/one \
         does not run. Put a backup of deployments/acme@one.json back and send SIGHUP to the daemon, or deploy acme/one \
         again; then remove deployments/acme@one.json.damaged"
    );
    assert_eq!(store.collect().unwrap().modules, 0);
    assert!(matches!(store.read(&three.versions[0].digest), Err(Error::Missing { .. })));
    // It is taken up once somebody put it back, and what is known already goes on as it is.
    fs::write(files.join("acme@one.json"), whole).unwrap();
    fs::write(files.join("acme@two.json"), "else").unwrap();
    let (found, oddities) = store.take_up().unwrap();
    assert_eq!(found, std::slice::from_ref(&one));
    let lacks: Vec<&Key> = oddities.iter().filter_map(Oddity::lacks).collect();
    assert_eq!((lacks, oddities.len()), (vec![&three.key], 1), "{oddities:?}");
    assert!(store.serves(store.get(&one.key).unwrap()) && store.get(&two.key) == Some(&two));
    assert_eq!(store.take_up().unwrap().0, []);
}

/// Whoever looks beside the one who uses it.
#[test]
fn a_look_sees_what_is_there_and_changes_nothing() {
    let folder = TempDir::new().unwrap();
    assert!(Survey::at(&folder.path().join("nowhere")).unwrap().is_none());
    assert!(Survey::at(folder.path()).unwrap().is_none(), "it is no store yet");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let mut store = open(folder.path());
    let one = deploy(&mut store, key("acme", "one"), b"one");
    let damaged = deploy(&mut store, key("acme", "two"), b"two").key;
    let files = folder.path().join("deployments");
    fs::write(files.join("acme@two.json"), "else").unwrap();
    fs::write(files.join("acme@three.json.new"), "{").unwrap();
    fs::write(files.join("acme@four.json.damaged"), "{").unwrap();
    let survey = Survey::at(folder.path()).unwrap().unwrap();
    assert_eq!(survey.deployments, std::slice::from_ref(&one));
    let lacks: Vec<&Key> = survey.oddities.iter().filter_map(Oddity::lacks).collect();
    assert_eq!((lacks, survey.oddities.len()), (vec![&key("acme", "four"), &damaged], 2), "{:?}", survey.oddities);
    assert_eq!(survey.read(&Digest::of(b"one")).unwrap(), b"one");
    assert_eq!(fs::read_dir(&files).unwrap().count(), 4, "all are where they were");
    assert!(survey.is_still(&one));
    store.save(&one.paused(1, "me").0).unwrap();
    assert!(!survey.is_still(&one));
    store.remove(&one.key).unwrap();
    assert!(!survey.is_still(&one));
}

/// What was set aside first may be what somebody wants back.
#[test]
fn what_is_damaged_again_is_kept_beside_what_was() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let one = deploy(&mut store, key("acme", "one"), b"one").key;
    drop(store);
    let file = folder.path().join("deployments/acme@one.json");
    for (damage, name) in [("first", "acme@one.json.damaged"), ("second", "acme@one.json.damaged.2")] {
        fs::write(&file, damage).unwrap();
        let (_, oddities) = Store::open(dir(folder.path())).unwrap();
        let name = format!("deployments/{name}");
        let of_it = oddities.last().unwrap().to_string();
        assert!(of_it.contains(&format!("renamed to {name}, ")) && of_it.ends_with(&format!("then remove {name}")));
        assert_eq!(fs::read_to_string(folder.path().join(name)).unwrap(), damage);
    }
    assert_eq!(fs::read_to_string(folder.path().join("deployments/acme@one.json.damaged")).unwrap(), "first");
    let (store, oddities) = Store::open(dir(folder.path())).unwrap();
    drop(store);
    let is_set_aside = |oddity: &Oddity| matches!(oddity, Oddity::SetAside { .. }) && oddity.lacks() == Some(&one);
    assert!(oddities.len() == 2 && oddities.iter().all(is_set_aside), "{oddities:?}");
    assert_eq!(Survey::at(folder.path()).unwrap().unwrap().oddities, oddities);
}

const MENDED: &str = "Send SIGHUP to the daemon once that is mended";

#[test]
fn a_deployment_without_its_module_waits_for_it() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let lost = deploy(&mut store, key("acme", "lost"), b"lost").key;
    let tried = deploy(&mut store, key("acme", "tried"), b"works").key;
    deploy(&mut store, tried.clone(), b"lost");
    let kept = deploy(&mut store, key("acme", "with-history"), b"changed").key;
    let passed = trial_passed(&deploy(&mut store, kept.clone(), b"works")).unwrap();
    store.save(&passed).unwrap();
    drop(store);
    let module = |text: &[u8]| folder.path().join(format!("modules/{}.wasm", Digest::of(text)));
    fs::remove_file(module(b"lost")).unwrap();
    fs::write(module(b"changed"), "else").unwrap();

    let (mut store, oddities) = Store::open(dir(folder.path())).unwrap();
    let (gone, changed) = (store.read(&Digest::of(b"lost")), store.read(&Digest::of(b"changed")));
    let (gone, changed) = (gone.unwrap_err(), changed.unwrap_err());
    assert_eq!(
        texts(&oddities),
        [
            format!("version 1 of acme/lost has no module, so it does not run: {gone}. {MENDED}"),
            format!("version 2 of acme/tried has no module, so its trial has ended: {gone}. {MENDED}"),
            format!("version 1 of acme/with-history has no module, so it cannot be gone back to: {changed}. {MENDED}"),
        ]
    );
    let serves = |store: &Store, key: &Key| store.serves(store.get(key).unwrap());
    assert!(!serves(&store, &lost) && serves(&store, &tried) && serves(&store, &kept));
    assert_eq!(store.get(&tried).unwrap().on_trial(), None);
    // It cannot be gone back to, but the one that does not run can be paused.
    let (back, _) = store.get(&kept).unwrap().rolled_back().unwrap();
    assert!(matches!(store.save(&back), Err(Error::Missing { .. })));
    store.save(&store.get(&lost).unwrap().paused(1, "me").0).unwrap();
    // Nothing more is needed than the module.
    assert_eq!(store.put(b"lost").unwrap().stored, Stored::New);
    fs::write(module(b"changed"), "changed").unwrap();
    assert_eq!(store.read(&Digest::of(b"changed")).unwrap(), b"changed");
    assert!(serves(&store, &lost));
    store.save(&back).unwrap();
}

#[test]
fn what_a_later_version_wrote_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let one = deploy(&mut store, key("acme", "one"), b"one");
    drop(store);
    let body = format!(r#"{{"modules": ["{}"], "new": true}}"#, Digest::of(b"one"));
    let later = with_body(2, body.as_bytes());
    let file = folder.path().join("deployments/acme@one.json");
    fs::write(&file, &later).unwrap();

    let (mut store, oddities) = Store::open(dir(folder.path())).unwrap();
    let text = "deployments/acme@one.json was written by a later wasmeter (format 2), so acme/one does not run. Run that \
                wasmeter, or move the file away";
    assert_eq!(texts(&oddities), [text]);
    let _held = store.put(b"one").unwrap();
    let alone = format!("deployments/acme@one.json is left alone: {text}");
    assert_eq!(store.save(&one).unwrap_err().to_string(), alone);
    assert_eq!(store.remove(&one.key).unwrap_err().to_string(), alone);
    assert_eq!(store.collect().unwrap().modules, 0);
    drop((store, _held));
    assert_eq!(fs::read(&file).unwrap(), later);
    let (mut store, _) = Store::open(dir(folder.path())).unwrap();
    assert_eq!(store.collect().unwrap().modules, 0, "it names its module");
}

#[test]
fn what_is_no_file_of_ours_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let one = deploy(&mut store, key("acme", "one"), b"one");
    drop(store);
    let (deployments, modules) = (folder.path().join("deployments"), folder.path().join("modules"));
    for stranger in ["README", "acme@.json", "..@one.json", "@", "acme@One.json", "a@b@c.json", "x.json.new"] {
        fs::write(deployments.join(stranger), "x").unwrap();
    }
    fs::write(modules.join("abc.wasm"), "x").unwrap();
    // What was never written to its end goes.
    fs::write(deployments.join("acme@two.json.new"), "{").unwrap();
    fs::write(modules.join(format!("{}.wasm.new", Digest::of(b"two"))), "tw").unwrap();
    let (mut store, oddities) = Store::open(dir(folder.path())).unwrap();
    let mut strangers = texts(&oddities);
    assert!(strangers.iter().all(|text| text.ends_with("is no file of the store, and is left alone. Move it away")));
    strangers.iter_mut().for_each(|text| text.truncate(text.find(' ').unwrap()));
    assert_eq!(
        strangers,
        [
            "deployments/..@one.json",
            "deployments/@",
            "deployments/README",
            "deployments/a@b@c.json",
            "deployments/acme@.json",
            "deployments/acme@One.json",
            "deployments/x.json.new",
            "modules/abc.wasm",
        ]
    );
    store.collect().unwrap();
    assert!(store.deployments().eq([&one]));
    assert_eq!((fs::read_dir(deployments).unwrap().count(), fs::read_dir(modules).unwrap().count()), (8, 2));
}

/// None of these may keep the daemon waiting or lead it elsewhere.
#[test]
fn links_pipes_and_folders_are_no_files() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    deploy(&mut store, key("acme", "one"), b"one");
    let held = store.put(b"two").unwrap();
    drop(held);
    drop(store);
    let deployments = folder.path().join("deployments");
    mknodat(CWD, deployments.join("acme@pipe.json"), FileType::Fifo, 0o600.into(), 0).unwrap();
    fs::create_dir(deployments.join("acme@folder.json")).unwrap();
    fs::create_dir(deployments.join("acme@folder.json.new")).unwrap();
    fs::write(deployments.join("acme@large.json"), vec![b' '; (4 << 20) + 1]).unwrap();
    let (mut store, oddities) = Store::open(dir(folder.path())).unwrap();
    let set_aside = |oddity: &Oddity| matches!(oddity, Oddity::Damaged { set_aside: Some(_), .. });
    assert_eq!(oddities.iter().filter(|oddity| set_aside(oddity)).count(), 3, "{oddities:?}");
    let stranger = Oddity::Stranger { file: "deployments/acme@folder.json.new".to_owned() };
    assert!(oddities.len() == 4 && oddities.contains(&stranger), "{oddities:?}");
    assert_eq!(store.collect().unwrap().modules, 1);

    // What cannot be read now may be readable later, and may name any module.
    let held = store.put(b"two").unwrap();
    drop(held);
    drop(store);
    symlink("acme@one.json", deployments.join("acme@link.json")).unwrap();
    let (mut store, oddities) = Store::open(dir(folder.path())).unwrap();
    assert!(oddities.iter().any(|oddity| matches!(oddity, Oddity::Unreadable { .. })), "{oddities:?}");
    let error = store.collect().unwrap_err().to_string();
    assert!(error.starts_with("no module is removed while deployments/acme@link.json cannot be read"), "{error}");
    let _held = store.put(b"two").unwrap();
    let link = first(key("acme", "link"), b"two");
    assert!(matches!(store.save(&link), Err(Error::Closed { .. })));
    drop(store);
    fs::remove_file(deployments.join("acme@link.json")).unwrap();
    fs::remove_dir(deployments.join("acme@folder.json.new")).unwrap();
    assert_eq!(store_of(folder.path()).collect().unwrap().modules, 1);
}

/// The store of a folder in which something may be odd.
fn store_of(folder: &std::path::Path) -> Store {
    Store::open(dir(folder)).unwrap().0
}
