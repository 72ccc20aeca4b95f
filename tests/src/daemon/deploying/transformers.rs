//! Transformers that are tried out before they are deployed.

use serde_json::{Value, json};

use super::super::tenants::Cloud;
use super::{deploy, refused};
use crate::support::program::{samples_so_far, text, until};
use crate::support::{parting, resources};

fn delta() -> Vec<u8> {
    wasmeter::modules::built_in().find(|module| module.name == "delta").unwrap().wasm.to_vec()
}

fn growth(of: &str, dry_run: bool) -> Value {
    let config = json!({"target": {"name": "growth.of"}}).to_string();
    json!({"meters": [of], "config": config, "grants": {"names": ["growth."]}, "dry_run": dry_run})
}

/// What parts it makes of `cpu`.
fn sharing(more: &Value) -> Value {
    let mut config = json!({"pattern": "*", "meter": "shared.cpu", "parts": ["left", "right"]});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"meters": ["cpu"], "config": config.to_string(), "grants": {"names": ["shared."]}, "dry_run": true})
}

/// It is handed what is measured for it of its tenant's guests alone, by pollsters that do not notice, and with what
/// the version before remembers.
#[test]
fn a_transformer_is_tried_out_on_what_the_operator_measures() {
    let module = resources();
    let probe = format!("modules: {{probe: {{file: {module}, config: {{parts: [a, b], words: unheard}}}}}}");
    let cloud = Cloud::new(&probe);
    // There is no second slot of the second source as long as this runs.
    let sources = "sources:\n- {name: a, interval: 1, meters: [cpu]}\n\
        - {name: b, interval: 31536000, meters: [probe.dynamic.age]}\n";
    cloud.folder.write("polling.yaml", sources);
    let daemon = cloud.folder.start("run");
    cloud.slots(1);
    let guests = cloud.guests_of(0..2).len() as u64;

    // A growth is known in the second slot, each time anew: nothing of it was kept.
    for _ in 0..2 {
        let run = deploy(&cloud, "growth", growth("cpu", true), &delta()).dry_run.unwrap();
        assert_eq!((run.is_transformer, run.handed, run.slots, run.samples), (true, guests, 2, guests), "{run:?}");
        assert_eq!((u64::from(run.guests), &*run.meters[0].name, &*run.meters[0].kind), (guests, "growth.of", "delta"));
        assert_eq!(run.meters[0].example.as_ref().map(|(_, value)| *value), Some(0.0), "twice the same");
        assert!(run.fuel > 0 && run.fuel < run.fuel_granted && run.memory > 0, "{run:?}");
        assert!(run.reads.groups.is_empty() && run.reads.took_seconds == 0.0, "it has nothing read: {run:?}");
        assert!(run.failures.is_empty(), "{run:?}");
    }
    let shared = deploy(&cloud, "shared", sharing(&json!({})), &std::fs::read(parting()).unwrap()).dry_run.unwrap();
    assert_eq!((shared.handed, shared.slots, shared.samples), (guests, 1, 2 * guests), "{shared:?}");
    assert_eq!((shared.meters.len(), &*shared.meters[0].name), (1, "shared.cpu"));
    // So is what comes in other slots, of parts that a pollster declares, and nobody hears what that pollster says.
    let said = daemon.log().matches("unheard").count();
    assert!(said > 0, "it does say something in a slot:\n{}", daemon.log());
    let parts = deploy(&cloud, "parts", growth("probe.dynamic.age", true), &delta()).dry_run.unwrap();
    assert_eq!((parts.handed, parts.slots, parts.samples), (2 * guests, 2, 2 * guests), "{parts:?}");
    assert_eq!((parts.log.len(), daemon.log().matches("unheard").count()), (0, said), "{}", daemon.log());
    // What its tenant's own give is there in slots only.
    let nothing = deploy(&cloud, "nothing", growth("own.meter", true), &delta()).dry_run.unwrap();
    assert_eq!((nothing.handed, nothing.slots, nothing.samples), (0, 1, 0), "{nothing:?}");

    let first = deploy(&cloud, "growth", growth("cpu", false), &delta());
    assert_eq!((first.version, first.dry_run.unwrap().slots), (Some(1), 2));
    until("a growth", || (!cloud.measured("acme/growth", "growth.of").is_empty()).then_some(()));
    let next = deploy(&cloud, "growth", growth("cpu", true), &delta()).dry_run.unwrap();
    assert_eq!((next.handed, next.slots, next.samples), (guests, 1, guests), "with what is remembered: {next:?}");
    cloud.slots(2);
    cloud.has_every_slot("acme/growth", "growth.of", &cloud.guests_of(0..2));

    daemon.end();
}

/// The version before it goes on where nobody measures what a new one is for.
#[test]
fn a_transformer_that_is_handed_nothing_on_trial_loses_no_slot() {
    let cloud = Cloud::new("");
    let daemon = cloud.folder.start("run");
    cloud.slots(1);
    deploy(&cloud, "growth", growth("cpu", false), &delta());
    let growths = || cloud.measured("acme/growth", "growth.of").len();
    until("a growth", || (growths() > 0).then_some(()));
    assert_eq!(deploy(&cloud, "growth", growth("disk.device.usage", false), &delta()).version, Some(2));
    let before = growths();
    until("more growths", || (growths() > before + 2).then_some(()));
    cloud.slots(1);
    daemon.end();
    cloud.has_every_slot("acme/growth", "growth.of", &cloud.guests_of(0..2));
}

/// What fails for all that it is handed is not deployed; what fails for some is.
#[test]
fn a_transformer_that_fails_is_not_deployed() {
    let cloud = Cloud::new("");
    let daemon = cloud.folder.start("run");
    cloud.slots(1);
    let module = std::fs::read(parting()).unwrap();
    let mut order = sharing(&json!({"meter": "others.cpu"}));
    order["dry_run"] = json!(false);
    let (status, why) = refused(&cloud, "shared", order, &module);
    assert_eq!(status, 422, "{why}");
    assert!(why.contains("the meter others.cpu was not granted"), "{why}");
    let tried: Value = serde_json::from_str(&why).unwrap();
    assert_eq!((&tried["dry_run"]["samples"], &tried["version"]), (&json!(0), &Value::Null), "{why}");

    let ours = cloud.guests_of(0..2);
    let samples = samples_so_far(&cloud.folder.read("samples"));
    let odd = samples.iter().find(|sample| ours.contains(text(sample, "resource_id"))).unwrap();
    let odd = json!({"odd": odd["resource_metadata"]["display_name"]});
    let run = deploy(&cloud, "shared", sharing(&odd), &module).dry_run.unwrap();
    assert_eq!((run.samples, run.failures.len()), (2 * (ours.len() as u64 - 1), 1), "{run:?}");
    assert_eq!((&*run.failures[0].cause, run.failures[0].resources), ("trap", 1), "{run:?}");
    daemon.end();
}
