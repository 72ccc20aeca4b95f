//! One module's part of a cycle: chunk by chunk, and by halves where a chunk fails.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::contract::Series;
use crate::discovery::{Snapshot, View};
use crate::sandbox::host::Input;
use crate::sandbox::host::log::Lines;
use crate::sandbox::host::state::State;
use crate::sandbox::ledger::{self, Ledger};
use crate::sandbox::{Cause, Failure, Landed, Module, Sandbox};

/// What a module is polled with.
#[derive(Debug)]
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
    /// Its resources.
    pub view: View,
    /// Roots that are handed over at once.
    pub chunk: u32,
    /// What it remembers.
    pub state: Arc<State>,
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
    /// How long it took.
    pub took: Duration,
}

// === impl Poll ===

impl Poll {
    /// Polls all resources. A chunk that fails is tried again by halves, so that one odd guest costs itself.
    pub async fn run(self) -> Polled {
        let began = self.clock.now().monotonic;
        let Self { sandbox, ledger, tenant, module, snapshot, view, chunk, state, clock } = self;
        let resources = &snapshot.resources;
        let mut waiting = view.chunks(resources, chunk);
        waiting.reverse();
        let allowance = ledger::allowance(&module.limits, waiting.len() as u64, view.resources());
        ledger.open(&module.name, &tenant, allowance);
        let mut polled =
            Polled { landed: Vec::new(), failures: Vec::new(), state, fuel: 0, memory: 0, took: Duration::ZERO };
        let mut said = Lines::default();
        while let Some(view) = waiting.pop() {
            let size = view.resources();
            let Some(fuel) = ledger.draw(&module.name, &tenant, module.limits.fuel(size)) else {
                let detail = format!("its {allowance} units for this interval are used up");
                polled.failures.push((Failure::new(Cause::OutOfFuel, detail), size));
                continue;
            };
            let view = Arc::new(view);
            let input = Input { snapshot: Arc::clone(&snapshot), view: Arc::clone(&view) };
            let called = sandbox.poll(&module, input, Arc::clone(&polled.state), fuel).await;
            polled.fuel += called.fuel;
            polled.memory = polled.memory.max(called.memory);
            let cause = called.result.as_ref().err().map(|failure| failure.cause);
            ledger.book(&module.name, &tenant, called.fuel, cause);
            match called.result {
                Ok(mut landed) => {
                    said.append(called.lines);
                    let writes = std::mem::take(&mut landed.writes);
                    Arc::make_mut(&mut polled.state).commit(writes);
                    polled.landed.push(landed);
                }
                Err(failure) => match view.halves(resources).filter(|_| failure.cause.may_be_one_resource()) {
                    // What is tried again says it again.
                    Some((first, second)) => waiting.extend([second, first]),
                    None => {
                        said.append(called.lines);
                        polled.failures.push((failure, size));
                    }
                },
            }
        }
        said.emit(&module.name, &tenant);
        polled.took = Duration::from_nanos(clock.now().monotonic.saturating_sub(began));
        polled
    }
}
