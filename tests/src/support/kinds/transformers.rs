//! Hostile transformers, and how each has to end.

use std::sync::Arc;

use wasmeter::clock::SECOND;
use wasmeter::contract::{Batch, Column, Kind as MeterKind, Meter, Moment, Note, Values};
use wasmeter::sandbox::call::{Called, Conversion};
use wasmeter::sandbox::host::Input;
use wasmeter::sandbox::host::texts::Text;
use wasmeter::sandbox::{Cause, Failure, Module};

use super::{Ends, Kind};
use crate::support::slots::START;
use crate::support::{Forge, parting, sandbox};

/// Where the batch, its numbers and its values are in the memory of a transformer that gives one.
const BATCH: u32 = 1024;
const NUMBERS: u32 = 2048;
const VALUES: u32 = 2056;
/// A quiet NaN, by halves.
const NAN: [u32; 2] = [0, 0x7ff8_0000];

/// What `parting` declares by its configuration, and how that ends.
const PARTING: &[(&str, Ends)] = &[
    (r#"{"pattern": "a.*", "meter": "b", "parts": ["c"]}"#, Ends::Polling(Cause::Forged)),
    (r#"{"pattern": "a.*", "meter": "a.b", "parts": ["c"], "guest": 70}"#, Ends::Polling(Cause::Forged)),
    (r#"{"pattern": "a.*", "meter": "a.\u00e4", "parts": ["c"]}"#, Ends::Polling(Cause::BadData)),
    (r#"{"pattern": "a.*", "meter": "a.b", "parts": [""]}"#, Ends::Polling(Cause::BadData)),
    (r#"{"pattern": "", "meter": "a.b", "parts": ["c"]}"#, Ends::Configuring(Cause::BadDescription)),
    (r#"{"pattern": "a.*", "meter": "a.b", "parts": ["c", "d"]}"#, Ends::Landing),
];

/// All of them.
pub fn transformers() -> Vec<Kind> {
    let forged = forged().into_iter().map(|(name, forge, ends)| Kind::of(name, forge.component(), "config", ends));
    let wasm: Arc<[u8]> = std::fs::read(parting()).unwrap().into();
    forged.chain(PARTING.iter().map(|(config, ends)| Kind::of(config, Arc::clone(&wasm), config, *ends))).collect()
}

/// Asks what comes out for one meter, and converts one batch of one count. An error is one of the description.
pub async fn convert(module: &Module, input: &Input) -> Result<Called<Vec<Batch>>, Failure> {
    convert_noted(module, input, Vec::new(), &[]).await
}

/// The same with metadata.
pub async fn convert_noted(
    module: &Module,
    input: &Input,
    notes: Vec<Note>,
    texts: &[Text],
) -> Result<Called<Vec<Batch>>, Failure> {
    let inputs = [Meter { name: "cpu".into(), kind: MeterKind::Cumulative, unit: "ns".into() }];
    let gives = Arc::new(sandbox().outputs(module, &inputs, module.limits.describing(inputs.len())).await.result?);
    let column = Column { resources: vec![0], values: Values::Counts(vec![7]) };
    let batch = Batch { meter: 0, at: Moment { wall: START, monotonic: None }, column, notes };
    let work = Conversion { inputs: &inputs, gives: &gives, batches: &[batch], texts };
    let fuel = module.limits.fuel(input.view.resources());
    let called = sandbox().convert(module, input.clone(), Arc::default(), fuel, work).await;
    assert!(called.fuel > 0 && called.fuel <= fuel);
    Ok(called)
}

/// Gives one real of one resource under one meter.
pub fn giving(meter: u32, resource: u32, value: [u32; 2]) -> Forge {
    giving_at(START, meter, resource, value)
}

/// The same, as of some time.
fn giving_at(wall: i64, meter: u32, resource: u32, value: [u32; 2]) -> Forge {
    let at = [wall as u32, (wall >> 32) as u32];
    let [monotonic, column, notes] = [[0, 0], [NUMBERS, 1], [0, 0]];
    let batch = [&[meter, 0], &at[..], &[0, 0], &monotonic, &column, &[2, VALUES, 1], &notes].concat();
    Forge::transformer().series(BATCH, 1).words(BATCH, &batch).words(NUMBERS, &[resource, 0]).words(VALUES, &value)
}

fn forged() -> Vec<(&'static str, Forge, Ends)> {
    use Cause::*;
    use Ends::*;
    let same = [64, 12, 0, 0, 0].repeat(2);
    let stats = Forge::transformer()
        .beyond("", "import wasmeter:plugin/stats@0.1.1;")
        .import("wasmeter:plugin/stats@0.1.1", "read", "$read (param i32 i32 i32)")
        .poll("(call $read (i32.const 64) (i32.const 5) (i32.const 2048)) (i32.const 512)");
    let twice = Forge::transformer().meters(BATCH, 2).words(BATCH, &same);
    vec![
        ("loop in describe of a transformer", looping_describe(), Configuring(OutOfFuel)),
        ("describe a meter twice for inputs", twice, Configuring(BadDescription)),
        ("loop in convert", Forge::transformer().poll("(loop (br 0)) (unreachable)"), Polling(OutOfFuel)),
        ("trap in convert", Forge::transformer().poll("(unreachable)"), Polling(Trap)),
        ("loop in cabi_realloc of a transformer", looping_realloc(), Configuring(OutOfFuel)),
        ("give a batch of a meter of nobody", giving(1, 0, [0, 0]), Polling(Forged)),
        ("give samples of the future", giving_at(START + 3600 * SECOND, 0, 0, [0, 0]), Polling(Forged)),
        ("give samples of 1970", giving_at(0, 0, 0, [0, 0]), Polling(Forged)),
        ("give samples of no time", giving_at(i64::MIN, 0, 0, [0, 0]), Polling(Forged)),
        ("give a batch of a resource of nobody", giving(0, 1_000, [0, 0]), Polling(Forged)),
        ("give a batch of NaN", giving(0, 0, NAN), Polling(NotFinite)),
        ("give batches longer than memory", Forge::transformer().series(0, u32::MAX), Polling(BadData)),
        ("give batches that are not aligned", giving(0, 0, [0, 0]).series(BATCH + 4, 1), Polling(BadData)),
        ("read statistics in a transformer", stats, Loading(NotGranted)),
    ]
}

fn looping_describe() -> Forge {
    Forge::transformer().describe("(loop (br 0)) (unreachable)")
}

fn looping_realloc() -> Forge {
    Forge::transformer().realloc("(loop (br 0)) (unreachable)")
}
