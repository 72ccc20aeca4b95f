//! Transformers over the samples of a slot. What they give stands beside what they were given.

mod batches;
mod transformer;
mod work;

use std::sync::Arc;

use tokio::runtime::Handle;

pub use self::batches::Batches;
pub use self::transformer::{Handed, Transformer};
pub use self::work::{Done, Work};
use super::route::Route;
use super::samples::{Samples, Slot};
use crate::agent::report::ModuleReport;
use crate::clock::Clock;
use crate::config::MeterFilter;
use crate::discovery::Directory;
use crate::discovery::resource::Resource;
use crate::publish::id::Ids;
use crate::sandbox::ledger::Ledger;
use crate::sandbox::{Failure, Module, Names, Sandbox};

/// One transformer and the meters that it is for.
#[derive(Debug)]
pub struct Chain {
    meters: MeterFilter,
    /// What its meters may be called, where that is not as for all others.
    names: Option<Arc<Names>>,
    /// The transformer.
    pub transformer: Transformer,
}

/// What a chain made of a slot.
#[derive(Debug)]
pub struct Made {
    /// How that went.
    pub report: ModuleReport,
    /// What came out, without message ids.
    pub samples: Vec<Samples>,
    /// Parts of guests that it declared.
    pub declared: Vec<Resource>,
}

/// What a chain is called with.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Where it runs.
    pub sandbox: Arc<Sandbox>,
    /// Threads for modules.
    pub guests: Handle,
    /// Where its fuel is booked.
    pub ledger: Arc<Ledger>,
    /// Whose samples these are.
    pub tenant: Arc<str>,
    /// How long it takes is measured with this.
    pub clock: Arc<dyn Clock>,
}

// === impl Made ===

impl Made {
    /// Has it come to nothing, because of this.
    pub fn refuse(&mut self, failure: Failure) {
        self.samples.clear();
        self.declared.clear();
        self.report.samples = 0;
        self.report.failures.push((failure, self.report.resources));
    }
}

// === impl Chain ===

impl Chain {
    /// A transformer for the meters that match.
    pub fn new(meters: MeterFilter, module: Arc<Module>) -> Self {
        let transformer = Transformer::new(module, meters.patterns());
        Self { meters, names: None, transformer }
    }

    /// The same, whose meters have only these names, if there are such.
    #[must_use]
    pub fn called(self, names: Option<Arc<Names>>) -> Self {
        Self { names, ..self }
    }

    /// Transforms those of the measured samples of a slot, the first in it, that match, if there are any, or if others
    /// wait.
    pub async fn run(
        &mut self,
        around: &Surroundings,
        directory: &mut Directory,
        names: &mut Arc<Names>,
        ids: &mut Ids,
        slot: &Slot,
        measured: usize,
    ) -> Option<Made> {
        let measured = slot.samples.get(..measured).unwrap_or_default();
        let taken: Vec<&Samples> = measured.iter().filter(|s| self.meters.matches(&s.meter.name)).collect();
        if taken.is_empty() && !self.transformer.holds() {
            return None;
        }
        let names = match &mut self.names {
            Some(own) => {
                Arc::make_mut(own).next_slot();
                own
            }
            None => names,
        };
        let handed = Handed { samples: &taken, resources: &slot.resources, at: slot.at };
        Some(self.transformer.run(around, directory, names, ids, handed, &Route::default()).await)
    }
}
