//! Transformers are believed as little as pollsters.

use wasmeter::sandbox::{Cause, Failure, World};

use crate::support::kinds::{self, convert, giving};
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
    let failure = sandbox().outputs(&pollster, &[]).await.unwrap_err();
    assert_eq!(failure.cause, Cause::AbiMismatch);
}

#[tokio::test]
async fn one_declares_what_it_said_it_may() {
    let wasm = std::fs::read(parting()).unwrap();
    for (config, expected) in [
        (r#"{"pattern": "a.*", "meter": "a.b", "parts": ["c", "d"]}"#, Ok(2)),
        (r#"{"pattern": "a.*", "meter": "a.b", "parts": ["c"], "guest": 1}"#, Ok(1)),
        (r#"{"pattern": "a.*", "meter": "b", "parts": ["c"]}"#, Err(Cause::Forged)),
    ] {
        let ended = converted(&wasm, config).await;
        assert_eq!(ended.as_ref().map_err(|failure| failure.cause).copied(), expected, "{config}: {ended:?}");
    }
}
