//! Calls of one module for many resources: some at a time, and by halves where that fails.

use std::sync::Arc;

use super::call::{Called, Landed};
use super::failure::{Cause, Failure};
use super::host::log::Lines;
use super::host::state::State;
use super::ledger::Ledger;
use super::module::Module;
use crate::discovery::{Resources, View};

/// Whose calls these are, and where their fuel comes from. The interval is open.
#[derive(Debug, Clone, Copy)]
pub struct Calls<'a> {
    /// The module.
    pub module: &'a Module,
    /// Whose resources these are.
    pub tenant: &'a Arc<str>,
    /// Where its fuel is booked.
    pub ledger: &'a Ledger,
    /// What the views are of.
    pub resources: &'a Resources,
    /// As how many resources the inputs of each of them count.
    pub inputs: u32,
}

/// What came of them.
#[derive(Debug)]
pub struct Answers<T> {
    /// What landed, call by call.
    pub landed: Vec<Landed<T>>,
    /// What did not, with the number of resources that were left out.
    pub failures: Vec<(Failure, u32)>,
    /// What the module remembers now.
    pub state: Arc<State>,
    /// Fuel that it used.
    pub fuel: u64,
    /// The most memory that an instance had.
    pub memory: usize,
    /// Calls.
    pub calls: u64,
    /// What it logged.
    pub lines: Lines,
}

// === impl Calls ===

impl Calls<'_> {
    /// Makes a call for each of these views. One that fails is made again by halves, so that one odd guest costs
    /// itself; but not one that made requests, which would be made again. `size` says of how many resources a view is, as fuel and losses are counted; a view of none is left
    /// out.
    pub async fn make<T, F: Future<Output = Called<T>>>(
        &self,
        mut waiting: Vec<Arc<View>>,
        state: Arc<State>,
        size: impl Fn(&View) -> u32,
        call: impl Fn(Arc<View>, Arc<State>, u64) -> F,
    ) -> Answers<T> {
        let Self { module, tenant, ledger, resources, inputs } = *self;
        let mut answers = Answers::none(state);
        let mut said = Lines::default();
        waiting.reverse();
        while let Some(view) = waiting.pop() {
            let size = size(&view);
            if size == 0 {
                continue;
            }
            let Some(fuel) = ledger.draw(&module.name, tenant, module.limits.fuel(size.saturating_add(inputs))) else {
                answers.failures.push((nothing_left(), size));
                continue;
            };
            let called = call(Arc::clone(&view), Arc::clone(&answers.state), fuel).await;
            answers.calls += 1;
            answers.fuel += called.fuel;
            answers.memory = answers.memory.max(called.memory);
            let asked = called.asked;
            let cause = called.result.as_ref().err().map(|failure| failure.cause);
            ledger.book(&module.name, tenant, called.fuel, cause);
            match called.result {
                Ok(mut landed) => {
                    said.append(called.lines);
                    let writes = std::mem::take(&mut landed.writes);
                    // What is as it was need not be kept again.
                    if !writes.is_empty() {
                        Arc::make_mut(&mut answers.state).commit(writes);
                    }
                    answers.landed.push(landed);
                }
                Err(failure) => {
                    let may_be_a_part = size > 1 && !asked && failure.cause.may_be_one_resource();
                    match view.halves(resources).filter(|_| may_be_a_part) {
                        // What is tried again says it again.
                        Some((first, second)) => waiting.extend([second, first]),
                        None => {
                            said.append(called.lines);
                            answers.failures.push((failure, size));
                        }
                    }
                }
            }
        }
        ledger.say(&module.name, tenant, &said);
        answers.lines = said;
        answers
    }
}

/// A failure for want of fuel in the interval.
pub fn nothing_left() -> Failure {
    Failure::new(
        Cause::OutOfFuel,
        "its fuel for this interval is used up, or what its tenant or the node has for modules",
    )
}

// === impl Answers ===

impl<T> Answers<T> {
    /// None yet.
    pub fn none(state: Arc<State>) -> Self {
        Self { landed: Vec::new(), failures: Vec::new(), state, fuel: 0, memory: 0, calls: 0, lines: Lines::default() }
    }

    /// None, because of this.
    pub fn failed(state: Arc<State>, failure: Failure, resources: u32) -> Self {
        Self { failures: vec![(failure, resources)], ..Self::none(state) }
    }
}
