//! A pollster alone with a host, slot after slot.

use std::sync::Arc;

use crate::agent::OPERATOR;
use crate::agent::polling::{Poll, Polled};
use crate::agent::report::ModuleReport;
use crate::cli::module::amount;
use crate::cli::module::candidate::Candidate;
use crate::cli::module::trial::Tried;
use crate::cli::setup::{self, Threads};
use crate::cli::{Exit, print};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::discovery::{Directory, Rules, Snapshot, View};
use crate::hypervisor::HypervisorError;
use crate::hypervisor::reader::{Reader, Want};
use crate::pipeline::Slot;
use crate::pipeline::stamp::Stamper;
use crate::publish::id::Ids;
use crate::sandbox::host::state::State;
use crate::sandbox::ledger::{Ledger, Sure};
use crate::sandbox::{Module, Names, Sandbox};
use crate::schedule::plan::Work;

/// A pollster and a host. What it remembers is kept from slot to slot, as the daemon does.
pub struct Alone {
    sandbox: Arc<Sandbox>,
    module: Arc<Module>,
    names: Arc<Names>,
    config: Config,
    /// How long it takes is real, whatever the time of the host is.
    stopwatch: Arc<dyn Clock>,
    reader: Reader,
    directory: Directory,
    state: Arc<State>,
}

// === impl Alone ===

impl Alone {
    /// Opens the host of a configuration.
    pub fn open(
        sandbox: &Arc<Sandbox>,
        candidate: &Candidate,
        config: &Config,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Exit> {
        let hypervisor = setup::hypervisor(config, &clock)?;
        Ok(Self {
            sandbox: Arc::clone(sandbox),
            module: Arc::clone(&candidate.module),
            names: candidate.names.clone().unwrap_or_default(),
            reader: Reader::new(hypervisor, clock, config.watchdog(), config.reader.max_stuck),
            directory: Directory::new(Rules::of(config)),
            config: config.clone(),
            stopwatch: Arc::new(SystemClock),
            state: Arc::default(),
        })
    }

    /// Reads what it reads, and polls it with all guests.
    pub fn next(&mut self, threads: &Threads) -> Result<Tried, Exit> {
        let snapshot = self.read(threads)?;
        let view = View::of(&snapshot.resources, vec![snapshot.resources.guests()]);
        Ok(self.poll(snapshot, view, threads))
    }

    /// Reads what it reads, of all guests.
    pub fn read(&mut self, threads: &Threads) -> Result<Arc<Snapshot>, Exit> {
        threads.time.block_on(self.try_read()).map(Arc::new).map_err(|error| {
            print::error(error);
            Exit::Unreachable
        })
    }

    async fn try_read(&mut self) -> Result<Snapshot, HypervisorError> {
        let mut want = Want::default();
        want.add(&self.module.description.reads);
        let reading = self.reader.read(&want).await?;
        self.directory.learn_from(&mut self.reader, &reading).await?;
        Ok(Snapshot::assemble(
            &mut self.directory,
            |key| want.has(key),
            reading.groups,
            &reading.records,
            &[],
            reading.at,
        ))
    }

    /// Polls it with some of what was read.
    pub fn poll(&mut self, snapshot: Arc<Snapshot>, view: View, threads: &Threads) -> Tried {
        let resources = view.resources();
        let mut poll =
            Poll::alone(&self.sandbox, &self.module, Arc::clone(&snapshot), view, &self.config, &self.stopwatch);
        poll.state = Arc::clone(&self.state);
        poll.names = Arc::clone(&self.names);
        let Polled { landed, failures, state, fuel, memory, took, calls, granted, lines } =
            threads.time.block_on(poll.run());
        self.state = state;
        let (at, work) = (snapshot.at, Work::everything(&self.module));
        let first_id = Ids::new(&self.config.host, at).take(at, 0);
        let mut stamper = Stamper::new(&snapshot.resources, &[], OPERATOR.into(), at, first_id);
        landed.into_iter().for_each(|landed| stamper.stamp(&mut self.directory, &work, landed));
        let (samples, declared) = stamper.finish();
        let mut slot = Slot { at, resources: Arc::clone(&snapshot.resources), samples };
        slot.declare(declared);
        let words = |(failure, resources): &(_, u32)| {
            format!("failed for {}: {failure}", amount::count((*resources).into(), "resource"))
        };
        let words = failures.iter().map(words).collect();
        let report = ModuleReport {
            name: Arc::clone(&self.module.name),
            tenant: OPERATOR.into(),
            samples: slot.len(),
            fuel,
            resources,
            memory,
            took,
            failures,
            calls,
            granted,
            lines,
            at: at.wall,
            of: None,
        };
        Tried { inputs: Vec::new(), slot, report: Some(report), failures: words }
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
            view: Arc::new(view),
            chunk: u32::try_from(config.sandbox.chunk).unwrap_or(u32::MAX),
            state: Arc::<State>::default(),
            sure: Sure::default(),
            clock: Arc::clone(clock),
        }
    }
}
