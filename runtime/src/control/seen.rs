//! What the loop leaves for those who ask.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::graph::Graph;
use super::status::{Budgets, Counters, Deployment, LastCycle, Module, Pause, Share, Task};
use super::time::Time;
use crate::agent::report::{ModuleReport, Report};
use crate::agent::tally::Tally;
use crate::agent::tenants::{Deployed, Standing};
use crate::agent::{Agent, OPERATOR};
use crate::clock::Moment;
use crate::config::in_vain::Given;
use crate::config::{Pipelines, Problem};
use crate::hypervisor::HypervisorError;
use crate::modules;
use crate::modules::budget::{Admitted, Demand};
use crate::modules::life::Idle;
use crate::pipeline::flow::Flow;
use crate::sandbox::ledger::Ledger;
use crate::schedule::Slots;

/// A module, and whose it is.
type Owner = (Arc<str>, Arc<str>);

/// What the loop saw last.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub host: String,
    pub hypervisor: String,
    /// The names of pipelines' sinks.
    pub sinks: Vec<String>,
    /// What the operator's modules give, once that is known.
    known: Option<Arc<Known>>,
    /// The URLs of pipelines' publishers, by the names of their outputs.
    pub urls: BTreeMap<String, String>,
    /// Pipelines as they are configured.
    pub graph: Graph,
    /// How many samples went through them.
    pub flow: Flow,
    slots: Option<Slots>,
    pub last: Option<LastCycle>,
    /// Why the host could not be read last, if it could not.
    pub unread: Option<String>,
    /// Why what was read again is not in force, if it is not.
    pub unloaded: Vec<String>,
    /// Why outputs may not be served as configured, if so.
    pub unserved: Option<String>,
    /// Why the last slot could not be kept, if it could not.
    pub unkept: Option<String>,
    pub tally: Tally,
    ledger: Arc<Ledger>,
    /// What tenants' modules were admitted with.
    admitted: Arc<Admitted>,
    /// Why deployments' files are not followed as they are written.
    pub refused: Vec<String>,
    /// What runs of tenants' deployments.
    standing: BTreeMap<Owner, Standing>,
    /// What names of meters begin with that tenants' deployments may give.
    granted: Arc<BTreeSet<String>>,
    /// Modules that run: samples in the last slot, and causes of what failed in it.
    running: BTreeMap<Owner, (u64, Vec<String>)>,
}

/// What is known beforehand of the meters of the operator's modules.
#[derive(Debug, Clone, Default)]
struct Known {
    meters: Vec<String>,
    /// Those that would come if they were measured.
    unmeasured: Vec<String>,
    /// The file that says what is measured.
    polling: Option<PathBuf>,
    /// Built-in modules that are off.
    off: Vec<&'static str>,
    /// Whether others may be declared in any slot.
    declare: bool,
}

// === impl Known ===

impl Known {
    fn of(agent: &Agent) -> Self {
        let modules = agent.modules();
        let (meters, unmeasured) = modules.meters(agent.config());
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        let (polling, off) = (agent.config().polling_file.clone(), modules::off(&modules.pollsters));
        Self { meters: owned(meters), unmeasured: owned(unmeasured), polling, off, declare: modules.declare }
    }
}

// === impl Seen ===

impl Seen {
    pub fn begin(&mut self, agent: &Agent, slots: &Slots) {
        let config = agent.config();
        self.host.clone_from(&config.host);
        self.hypervisor = format!("{:?}", config.hypervisor);
        let sinks = config.pipeline.iter().flat_map(|pipelines| &pipelines.sinks);
        self.sinks = sinks.map(|sink| sink.name.clone()).collect();
        self.known = Some(Arc::new(Known::of(agent)));
        self.urls = config.pipeline.as_ref().map(Pipelines::urls).unwrap_or_default();
        self.graph = Graph::of(config);
        self.flow = agent.sinks().flow().clone();
        self.slots = Some(slots.clone());
        self.ledger = Arc::clone(agent.ledger());
        self.admitted = Arc::clone(agent.tenants.admitted());
        self.tally = agent.tally.clone();
        self.refused = agent.tenants.refused.iter().map(Problem::sentence).collect();
        let versions = agent.tenants.all().flat_map(|deployed| deployed.deployment.running());
        self.granted = Arc::new(versions.flat_map(|version| version.grants.names.iter().cloned()).collect());
        self.standing.clear();
        let before = std::mem::take(&mut self.running);
        let operators = agent.modules().pollsters.iter().map(|module| (Arc::clone(&module.name), OPERATOR.into()));
        let all = operators.chain(agent.tenants.all().map(Deployed::named));
        self.running = all
            .map(|key| {
                let known = before.get(&key).cloned().unwrap_or_default();
                (key, known)
            })
            .collect();
        let keys: Vec<Owner> = self.running.keys().cloned().collect();
        self.stand(agent, keys);
    }

    /// Notes what runs of these deployments. Modules of the operator's are none.
    fn stand(&mut self, agent: &Agent, keys: impl IntoIterator<Item = Owner>) {
        let now = agent.now();
        for (name, tenant) in keys {
            if let Some(standing) = agent.tenants.standing(&tenant, &name, now) {
                self.standing.insert((name, tenant), standing);
            }
        }
    }

    pub fn cycled(&mut self, agent: &Agent, report: &Result<Report, HypervisorError>) {
        self.tally = agent.tally.clone();
        self.admitted = Arc::clone(agent.tenants.admitted());
        let report = match report {
            Ok(report) => report,
            Err(error) => {
                self.unread = Some(error.to_string());
                return;
            }
        };
        self.unread = None;
        self.last = Some(LastCycle {
            at: Time(report.slot.at.wall),
            took_seconds: report.whole.as_secs_f64(),
            read_seconds: report.read.as_secs_f64(),
            guests: report.guests.into(),
            stuck: report.stuck.iter().map(ToString::to_string).collect(),
            nobodys: report.nobodys as u64,
            undefined: report.undefined as u64,
            missing: report.missing.clone(),
            samples: report.slot.len() as u64,
        });
        self.flow = agent.sinks().flow().clone();
        self.ran(&report.modules);
    }

    pub fn landed(&mut self, agent: &Agent, reports: &[ModuleReport]) {
        self.tally = agent.tally.clone();
        self.flow = agent.sinks().flow().clone();
        self.ran(reports);
        self.stand(agent, reports.iter().map(|report| (Arc::clone(&report.name), Arc::clone(&report.tenant))));
    }

    fn ran(&mut self, reports: &[ModuleReport]) {
        for module in reports {
            let mut causes: Vec<String> =
                module.failures.iter().map(|(failure, _)| failure.cause.word().to_owned()).collect();
            causes.sort_unstable();
            causes.dedup();
            let key = (Arc::clone(&module.name), Arc::clone(&module.tenant));
            self.running.insert(key, (module.samples as u64, causes));
        }
    }

    pub fn tasks(&self, now: Moment) -> Vec<Task> {
        let upcoming = self.slots.iter().flat_map(|slots| slots.upcoming(now));
        let task = |(interval_seconds, next)| Task {
            interval_seconds,
            next: Time(next),
            skipped: self.tally.skipped_slots.get(&interval_seconds).copied().unwrap_or_default(),
        };
        upcoming.map(task).collect()
    }

    /// Modules that run, and those of the operator's that ran since the start.
    pub fn modules(&self, now: i64) -> Vec<Module> {
        let mut modules: BTreeMap<(&str, &str), Module> = BTreeMap::new();
        let accounts = self.ledger.accounts();
        for ((name, tenant), account) in &accounts {
            modules.insert(
                (name, tenant),
                Module {
                    fuel_granted: account.granted,
                    fuel_used: account.used,
                    fuel_used_in_all: account.used_in_all,
                    reads_in_all: account.reads_in_all,
                    samples_in_all: account.samples_in_all,
                    seconds_in_all: Duration::from_nanos(account.time_in_all).as_secs_f64(),
                    memory_peak: account.memory_peak,
                    calls: account.calls,
                    failures: owned(&account.failures),
                    ..Module::default()
                },
            );
        }
        for ((name, tenant), (samples, failing)) in &self.running {
            let module = modules.entry((name, tenant)).or_default();
            module.samples = *samples;
            module.failing.clone_from(failing);
            module.deployment = self.deployment(name, tenant, now);
        }
        let named = |((name, tenant), module): ((&str, &str), Module)| Module {
            name: name.to_owned(),
            tenant: tenant.to_owned(),
            resources_lost: self.tally.lost_by(name, tenant),
            ..module
        };
        modules.into_iter().map(named).collect()
    }

    /// What is given, if that is known; what tenants' modules give besides is not.
    pub fn given(&self) -> Option<Given<'_>> {
        let Known { meters, unmeasured, polling, off, declare } = self.known.as_deref()?;
        // The operator's own modules may give any name, those of modules that are off among them.
        if *declare {
            return None;
        }
        let polling = polling.as_deref();
        let others = self.granted.iter().map(String::as_str).collect();
        let (meters, unmeasured) = (borrowed(meters), borrowed(unmeasured));
        Some(Given { meters, unmeasured, polling, off: off.clone(), others })
    }

    /// Who has modules that run.
    pub fn tenants(&self) -> BTreeSet<&str> {
        self.running.keys().map(|(_, tenant)| &**tenant).collect()
    }

    /// What is said of a tenant's deployment.
    fn deployment(&self, name: &Arc<str>, tenant: &Arc<str>, now: i64) -> Option<Deployment> {
        let Standing { version, trial, tried_out, idle } =
            self.standing.get(&(Arc::clone(name), Arc::clone(tenant)))?;
        let pause = match idle {
            Some(Idle::Paused) => Some(Pause { until: None, why: "somebody wants so".to_owned() }),
            Some(Idle::Quarantined { until, cause }) if *until > now => {
                Some(Pause { until: Some(Time(*until)), why: cause.word().to_owned() })
            }
            _ => None,
        };
        let fuel_per_second = self.admitted.get(tenant, name).map_or(0, Demand::per_second);
        Some(Deployment { version: *version, trial: *trial, tried_out: *tried_out, pause, fuel_per_second })
    }

    /// How much tenants' modules may have; nothing where there are none.
    pub fn budgets(&self) -> Option<Budgets> {
        if self.standing.is_empty() {
            return None;
        }
        let (admitted, (saved, by_tenant)) = (&self.admitted, self.ledger.saved());
        let (limit, used) = (admitted.budget().node, admitted.used());
        let node = Share { limit, admitted: used, free: limit.saturating_sub(used), saved };
        let known = admitted.by_tenant();
        let share = |tenant: &Arc<str>| {
            let limit = admitted.budget().for_tenant(tenant);
            let admitted_of_tenant = known.get(tenant).map_or(0, |(used, _)| *used);
            let saved = by_tenant.get(tenant).copied().unwrap_or_default();
            Share { limit, admitted: admitted_of_tenant, free: admitted.free(tenant), saved }
        };
        let tenants = by_tenant.keys().chain(known.keys());
        Some(Budgets { node, tenants: tenants.map(|tenant| (tenant.to_string(), share(tenant))).collect() })
    }

    pub fn counters(&self) -> Counters {
        let tally = &self.tally;
        Counters {
            cycles: tally.cycles,
            samples: tally.samples,
            skipped_slots: tally.skipped_slots.clone(),
            failed_reads: tally.failed_reads,
            given_up: tally.given_up,
            failures: tally.failures.iter().map(|(module, causes)| (module.to_string(), owned(causes))).collect(),
            resources_lost: numbers(&tally.resources_lost),
            forgotten: numbers(&tally.forgotten),
        }
    }
}

fn borrowed(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

fn numbers(modules: &BTreeMap<Arc<str>, u64>) -> BTreeMap<String, u64> {
    modules.iter().map(|(module, number)| (module.to_string(), *number)).collect()
}

fn owned(causes: &BTreeMap<&'static str, u64>) -> BTreeMap<String, u64> {
    causes.iter().map(|(cause, calls)| ((*cause).to_owned(), *calls)).collect()
}
