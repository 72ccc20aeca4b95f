//! Transformers are believed as little as pollsters.

use std::sync::Arc;

use wasmeter::clock::SECOND;
use wasmeter::contract::{Batch, Column, Kind, Meter, Moment, Note, Values};
use wasmeter::sandbox::call::{Called, Conversion};
use wasmeter::sandbox::host::texts::Text;
use wasmeter::sandbox::{Cause, Failure, Module, World};

use crate::support::slots::START;
use crate::support::{Forge, Host, LIMITS, module, parting, poll, sandbox};

/// Where the batch, its numbers and its values are in the memory of a transformer that gives one.
const BATCH: u32 = 1024;
const NUMBERS: u32 = 2048;
const VALUES: u32 = 2056;
/// A quiet NaN, by halves.
const NAN: [u32; 2] = [0, 0x7ff8_0000];

/// Gives one real of one resource under one meter.
fn giving(meter: u32, resource: u32, value: [u32; 2]) -> Forge {
    giving_at(START, meter, resource, value)
}

/// The same, as of some time.
fn giving_at(wall: i64, meter: u32, resource: u32, value: [u32; 2]) -> Forge {
    let at = [wall as u32, (wall >> 32) as u32];
    let [monotonic, column, notes] = [[0, 0], [NUMBERS, 1], [0, 0]];
    let batch = [&[meter, 0], &at[..], &[0, 0], &monotonic, &column, &[2, VALUES, 1], &notes].concat();
    Forge::transformer().series(BATCH, 1).words(BATCH, &batch).words(NUMBERS, &[resource, 0]).words(VALUES, &value)
}

/// Describes, and converts one batch of one count.
async fn converted(forge: &Forge) -> Result<usize, Failure> {
    converted_by(&forge.component(), "config").await
}

async fn converted_by(wasm: &[u8], config: &str) -> Result<usize, Failure> {
    let module = module(wasm, config, LIMITS).await?;
    let called = called(&module, Vec::new(), &[]).await?;
    Ok(called.result?.output.len())
}

/// Converts one batch of one count with these notes.
async fn called(module: &Module, notes: Vec<Note>, texts: &[Text]) -> Result<Called<Vec<Batch>>, Failure> {
    assert_eq!(module.code.manifest.world, World::Transformer);
    let inputs = [Meter { name: "cpu".into(), kind: Kind::Cumulative, unit: "ns".into() }];
    let gives = Arc::new(sandbox().outputs(module, &inputs, LIMITS.describing()).await.result?);
    let column = Column { resources: vec![0], values: Values::Counts(vec![7]) };
    let batch = Batch { meter: 0, at: Moment { wall: START, monotonic: None }, column, notes };
    let work = Conversion { inputs: &inputs, gives: &gives, batches: &[batch], texts };
    let fuel = LIMITS.fuel(2);
    let called = sandbox().convert(module, Host::of(2).slot(), Arc::default(), fuel, work).await;
    assert!(called.fuel > 0 && called.fuel <= fuel);
    Ok(called)
}

#[tokio::test]
async fn an_honest_one_converts() {
    assert_eq!(converted(&Forge::transformer()).await.unwrap(), 0);
    assert_eq!(converted(&giving(0, 1, [0, 0])).await.unwrap(), 1);
}

#[tokio::test]
async fn a_hostile_one_ends_in_its_own_cause() {
    let same = [64, 12, 0, 0, 0].repeat(2);
    let stats = Forge::transformer()
        .beyond("", "import wasmeter:plugin/stats@0.1.0;")
        .import("wasmeter:plugin/stats@0.1.0", "read", "$read (param i32 i32 i32)")
        .poll("(call $read (i32.const 64) (i32.const 5) (i32.const 2048)) (i32.const 512)");
    for (what, forge, cause) in [
        ("loop in describe", Forge::transformer().describe("(loop (br 0)) (unreachable)"), Cause::OutOfFuel),
        ("describe a meter twice", Forge::transformer().meters(BATCH, 2).words(BATCH, &same), Cause::BadDescription),
        ("loop in convert", Forge::transformer().poll("(loop (br 0)) (unreachable)"), Cause::OutOfFuel),
        ("trap in convert", Forge::transformer().poll("(unreachable)"), Cause::Trap),
        ("loop in cabi_realloc", Forge::transformer().realloc("(loop (br 0)) (unreachable)"), Cause::OutOfFuel),
        ("give a meter of nobody", giving(1, 0, [0, 0]), Cause::Forged),
        ("give samples of the future", giving_at(START + 3600 * SECOND, 0, 0, [0, 0]), Cause::Forged),
        ("give samples of 1970", giving_at(0, 0, 0, [0, 0]), Cause::Forged),
        ("give samples of no time", giving_at(i64::MIN, 0, 0, [0, 0]), Cause::Forged),
        ("give a resource of nobody", giving(0, 1_000, [0, 0]), Cause::Forged),
        ("give NaN", giving(0, 0, NAN), Cause::NotFinite),
        ("give a list longer than memory", Forge::transformer().series(0, u32::MAX), Cause::BadData),
        ("give what is not aligned", giving(0, 0, [0, 0]).series(BATCH + 4, 1), Cause::BadData),
        ("read statistics", stats, Cause::NotGranted),
    ] {
        let failure = converted(&forge).await.unwrap_err();
        assert_eq!(failure.cause, cause, "{what}: {failure}");
    }
}

#[tokio::test]
async fn one_is_not_taken_for_the_other() {
    let input = Host::of(2).slot();
    let transformer = module(&Forge::transformer().component(), "", LIMITS).await.unwrap();
    let failure = poll(&transformer, &input).await.result.unwrap_err();
    assert_eq!(failure.cause, Cause::AbiMismatch);
    let pollster = module(&Forge::pollster().component(), "", LIMITS).await.unwrap();
    let failure = sandbox().outputs(&pollster, &[], LIMITS.describing()).await.result.unwrap_err();
    assert_eq!(failure.cause, Cause::AbiMismatch);
}

#[tokio::test]
async fn one_declares_what_it_said_it_may() {
    let wasm = std::fs::read(parting()).unwrap();
    for (config, expected) in [
        (r#"{"pattern": "a.*", "meter": "a.b", "parts": ["c", "d"]}"#, Ok(2)),
        (r#"{"pattern": "a.*", "meter": "b", "parts": ["c"]}"#, Err(Cause::Forged)),
        (r#"{"pattern": "a.*", "meter": "a.b", "parts": ["c"], "guest": 1}"#, Ok(1)),
        (r#"{"pattern": "a.*", "meter": "a.b", "parts": ["c"], "guest": 70}"#, Err(Cause::Forged)),
        (r#"{"pattern": "a.*", "meter": "a.\u00e4", "parts": ["c"]}"#, Err(Cause::BadData)),
        (r#"{"pattern": "a.*", "meter": "a.B", "parts": ["c"]}"#, Err(Cause::BadData)),
        (r#"{"pattern": "a*", "meter": "a..b", "parts": ["c"]}"#, Err(Cause::BadData)),
        (r#"{"pattern": "a*", "meter": "a.", "parts": ["c"]}"#, Err(Cause::BadData)),
        (r#"{"pattern": "a*", "meter": "a-1_2.b", "parts": ["c"]}"#, Ok(1)),
        (r#"{"pattern": "", "meter": "a.b", "parts": ["c"]}"#, Err(Cause::BadDescription)),
    ] {
        let ended = converted_by(&wasm, config).await;
        assert_eq!(ended.as_ref().map_err(|failure| failure.cause).copied(), expected, "{config}: {ended:?}");
    }
}

/// Whatever is copied is paid for, metadata and their texts as well as volumes.
#[tokio::test]
async fn notes_and_texts_are_paid_for() {
    let module = module(&Forge::transformer().component(), "", LIMITS).await.unwrap();
    let bare = called(&module, Vec::new(), &[]).await.unwrap().fuel;
    let text = |text: String| Text { text: text.into(), json: false };
    let column = Column { resources: vec![0; 1_000], values: Values::Counts(vec![7; 1_000]) };
    let noted = called(&module, vec![Note { key: 0, column }], &[text("x".repeat(5_000))]).await.unwrap().fuel;
    assert!(noted > bare + 12_000 + 5_000, "{noted} instead of {bare}");
    let texts: Vec<_> = (0..1_000).map(|n| text(n.to_string())).collect();
    let told = called(&module, Vec::new(), &texts).await.unwrap().fuel;
    assert!(told > bare + 500_000, "{told} instead of {bare}");
}

/// It is asked twice, like a pollster, and pays for both.
#[tokio::test]
async fn describing_is_paid_for() {
    let wasm = std::fs::read(parting()).unwrap();
    let module = module(&wasm, r#"{"pattern": "a.*", "meter": "a.b", "parts": []}"#, LIMITS).await.unwrap();
    let needed = sandbox().outputs(&module, &[], LIMITS.describing()).await.fuel;
    for fuel in [0, needed / 4, needed / 2, needed * 9 / 10] {
        let described = sandbox().outputs(&module, &[], fuel).await;
        assert_eq!(described.result.unwrap_err().cause, Cause::OutOfFuel, "{fuel} of {needed}");
        assert!(described.fuel <= fuel, "{} of {fuel}", described.fuel);
    }
    let described = sandbox().outputs(&module, &[], needed).await;
    assert!(described.result.is_ok() && described.fuel == needed, "{described:?}");
}
