//! Who burns all that it may costs others no more than the slices that are under way.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::yield_now;
use wasmeter::sandbox::host::debt::SLICE;
use wasmeter::sandbox::turns::Gate;
use wasmeter::sandbox::{Limits, price};

use crate::support::{Host, LIMITS, hostile, module, poll};

/// Counts the slices of what is inside.
struct Counted<F>(Pin<Box<F>>, Arc<AtomicU64>);

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.as_mut().poll(cx)
    }
}

/// Takes note of how often others were counted until it last had a slice, in which nobody else has one.
struct Seeing<F>(Pin<Box<F>>, Arc<AtomicU64>, Arc<AtomicU64>);

impl<F: Future> Future for Seeing<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.2.store(self.1.load(Ordering::SeqCst), Ordering::SeqCst);
        self.0.as_mut().poll(cx)
    }
}

/// Gives how often others were counted when this had its place in the order, with what comes out.
struct InOrder<F>(Pin<Box<F>>, Arc<AtomicU64>, Option<u64>);

impl<F: Future> Future for InOrder<F> {
    type Output = (u64, F::Output);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<(u64, F::Output)> {
        let polled = self.0.as_mut().poll(cx);
        let counted = self.1.load(Ordering::SeqCst);
        let began = *self.2.get_or_insert(counted);
        polled.map(|done| (began, done))
    }
}

/// A tenant whose modules loop, with all the fuel that there is, and another one with a module that does its work: from
/// when that has its place in the order until it runs, nobody else gets a turn; whose turn it is already has a slice of
/// 0.1 ms, where 10 ms are allowed.
#[test]
fn who_burns_all_fuel_delays_others_by_slices() {
    let endless =
        Limits { fuel_base: u64::MAX / 4, fuel_per_resource: 0, deadline: Duration::from_secs(600), ..LIMITS };
    let threads = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let input = Arc::new(Host::of(10).slot());
    let loops = Arc::new(threads.block_on(module(&hostile(), "run: loop", endless)).unwrap());
    let honest = Arc::new(threads.block_on(module(&hostile(), "", LIMITS)).unwrap());
    let [greedy, modest]: [Arc<str>; 2] = ["greedy", "modest"].map(Into::into);
    let (gate, burnt) = (Gate::new(1), Arc::new(AtomicU64::new(0)));
    let burns: Vec<_> = (0..2)
        .map(|_| {
            let (input, loops, burnt) = (Arc::clone(&input), Arc::clone(&loops), Arc::clone(&burnt));
            let work = async move { poll(&loops, &input).await };
            threads.spawn(gate.in_turns(&greedy, Counted(Box::pin(work), burnt)))
        })
        .collect();
    for round in 1..=20 {
        // So that it is clear who ran more, however busy the machine is.
        threads.block_on(async {
            while burnt.load(Ordering::SeqCst) < round * 500 {
                yield_now().await
            }
        });
        let (own, seen) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (input, honest) = (Arc::clone(&input), Arc::clone(&honest));
        let work = Counted(Box::pin(async move { poll(&honest, &input).await }), Arc::clone(&own));
        let work = Seeing(Box::pin(work), Arc::clone(&burnt), Arc::clone(&seen));
        let work = InOrder(Box::pin(gate.in_turns(&modest, work)), Arc::clone(&burnt), None);
        let (began, called) = threads.block_on(async { threads.spawn(work).await.unwrap() });
        assert!(called.result.is_ok(), "{:?}", called.result.err());
        assert_eq!(own.load(Ordering::SeqCst), 1, "it is done within a slice");
        let theirs = seen.load(Ordering::SeqCst).saturating_sub(began);
        // One may have had its turn already, and not have been counted yet.
        assert!(theirs <= 1, "{theirs} slices of others began meanwhile");
    }
    // A slice is far less than 10 ms.
    const { assert!(SLICE < price::CORE_SECOND / 100) };
    burns.iter().for_each(tokio::task::JoinHandle::abort);
}
