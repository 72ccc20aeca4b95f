//! Measuring one meter: an agent that polls nothing else, for one slot or two.

use std::sync::Arc;
use std::time::Duration;

use super::explanation::Sample;
use super::guest::{self, Guest, Standing};
use super::owner::Owner;
use super::source;
use crate::agent::report::Report;
use crate::agent::{Agent, Parts};
use crate::cli::setup::{self, Threads};
use crate::cli::{Exit, print};
use crate::clock::{Clock, SystemClock};
use crate::config::daemon::{AutoDuration, Deployments, ModuleEntry};
use crate::config::polling::Source;
use crate::config::{Config, Polling};
use crate::contract::Kind;
use crate::hypervisor::{Hypervisor, HypervisorError};
use crate::modules::registry::Registry;
use crate::sandbox::Sandbox;

/// A host, and what measures it.
pub struct Meters<'a> {
    /// What measures.
    pub agent: Agent,
    /// Where modules run.
    pub sandbox: Arc<Sandbox>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// What runs it.
    pub threads: &'a Threads,
}

/// One slot or two.
pub struct Measured {
    /// The last one.
    pub report: Report,
    /// How many there were.
    pub slots: u32,
    /// Inputs of a transformer in the slot before the last.
    pub handed_before: usize,
}

/// How often the only source measures, which nobody waits for: slots are asked for one by one.
const INTERVAL: Duration = Duration::from_secs(1);

// === impl Meters ===

impl<'a> Meters<'a> {
    /// Loads the modules of a configuration.
    pub fn open(config: &Config, hypervisor: Arc<dyn Hypervisor>, threads: &'a Threads) -> Result<Self, Exit> {
        let mut config = config.clone();
        // Tenants' modules run in the daemon alone.
        config.deployments = Deployments::default();
        // It follows the shortest interval, which is another one in here.
        config.reader.watchdog = AutoDuration::Fixed(config.watchdog());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let sandbox = Arc::new(setup::sandbox(&config)?);
        let guests = threads.guests.handle().clone();
        let parts = Parts {
            clock: Arc::clone(&clock),
            hypervisor,
            sandbox: Arc::clone(&sandbox),
            guests,
            registry: Registry::none("this only tries out"),
        };
        let agent = threads.time.block_on(Agent::new(config, parts)).map_err(|not_loaded| {
            print::problems(&not_loaded.problems);
            Exit::without_modules(&not_loaded)
        })?;
        Ok(Self { agent, sandbox, clock, threads })
    }

    /// Turns a module on. Whether that worked.
    pub fn turn_on(&mut self, name: &str) -> bool {
        let mut config = self.agent.config().clone();
        match config.modules.iter_mut().find(|entry| entry.name == name) {
            Some(entry) => entry.enabled = true,
            None => config.modules.push(ModuleEntry {
                name: name.to_owned(),
                enabled: true,
                file: None,
                config: Default::default(),
                limits: config.sandbox.limits,
                place: None,
            }),
        }
        self.threads.time.block_on(self.agent.reconfigure(config)).is_ok()
    }

    /// Polls nothing but what a meter is made of, wherever that is found.
    pub fn narrow(&mut self, meter: &str, owner: &Owner) {
        let meters = owner.feed.clone().or_else(|| source::exactly(meter));
        let only = meters.map(|meters| Source {
            name: meter.to_owned(),
            interval: INTERVAL,
            meters,
            resources: Vec::new(),
            discovery: Vec::new(),
            place: None,
        });
        self.agent.poll_instead(Polling { sources: only.into_iter().collect() });
    }

    /// Measures a slot.
    pub fn next(&mut self) -> Result<Report, HypervisorError> {
        self.threads.time.block_on(self.agent.cycle(&[INTERVAL.as_secs()]))
    }

    /// The project of the guest that goes by this, as far as the host tells. Nothing is measured for it.
    pub fn project_of(&mut self, guest: &str) -> Option<String> {
        self.agent.poll_instead(Polling { sources: Vec::new() });
        let report = self.next().ok()?;
        let guests = self.guests(&report);
        let resources = &report.snapshot.resources;
        let root = guest::root(resources, guest::find(&guests, guest).ok()?.uuid)?;
        resources.get(root)?.label.project.as_deref().map(str::to_owned)
    }

    /// Guests that are known.
    pub fn guests(&self, report: &Report) -> Vec<Guest> {
        guest::all(&self.agent, &report.snapshot.resources)
    }

    /// Goes on after the first slot if another one can tell more: of meters for which modules compare two.
    pub fn again(
        &mut self,
        first: Report,
        meter: &str,
        owner: &Owner,
        guest: &Guest,
    ) -> Result<Measured, HypervisorError> {
        let root = guest::root(&first.snapshot.resources, guest.uuid);
        let of = |is_it: &dyn Fn(&str) -> bool| root.map(|root| Sample::of(&first.slot, root, first.slot.at, is_it));
        let given = of(&|name| name == meter).unwrap_or_default();
        let compares = given.iter().all(|sample| sample.r#type == Kind::Delta.word());
        let failed = first.missing.is_some() || first.modules.iter().any(|module| !module.failures.is_empty());
        let is_well = guest.standing == Standing::Metered && !first.stuck.contains(&guest.uuid) && !failed;
        if !(compares && is_well) {
            return Ok(Measured { report: first, slots: 1, handed_before: 0 });
        }
        let handed = owner.feed.as_ref().and_then(|feed| of(&|name| feed.matches(name)));
        let handed_before = handed.map_or(0, |samples| samples.len());
        drop(first);
        // A recording goes to its next slot at once.
        if !self.agent.config().hypervisor.uri.starts_with("recording:") {
            self.threads.time.block_on(async { tokio::time::sleep(INTERVAL).await });
        }
        Ok(Measured { report: self.next()?, slots: 2, handed_before })
    }
}
