//! Trying a transformer: pollsters measure a host, and it is handed what matches.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crate::agent::report::{ModuleReport, Report};
use crate::agent::{Agent, Parts};
use crate::cli::module::amount;
use crate::cli::module::candidate::{Candidate, Unfit};
use crate::cli::setup::{self, Threads};
use crate::cli::{Exit, print};
use crate::clock::Clock;
use crate::config::daemon::AutoDuration;
use crate::config::polling::Source;
use crate::config::{Config, MeterFilter, Polling};
use crate::contract::Meter;
use crate::modules::registry::Registry;
use crate::pipeline::{Chain, Slot};
use crate::sandbox::{Module, Sandbox};

/// What a transformer is handed.
#[derive(Debug, Clone, clap::Args)]
pub struct Inputs {
    /// Meters that a transformer is handed, with * ? and [], or with ! those that it is not; with commas between them.
    ///
    /// They are measured by the pollsters that are on: the built-in ones, or those of the configuration.
    #[arg(long, value_name = "PATTERNS", value_delimiter = ',', value_parser = pattern)]
    meters: Vec<String>,
}

/// A transformer and what measures for it.
pub struct Trial {
    agent: Agent,
    meters: MeterFilter,
    module: Arc<Module>,
}

/// What came of a slot.
pub struct Tried {
    /// What a transformer was handed.
    pub inputs: Vec<Meter>,
    /// What came out.
    pub slot: Slot,
    /// What it took; `None` if nothing was measured that it is for.
    pub report: Option<ModuleReport>,
    /// What failed in it and in pollsters, in words.
    pub failures: Vec<String>,
}

/// A pattern as it stands between commas, behind which people write blanks.
pub fn pattern(text: &str) -> Result<String, Infallible> {
    Ok(text.trim().to_owned())
}

/// How often sources are measured; a trial decides itself when.
pub const INTERVAL: Duration = Duration::from_secs(1);

// === impl Inputs ===

impl Inputs {
    /// The patterns; `None` if there are none.
    pub fn filter(&self) -> Result<Option<MeterFilter>, Exit> {
        if self.meters.is_empty() {
            return Ok(None);
        }
        MeterFilter::new(self.meters.clone()).map(Some).map_err(|refused| {
            print::error(format_args!("--meters: {refused}. {}", refused.remedy()));
            Exit::Usage
        })
    }
}

// === impl Trial ===

impl Trial {
    /// Loads pollsters, and opens the host.
    pub fn open(
        sandbox: &Arc<Sandbox>,
        candidate: &Candidate,
        meters: MeterFilter,
        config: &Config,
        clock: Arc<dyn Clock>,
        threads: &Threads,
    ) -> Result<Self, Unfit> {
        let mut config = config.clone();
        config.reader.watchdog = AutoDuration::Fixed(config.watchdog());
        config.transform.clear();
        config.polling_file = None;
        config.pipeline = None;
        config.polling = Polling { sources: vec![everything(meters.clone())] };
        let hypervisor = setup::hypervisor(&config, &clock)?;
        let registry = Registry::none("this only tries out");
        let guests = threads.guests.handle().clone();
        let parts = Parts { clock, hypervisor, sandbox: Arc::clone(sandbox), guests, registry };
        let mut agent = threads.time.block_on(Agent::new(config, parts)).map_err(|not_loaded| {
            print::problems(&not_loaded.problems);
            Exit::without_modules(&not_loaded)
        })?;
        let module = Arc::clone(&candidate.module);
        agent.hand_to(Chain::new(meters.clone(), Arc::clone(&module)).called(candidate.names.clone()));
        let trial = Self { agent, meters, module };
        threads.time.block_on(candidate.may_convert(sandbox, &trial.inputs()?))?;
        Ok(trial)
    }

    /// Measures the next slot, and transforms it.
    pub fn next(&mut self, threads: &Threads) -> Result<Tried, Exit> {
        let report = threads.time.block_on(self.agent.cycle(&[INTERVAL.as_secs()])).map_err(|error| {
            print::error(error);
            Exit::Unreachable
        })?;
        let Report { mut slot, modules, .. } = report;
        let mut inputs: Vec<Meter> = Vec::new();
        let is_own = |name: &Arc<str>| Arc::ptr_eq(name, &self.module.name);
        for samples in slot.samples.iter().filter(|samples| !is_own(&samples.module)) {
            let known = inputs.iter().any(|meter| format!("{meter:?}") == format!("{:?}", samples.meter));
            if !known && self.meters.matches(&samples.meter.name) {
                inputs.push((*samples.meter).clone());
            }
        }
        slot.samples.retain(|samples| is_own(&samples.module));
        let mut failures = Vec::new();
        for module in &modules {
            let what = if is_own(&module.name) { "input sample" } else { "resource" };
            for (failure, left_out) in &module.failures {
                let left_out = amount::count((*left_out).into(), what);
                failures.push(format!("{} failed for {left_out}: {failure}", module.name));
            }
        }
        let report = modules.into_iter().find(|module| is_own(&module.name));
        Ok(Tried { inputs, slot, report, failures })
    }

    /// What it is for of all that pollsters say they give, if there can be anything.
    fn inputs(&self) -> Result<Vec<Meter>, Exit> {
        let pollsters = &self.agent.modules().pollsters;
        let described = || pollsters.iter().flat_map(|module| &module.description.meters);
        let declares = pollsters.iter().any(|module| !module.description.declares.is_empty());
        let inputs: Vec<Meter> = described().filter(|meter| self.meters.matches(&meter.name)).cloned().collect();
        if declares || !inputs.is_empty() {
            return Ok(inputs);
        }
        let names: BTreeSet<&str> = described().map(|meter| meter.name.as_str()).collect();
        let names = Vec::from_iter(names).join(" ");
        print::error(format_args!("--meters matches nothing that a pollster measures. There are: {names}"));
        Err(Exit::Usage)
    }
}

/// A source of these meters, of whatever they are measured of.
pub fn everything(meters: MeterFilter) -> Source {
    let (resources, discovery) = (Vec::new(), Vec::new());
    Source { name: "--meters".to_owned(), interval: INTERVAL, meters, resources, discovery, place: None }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        inputs: Inputs,
    }

    #[test]
    fn blanks_behind_commas_are_nobodys() {
        let line = Line::parse_from(["run", "--meters", "cpu, disk.*"]);
        let meters = line.inputs.filter().unwrap().unwrap();
        assert!(meters.matches("cpu") && meters.matches("disk.usage"));
    }
}
