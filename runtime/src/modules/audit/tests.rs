//! The log, its rotation, and what it refuses.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;
use crate::modules::deployment::tests::key;

const SECOND: i64 = 1_000_000_000;

fn entry(number: i64, name: &str) -> Entry {
    Entry {
        time: Time(1_767_323_045 * SECOND + number),
        who: Who::Peer { uid: 1000, gid: 100, pid: Some(7) },
        action: "deploy".to_owned(),
        key: key("acme", name),
        version: Some(number.unsigned_abs()),
        digest: Some(Digest::of(b"")),
        result: Outcome::Done,
        why: None,
    }
}

fn numbers(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.version.unwrap()).collect()
}

#[test]
fn a_line_says_who_did_what_to_what() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("log/audit.log");
    let mut audit = Audit::at(&path);
    let begun = audit.begin(entry(0, "n")).unwrap();
    audit.end(begun, entry(1, "n").time, Outcome::Failed("no\nroom".to_owned())).unwrap();
    let by_file = Entry { who: Who::File, version: None, digest: None, action: "remove".to_owned(), ..entry(2, "n") };
    audit.write(&by_file).unwrap();
    let digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(
        text,
        [
            r#"{"time":"2026-01-02T03:04:05Z","who":{"peer":{"uid":1000,"gid":100,"pid":7}},"action":"deploy","#,
            r#""tenant":"acme","name":"n","version":0,"digest":"DIGEST","result":"begun"}"#,
            "\n",
            r#"{"time":"2026-01-02T03:04:05.000000001Z","who":{"peer":{"uid":1000,"gid":100,"pid":7}},"#,
            r#""action":"deploy","tenant":"acme","name":"n","version":0,"digest":"DIGEST","result":"no\nroom"}"#,
            "\n",
            r#"{"time":"2026-01-02T03:04:05.000000002Z","who":"file","action":"remove","tenant":"acme","#,
            r#""name":"n","result":"ok"}"#,
            "\n",
        ]
        .concat()
        .replace("DIGEST", digest)
    );
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE);
    assert_eq!(tail(&path, 1).unwrap(), [by_file]);
}

#[test]
fn lines_go_on_after_rotations() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("audit.log");
    let mut audit = Audit::at(&path);
    for number in 1..=3 {
        audit.write(&entry(number, "n")).unwrap();
    }
    fs::rename(&path, folder.path().join("audit.log.1")).unwrap();
    assert_eq!(numbers(&tail(&path, 10).unwrap()), [1, 2, 3], "nothing was written since");
    audit.write(&entry(4, "n")).unwrap();
    // As logrotate does with `create`.
    fs::rename(folder.path().join("audit.log.1"), folder.path().join("audit.log.2")).unwrap();
    fs::rename(&path, folder.path().join("audit.log.1")).unwrap();
    fs::write(&path, "").unwrap();
    audit.write(&entry(5, "n")).unwrap();
    assert_eq!(numbers(&tail(&path, 10).unwrap()), [4, 5]);
    assert_eq!(numbers(&tail(&path, 1).unwrap()), [5]);
    // With `copytruncate`, and by hand.
    fs::copy(&path, folder.path().join("audit.log.1")).unwrap();
    fs::write(&path, "").unwrap();
    audit.write(&entry(6, "n")).unwrap();
    assert_eq!(numbers(&tail(&path, 10).unwrap()), [5, 6]);
    fs::remove_file(&path).unwrap();
    audit.write(&entry(7, "n")).unwrap();
    assert_eq!(numbers(&tail(&path, 10).unwrap()), [5, 7]);
    // Another name of the same file adds nothing.
    fs::remove_file(folder.path().join("audit.log.1")).unwrap();
    fs::hard_link(&path, folder.path().join("audit.log.1")).unwrap();
    assert_eq!(numbers(&tail(&path, 10).unwrap()), [7]);
}

#[test]
fn the_last_lines_of_one_deployment() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("audit.log");
    let mut audit = Audit::at(&path);
    for number in 1..=200 {
        audit.write(&entry(number, if number % 50 == 0 { "rare" } else { "n" })).unwrap();
        if number == 120 {
            fs::rename(&path, folder.path().join("audit.log.1")).unwrap();
        }
    }
    assert_eq!(numbers(&last(&path, &key("acme", "rare"), 3).unwrap()), [100, 150, 200]);
    assert_eq!(numbers(&last(&path, &key("acme", "rare"), 30).unwrap()), [50, 100, 150, 200]);
    assert_eq!(numbers(&last(&path, &key("other", "rare"), 30).unwrap()), [0; 0]);
    assert_eq!(numbers(&tail(&path, 3).unwrap()), [198, 199, 200]);
    assert_eq!(tail(&folder.path().join("none"), 3).unwrap(), []);
}

#[test]
fn a_line_that_is_half_there_spoils_no_other() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("audit.log");
    Audit::at(&path).write(&entry(1, "n")).unwrap();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&whole[..], &whole[..40]].concat()).unwrap();
    Audit::at(&path).write(&entry(2, "n")).unwrap();
    assert_eq!(numbers(&tail(&path, 10).unwrap()), [1, 2]);
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 3);
}

#[test]
fn texts_are_cut_to_a_line_that_can_be_read_back() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("audit.log");
    let mut audit = Audit::at(&path);
    let text = "\0".repeat(10_000);
    let (result, why) = (Outcome::Failed(text.clone()), Some(text.clone()));
    audit.write(&Entry { result, why, action: text, ..entry(1, "n") }).unwrap();
    assert!(fs::metadata(&path).unwrap().len() < LINE_BYTES as u64);
    assert_eq!(tail(&path, 1).unwrap()[0].result, Outcome::Failed("\0".repeat(TEXT)));
}

#[test]
fn what_cannot_be_written_down_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("audit.log");
    let mut audit = Audit::at(&path);
    fs::create_dir(&path).unwrap();
    let error = audit.begin(entry(1, "n")).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot write to the audit log {}: ", path.display())), "{error}");
    assert!(error.ends_with("let the daemon's user write to the file and its folder"), "{error}");
    fs::remove_dir(&path).unwrap();
    audit.write(&entry(2, "n")).unwrap();
    assert_eq!(numbers(&tail(&path, 10).unwrap()), [2]);

    // Neither a link nor a pipe is a log.
    let elsewhere = folder.path().join("elsewhere");
    fs::write(&elsewhere, "").unwrap();
    fs::remove_file(&path).unwrap();
    symlink(&elsewhere, &path).unwrap();
    assert!(audit.write(&entry(3, "n")).is_err());
    assert!(tail(&path, 1).is_err());
    fs::remove_file(&path).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert!(audit.write(&entry(4, "n")).is_err());
    assert!(tail(&path, 1).is_err());
    assert_eq!(fs::read(&elsewhere).unwrap(), b"");

    // A full disk.
    let full = Path::new("/dev/full");
    assert!(Audit::at(full).write(&entry(5, "n")).is_err(), "a device is no file");
}
