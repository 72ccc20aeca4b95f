//! Transformers over the samples of a slot. What they give stands beside what they were given.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::samples::{NoteColumn, Samples, Slot};
use crate::agent::report::ModuleReport;
use crate::clock::{Clock, Moment};
use crate::config::MeterFilter;
use crate::contract::{Batch, Meter, Moment as ModuleMoment, Note, Values};
use crate::discovery::{Ident, Snapshot, View};
use crate::sandbox::call::Conversion;
use crate::sandbox::host::Input;
use crate::sandbox::host::state::State;
use crate::sandbox::host::texts::Text;
use crate::sandbox::{Failure, Landed, Limits, Module, Sandbox, ledger};

/// One transformer and the meters that it is for.
#[derive(Debug)]
pub struct Chain {
    meters: MeterFilter,
    module: Arc<Module>,
    state: Arc<State>,
    /// The outputs that it described, by its inputs.
    described: HashMap<Vec<String>, Arc<Vec<Meter>>>,
}

/// What a chain is called with.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// Where it runs.
    pub sandbox: &'a Sandbox,
    /// Where its fuel is booked.
    pub ledger: &'a ledger::Ledger,
    /// Whose samples these are.
    pub tenant: &'a Arc<str>,
    /// How long it takes is measured with this.
    pub clock: &'a Arc<dyn Clock>,
}

// === impl Chain ===

impl Chain {
    /// A transformer for the meters that match.
    pub fn new(meters: MeterFilter, module: Arc<Module>) -> Self {
        Self { meters, module, state: Arc::default(), described: HashMap::new() }
    }

    /// The transformer.
    pub fn module(&self) -> &Arc<Module> {
        &self.module
    }

    /// Goes on with what another chain remembers, if both are the same work.
    pub fn take_over(&mut self, old: &mut Vec<Chain>) {
        let same = |old: &Chain| {
            old.module.code.digest == self.module.code.digest
                && old.module.config == self.module.config
                && old.meters.patterns() == self.meters.patterns()
        };
        if let Some(place) = old.iter().position(same) {
            self.state = old.swap_remove(place).state;
        }
    }

    /// Forgets cells whose identities will be somebody else's.
    pub fn forget(&mut self, gone: &[Ident]) {
        if !gone.is_empty() {
            Arc::make_mut(&mut self.state).forget(gone);
        }
    }

    /// Transforms those of a slot's samples that match, if there are any. What comes out has no message ids yet.
    pub async fn run(&mut self, around: Surroundings<'_>, slot: &Slot) -> Option<(ModuleReport, Vec<Samples>)> {
        let taken: Vec<&Samples> = slot.samples.iter().filter(|s| self.meters.matches(&s.meter.name)).collect();
        if taken.is_empty() {
            return None;
        }
        let began = around.clock.now().monotonic;
        let resources = u32::try_from(taken.iter().map(|samples| samples.column.len()).sum::<usize>());
        let mut report = ModuleReport {
            name: Arc::clone(&self.module.name),
            samples: 0,
            fuel: 0,
            resources: resources.unwrap_or(u32::MAX),
            memory: 0,
            took: Duration::ZERO,
            failures: Vec::new(),
        };
        let made = self.convert(around, slot, &taken, &mut report).await.unwrap_or_else(|failure| {
            report.failures.push((failure, report.resources));
            Vec::new()
        });
        report.samples = made.iter().map(|samples| samples.column.len()).sum();
        report.took = Duration::from_nanos(around.clock.now().monotonic.saturating_sub(began));
        Some((report, made))
    }

    async fn convert(
        &mut self,
        around: Surroundings<'_>,
        slot: &Slot,
        taken: &[&Samples],
        report: &mut ModuleReport,
    ) -> Result<Vec<Samples>, Failure> {
        let mut inputs: Vec<Meter> = Vec::new();
        let mut texts = Table::default();
        let mut batches = Vec::with_capacity(taken.len());
        for samples in taken {
            let known = inputs.iter().position(|meter| meter.name == samples.meter.name);
            let place = known.unwrap_or_else(|| {
                inputs.push((*samples.meter).clone());
                inputs.len() - 1
            });
            batches.push(batch(samples, u32::try_from(place).unwrap_or(u32::MAX), &mut texts));
        }
        let outputs = self.outputs(around.sandbox, &inputs).await?;
        let view = Arc::new(View::whole(&slot.resources));
        let entries = report.resources;
        let limits: &Limits = &self.module.limits;
        around.ledger.open(&self.module.name, around.tenant, ledger::allowance(limits, 1, entries));
        let Some(fuel) = around.ledger.draw(&self.module.name, around.tenant, limits.fuel(entries)) else {
            return Ok(Vec::new());
        };
        let input = Input { snapshot: Arc::new(Snapshot::empty(Arc::clone(&slot.resources), slot.at)), view };
        let work = Conversion { inputs: &inputs, outputs: outputs.len(), batches: &batches, texts: &texts.texts };
        let called = around.sandbox.convert(&self.module, input, Arc::clone(&self.state), fuel, work).await;
        called.lines.emit(&self.module.name, around.tenant);
        (report.fuel, report.memory) = (called.fuel, called.memory);
        let cause = called.result.as_ref().err().map(|failure| failure.cause);
        around.ledger.book(&self.module.name, around.tenant, called.fuel, cause);
        let Landed { output, texts, writes, .. } = called.result?;
        Arc::make_mut(&mut self.state).commit(writes);
        Ok(self.samples(output, &outputs, &texts.into()))
    }

    async fn outputs(&mut self, sandbox: &Sandbox, inputs: &[Meter]) -> Result<Arc<Vec<Meter>>, Failure> {
        let key: Vec<String> = inputs.iter().map(|meter| format!("{meter:?}")).collect();
        if let Some(known) = self.described.get(&key) {
            return Ok(Arc::clone(known));
        }
        let described = Arc::new(sandbox.describe_transformer(&self.module, inputs).await?);
        // Inputs change when guests or devices come and go; a few sets of them go round.
        if self.described.len() >= 64 {
            self.described.clear();
        }
        self.described.insert(key, Arc::clone(&described));
        Ok(described)
    }

    fn samples(&self, output: Vec<Batch>, meters: &[Meter], texts: &Arc<[Text]>) -> Vec<Samples> {
        let mut all = Vec::with_capacity(output.len());
        for Batch { meter, at, column, notes } in output {
            let Some(meter) = meters.get(meter as usize).filter(|_| !column.is_empty()) else { continue };
            let at = Moment { wall: at.wall, monotonic: at.monotonic.unwrap_or(0) };
            let note = |Note { key, column }: Note| {
                let key = Arc::clone(&texts.get(key as usize)?.text);
                Some(NoteColumn { key, column, texts: Arc::clone(texts) })
            };
            let (notes, module) = (notes.into_iter().filter_map(note).collect(), Arc::clone(&self.module.name));
            all.push(Samples { module, meter: Arc::new(meter.clone()), at, column, notes, first_id: 0 });
        }
        all
    }
}

/// Texts of notes, each once.
#[derive(Default)]
struct Table {
    texts: Vec<Text>,
    numbers: HashMap<Text, u32>,
}

impl Table {
    fn number(&mut self, text: &Text) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts.push(text.clone());
        self.numbers.insert(text.clone(), number);
        number
    }
}

fn batch(samples: &Samples, meter: u32, table: &mut Table) -> Batch {
    let at = ModuleMoment { wall: samples.at.wall, monotonic: Some(samples.at.monotonic) };
    let notes = samples.notes.iter().map(|note| {
        let mut column = note.column.clone();
        if let Values::Interned(values) = &mut column.values {
            for value in values {
                *value = note.texts.get(*value as usize).map_or(0, |text| table.number(text));
            }
        }
        let key = table.number(&Text { text: Arc::clone(&note.key), json: false });
        Note { key, column }
    });
    Batch { meter, at, notes: notes.collect(), column: samples.column.clone() }
}
