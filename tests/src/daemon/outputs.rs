//! Files that samples go to: put aside when they are full, and done without when they cannot be written.

use std::fs;

use rustix::process::{Resource, Rlimit, Signal, prlimit};

use super::CALM;
use crate::support::program::{Folder, samples_in, slots, until};

const UNWRITTEN: &str = "Samples cannot be written";

#[test]
fn full_files_are_put_aside() {
    for (max_size, most) in [("64KiB", 64 << 10), ("2KiB", 2 << 10)] {
        let folder = Folder::measuring(CALM, &format!("outputs: [{{file: samples, max_size: {max_size}, keep: 2}}]"));
        folder.run("run --cycles 2").is(0);
        for name in ["samples", "samples.1", "samples.2"] {
            let text = folder.read(name);
            assert!(!text.is_empty() && text.ends_with('\n'), "{name}");
            assert!(text.len() <= most, "{name} has {} bytes and may have {max_size}", text.len());
            samples_in(&text);
        }
        assert!(!folder.path("samples.3").exists());
    }
}

#[test]
fn nothing_is_lost_between_two_files() {
    let folder = Folder::measuring(CALM, "outputs: [{file: parts, max_size: 64KiB, keep: 100}, {file: whole}]");
    folder.run("run --cycles 2").is(0);
    let older = (1..=100).rev().map(|number| format!("parts.{number}"));
    let parts: String = older.chain(["parts".to_owned()]).map(|name| folder.read(&name)).collect();
    assert_eq!(parts, folder.read("whole"));
}

#[test]
fn it_goes_on_where_it_stopped() {
    let folder = Folder::measuring(CALM, "outputs: [{file: samples}]");
    folder.run("run --cycles 1").is(0);
    let before = folder.read("samples");
    folder.run("run --cycles 1").is(0);
    let after = folder.read("samples");
    assert!(after.starts_with(&before));
    assert_eq!(slots(&samples_in(&after)).len(), 2);
}

/// Said once, while the other output has every slot.
#[test]
fn a_full_disk_keeps_nothing_from_other_outputs() {
    let folder = Folder::measuring(CALM, "outputs: [{file: /dev/full}, {file: samples}]");
    let ran = folder.run("run --cycles 3").is(1);
    assert_eq!(ran.stderr.matches(UNWRITTEN).count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("/dev/full") && ran.stderr.contains("No space left"), "{}", ran.stderr);
    assert_eq!(slots(&folder.samples("samples")).len(), 3);
}

/// A file may grow no further in the middle of a line, and then it may.
#[test]
fn a_disk_that_was_full_is_written_again_line_by_line() {
    let folder = Folder::measuring(CALM, "outputs: [{file: samples}]");
    // In blocks: less than a slot, and more than the spool needs for many. Without the trap the signal would be the end.
    let daemon = folder.start_by_shell("trap '' XFSZ; ulimit -S -f 400; exec \"$wasmeter\" run -c wasmeter.yaml");
    until("an error", || daemon.log().contains(UNWRITTEN).then_some(()));
    let unlimited = Rlimit { current: None, maximum: None };
    prlimit(Some(daemon.pid()), Resource::Fsize, unlimited).unwrap();
    daemon.logs("Samples are written again.");
    let log = daemon.end();
    assert_eq!(log.matches(UNWRITTEN).count(), 1, "{log}");
    assert!(!folder.samples("samples").is_empty());
}

#[test]
fn a_folder_that_comes_back_is_written_to() {
    let folder = Folder::measuring(CALM, "outputs: [{file: samples}]");
    let daemon = folder.start("run");
    until("samples", || (!folder.read("samples").is_empty()).then_some(()));
    // A daemon that starts insists on the folder.
    folder.write("wasmeter.yaml", folder.read("wasmeter.yaml").replace("{file: samples}", "{file: there/samples}"));
    daemon.signal(Signal::HUP);
    daemon.logs(UNWRITTEN);
    fs::create_dir(folder.path("there")).unwrap();
    daemon.logs("Samples are written again.");
    let log = daemon.end();
    assert_eq!(log.matches(UNWRITTEN).count(), 1, "{log}");
    assert!(!folder.samples("there/samples").is_empty());
}

/// Whoever rotates files moves them away, and somebody removes one.
#[test]
fn a_file_that_is_moved_or_removed_is_begun_anew() {
    let folder = Folder::measuring(CALM, "outputs: [{file: samples}]");
    let written = || {
        until("samples", || {
            let there = fs::metadata(folder.path("samples"));
            there.is_ok_and(|about| about.len() > 0).then_some(())
        })
    };
    let daemon = folder.start("run");
    written();
    fs::rename(folder.path("samples"), folder.path("moved")).unwrap();
    written();
    fs::remove_file(folder.path("samples")).unwrap();
    written();
    daemon.end();
    assert!(!folder.samples("moved").is_empty() && !folder.samples("samples").is_empty());
}
