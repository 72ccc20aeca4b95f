//! `wasmeter module run`.

use std::sync::Arc;
use std::time::Duration;

use crate::agent::OPERATOR;
use crate::agent::polling::{Poll, Polled};
use crate::cli::module::trial::{Inputs, Trial, Tried};
use crate::cli::module::{Which, is_pollster, prepare, refused};
use crate::cli::once;
use crate::cli::setup::{self, Threads, Where};
use crate::cli::{Exit, logging, print};
use crate::clock::{Clock, SystemClock};
use crate::config::daemon::LogFormat;
use crate::config::{Config, duration};
use crate::discovery::{Directory, Rules, Snapshot, View};
use crate::hypervisor::HypervisorError;
use crate::hypervisor::reader::{Reader, Want};
use crate::pipeline::Slot;
use crate::pipeline::stamp::Stamper;
use crate::publish::id::Ids;
use crate::sandbox::host::state::State;
use crate::sandbox::ledger::Ledger;
use crate::sandbox::{Module, Sandbox};
use crate::schedule::plan::Work;

const EXAMPLES: &str = "\
Examples:
  wasmeter module run my-module.wasm                               against the simulated host
  wasmeter module run my-module.wasm --hypervisor recording:host.jsonl --slots 5
  wasmeter module run disk --hypervisor 'sim://?domains=1000&calm=true' --quiet
  wasmeter module run delta --meters cpu --module-config '{\"target\": {\"name\": \"cpu.delta\"}}' --slots 3

A transformer is handed, slot after slot, what pollsters measured of the meters in --meters.
State is kept from slot to slot, as the daemon does, and forgotten at the end.";

/// Run a module alone, and say what it gave and used.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    at: Where,
    /// How many slots; a simulated host lives on between them, a recording goes to its next slot.
    #[arg(long, value_name = "N", default_value_t = 1)]
    slots: u32,
    /// The time between two slots of a host that lives; a recording goes on at once.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration::parse)]
    interval: Duration,
    /// Only what it used, not what it gave.
    #[arg(long)]
    quiet: bool,
}

/// A host to try a module on.
pub struct Host {
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    parts: std::cell::RefCell<(Reader, Directory)>,
}

impl Args {
    /// Does it.
    pub fn run(self) -> Exit {
        self.try_run().map_or_else(|exit| exit, |()| Exit::Done)
    }

    fn try_run(&self) -> Result<(), Exit> {
        logging::start(&LogFormat::Text);
        let (sandbox, config, threads) = prepare(&self.at)?;
        let limits = config.sandbox.limits;
        let module =
            self.which.load(&sandbox, limits, &threads).map_err(|failure| refused(&self.which.file, &failure))?;
        let meters = self.inputs.filter()?;
        let (sandbox, module) = (Arc::new(sandbox), Arc::new(module));
        if !is_pollster(&module) {
            let Some(meters) = meters else {
                let remedy = "say what it is to be handed, as in --meters cpu";
                print::error(format_args!("{} is a transformer; {remedy}", module.name));
                return Err(Exit::Usage);
            };
            return self.convert(Trial::open(&sandbox, &module, meters, &config, &threads)?, &config, threads);
        }
        self.inputs.refuse_for(&module)?;
        let host = Host::open(&config, &threads)?;
        let (mut state, mut failed) = (Arc::default(), false);
        for slot in 0..self.slots {
            self.wait(slot, &config, &threads);
            let (snapshot, view) = host.next(&module, &threads)?;
            let resources = view.resources();
            let mut poll = Poll::alone(&sandbox, &module, Arc::clone(&snapshot), view, &config, &host.clock);
            poll.state = state;
            let polled = threads.time.block_on(poll.run());
            let Polled { landed, failures, fuel, memory, took, .. } = polled;
            state = polled.state;
            let work = Work::everything(&module);
            let at = snapshot.at;
            let first_id = Ids::new(&config.host, at).take(at, 0);
            let mut stamper = Stamper::new(&snapshot.resources, &[], OPERATOR.into(), at, first_id);
            let mut parts = host.parts.borrow_mut();
            landed.into_iter().for_each(|landed| stamper.stamp(&mut parts.1, &work, landed));
            let (samples, declared) = stamper.finish();
            let mut slot_samples = Slot { at, resources: Arc::clone(&snapshot.resources), samples };
            slot_samples.declare(declared);
            if !self.quiet {
                print::text(&once::samples(&slot_samples))?;
            }
            print::text(&format!(
                "slot {}: {} samples of {resources} resources, {fuel} fuel ({} a resource), {memory} bytes of memory, \
                 {:.1} ms\n",
                slot + 1,
                slot_samples.len(),
                fuel / u64::from(resources.max(1)),
                took.as_secs_f64() * 1e3,
            ))?;
            for (failure, resources) in &failures {
                print::text(&format!("failed for {resources} resources: {failure}\n"))?;
                failed = true;
            }
        }
        threads.guests.shutdown_background();
        if failed { Err(Exit::Module) } else { Ok(()) }
    }

    /// The same for a transformer.
    fn convert(&self, mut trial: Trial, config: &Config, threads: Threads) -> Result<(), Exit> {
        let mut failed = false;
        for slot in 0..self.slots {
            self.wait(slot, config, &threads);
            let Tried { slot: samples, report, failures, .. } = trial.next(&threads)?;
            if !self.quiet && !samples.samples.is_empty() {
                print::text(&once::samples(&samples))?;
            }
            let line = match report {
                None => "nothing that it is for was measured".to_owned(),
                Some(report) => format!(
                    "{} samples of {} input samples, {} fuel ({} an input sample), {} bytes of memory, {:.1} ms",
                    report.samples,
                    report.resources,
                    report.fuel,
                    report.fuel / u64::from(report.resources.max(1)),
                    report.memory,
                    report.took.as_secs_f64() * 1e3,
                ),
            };
            print::text(&format!("slot {}: {line}\n", slot + 1))?;
            for failure in &failures {
                print::text(&format!("{failure}\n"))?;
                failed = true;
            }
        }
        threads.guests.shutdown_background();
        if failed { Err(Exit::Module) } else { Ok(()) }
    }

    /// Waits for the next slot of a host that lives.
    fn wait(&self, slot: u32, config: &Config, threads: &Threads) {
        if slot > 0 && !config.hypervisor.uri.starts_with("recording:") {
            threads.time.block_on(async { tokio::time::sleep(self.interval).await });
        }
    }
}

// === impl Host ===

impl Host {
    /// Opens the host of a configuration.
    pub fn open(config: &Config, _: &Threads) -> Result<Self, Exit> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let hypervisor = setup::hypervisor(config, &clock)?;
        let reader = Reader::new(hypervisor, Arc::clone(&clock), config.watchdog(), config.reader.max_stuck);
        let directory = Directory::new(Rules::of(config));
        Ok(Self { clock, parts: (reader, directory).into() })
    }

    /// Reads what a module reads, of all guests.
    pub fn next(&self, module: &Module, threads: &Threads) -> Result<(Arc<Snapshot>, View), Exit> {
        let snapshot = threads.time.block_on(self.read(module)).map_err(|error| {
            print::error(error);
            Exit::Unreachable
        })?;
        let view = View::of(&snapshot.resources, vec![snapshot.resources.guests()]);
        Ok((Arc::new(snapshot), view))
    }

    #[allow(clippy::await_holding_refcell_ref, reason = "one thread, and nobody else borrows it meanwhile")]
    async fn read(&self, module: &Module) -> Result<Snapshot, HypervisorError> {
        let mut parts = self.parts.borrow_mut();
        let (reader, directory) = &mut *parts;
        let mut want = Want::default();
        want.add(&module.description.reads);
        let reading = reader.read(&want).await?;
        directory.learn_from(reader, &reading).await?;
        Ok(Snapshot::assemble(directory, reading.groups, &reading.records, &[], reading.at))
    }
}

// === impl Poll ===

impl Poll {
    /// A poll of one module by itself.
    pub fn alone(
        sandbox: &Arc<Sandbox>,
        module: &Arc<Module>,
        snapshot: Arc<Snapshot>,
        view: View,
        config: &Config,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        Self {
            sandbox: Arc::clone(sandbox),
            ledger: Arc::new(Ledger::default()),
            tenant: OPERATOR.into(),
            module: Arc::clone(module),
            snapshot,
            names: Arc::default(),
            view,
            chunk: u32::try_from(config.sandbox.chunk).unwrap_or(u32::MAX),
            state: Arc::<State>::default(),
            clock: Arc::clone(clock),
        }
    }
}
