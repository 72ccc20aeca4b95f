//! Whatever modules do, and however often, the host's memory stays as it is.

use std::process::Command;
use std::time::Instant;

use wasmeter::sandbox::{Cause, Limits};

use crate::support::kinds::{self, Ends};
use crate::support::{Host, LIMITS, repeat};

/// How often each kind is repeated; with WASMETER_REPEAT=500 that is 10,000 times.
const TIMES: u32 = 20;
/// How often kinds that start the compiler, which is a process of its own, and of whom 20 ms each would be too long
/// for 10,000 times.
const TIMES_COMPILING: u32 = 5;
/// How often before memory is looked at for the first time.
const WARM_UP: u32 = 10;
/// How much more memory the process may have after all repetitions of a kind. What allocators keep comes and goes.
const GROWTH: i64 = 4 << 20;
/// How much more it may have at the end than after each kind was there once: as much, and the memory that the kinds
/// which fill all that they may have leave in the pool's slots for the next instances.
const GROWTH_IN_ALL: i64 = GROWTH + 16 * (1 << 20);

/// Processes that share the kinds among them.
const SHARES: usize = 2;
/// The variable that says which share a process has.
const SHARE: &str = "WASMETER_SHARE";

/// Apart from other tests, whose memory would count.
#[test]
fn memory_stays_flat() {
    let apart = |share: usize| {
        let mut apart = Command::new(std::env::current_exe().unwrap());
        apart.args(["--exact", "memory::in_a_process_of_its_own", "--ignored", "--nocapture"]);
        apart.env(SHARE, share.to_string()).spawn().unwrap()
    };
    let all: Vec<_> = (0..SHARES).map(apart).collect();
    for mut one in all {
        assert!(one.wait().unwrap().success());
    }
}

#[tokio::test]
#[ignore = "memory_stays_flat runs it in a process of its own"]
async fn in_a_process_of_its_own() {
    let start = Instant::now();
    let input = Host::of(3).slot();
    // What runs until its fuel is used up is to be quick.
    let brief = Limits { fuel_base: 5_000_000, ..LIMITS };
    let mut kinds = Vec::new();
    let share: usize = std::env::var(SHARE).map_or(0, |share| share.parse().unwrap());
    let all = kinds::all().into_iter().chain(kinds::transformers());
    for kind in all.skip(share).step_by(SHARES) {
        let limits = match kind.ends {
            Ends::Configuring(Cause::OutOfFuel) | Ends::Polling(Cause::OutOfFuel) => brief,
            _ => LIMITS,
        };
        let times = if kind.starts_the_compiler() { TIMES_COMPILING } else { TIMES };
        kinds.push((kind, limits, times * repeat()));
    }
    for (kind, limits, _) in &kinds {
        kind.happen_within(&input, *limits).await;
    }
    let (warm, mut in_all) = (resident(), 0);
    for (kind, limits, times) in &kinds {
        for _ in 0..WARM_UP.min(*times) {
            kind.happen_within(&input, *limits).await;
        }
        let (start, before) = (Instant::now(), resident());
        for _ in 0..*times {
            let (ends, _) = kind.happen_within(&input, *limits).await;
            assert_eq!(ends, kind.ends, "{}", kind.name);
        }
        in_all += times;
        let (grown, took) = (resident() - before, start.elapsed() / *times);
        let why = if kind.starts_the_compiler() { " (a quarter, for each starts the compiler)" } else { "" };
        println!("{:50} {times:>6} times{why}, {grown:>8} bytes more, {took:?} each", kind.name);
        assert!(grown < GROWTH, "{}: {grown} bytes more after {times} times", kind.name);
    }
    let (end, took) = (resident(), start.elapsed());
    println!(
        "share {share}: {in_all} calls in {took:?}: {} KiB resident when warm, {} KiB at the end",
        warm >> 10,
        end >> 10
    );
    assert!(end - warm < GROWTH_IN_ALL, "{} bytes more at the end", end - warm);
}

/// Bytes of memory that this process has.
fn resident() -> i64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: i64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
