//! Pipelines that are handed the samples of one slot after the other: the daemon's own sinks, without publishers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Bench;
use crate::agent::report::ModuleReport;
use crate::agent::{Agent, OPERATOR, Parts};
use crate::cli::module::time::{HostTime, later};
use crate::cli::module::trial::{INTERVAL, everything};
use crate::cli::module::written::{Odd, Written, samples};
use crate::cli::{Exit, print, setup};
use crate::clock::{Moment, SystemClock};
use crate::config::daemon::AutoDuration;
use crate::config::pipeline::case::{Given, Input};
use crate::config::{Config, Polling, Problems};
use crate::discovery::{Directory, Rules, Snapshot};
use crate::hypervisor::HypervisorError;
use crate::hypervisor::reader::{Reader, Want};
use crate::modules::registry::Registry;
use crate::modules::{Modules, NotLoaded};
use crate::pipeline::chain::Surroundings;
use crate::pipeline::sinks::Occasion;
use crate::pipeline::sinks::share::Shares;
use crate::pipeline::{Samples, Sinks, Slot};
use crate::publish::id::Ids;

/// What failed in which slot, in words.
pub type Failures = Vec<(u32, String)>;

/// What is handed over.
pub enum Piping {
    /// What pollsters measure of a host.
    Measured(Box<Agent>),
    /// What is written.
    Written(Box<Writing>),
}

/// Samples that are written, the host whose resources they are of, and who takes them.
pub struct Writing {
    file: PathBuf,
    inputs: Vec<Input>,
    /// The time of the first slot, at which `at` begins.
    start: Option<Moment>,
    reader: Reader,
    directory: Directory,
    ids: Ids,
    sinks: Sinks,
    around: Surroundings,
}

// === impl Piping ===

impl Piping {
    /// Opens a host and loads all modules.
    pub fn open(given: Given, file: &Path, config: Config, time: &HostTime, bench: &Bench) -> Result<Self, Exit> {
        let mut config = config;
        // No call of a simulated or recorded host hangs, and no time passes in which it could.
        config.reader.watchdog = AutoDuration::Fixed(config.watchdog());
        config.transform.clear();
        config.polling_file = None;
        let clock = time.clock();
        let hypervisor = setup::hypervisor(&config, &clock)?;
        let refused = |not_loaded: NotLoaded| {
            print::problems(&not_loaded.problems);
            Exit::without_modules(&not_loaded)
        };
        let (sandbox, guests) = (Arc::clone(&bench.sandbox), bench.threads.guests.handle().clone());
        match given {
            Given::Measured(meters) => {
                config.polling = Polling { sources: vec![everything(meters)] };
                let registry = Registry::none("this only tries out");
                let parts = Parts { clock, hypervisor, sandbox, guests, registry };
                let agent = bench.threads.time.block_on(Agent::new(config, parts)).map_err(refused)?;
                Ok(Self::Measured(Box::new(agent)))
            }
            Given::Written(inputs) => {
                let modules = bench.threads.time.block_on(Modules::load(&sandbox, &config)).map_err(refused)?;
                Ok(Self::Written(Box::new(Writing {
                    file: file.to_owned(),
                    inputs,
                    start: None,
                    reader: Reader::new(hypervisor, Arc::clone(&clock), config.watchdog(), config.reader.max_stuck),
                    directory: Directory::new(Rules::of(&config)),
                    ids: Ids::new(&config.host, clock.now()),
                    sinks: Sinks::of(config.pipeline.as_ref(), &modules.sinks),
                    around: Surroundings {
                        sandbox,
                        guests,
                        ledger: Arc::default(),
                        tenant: OPERATOR.into(),
                        clock: Arc::new(SystemClock),
                    },
                })))
            }
        }
    }

    /// Hands over the samples of a slot.
    pub fn next(&mut self, number: u32, bench: &Bench, failures: &mut Failures) -> Result<Slot, Exit> {
        let unreachable = |error: HypervisorError| {
            print::error(error);
            Exit::Unreachable
        };
        let time = &bench.threads.time;
        let (slot, reports) = match self {
            Self::Measured(agent) => {
                let report = time.block_on(agent.cycle(&[INTERVAL.as_secs()])).map_err(unreachable)?;
                (report.slot, report.modules)
            }
            Self::Written(writing) => {
                let snapshot = time.block_on(writing.read()).map_err(unreachable)?;
                let samples = writing.samples(number, &snapshot)?;
                time.block_on(writing.hand_over(&snapshot, samples))
            }
        };
        for report in &reports {
            let words = |(failure, count): &(_, u32)| format!("{} failed for {count}: {failure}", report.name);
            failures.extend(report.failures.iter().map(|failed| (number, words(failed))));
        }
        Ok(slot)
    }

    /// What came out of a sink in the slot that was handed over last.
    pub fn out_of(&mut self, sink: &str, slot: &Slot) -> Slot {
        let sinks = match self {
            Self::Measured(agent) => agent.sinks_mut(),
            Self::Written(writing) => &mut writing.sinks,
        };
        let samples = sinks.out_of(sink, slot).into_iter().cloned().collect();
        Slot { at: slot.at, resources: Arc::clone(&slot.resources), samples }
    }
}

// === impl Writing ===

impl Writing {
    async fn read(&mut self) -> Result<Snapshot, HypervisorError> {
        let reading = self.reader.read(&Want::default()).await?;
        self.directory.learn_from(&mut self.reader, &reading).await?;
        Ok(Snapshot::assemble(&mut self.directory, |_| false, reading.groups, &reading.records, &[], reading.at))
    }

    fn samples(&mut self, number: u32, snapshot: &Snapshot) -> Result<Vec<Samples>, Exit> {
        let start = *self.start.get_or_insert(snapshot.at);
        let of_slot = self.inputs.iter().filter(|input| input.slot == number);
        let written: Vec<Written> = of_slot
            .map(|Input { meter, resource, volume, notes, at, place, .. }| Written {
                meter: meter.clone(),
                resource: resource.clone(),
                volume: volume.clone(),
                notes: notes.clone(),
                at: at.map(|at| later(start, at)),
                place: *place,
            })
            .collect();
        samples(&written, snapshot, &mut self.ids).map_err(|Odd { place, message, remedy }| {
            let mut problems = Problems::of(Some(&self.file));
            problems.error(place, "in", message, remedy);
            print::problems(&problems);
            Exit::Usage
        })
    }

    async fn hand_over(&mut self, snapshot: &Snapshot, samples: Vec<Samples>) -> (Slot, Vec<ModuleReport>) {
        let mut slot = Slot { at: snapshot.at, resources: Arc::clone(&snapshot.resources), samples };
        let Self { sinks, directory, ids, around, .. } = self;
        // All of it is the operator's.
        let mut admit = |_: &Arc<str>, _, _| Ok(());
        let by = (&Shares::default(), Occasion::Slot);
        let reports = sinks.run(around, directory, ids, &mut slot, by, &mut admit).await;
        (slot, reports)
    }
}
