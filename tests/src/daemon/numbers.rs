//! Numbers of resources within a call are the call's own: they tell nobody how many others there are.

use std::collections::BTreeMap;

use serde_json::Value;

use super::tenants::{Cloud, GUESTS};
use crate::support::program::{Folder, of_meter, samples_in, samples_so_far, text, until};

/// Guests of a call.
const CHUNK: usize = 2;
const GRANTS: &str = "grants: {names: [hostile.], groups: [cpu]}";
/// How it is said that a number was guessed that is nobody's or another call's.
const FORGED: (&str, &str) = ("resource ", " was not handed to this call");

/// Resources that a call is handed of each guest: itself with its disk, its network interface and its processors.
fn resources_by_guest() -> BTreeMap<String, u64> {
    let once = samples_in(&Folder::measuring(GUESTS, "").run("once --format json --meters vcpus").is(0).stdout);
    let of = |sample: &&Value| (text(sample, "resource_id").to_owned(), 3 + sample["counter_volume"].as_u64().unwrap());
    of_meter(&once, "vcpus").iter().map(of).collect()
}

/// Whether it is said that what guesses was refused until it was in quarantine.
fn is_guessing(line: &str, tenant: &str) -> bool {
    let of = format!("tenant=\"{tenant}\" deployment=\"guess\"");
    line.contains("in quarantine") && line.contains(&of)
}

/// Tenants with many guests in several calls each publish the numbers that they were handed, and guess the next one,
/// which another call has in the same slot.
#[test]
fn a_call_cannot_tell_how_many_others_there_are() {
    let cloud = Cloud::new("");
    let config = cloud.folder.read("wasmeter.yaml");
    cloud.folder.write("wasmeter.yaml", config.replace("sandbox: {", &format!("sandbox: {{chunk: {CHUNK}, ")));
    let tenants = [("acme", cloud.guests_of(0..2)), (cloud.single(), cloud.guests_of(2..3))];
    for (tenant, guests) in &tenants {
        assert!(guests.len() > CHUNK, "{guests:?}");
        let config = |does: &str| format!("{GRANTS}\nconfig: '{does}'");
        cloud.deploy(tenant, "numbers", "hostile", &config("give: the numbers that it was handed"));
        cloud.deploy(tenant, "guess", "hostile", &config("ask: the parent of the next"));
    }
    let daemon = cloud.folder.start("run");
    cloud.slots(3);
    for (tenant, _) in &tenants {
        until("quarantine", || daemon.log().lines().any(|line| is_guessing(line, tenant)).then_some(()));
    }
    let log = daemon.log();
    daemon.end();
    let (all, of_guest) = (samples_so_far(&cloud.folder.read("samples")), resources_by_guest());
    let mut most = 0;
    for (tenant, guests) in &tenants {
        assert!(all.iter().all(|sample| sample["source"] != format!("{tenant}/guess")));
        cloud.has_every_slot(&format!("{tenant}/numbers"), "hostile.time", guests);
        let theirs: Vec<&Value> = all.iter().filter(|sample| sample["source"] == format!("{tenant}/numbers")).collect();
        // A call begins with number 0.
        for call in theirs.chunk_by(|_, next| next["counter_volume"] != 0) {
            let numbers: Vec<u64> = call.iter().map(|sample| sample["counter_volume"].as_u64().unwrap()).collect();
            assert!(numbers == [0] || numbers == [0, 1], "{numbers:?}");
            let resources: u64 = call.iter().map(|sample| of_guest[text(sample, "resource_id")]).sum();
            most = most.max(resources);
            for sample in call {
                let said = |key: &str| sample["resource_metadata"][key].as_u64().unwrap();
                assert_eq!(said("guests"), call.len() as u64, "{sample}");
                assert_eq!((said("resources"), said("last")), (resources, resources - 1), "{sample}");
            }
        }
    }
    // Nor does what is said of a guess.
    let guessed = log.split(FORGED.0).filter_map(|rest| rest.split_once(FORGED.1)?.0.parse::<u64>().ok());
    let guessed: Vec<u64> = guessed.collect();
    assert!(!guessed.is_empty() && guessed.iter().all(|number| *number <= most), "{most}: {guessed:?}");
}
