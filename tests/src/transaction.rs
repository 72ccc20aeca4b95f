//! A call lands whole or leaves nothing.

use std::sync::Arc;

use wasmeter::discovery::View;
use wasmeter::hypervisor::{Groups, Record};
use wasmeter::sandbox::host::Input;
use wasmeter::sandbox::host::state::State;
use wasmeter::sandbox::{Cause, Failure, Landed, Module};

use crate::support::{Host, LIMITS, hostile, module, poll_with};

async fn hostile_with(config: &str) -> Module {
    module(&hostile(), config, LIMITS).await.unwrap()
}

#[tokio::test]
async fn what_lands_brings_everything() {
    let input = Host::of(3).slot();
    let mut state = State::default();
    let landed = poll_with(&hostile_with("ask: leave everything").await, &input, &Arc::default()).await.result.unwrap();
    let Landed { output, meters, parts, texts, writes, .. } = landed;
    assert_eq!(output[0].column.len(), 3);
    assert_eq!(meters.iter().map(|meter| meter.name.as_str()).collect::<Vec<_>>(), ["hostile.declared.left"]);
    let [(guest, text)] = parts[..] else { panic!("{parts:?}") };
    assert_eq!((guest, &*texts[text as usize].text), (0, "left behind"));
    assert_eq!(state.size(), 0);
    state.commit(writes);
    assert!(state.size() > 0);
}

/// Of a list that is too long nothing is declared. How many parts a guest may have is no matter of how many guests
/// there are.
#[tokio::test]
async fn what_is_refused_is_not_declared_in_part() {
    let input = Host::of(40).slot();
    let config = "ask: declare more than it may and do without";
    let landed = poll_with(&hostile_with(config).await, &input, &Arc::default()).await.result.unwrap();
    assert_eq!((landed.meters.len(), landed.parts.len()), (1, 0), "{:?}", landed.meters);
}

/// It brings everything, and then it fails: what it wrote, declared and interned goes with it.
#[tokio::test]
async fn what_fails_leaves_nothing() {
    let mut host = Host::of(3);
    for (config, cause) in [
        ("ask: leave everything and panic", Cause::Trap),
        ("ask: leave everything and fail", Cause::ModuleError),
        ("give: NaN and leave everything", Cause::NotFinite),
    ] {
        let state = Arc::new(State::default());
        let called = poll_with(&hostile_with(config).await, &host.slot(), &state).await;
        // A failure has no place for writes, meters, parts or texts; what was remembered is as before.
        let Failure { cause: ends, .. } = called.result.unwrap_err();
        assert_eq!(ends, cause, "{config}");
        assert_eq!(state.size(), 0, "{config}");
        let recalled = poll_with(&hostile_with("give: what was remembered").await, &host.slot(), &state).await;
        assert!(recalled.result.unwrap().output.is_empty(), "{config}");
    }
}

/// That a module could not have something is its own doing only if the host has something of that.
#[tokio::test]
async fn what_the_host_did_not_read_is_no_modules_failure() {
    let mut host = Host::of(3);
    let (all, without) = (host.slot(), host.read(Groups::STATE | Groups::BALLOON, |_| {}));
    let gives_no_time = |records: &mut Vec<Record>| {
        records[0].stats.retain(|stat| Groups::of_key(&stat.key.name()) != Some(Groups::CPU_TOTAL));
    };
    let one_without = host.slot_of(gives_no_time);
    let of_that_one = Arc::new(View::of(&one_without.snapshot.resources, vec![0..1]));
    let of_that_one = Input { view: of_that_one, ..one_without.clone() };
    for (config, input, cause) in [
        ("", &without, Cause::Host),
        ("run: be unavailable", &of_that_one, Cause::Host),
        ("run: be unavailable", &one_without, Cause::ModuleError),
        ("run: be unavailable", &all, Cause::ModuleError),
        ("run: fail", &of_that_one, Cause::ModuleError),
    ] {
        let called = poll_with(&hostile_with(config).await, input, &Arc::default()).await;
        assert_eq!(called.result.unwrap_err().cause, cause, "{config}");
    }
}

/// What a call writes is not there for itself, nor for another that runs beside it, before it is committed.
#[tokio::test]
async fn writes_are_seen_once_they_are_committed() {
    let mut host = Host::of(3);
    let module = hostile_with("give: what was remembered").await;
    let (input, mut state) = (host.slot(), Arc::new(State::default()));
    let (first, beside) = tokio::join!(poll_with(&module, &input, &state), poll_with(&module, &input, &state));
    assert!(beside.result.unwrap().output.is_empty());
    let first = first.result.unwrap();
    assert!(first.output.is_empty());
    Arc::make_mut(&mut state).commit(first.writes);
    let next = poll_with(&module, &host.slot(), &state).await.result.unwrap();
    assert_eq!(next.output[0].column.len(), 3);
}
