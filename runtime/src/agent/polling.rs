//! One module's part of a cycle: chunk by chunk, and by halves where a chunk fails.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::contract::Series;
use crate::discovery::{Snapshot, View};
use crate::sandbox::halves::{Answers, Calls};
use crate::sandbox::host::Input;
use crate::sandbox::host::log::Lines;
use crate::sandbox::host::state::State;
use crate::sandbox::ledger::{self, Ledger, Sure};
use crate::sandbox::turns;
use crate::sandbox::{Failure, Landed, Module, Names, Sandbox};

/// What a module is polled with.
#[derive(Debug, Clone)]
pub struct Poll {
    /// Where it runs.
    pub sandbox: Arc<Sandbox>,
    /// Where its fuel is booked.
    pub ledger: Arc<Ledger>,
    /// Whose resources these are.
    pub tenant: Arc<str>,
    /// The module.
    pub module: Arc<Module>,
    /// What was read.
    pub snapshot: Arc<Snapshot>,
    /// Names of meters that are others'.
    pub names: Arc<Names>,
    /// Its resources.
    pub view: Arc<View>,
    /// Roots that are handed over at once.
    pub chunk: u32,
    /// What it remembers.
    pub state: Arc<State>,
    /// What it has for sure of its tenant's fuel.
    pub sure: Sure,
    /// How long it takes is measured with this.
    pub clock: Arc<dyn Clock>,
}

/// What a module gave in one cycle.
#[derive(Debug)]
pub struct Polled {
    /// What landed, chunk by chunk.
    pub landed: Vec<Landed<Vec<Series>>>,
    /// What did not, with the number of resources that were left out.
    pub failures: Vec<(Failure, u32)>,
    /// What it remembers now.
    pub state: Arc<State>,
    /// Fuel that it used.
    pub fuel: u64,
    /// The most memory that an instance had.
    pub memory: usize,
    /// How long it took, without waiting for others.
    pub took: Duration,
    /// Calls.
    pub calls: u64,
    /// Fuel that it might have used.
    pub granted: u64,
    /// What it logged.
    pub lines: Lines,
}

// === impl Polled ===

impl Polled {
    /// Has nothing of it count, because of this: it remembers what it did before.
    pub fn refuse(&mut self, failure: Failure, resources: u32, before: Arc<State>) {
        self.landed.clear();
        self.failures.push((failure, resources));
        self.state = before;
    }
}

// === impl Poll ===

impl Poll {
    /// Polls all resources. A chunk that fails is tried again by halves, so that one odd guest costs itself.
    pub async fn run(self) -> Polled {
        let (began, before) = (self.clock.now().monotonic, turns::waited());
        let Self { sandbox, ledger, tenant, module, snapshot, names, view, chunk, state, sure, clock } = self;
        let chunks = view.chunks(&snapshot.resources, chunk);
        let allowance = ledger::allowance(&module.limits, chunks.len() as u64, view.resources());
        ledger.open(&module.name, &tenant, allowance, snapshot.at.monotonic, sure);
        let calls =
            Calls { module: &module, tenant: &tenant, ledger: &ledger, resources: &snapshot.resources, inputs: 0 };
        let all = view.roots();
        let call = |view: Arc<View>, state, fuel| {
            let part = view.roots() < all;
            let input = Input { snapshot: Arc::clone(&snapshot), view, part, names: Arc::clone(&names) };
            sandbox.poll(&module, input, state, fuel)
        };
        let Answers { landed, failures, state, fuel, memory, calls, lines } =
            calls.make(chunks, state, View::resources, call).await;
        let took = Duration::from_nanos(clock.now().monotonic.saturating_sub(began));
        let took = took.saturating_sub(turns::waited().saturating_sub(before));
        Polled { landed, failures, state, fuel, memory, took, calls, granted: allowance, lines }
    }
}
