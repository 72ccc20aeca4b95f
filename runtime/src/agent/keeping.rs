//! What modules remember, from the last slot that was kept to the next.

use std::collections::HashMap;
use std::sync::Arc;

use super::Agent;
use crate::pipeline::samples::Origin;
use crate::sandbox::host::state::State;
use crate::spool::memory::Memory;

/// A module that is not known any more.
const UNKNOWN: &str = "(unknown)";

/// What modules remembered after the last slot that was kept, by their work.
pub(super) type Kept = HashMap<String, Arc<State>>;

// === impl Agent ===

impl Agent {
    /// What the modules remember now and did not after the last slot that was kept. A record has it beside the samples
    /// that go with it.
    pub fn changed_memory(&self) -> Memory {
        let is_kept = |work: &str, state: &Arc<State>| match self.kept.get(work) {
            Some(kept) => Arc::ptr_eq(kept, state),
            None => state.names() == 0,
        };
        let states = self.all_states();
        let changed = states.iter().filter(|(work, state)| !is_kept(work, state));
        Memory::of(&self.directory, changed.map(|(work, state)| (work.clone(), &**state)))
    }

    /// What the modules remembered after the last slot that was kept.
    pub fn memory(&self) -> Memory {
        Memory::of(&self.directory, self.kept.iter().map(|(work, state)| (work.clone(), &**state)))
    }

    /// The last slot was kept, with what modules remember after it.
    pub fn keep(&mut self) {
        self.kept = self.all_states();
        self.sinks.keep();
        self.tenants.keep();
    }

    /// The last slot was not kept: modules remember what they did before it, and the next slot makes up for it.
    pub fn roll_back(&mut self) {
        for module in &self.modules.pollsters {
            let state = self.kept.get(&module.work(&[])).cloned().unwrap_or_default();
            self.states.insert(Arc::clone(&module.name), state);
        }
        let chains = self.chains.iter_mut().map(|chain| &mut chain.transformer);
        for transformer in chains.chain(self.sinks.transformers_mut()) {
            let state = self.kept.get(transformer.work()).cloned().unwrap_or_default();
            transformer.set_state(state);
        }
        self.tenants.roll_back();
    }

    /// Has modules remember what they did in an earlier run, as far as they are the same.
    pub fn remember(&mut self, memory: Memory) {
        self.kept = HashMap::new();
        for (work, state) in memory.into_states(&mut self.directory) {
            self.kept.insert(work, Arc::new(state));
        }
        self.tenants.remember(|work| self.kept.get(work).cloned());
        let remembered = self.kept.clone();
        self.sinks.meet(&self.tenants.named().map(|(key, _)| Origin::of(key)).collect());
        self.roll_back();
        self.sinks.let_go_of_strangers();
        self.keep();
        let forgotten = remembered.iter().filter(|(work, state)| state.names() > 0 && !self.kept.contains_key(*work));
        let (mut works, mut samples) = (0_usize, 0_u64);
        for (_, state) in forgotten {
            (works, samples) = (works + 1, samples.saturating_add(state.waiting()));
        }
        // Whose it was, it does not say.
        self.tally.forgot(&UNKNOWN.into(), samples);
        match works {
            0 => {}
            works => tracing::warn!(
                works,
                samples,
                "What some modules remembered is forgotten: they, what they are told or their places are others now."
            ),
        }
    }

    fn all_states(&self) -> Kept {
        let pollsters = self.modules.pollsters.iter().filter_map(|module| {
            let state = self.states.get(&module.name)?;
            Some((module.work(&[]), Arc::clone(state)))
        });
        let transformers = self.chains.iter().map(|chain| &chain.transformer).chain(self.sinks.transformers());
        let chains = transformers.map(|transformer| (transformer.work().to_owned(), Arc::clone(transformer.state())));
        let tenants = self.tenants.states().map(|(work, state)| (work, Arc::clone(state)));
        pollsters.chain(chains).chain(tenants).collect()
    }
}
