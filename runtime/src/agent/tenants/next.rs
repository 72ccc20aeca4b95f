//! A slot that a deployment has yet to begin with. Most begin at once. A transformer waits for its tenant's pollsters, and
//! a slot that comes while a version is on trial waits for the end of the one before it: so nothing lands twice, or before
//! what was earlier, and each begins with what is remembered after the one before it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Deployed;
use super::answer::Chained;
use crate::clock::Moment;
use crate::discovery::resource::Resource;
use crate::discovery::{Resources, Snapshot, View};
use crate::modules::deploying::Ready;
use crate::modules::deployment::Key;
use crate::modules::life::{Rules, Run, StateId};
use crate::pipeline::Samples;
use crate::sandbox::Module;
use crate::sandbox::host::state::State;

/// A slot that a deployment has yet to begin with.
#[derive(Debug)]
pub(super) struct Next {
    /// When it was read.
    pub at: Moment,
    /// What it is about.
    pub input: Input,
    /// Pollsters that it waits for.
    pub waits: BTreeSet<(Key, u64)>,
    /// What is to run.
    pub run: Run,
    /// Versions that run, whatever becomes of them until it begins, and for which was read what they read.
    pub ready: BTreeMap<u64, Arc<Ready>>,
    /// What these remembered when the slot came.
    pub states: BTreeMap<StateId, Arc<State>>,
    /// Whether it came when the one before it was still to land.
    pub follows: bool,
}

/// What a slot is about.
#[derive(Debug)]
pub(super) enum Input {
    /// For a pollster: what was read, and what of it is its tenant's.
    Read(Arc<Snapshot>, Arc<View>),
    /// For a transformer.
    Given(Given),
}

/// Samples that a transformer is handed, so far.
#[derive(Debug)]
pub(super) struct Given {
    /// The slot's resources, with the parts that modules declared.
    pub resources: Arc<Resources>,
    pub samples: Vec<Samples>,
    /// Its place in a chain, if it is what came to it there.
    pub chain: Option<Chained>,
}

// === impl Next ===

impl Next {
    /// Whether it may be handed anything that these give.
    pub fn takes_of<'a>(&self, mut modules: impl Iterator<Item = &'a Arc<Module>>) -> bool {
        modules.any(|module| {
            let description = &module.description;
            !description.declares.is_empty() || description.meters.iter().any(|meter| self.takes(&meter.name))
        })
    }

    /// Whether a transformer is for samples of a meter, whichever version of it runs.
    pub fn takes(&self, meter: &str) -> bool {
        self.ready.values().any(|ready| ready.source.meters.matches(meter))
    }

    /// Goes by what became of the deployment in the slot before it. For a version that came on trial since then nothing
    /// was read, and the one before it runs. One that was gone back to since has nobody to stand in, and what there is.
    pub fn follow(&mut self, deployed: &Deployed, rules: &Rules) {
        self.run = deployed.deployment.plan(rules, self.at.wall);
        self.states.clone_from(&deployed.states);
        let came = self.run.on_trial().map(|trial| trial.version).filter(|trial| !self.ready.contains_key(trial));
        self.ready.clone_from(&deployed.ready);
        self.ready.retain(|version, _| Some(*version) != came);
    }
}

// === impl Input ===

impl Input {
    /// Its place in a chain, if it is what came to it there.
    pub fn into_chain(self) -> Option<Chained> {
        match self {
            Self::Read(..) => None,
            Self::Given(given) => given.chain,
        }
    }
}

// === impl Given ===

impl Given {
    /// Takes what a pollster of its tenant's landed in its slot, whose numbers from `first` on are of parts that were
    /// declared meanwhile.
    pub fn take<'a>(&mut self, samples: impl Iterator<Item = &'a Samples>, first: u32, declared: &[Resource]) {
        let further = self.resources.len().saturating_sub(first);
        if !declared.is_empty() {
            self.resources = Arc::new(self.resources.with_declared(declared.to_vec()));
        }
        for samples in samples {
            let mut samples = samples.clone();
            let columns =
                std::iter::once(&mut samples.column).chain(samples.notes.iter_mut().map(|note| &mut note.column));
            for column in columns {
                column.resources.iter_mut().filter(|number| **number >= first).for_each(|number| *number += further);
            }
            self.samples.push(samples);
        }
    }
}
