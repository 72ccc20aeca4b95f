//! Which statistics a meter is made of. A module says what it reads for all its meters together; which of it goes into
//! one of them is tried: it is called once with everything, and once without each of its statistics.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::agent::polling::Poll;
use crate::clock::Clock;
use crate::config::Config;
use crate::discovery::{Snapshot, View};
use crate::sandbox::{Module, Sandbox};

/// Where modules are tried.
#[derive(Debug, Clone, Copy)]
pub struct Trial<'a> {
    /// Where they run.
    pub sandbox: &'a Arc<Sandbox>,
    /// How they may run.
    pub config: &'a Config,
    /// Where the time comes from.
    pub clock: &'a Arc<dyn Clock>,
    /// What was read.
    pub snapshot: &'a Arc<Snapshot>,
}

/// The samples of one meter: resources and volumes, as a text to compare.
type Given = Vec<String>;

// === impl Trial ===

impl Trial<'_> {
    /// For each statistic of a pollster that a guest has: whether its samples of a meter would be others without it;
    /// `None` if it gives no sample of it anyway. State is empty at each call.
    pub async fn keys(&self, module: &Arc<Module>, meter: &str, root: u32) -> Option<BTreeMap<String, bool>> {
        let whole = self.give(module, meter, root, Arc::clone(self.snapshot)).await?;
        let view = self.view(root);
        let has = |key: &str| self.snapshot.column(key).is_some_and(|column| view.count(column) > 0);
        let mut keys = BTreeMap::new();
        for wanted in module.description.reads.iter().filter(|wanted| has(&wanted.key)) {
            let without = Arc::new(self.snapshot.without(&wanted.key));
            let given = self.give(module, meter, root, without).await;
            keys.insert(wanted.key.clone(), given.as_ref() != Some(&whole));
        }
        Some(keys)
    }

    /// What a module gives of a meter for one guest; `None` if that is nothing.
    async fn give(&self, module: &Arc<Module>, meter: &str, root: u32, snapshot: Arc<Snapshot>) -> Option<Given> {
        let poll = Poll::alone(self.sandbox, module, snapshot, self.view(root), self.config, self.clock);
        let described = &module.description.meters;
        let mut given = Given::new();
        for landed in poll.run().await.landed {
            for series in &landed.output {
                let of = described.iter().chain(&landed.meters).nth(series.meter as usize);
                if of.is_some_and(|of| of.name == meter) && !series.column.is_empty() {
                    given.push(format!("{:?}", series.column));
                }
            }
        }
        (!given.is_empty()).then_some(given)
    }

    fn view(&self, root: u32) -> View {
        View::of(&self.snapshot.resources, vec![root..root.saturating_add(1)])
    }
}
