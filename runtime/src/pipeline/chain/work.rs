//! What a transformer does in a slot, on the modules' threads.

use std::ops::Range;
use std::sync::Arc;

use super::batches::Batches;
use crate::contract::Batch;
use crate::discovery::{Resources, Snapshot, View};
use crate::sandbox::call::Conversion;
use crate::sandbox::halves::{self, Answers, Calls};
use crate::sandbox::host::log::Lines;
use crate::sandbox::host::state::State;
use crate::sandbox::host::{Gives, Input};
use crate::sandbox::ledger::{self, Ledger, Sure};
use crate::sandbox::loading::Described;
use crate::sandbox::{Cause, Failure, Module, Names, Sandbox};

/// The calls of a transformer in a slot, to be made.
#[derive(Debug)]
pub struct Work {
    /// Where it runs.
    pub sandbox: Arc<Sandbox>,
    /// Where its fuel is booked.
    pub ledger: Arc<Ledger>,
    /// Whose samples these are.
    pub tenant: Arc<str>,
    /// The transformer.
    pub module: Arc<Module>,
    /// What it remembers.
    pub state: Arc<State>,
    /// What it said that it gives for these inputs, if it was asked before.
    pub gives: Option<Arc<Gives>>,
    /// The samples.
    pub batches: Batches,
    /// Their resources.
    pub snapshot: Arc<Snapshot>,
    /// The roots that they are of: it sees no other resources.
    pub roots: Vec<Range<u32>>,
    /// Names of meters that are others'.
    pub names: Arc<Names>,
    /// How many samples there are.
    pub entries: u32,
    /// What it has for sure of its tenant's fuel.
    pub sure: Sure,
}

/// What came of them.
#[derive(Debug)]
pub struct Done {
    /// What it said that it gives.
    pub gives: Option<Arc<Gives>>,
    /// What it gave.
    pub answers: Answers<Vec<Batch>>,
}

// === impl Work ===

impl Work {
    /// Hands over the whole slot at once, because a transformer may combine guests, and by halves if that fails.
    pub async fn run(mut self) -> Done {
        let allowance =
            ledger::allowance(&self.module.limits, 1, self.entries.saturating_add(self.batches.inputs_as_resources()));
        self.ledger.open(&self.module.name, &self.tenant, allowance, self.snapshot.at.monotonic, self.sure);
        let Described { result: described, fuel, mut lines } = self.describe().await;
        let state = std::mem::take(&mut self.state);
        let failed = |state, failure| Answers::failed(state, failure, self.entries);
        let mut done = match described {
            Ok(gives) => {
                let answers = match self.taken(&gives) {
                    Some(failure) => failed(state, failure),
                    None => self.convert(&gives, state).await,
                };
                Done { gives: Some(gives), answers }
            }
            Err(failure) => Done { gives: None, answers: failed(state, failure) },
        };
        done.answers.fuel = done.answers.fuel.saturating_add(fuel);
        lines.append(std::mem::take(&mut done.answers.lines));
        done.answers.lines = lines;
        let dropped: u32 = done.answers.landed.iter().map(|landed| landed.dropped).sum();
        if dropped > 0 {
            let why = "something is wrong with samples, as its own lines say";
            done.answers.failures.push((Failure::new(Cause::Dropped, why), dropped));
        }
        done
    }

    /// What it gives for these inputs, and what asking took.
    async fn describe(&self) -> Described<Arc<Gives>> {
        let unasked = |result| Described { result, fuel: 0, lines: Lines::default() };
        if let Some(gives) = &self.gives {
            return unasked(Ok(Arc::clone(gives)));
        }
        let Self { ledger, tenant, module, .. } = self;
        let Some(fuel) = ledger.draw(&module.name, tenant, module.limits.describing(self.batches.inputs.len())) else {
            return unasked(Err(halves::nothing_left()));
        };
        let Described { result, fuel, lines } = self.sandbox.outputs(module, &self.batches.inputs, fuel).await;
        ledger.book(&module.name, tenant, fuel, result.as_ref().err().map(|failure| failure.cause));
        ledger.say(&module.name, tenant, &lines);
        Described { result: result.map(Arc::new), fuel, lines }
    }

    /// What is wrong if it gives a meter that is another's.
    fn taken(&self, gives: &Gives) -> Option<Failure> {
        let mut meters = gives.meters.iter();
        let taken = meters.find_map(|meter| self.names.refuse(self.module.giver(), &meter.name).err())?;
        Some(Failure::new(Cause::Forged, taken))
    }

    async fn convert(&self, gives: &Arc<Gives>, state: Arc<State>) -> Answers<Vec<Batch>> {
        let Self { sandbox, ledger, tenant, module, batches, snapshot, names, .. } = self;
        let resources: &Resources = &snapshot.resources;
        let whole = Arc::new(View::of(resources, self.roots.clone()));
        let all = whole.roots();
        let calls = Calls { module, tenant, ledger, resources, inputs: batches.inputs_as_resources() };
        let call = |view: Arc<View>, state, fuel| async move {
            let part = view.roots() < all;
            let cut = (part || !view.is_numbered_as_the_slot()).then(|| batches.cut(&view));
            let batches_of_view = cut.as_ref().unwrap_or(&batches.all);
            let input = Input { snapshot: Arc::clone(snapshot), view, part, names: Arc::clone(names) };
            let work = Conversion { inputs: &batches.inputs, gives, batches: batches_of_view, texts: &batches.texts };
            sandbox.convert(module, input, state, fuel, work).await
        };
        // Where nothing comes there is one call, of nothing.
        let size = |view: &View| if self.entries == 0 { 1 } else { batches.count(view) };
        let mut answers = calls.make(vec![whole], state, size, call).await;
        answers.failures.iter_mut().for_each(|(_, samples)| *samples = (*samples).min(self.entries));
        answers
    }
}
