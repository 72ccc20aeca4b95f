//! Tenants' transformers in the chains of the operator's sinks: what comes to them there, and when they begin with it.

use std::sync::Arc;

use super::answer::Chained;
use super::next::{Given, Input};
use super::slot::entries;
use super::{Deployed, NOT_RUNNING};
use crate::agent::Agent;
use crate::discovery::Resources;
use crate::modules::deployment::Key;
use crate::modules::life::Run;
use crate::pipeline::Slot;
use crate::pipeline::sinks::share::{Portion, Share, Shares};

// === impl Agent ===

impl Agent {
    /// Has transformers in chains begin with what came to them there.
    pub(in crate::agent) fn begin_chained(&mut self, slot: &Slot) {
        for (key, portion) in self.sinks.take_held() {
            let taken = entries(&portion.taken);
            if !self.begin_in_chain(&key, portion, slot) {
                self.tenants.lose(&key, taken);
            }
        }
        self.begin_next();
        for (key, samples) in std::mem::take(&mut self.tenants.lost).into_iter().filter(|(_, samples)| *samples > 0) {
            self.tally.failed(&key.to_string().into(), NOT_RUNNING, samples);
            self.sinks.lost(&key, samples);
        }
    }

    /// Whether it begins, if not at once; one that may not run, or is still at an earlier slot, does not.
    fn begin_in_chain(&mut self, key: &Key, Portion { taken, passing }: Portion, slot: &Slot) -> bool {
        let (Some(sink), Some(deployed)) = (self.sinks.sink_of(key).cloned(), self.tenants.deployed.get(key)) else {
            return false;
        };
        let run = deployed.deployment.plan(&self.tenants.rules, slot.at.wall);
        if matches!(run, Run::Nothing(_)) || deployed.is_broken() {
            return false;
        }
        let chain = Some(Chained { sink, taken: entries(&taken) });
        // Each version has what is for it.
        let samples = [taken, passing].concat();
        let given = Given { resources: Arc::clone(&slot.resources), samples, chain };
        self.tenants.queue(key, slot.at, run, Input::Given(given))
    }

    /// What tenants' transformers in chains are handed of what comes to them there, in a slot of these intervals.
    pub(in crate::agent) fn shares(&self, resources: &Resources, intervals: &[u64]) -> Shares {
        let share = |key: &Key| {
            let deployed = self.tenants.deployed.get(key);
            // A pollster measures, wherever it is named.
            if deployed.is_some_and(Deployed::measures) {
                return None;
            }
            let projects = self.config.tenants.projects_of(&key.tenant);
            let guests = resources.guests_of(|project| projects.contains(project));
            let meters = deployed.and_then(Deployed::meters).cloned();
            let tried = deployed.and_then(Deployed::tried_meters).cloned();
            // One that is at an earlier slot lets go of what it holds when it is asked next. Its budget is for a call in
            // each of its interval.
            let holds = |deployed: &Deployed| deployed.states.values().any(|state| state.waiting() > 0);
            let is_due = |deployed: &&Deployed| deployed.is_idle() && deployed.is_due(intervals);
            let holds = deployed.filter(is_due).is_some_and(holds);
            Some((key.clone(), Share { guests, meters, tried, holds }))
        };
        Shares::of(self.sinks.deployed().filter_map(share))
    }
}
