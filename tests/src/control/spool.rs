//! Samples that wait are looked at, taken out, handed in again and given up, with a daemon and without.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{CALM, FULL, OUTPUTS, losses, measured, number};
use crate::support::program::{Folder, samples_in, text, until};

fn ids(samples: &[Value]) -> BTreeSet<String> {
    samples.iter().map(|sample| text(sample, "message_id").to_owned()).collect()
}

#[test]
fn what_waits_is_exported_as_the_file_output_writes_it() {
    let folder = Folder::measuring(CALM, OUTPUTS);
    folder.run("run --cycles 2").is(1);
    let file = folder.read("samples");
    // Without a daemon.
    folder.run(&format!("spool export waiting --publisher {FULL}")).is(0).says("written to waiting");
    assert_eq!(folder.read("waiting"), file);
    assert_eq!(folder.run("spool export -").is(0).stdout, file);
    assert_eq!(folder.run("spool export - --publisher nowhere").is(0).stdout, "");
    assert_eq!(folder.run("spool export - --since 2030-01-01T00:00:00Z").is(0).stdout, "");
    folder.run("spool export waiting").is(1).complains("Remove it, or name another");
    folder.run("spool export nowhere/x").is(1).complains("Make its folder first, or name a file in one that is there");
    folder.run("spool export - --publisher nobody").is(64).complains("there is no publisher");
    folder.run("spool export - --since yesterday").is(64).complains("is no time");
    let status = folder.run("spool status --json").is(0).json();
    assert_eq!(status["running"], false);
    assert_eq!(number(&status, FULL, "spooled"), file.lines().count() as u64, "{status:#}");
    folder.run("spool status").is(0).says("no daemon answers").says(FULL);
    // And beside one. What is counted last may not be kept yet.
    let daemon = folder.start("run");
    measured(&folder, &daemon, 2);
    let beside = folder.run(&format!("spool export - --publisher {FULL}")).is(0).stdout;
    assert!(beside.starts_with(&file) && beside.len() > file.len());
    samples_in(&beside);
    assert_eq!(folder.run("spool status --json").is(0).json()["running"], true);
    daemon.end();
}

#[test]
fn samples_are_delivered_again_with_the_ids_that_they_have() {
    let folder = Folder::measuring(CALM, "outputs: [{file: samples}]");
    folder.run("run --cycles 1").is(0);
    let file = folder.read("samples");
    let samples = samples_in(&file);
    // One is signed; the signature goes, and all else stays.
    let signed = file.replacen("{\"source\"", "{\"message_signature\": \"x\", \"source\"", 1);
    folder.write("again", format!("{signed}\n"));
    let daemon = folder.start("run");
    measured(&folder, &daemon, 1);
    folder.run("spool replay again").is(0).says(&format!("{} samples handed in\n", samples.len()));
    let known = ids(&samples);
    let again = until("they are delivered again", || {
        let now = samples_in(folder.read("samples").get(file.len()..)?.rsplit_once('\n')?.0);
        let again: Vec<Value> = now.into_iter().filter(|sample| known.contains(text(sample, "message_id"))).collect();
        (again.len() >= samples.len()).then_some(again)
    });
    assert_eq!(again, samples);
    daemon.end();
    // Without a daemon they wait for the next.
    let before = folder.read("samples").len();
    folder.run("spool replay again").is(0).says("to be delivered once a daemon runs");
    folder.run("run --cycles 1").is(0);
    let later = samples_in(&folder.read("samples")[before..]);
    assert_eq!(ids(&later).intersection(&known).count(), known.len());
}

#[test]
fn what_is_no_sample_is_refused_with_its_line_and_nothing_is_handed_in() {
    let folder = Folder::measuring(CALM, "outputs: [{file: samples}]");
    folder.run("run --cycles 1").is(0);
    let file = folder.read("samples");
    let daemon = folder.start("run");
    measured(&folder, &daemon, 1);
    let sample = file.lines().next().unwrap();
    let of_sample: Value = serde_json::from_str(sample).unwrap();
    let with = |key: &str, value: &str| {
        sample.replacen(&format!("\"{key}\": {}", of_sample[key]), &format!("\"{key}\": {value}"), 1)
    };
    for (line, why) in [
        ("{", "it is no JSON"),
        ("[]", "it is no object"),
        ("{\"source\": \"openstack\"}", "it has no `counter_name`"),
        (&with("timestamp", "\"yesterday\""), "`timestamp` is not a time such as 2026-01-02T03:04:05.678901"),
        (&with("message_id", "\"zzz\""), "`message_id` is not a UUID such as"),
        (&with("counter_volume", "\"5\""), "`counter_volume` is not a number"),
        (&with("counter_name", "5"), "`counter_name` is not a text"),
    ] {
        folder.write("odd", format!("{file}{line}\n"));
        let place = format!("odd:{}: {why}", file.lines().count() + 1);
        folder.run("spool replay odd").is(64).complains(&place).complains("mend it, or remove it");
    }
    folder.run("spool replay samples --to nobody").is(64).complains("there is no publisher \"nobody\"");
    folder.run("spool replay nothing").is(1).complains("nothing cannot be read");
    assert_eq!(number(&losses(&folder), "file:samples", "replayed"), 0);
    daemon.end();
}

/// Replayed samples leave room for what is measured.
#[test]
fn what_has_no_room_is_not_handed_in() {
    let folder =
        Folder::measuring(CALM, "outputs: [{file: samples}, {file: /dev/full}]\nspool: {path: spool, max_size: 1MiB}");
    folder.run("run --cycles 1").is(1);
    let ids: Vec<String> = (0..4000).map(|number| format!("{number:x}{}", "0123456789abcdef".repeat(40))).collect();
    let sample = folder.read("samples").lines().next().unwrap().to_owned();
    let noise = |id: &String| {
        // What is compressed to nothing needs no room.
        let digits: String =
            id.bytes().enumerate().map(|(at, byte)| random(u64::from(byte) * 7919 + at as u64, id)).collect();
        sample.replacen("\"resource_id\": \"", &format!("\"resource_id\": \"{digits}"), 1) + "\n"
    };
    folder.write("many", ids.iter().map(noise).collect::<String>());
    let ran = folder.run("spool replay many").is(1);
    ran.complains("the spool has no more room");
    let status = folder.run("spool status --json").is(0).json();
    assert_eq!(number(&status, FULL, "lost"), 0, "{status:#}");
}

fn random(seed: u64, id: &str) -> char {
    let mut state = id
        .bytes()
        .fold(seed, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23));
    state ^= state >> 31;
    char::from_digit((state % 36) as u32, 36).unwrap()
}

#[test]
fn what_is_given_up_is_asked_for_and_by_time() {
    let folder = Folder::measuring(CALM, OUTPUTS);
    let daemon = folder.start("run");
    measured(&folder, &daemon, 3);
    folder.run(&format!("spool drop --publisher {FULL} --all")).is(64).complains("To have that, add --yes");
    folder.run(&format!("spool drop --publisher {FULL}")).is(64);
    folder.run("spool drop --publisher nobody --all --yes").is(64).complains("there is no publisher");
    let line = format!("spool drop --publisher {FULL} --yes --before");
    folder.run(&format!("{line} 1h")).is(0).says("nothing of that waits");
    assert_eq!(number(&losses(&folder), FULL, "lost"), 0);
    // All but the last slot.
    let exported = folder.run(&format!("spool export - --publisher {FULL}")).is(0).stdout;
    let samples = samples_in(&exported);
    let last = text(samples.last().unwrap(), "timestamp").to_owned();
    let older = samples.iter().filter(|sample| sample["timestamp"] != last.as_str()).count() as u64;
    assert!(older > 0);
    folder.run(&format!("{line} {last}Z")).is(0).says(&format!("{older} samples are lost for {FULL}"));
    assert_eq!(number(&losses(&folder), FULL, "lost"), older);
    daemon.end();
    // Without a daemon, too.
    folder.run(&format!("spool drop --publisher {FULL} --all --yes")).is(0).says("samples are lost");
    let status = folder.run("spool status --json").is(0).json();
    assert_eq!(number(&status, FULL, "spooled"), 0, "{status:#}");
    assert!(number(&status, FULL, "lost") > older, "{status:#}");
}
