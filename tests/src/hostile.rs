//! Each kind of hostile module ends in its own cause, and costs the others nothing.

use std::sync::Arc;

use wasmeter::sandbox::Cause;
use wasmeter::sandbox::limits::{DETAIL_BYTES, LOG_LINES, STDERR_TAIL};

use crate::support::kinds::{self, Ends};
use crate::support::{Host, LIMITS, disk, hostile, module, poll};

#[tokio::test]
async fn each_kind_ends_in_its_own_cause() {
    let input = Host::of(3).slot();
    let mut wrong = Vec::new();
    for kind in kinds::all() {
        let (ends, failure) = kind.happen(&input).await;
        let words = failure.as_ref().map(ToString::to_string).unwrap_or_default();
        println!("{:50} {ends:?}  {}", kind.name, words.lines().next().unwrap_or_default());
        if ends != kind.ends {
            wrong.push(format!("{}: {ends:?} instead of {:?}: {words}", kind.name, kind.ends));
        }
        if failure.is_some_and(|f| f.detail.len() > DETAIL_BYTES || f.stderr.len() > STDERR_TAIL) {
            wrong.push(format!("{}: too many words: {} bytes", kind.name, words.len()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The number after which there is none.
#[tokio::test]
async fn the_last_number_is_nobodys() {
    let input = Host::of(3).slot();
    for config in ["give: the last number", "give: the last number first", "ask: remember for the last number"] {
        let module = module(&hostile(), config, LIMITS).await.unwrap();
        let failure = poll(&module, &input).await.result.unwrap_err();
        assert_eq!(failure.cause, Cause::Forged, "{config}: {failure}");
    }
}

/// Floods that are survived are cut, and counted.
#[tokio::test]
async fn what_is_too_much_is_dropped() {
    let input = Host::of(3).slot();
    for (config, dropped) in [("run: log", 1_000 - LOG_LINES as u64), ("run: print", 0)] {
        let module = module(&hostile(), config, LIMITS).await.unwrap();
        let called = poll(&module, &input).await;
        assert_eq!(called.lines.dropped(), dropped, "{config}");
        assert_eq!(called.result.unwrap().output[0].column.len(), 3, "{config}");
    }
}

/// A panic's message reaches whoever wrote the module.
#[tokio::test]
async fn a_panic_says_why() {
    let module = module(&hostile(), "run: panic", LIMITS).await.unwrap();
    let failure = poll(&module, &Host::of(3).slot()).await.result.unwrap_err();
    assert!(failure.stderr.contains("poll is told to panic"), "{failure}");
}

/// What cannot be remembered so is said with what can be done instead.
#[tokio::test]
async fn a_part_that_cannot_be_remembered_is_told_so() {
    let module = module(&hostile(), "ask: remember for a part of its own", LIMITS).await.unwrap();
    let failure = poll(&module, &Host::of(3).slot()).await.result.unwrap_err();
    assert!(failure.detail.contains("in its guest's cells under a name of the part's own"), "{failure}");
}

/// Beside each kind an honest module gives the same samples, for the same fuel, as alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_notice_nothing() {
    let input = Host::of(20).slot();
    let honest = module(&disk(), "", LIMITS).await.unwrap();
    let alone = poll(&honest, &input).await;
    let alone = (alone.fuel, format!("{:?}", alone.result.unwrap()));
    for kind in kinds::all() {
        if matches!(kind.ends, Ends::Loading(_)) {
            continue;
        }
        let (kind, beside) = (Arc::new(kind), input.clone());
        let name = kind.name.clone();
        let busy = tokio::spawn(async move {
            for _ in 0..3 {
                kind.happen(&beside).await;
            }
        });
        let mut polls = 0;
        while polls == 0 || !busy.is_finished() {
            let called = poll(&honest, &input).await;
            assert_eq!((called.fuel, format!("{:?}", called.result.unwrap())), alone, "beside {name}");
            polls += 1;
        }
        busy.await.unwrap();
    }
}
