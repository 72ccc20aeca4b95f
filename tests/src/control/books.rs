//! Measured and replayed is delivered, spooled or lost, whatever happens.

use rustix::process::Signal;
use serde_json::Value;

use super::{CALM, FULL, OUTPUTS, losses, measured, number};
use crate::support::program::{Folder, samples_in, until};
use crate::support::resources;

#[test]
fn books_balance_at_any_moment_and_across_restarts() {
    let folder = Folder::measuring(CALM, OUTPUTS);
    let daemon = folder.start("run");
    measured(&folder, &daemon, 1);
    for _ in 0..5 {
        losses(&folder);
    }
    measured(&folder, &daemon, 3);
    let before = losses(&folder);
    assert!(number(&before, FULL, "spooled") > 0 && number(&before, FULL, "delivered") == 0, "{before:#}");
    let delivered = until("delivery", || {
        let now = losses(&folder);
        let delivered = number(&now, "file:samples", "delivered");
        (delivered >= number(&before, FULL, "spooled") && number(&now, "nowhere", "delivered") > 0).then_some(delivered)
    });
    // Killed, it knows all that was measured; what it had delivered since it noted that last, it delivers again.
    daemon.signal(Signal::KILL);
    drop(daemon);
    let daemon = folder.start("run");
    measured(&folder, &daemon, 2);
    let after = losses(&folder);
    assert!(number(&after, FULL, "spooled") > number(&before, FULL, "spooled"), "{after:#}");
    assert!(number(&after, FULL, "measured") > delivered, "{after:#}");

    // What the operator gives up is lost for that publisher, and for no other.
    let said = folder.run(&format!("spool drop --publisher {FULL} --all --yes")).is(0).stdout;
    let dropped: u64 = said.split(' ').next().unwrap().parse().unwrap();
    let given_up = losses(&folder);
    assert!(dropped >= number(&after, FULL, "spooled"), "{said}");
    assert_eq!(number(&given_up, FULL, "lost"), dropped);
    assert_eq!(number(&given_up, "file:samples", "lost"), 0);
    let rows: Vec<_> = given_up["lost"].as_array().unwrap().iter().collect();
    assert!(rows.iter().all(|row| row["cause"] == "operator" && row["tenant"] == "operator"), "{given_up:#}");
    for (module, meter) in [("cpu", "cpu"), ("disk", "disk.device.read.bytes")] {
        assert!(rows.iter().any(|row| row["module"] == module && row["meter"] == meter), "{given_up:#}");
    }

    // What is handed in again for one publisher is in no other's books.
    folder.write("again", folder.read("samples").lines().take(20).map(|line| format!("{line}\n")).collect::<String>());
    folder.run("spool replay again --to nowhere").is(0).says("20 samples handed in for nowhere");
    let replayed = losses(&folder);
    let numbers = ["file:samples", "nowhere", FULL].map(|publisher| number(&replayed, publisher, "replayed"));
    assert_eq!(numbers, [0, 20, 0]);
    folder.run("spool replay again").is(0);
    let numbers = ["file:samples", "nowhere", FULL].map(|publisher| number(&losses(&folder), publisher, "replayed"));
    assert_eq!(numbers, [20, 40, 20]);

    // All of it is so after another restart.
    daemon.end();
    let daemon = folder.start("run");
    measured(&folder, &daemon, 1);
    let last = losses(&folder);
    let numbers = ["file:samples", "nowhere", FULL].map(|publisher| number(&last, publisher, "replayed"));
    assert_eq!(numbers, [20, 40, 20]);
    assert_eq!(number(&last, FULL, "lost"), dropped);
    daemon.end();
}

/// The spool keeps a few slots of a publisher that never delivers; what goes is counted by cause and meter.
#[test]
fn what_the_spool_has_no_room_for_is_lost_and_counted() {
    let folder = Folder::measuring(
        "sim://?domains=200&calm=true",
        &format!("{OUTPUTS}\nspool: {{path: spool, max_size: 1MiB}}"),
    );
    let daemon = folder.start("run");
    measured(&folder, &daemon, 1);
    until("losses", || (number(&losses(&folder), FULL, "lost") > 0).then_some(()));
    let lost = losses(&folder);
    let rows = lost["lost"].as_array().unwrap();
    let expected =
        |row: &Value| ["bytes", "thinned"].contains(&row["cause"].as_str().unwrap()) && row["publisher"] == FULL;
    assert!(rows.iter().all(expected), "{lost:#}");
    folder.run("losses --publisher nowhere").is(0).says("no sample was lost");
    folder.run("losses --publisher nobody").is(64).complains("there are: ");
    daemon.end();
}

/// A module cannot stand one of the guests.
#[test]
fn what_cannot_be_measured_is_counted_beside() {
    let once = Folder::measuring(CALM, "").run("once --format json").is(0);
    let odd = samples_in(&once.stdout)[0]["resource_metadata"]["display_name"].clone();
    let module = resources();
    let config = format!("{OUTPUTS}\nmodules: {{probe: {{file: {module}, config: {{odd: {odd}}}}}}}");
    let folder = Folder::measuring(CALM, &config);
    let daemon = folder.start("run");
    measured(&folder, &daemon, 1);
    let losses = losses(&folder);
    let unmeasured = &losses["unmeasured"];
    assert!(unmeasured["failures"]["probe"]["trap"].as_u64() > Some(0), "{losses:#}");
    assert!(unmeasured["resources_lost"]["probe"].as_u64() > Some(0), "{losses:#}");
    folder.run("losses").is(0).says("trap");
    folder.run("status").is(0).says("probe failed in the last slot: trap.");
    daemon.end();
}

/// What an output still had to deliver when it was taken away is lost under its name, for as long as anybody asks.
#[test]
fn what_a_removed_output_had_to_deliver_is_lost_and_counted() {
    let folder = Folder::measuring(CALM, OUTPUTS);
    let configured = folder.read("wasmeter.yaml");
    let daemon = folder.start("run");
    measured(&folder, &daemon, 2);
    let reload = |config: &str, outputs: usize| {
        folder.write("wasmeter.yaml", config);
        daemon.signal(Signal::HUP);
        until("the other outputs", || {
            let now = losses(&folder);
            (now["publishers"].as_array().unwrap().len() == outputs).then_some(now)
        })
    };
    let lost = |losses: &Value| -> u64 {
        let rows = losses["lost"].as_array().unwrap().iter().filter(|row| row["publisher"] == FULL);
        let removed = |row: &Value| {
            assert_eq!((&row["cause"], &row["tenant"]), (&"removed".into(), &"operator".into()), "{row}");
            row["samples"].as_u64().unwrap()
        };
        rows.map(removed).sum()
    };
    let waited = number(&losses(&folder), FULL, "spooled");
    let removed = reload(&configured.replace(", {file: /dev/full}", ""), 2);
    let first = lost(&removed);
    assert!(waited > 0 && first >= waited, "{first} of {waited} that waited: {removed:#}");
    daemon.logs(&format!("what it had still to deliver is lost, and counted. output=\"{FULL}\" samples={first}"));
    folder.run(&format!("losses --publisher {FULL}")).is(0).says("removed");
    let status = folder.run("status --json").is(0).json();
    assert_eq!(status["former"], serde_json::json!({ FULL: first }));

    // One that comes again begins with that, and its books balance.
    let again = reload(&configured, 3);
    assert_eq!((lost(&again), number(&again, FULL, "lost")), (first, first));
    measured(&folder, &daemon, again["unmeasured"]["cycles"].as_u64().unwrap() + 2);
    let second = lost(&reload(&configured.replace(", {file: /dev/full}", ""), 2));
    assert!(second > first, "{second} after {first}");
    // Also after a restart.
    measured(&folder, &daemon, 1);
    daemon.end();
    let daemon = folder.start("run");
    measured(&folder, &daemon, 1);
    assert_eq!(lost(&losses(&folder)), second);
    daemon.end();
}
