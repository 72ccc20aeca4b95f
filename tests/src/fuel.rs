//! Fuel is the same for the same call, and never more than was granted.

use std::sync::Arc;

use wasmeter::contract::{Batch, Column, Kind, Meter, Moment, Values};
use wasmeter::modules::built_in;
use wasmeter::sandbox::call::Conversion;
use wasmeter::sandbox::host::state::State;
use wasmeter::sandbox::{Cause, Limits};

use crate::support::slots::START;
use crate::support::{Forge, Host, LIMITS, disk, hostile, module, poll, sandbox};

#[tokio::test]
async fn the_same_call_takes_the_same_fuel() {
    let input = Host::of(50).slot();
    for (name, bytes, config) in [
        ("disk", disk(), ""),
        ("hostile", hostile(), ""),
        // Hash tables, addresses and all that a module can see are the same each time, too.
        ("hostile", hostile(), "give: what can be seen"),
        ("hostile", hostile(), "ask: leave everything"),
        ("hostile", hostile(), "run: panic"),
        ("hostile", hostile(), "run: log"),
        ("forged", Forge::pollster().component(), ""),
    ] {
        let module = module(&bytes, config, LIMITS).await.unwrap();
        let first = poll(&module, &input).await;
        let second = poll(&module, &input).await;
        assert!(first.fuel > 0, "{name} {config}");
        assert_eq!(first.fuel, second.fuel, "{name} {config}");
        assert_eq!(format!("{:?}", first.result), format!("{:?}", second.result), "{name} {config}");
    }
}

/// Whatever is granted, a call stays within it, and what it would have taken is what it needs.
#[tokio::test]
async fn no_call_uses_more_than_it_was_granted() {
    let input = Host::of(50).slot();
    for (bytes, config) in [(disk(), ""), (hostile(), "ask: leave everything"), (hostile(), "run: log")] {
        let module = module(&bytes, config, LIMITS).await.unwrap();
        let needed = poll(&module, &input).await.fuel;
        for granted in (0..10).map(|tenth| needed * tenth / 10).chain([needed - 1]) {
            let called = sandbox().poll(&module, input.clone(), Arc::default(), granted).await;
            assert_eq!(called.result.unwrap_err().cause, Cause::OutOfFuel, "{config}: {granted} of {needed}");
            assert!(called.fuel <= granted, "{config}: {} used of {granted}", called.fuel);
        }
        let called = sandbox().poll(&module, input.clone(), Arc::default(), needed).await;
        assert!(called.result.is_ok(), "{config}: {:?}", called.result);
        assert_eq!(called.fuel, needed);
    }
}

#[tokio::test]
async fn more_guests_take_more_fuel() {
    let module = module(&disk(), "", LIMITS).await.unwrap();
    let (few, many) = (Host::of(10).slot(), Host::of(1_000).slot());
    let (few, many) = (poll(&module, &few).await.fuel, poll(&module, &many).await.fuel);
    assert!(many > 10 * (few / 10), "{few} for 10 guests, {many} for 1000");
    let granted = Limits::default().fuel(1_000);
    assert!(many < granted / 4, "an honest module takes {many} of {granted}");
}

/// The fuel of a transformer's second slot, with a sample of so many meters each.
async fn second_slot(name: &str, config: &str, meters: u64) -> u64 {
    let wasm = built_in().find(|module| module.name == name).unwrap().wasm;
    let module = module(wasm, &config.replace("ALL", &(meters + 1).to_string()), LIMITS).await.unwrap();
    let name = |number: u64| format!("meter.{}", number * 7919 % meters);
    let of = |number: u64| Meter { name: name(number), kind: Kind::Cumulative, unit: "B".into() };
    let inputs: Vec<Meter> = (0..meters).map(of).collect();
    let gives = Arc::new(sandbox().outputs(&module, &inputs, u64::MAX / 2).await.result.unwrap());
    let (mut host, mut state, mut fuel) = (Host::of(2), State::default(), 0);
    for slot in 1_i64..3 {
        let at = Moment { wall: START + slot * 1_000_000_000, monotonic: Some(slot.unsigned_abs() * 1_000_000_000) };
        let column = |number| Column { resources: vec![0], values: Values::Counts(vec![number * slot.unsigned_abs()]) };
        let batch =
            |number| Batch { meter: u32::try_from(number).unwrap(), at, column: column(number), notes: Vec::new() };
        let batches: Vec<Batch> = (0..meters).map(batch).collect();
        let work = Conversion { inputs: &inputs, gives: &gives, batches: &batches, texts: &[] };
        let called = sandbox().convert(&module, host.slot(), Arc::new(state.clone()), 1 << 40, work).await;
        state.commit(called.result.unwrap().writes);
        fuel = called.fuel;
    }
    fuel
}

/// A slot of many meters takes as much more fuel as it has more of them.
#[tokio::test]
async fn transformers_need_no_more_for_a_meter_because_there_are_others() {
    const MAPPED: &str = r#"{"source": {"map_from": {"name": "^meter"}}, "target": {"map_to": {"name": "other"}}}"#;
    for (name, config) in [
        ("accumulator", r#"{"size": ALL}"#),
        ("aggregator", r#"{"size": ALL}"#),
        ("arithmetic", r#"{"target": {"name": "sum", "expr": "$(meter.1) + $(meter.2)"}}"#),
        ("delta", MAPPED),
        ("rate_of_change", MAPPED),
        ("relabel", r#"{"rules": [{"rename": {"from": "^meter", "to": "other"}}]}"#),
        ("threshold", r#"{"above": 100}"#),
        ("unit_conversion", MAPPED),
    ] {
        let (few, many) = (second_slot(name, config, 100).await, second_slot(name, config, 1_000).await);
        println!("{name}: {} for each of 100 meters, {} for each of 1000", few / 100, many / 1_000);
        assert!(many < few * 15, "{name}: {few} for 100 meters, {many} for 1000");
    }
}
