//! What goes wrong in `describe`.

use std::hint::black_box;

use wasmeter_sdk::bindings::pollster::exports::wasmeter::plugin::poller::Wanted;
use wasmeter_sdk::{Description, Meter};

use crate::{LONG, meter, running, see};

/// What this module gives and needs.
pub fn honest() -> Description {
    Description {
        meters: vec![meter("hostile.time")],
        declares: vec!["hostile.declared.*".into()],
        reads: vec![key("cpu.time", &[])],
        attributes: vec!["id".into()],
        discovery: vec!["local_instances".into()],
    }
}

pub fn describe(wrong: &str) -> Result<Description, String> {
    let mut all = honest();
    match wrong {
        "loop" => running::forever(),
        "recurse" => drop(running::recurse(0)),
        "allocate" => drop(black_box(vec![1u8; running::HUGE])),
        "panic" => panic!("describe is told to panic"),
        "exit" => std::process::exit(3),
        "refuse" => return Err("describe is told to refuse".into()),
        "refuse at length" => return Err("x".repeat(LONG)),
        "nothing" => (all.meters, all.declares) = (vec![], vec![]),
        "many meters" => all.meters = (0..2_000).map(|n| meter(&format!("hostile.{n}"))).collect(),
        "a meter twice" => all.meters = vec![meter("hostile.same"), meter("hostile.same")],
        "a name with a blank" => all.meters = vec![meter("hostile time")],
        "a name with a capital" => all.meters = vec![meter("hostile.Time")],
        "a name with an empty word" => all.meters = vec![meter("hostile..time")],
        "a name of nothing" => all.meters = vec![meter("")],
        "a long name" => all.meters = vec![meter(&"h".repeat(LONG))],
        "a name beyond ASCII" => all.meters = vec![meter("höstile.time")],
        "a unit that rings" => all.meters = vec![Meter { unit: "\u{7}".into(), ..meter("hostile.time") }],
        "an unknown attribute" => all.attributes.push("x".repeat(LONG)),
        "an unknown discovery" => all.discovery.push("x".repeat(LONG)),
        "many discoveries" => all.discovery = vec!["local_instances".into(); 100_000],
        "many keys" => all.reads = (0..300).map(|n| key(&format!("key.{n}"), &[])).collect(),
        "a key that nobody has" => all.reads.push(key("cpu.tiem", &[])),
        "a key of no group" => all.reads.push(key("a.key", &[])),
        "a key instead of none" => all.reads = vec![key("cpu.user", &["cpu.system"])],
        "a key instead of many" => all.reads.push(key("cpu.user", &vec!["cpu.time"; 100_000])),
        "many patterns" => all.declares = (0..300).map(|n| format!("hostile.{n}.*")).collect(),
        "costly patterns" => all.declares = vec!["[!a]?*".repeat(42); 16],
        "whatever can be seen" => all.meters = vec![meter(&format!("hostile.{:x}", see()))],
        other => return Err(format!("there is no misbehaviour {other:?}")),
    }
    Ok(all)
}

fn key(key: &str, instead_of: &[&str]) -> Wanted {
    Wanted { key: key.into(), instead_of: instead_of.iter().map(|key| (*key).into()).collect() }
}
