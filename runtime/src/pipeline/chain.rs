//! Transformers over the samples of a slot. What they give stands beside what they were given.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::parts::Parts;
use super::samples::{NoteColumn, Samples, Slot};
use crate::agent::report::ModuleReport;
use crate::clock::{Clock, Moment};
use crate::config::MeterFilter;
use crate::contract::{Batch, Meter, Moment as ModuleMoment, Note, Values};
use crate::discovery::resource::Resource;
use crate::discovery::{Directory, Ident, Snapshot, View};
use crate::sandbox::call::Conversion;
use crate::sandbox::host::state::State;
use crate::sandbox::host::texts::Text;
use crate::sandbox::host::{Gives, Input};
use crate::sandbox::ledger::{self, Ledger};
use crate::sandbox::{Cause, Failure, Landed, Module, Sandbox};

/// One transformer and the meters that it is for.
#[derive(Debug)]
pub struct Chain {
    meters: MeterFilter,
    module: Arc<Module>,
    state: Arc<State>,
    /// What it said that it gives, by its inputs.
    described: HashMap<Vec<String>, Arc<Gives>>,
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

    /// Transforms those of the measured samples of a slot, the first in it, that match, if there are any.
    pub async fn run(
        &mut self,
        around: &Surroundings,
        directory: &mut Directory,
        slot: &Slot,
        measured: usize,
    ) -> Option<Made> {
        let measured = slot.samples.get(..measured).unwrap_or_default();
        let taken: Vec<&Samples> = measured.iter().filter(|s| self.meters.matches(&s.meter.name)).collect();
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
        let work = self.work(around, slot, &taken, report.resources);
        let landed = match around.guests.spawn(work.run()).await {
            Ok(done) => self.land(done, measured, &mut report),
            Err(error) => Err(Failure::new(Cause::Host, format!("its task was lost: {error}"))),
        };
        let mut parts = Parts::beside(&slot.resources);
        let samples = match landed {
            Ok((landed, gives)) => self.samples(directory, &mut parts, landed, &gives),
            Err(failure) => {
                report.failures.push((failure, report.resources));
                Vec::new()
            }
        };
        report.samples = samples.iter().map(|samples| samples.column.len()).sum();
        report.took = Duration::from_nanos(around.clock.now().monotonic.saturating_sub(began));
        Some(Made { report, samples, declared: parts.into_declared() })
    }

    /// Makes batches of samples. Inputs are meters, and two meters of one name are two.
    fn work(&mut self, around: &Surroundings, slot: &Slot, taken: &[&Samples], entries: u32) -> Work {
        let mut inputs: Vec<Meter> = Vec::new();
        let mut texts = Table::default();
        let mut batches = Vec::with_capacity(taken.len());
        for samples in taken {
            let known = inputs.iter().position(|meter| same(meter, &samples.meter));
            let place = known.unwrap_or_else(|| {
                inputs.push((*samples.meter).clone());
                inputs.len() - 1
            });
            batches.push(batch(samples, u32::try_from(place).unwrap_or(u32::MAX), &mut texts));
        }
        let key: Vec<String> = inputs.iter().map(|meter| format!("{meter:?}")).collect();
        let resources = Arc::clone(&slot.resources);
        Work {
            sandbox: Arc::clone(&around.sandbox),
            ledger: Arc::clone(&around.ledger),
            tenant: Arc::clone(&around.tenant),
            module: Arc::clone(&self.module),
            state: std::mem::take(&mut self.state),
            gives: self.described.get(&key).cloned(),
            key,
            inputs,
            batches,
            texts: texts.texts,
            input: Input {
                view: Arc::new(View::whole(&resources)),
                snapshot: Arc::new(Snapshot::empty(resources, slot.at)),
            },
            entries,
        }
    }

    /// Ends a call: what it wants remembered lands if what it gave can stand beside what was measured.
    fn land(
        &mut self,
        done: Done,
        measured: &[Samples],
        report: &mut ModuleReport,
    ) -> Result<(Landed<Vec<Batch>>, Arc<Gives>), Failure> {
        let Done { key, gives, state, fuel, memory, result } = done;
        (report.fuel, report.memory, self.state) = (fuel, memory, state);
        if let Some(gives) = &gives {
            // Inputs change when guests or devices come and go; a few sets of them go round.
            if self.described.len() >= 64 {
                self.described.clear();
            }
            self.described.insert(key, Arc::clone(gives));
        }
        let (mut landed, gives) = (result?, gives.unwrap_or_default());
        let names: HashSet<&str> = measured.iter().map(|samples| samples.meter.name.as_str()).collect();
        let given = landed.output.iter().filter_map(|batch| meter(batch.meter, &gives, &landed));
        if let Some(second) = given.into_iter().find(|meter| names.contains(meter.name.as_str())) {
            let detail =
                format!("it gave samples of {}, which is measured; give them a name of their own", second.name);
            return Err(Failure::new(Cause::Forged, detail));
        }
        Arc::make_mut(&mut self.state).commit(std::mem::take(&mut landed.writes));
        Ok((landed, gives))
    }

    fn samples(
        &self,
        directory: &mut Directory,
        parts: &mut Parts<'_>,
        mut landed: Landed<Vec<Batch>>,
        gives: &Gives,
    ) -> Vec<Samples> {
        let texts: Arc<[Text]> = std::mem::take(&mut landed.texts).into();
        let numbers = parts.declare(directory, &self.module.name, &landed.parts, &texts);
        let mut all = Vec::with_capacity(landed.output.len());
        for Batch { meter: position, at, mut column, notes } in std::mem::take(&mut landed.output) {
            numbers.renumber(&mut column);
            let Some(meter) = meter(position, gives, &landed).filter(|_| !column.is_empty()) else { continue };
            let at = Moment { wall: at.wall, monotonic: at.monotonic.unwrap_or(0) };
            let notes = notes.into_iter().filter_map(|note| NoteColumn::of(note, &numbers, &texts)).collect();
            let (module, meter) = (Arc::clone(&self.module.name), Arc::new(meter.clone()));
            all.push(Samples { module, meter, at, column, notes, first_id: 0 });
        }
        all
    }
}

/// The meter of a batch: described, or declared in the call.
fn meter<'a>(position: u32, gives: &'a Gives, landed: &'a Landed<Vec<Batch>>) -> Option<&'a Meter> {
    gives.meters.iter().chain(&landed.meters).nth(position as usize)
}

/// One call of a transformer, to be made on the modules' threads.
struct Work {
    sandbox: Arc<Sandbox>,
    ledger: Arc<Ledger>,
    tenant: Arc<str>,
    module: Arc<Module>,
    state: Arc<State>,
    key: Vec<String>,
    gives: Option<Arc<Gives>>,
    inputs: Vec<Meter>,
    batches: Vec<Batch>,
    texts: Vec<Text>,
    input: Input,
    entries: u32,
}

/// What came of it.
struct Done {
    key: Vec<String>,
    gives: Option<Arc<Gives>>,
    state: Arc<State>,
    fuel: u64,
    memory: usize,
    result: Result<Landed<Vec<Batch>>, Failure>,
}

// === impl Work ===

impl Work {
    async fn run(self) -> Done {
        let Self { sandbox, ledger, tenant, module, state, key, gives, inputs, batches, texts, input, entries } = self;
        let mut done = Done { key, gives, state, fuel: 0, memory: 0, result: Err(nothing_left()) };
        ledger.open(&module.name, &tenant, ledger::allowance(&module.limits, 1, entries));
        let gives = match &done.gives {
            Some(gives) => Arc::clone(gives),
            None => match sandbox.outputs(&module, &inputs).await {
                Ok(gives) => Arc::clone(done.gives.insert(Arc::new(gives))),
                Err(failure) => {
                    ledger.book(&module.name, &tenant, failure.fuel_used, Some(failure.cause));
                    return Done { fuel: failure.fuel_used, result: Err(failure), ..done };
                }
            },
        };
        let Some(fuel) = ledger.draw(&module.name, &tenant, module.limits.fuel(entries)) else { return done };
        let work = Conversion { inputs: &inputs, gives: &gives, batches: &batches, texts: &texts };
        let called = sandbox.convert(&module, input, Arc::clone(&done.state), fuel, work).await;
        called.lines.emit(&module.name, &tenant);
        let cause = called.result.as_ref().err().map(|failure| failure.cause);
        ledger.book(&module.name, &tenant, called.fuel, cause);
        (done.fuel, done.memory, done.result) = (called.fuel, called.memory, called.result);
        done
    }
}

fn nothing_left() -> Failure {
    Failure::new(Cause::OutOfFuel, "its fuel for this interval is used up")
}

fn same(a: &Meter, b: &Meter) -> bool {
    a.name == b.name && a.kind == b.kind && a.unit == b.unit
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
