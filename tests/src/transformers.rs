//! Transformers are believed as little as pollsters.

use wasmeter::contract::{Column, Note, Values};
use wasmeter::sandbox::host::texts::Text;
use wasmeter::sandbox::{Cause, Failure, World};

use crate::support::kinds::{self, convert, convert_noted, giving};
use crate::support::{Forge, Host, LIMITS, module, parting, poll, sandbox};

/// Describes, and converts one batch of one count.
async fn converted(wasm: &[u8], config: &str) -> Result<usize, Failure> {
    let module = module(wasm, config, LIMITS).await?;
    assert_eq!(module.code.manifest.world, World::Transformer);
    Ok(convert(&module, &Host::of(2).slot()).await?.result?.output.len())
}

#[tokio::test]
async fn an_honest_one_converts() {
    assert_eq!(converted(&Forge::transformer().component(), "config").await.unwrap(), 0);
    assert_eq!(converted(&giving(0, 1, [0, 0]).component(), "config").await.unwrap(), 1);
}

#[tokio::test]
async fn a_hostile_one_ends_in_its_own_cause() {
    let input = Host::of(2).slot();
    for kind in kinds::transformers() {
        let (ends, failure) = kind.happen(&input).await;
        assert_eq!(ends, kind.ends, "{}: {failure:?}", kind.name);
    }
}

#[tokio::test]
async fn one_is_not_taken_for_the_other() {
    let input = Host::of(2).slot();
    let transformer = module(&Forge::transformer().component(), "", LIMITS).await.unwrap();
    let failure = poll(&transformer, &input).await.result.unwrap_err();
    assert_eq!(failure.cause, Cause::AbiMismatch);
    let pollster = module(&Forge::pollster().component(), "", LIMITS).await.unwrap();
    let failure = sandbox().outputs(&pollster, &[], LIMITS.describing(0)).await.result.unwrap_err();
    assert_eq!(failure.cause, Cause::AbiMismatch);
}

#[tokio::test]
async fn one_declares_what_it_said_it_may() {
    let wasm = std::fs::read(parting()).unwrap();
    for (config, expected) in [
        (r#"{"pattern": "a.*", "meter": "a.b", "parts": ["c", "d"]}"#, Ok(2)),
        (r#"{"pattern": "a.*", "meter": "a.b", "parts": ["c"], "guest": 1}"#, Ok(1)),
        (r#"{"pattern": "a.*", "meter": "a.b", "parts": ["c"], "guest": 70}"#, Err(Cause::Forged)),
        (r#"{"pattern": "a.*", "meter": "a.\u00e4", "parts": ["c"]}"#, Err(Cause::BadData)),
        // What comes out may have a name of an operator's file.
        (r#"{"pattern": "a.*", "meter": "a.B", "parts": ["c"]}"#, Ok(1)),
        (r#"{"pattern": "a*", "meter": "a..b", "parts": ["c"]}"#, Err(Cause::BadData)),
        (r#"{"pattern": "a*", "meter": "a.", "parts": ["c"]}"#, Err(Cause::BadData)),
        (r#"{"pattern": "a*", "meter": "a-1_2.b", "parts": ["c"]}"#, Ok(1)),
        (r#"{"pattern": "", "meter": "a.b", "parts": ["c"]}"#, Err(Cause::BadDescription)),
        (r#"{"pattern": "a.*", "meter": "b", "parts": ["c"]}"#, Err(Cause::Forged)),
    ] {
        let ended = converted(&wasm, config).await;
        assert_eq!(ended.as_ref().map_err(|failure| failure.cause).copied(), expected, "{config}: {ended:?}");
    }
}

/// Whatever is copied is paid for, metadata and their texts as well as volumes.
#[tokio::test]
async fn notes_and_texts_are_paid_for() {
    let module = module(&Forge::transformer().component(), "", LIMITS).await.unwrap();
    let slot = Host::of(2).slot();
    let bare = convert(&module, &slot).await.unwrap().fuel;
    let text = |text: String| Text { text: text.into(), json: false };
    let column = Column { resources: vec![0; 1_000], values: Values::Counts(vec![7; 1_000]) };
    let noted =
        convert_noted(&module, &slot, vec![Note { key: 0, column }], &[text("x".repeat(5_000))]).await.unwrap().fuel;
    assert!(noted > bare + 12_000 + 5_000, "{noted} instead of {bare}");
    let texts: Vec<_> = (0..1_000).map(|n| text(n.to_string())).collect();
    let told = convert_noted(&module, &slot, Vec::new(), &texts).await.unwrap().fuel;
    assert!(told > bare + 500_000, "{told} instead of {bare}");
}

/// It is asked twice, like a pollster, and pays for both.
#[tokio::test]
async fn describing_is_paid_for() {
    let wasm = std::fs::read(parting()).unwrap();
    let module = module(&wasm, r#"{"pattern": "a.*", "meter": "a.b", "parts": []}"#, LIMITS).await.unwrap();
    let needed = sandbox().outputs(&module, &[], LIMITS.describing(0)).await.fuel;
    for fuel in [0, needed / 4, needed / 2, needed * 9 / 10] {
        let described = sandbox().outputs(&module, &[], fuel).await;
        assert_eq!(described.result.unwrap_err().cause, Cause::OutOfFuel, "{fuel} of {needed}");
        assert!(described.fuel <= fuel, "{} of {fuel}", described.fuel);
    }
    let described = sandbox().outputs(&module, &[], needed).await;
    assert!(described.result.is_ok() && described.fuel == needed, "{described:?}");
}
