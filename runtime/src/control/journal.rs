//! What deployments have been doing since the daemon started, for those who ask: the loop writes it down as it goes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::deployments::{Failed, InForce, Line, Log, Row, Share, Standing, Used};
use super::time::Time;
use crate::agent::report::ModuleReport;
use crate::agent::tenants::{Deployed, Short, Tenants};
use crate::contract::Description;
use crate::modules::deploying::Ready;
use crate::modules::deployment::{Deployment, Key, Overrides, RequestLimits};
use crate::modules::life::{Idle, Rules, Run};
use crate::sandbox::Module;

/// What deployments have been doing.
#[derive(Debug)]
pub struct Journal {
    pages: Mutex<BTreeMap<Key, Page>>,
    /// How many lines there were in all; who waits for lines waits for this.
    lines: watch::Sender<u64>,
}

/// What a deployment has been doing.
#[derive(Debug, Clone)]
pub struct Page {
    /// The deployment as it is.
    pub deployment: Deployment,
    /// Why it cannot run, if it cannot.
    broken: Option<String>,
    /// What it lacks to run again after a restart, if anything.
    lacks: Option<String>,
    /// Whether what its file says now cannot run.
    outdated: bool,
    /// Patterns of the meters that it gives or may declare, where they are known beforehand.
    gives: Option<Vec<String>>,
    /// What it needs more of than its tenant has.
    short: Option<Short>,
    /// What it has for sure.
    pub share: Option<Share>,
    /// What holds of its versions that run.
    pub in_force: BTreeMap<u64, InForce>,
    last: Last,
    /// What it used.
    pub used: Used,
    /// What failed last, newest last.
    pub failures: VecDeque<Failed>,
    lines: VecDeque<Line>,
    /// How many lines there were before those.
    before: u64,
}

/// The last slot of which something landed.
#[derive(Debug, Clone, Default)]
struct Last {
    at: Option<Time>,
    samples: u64,
    fuel: u64,
    failing: Vec<String>,
}

/// Failures that are remembered of each deployment.
const FAILURES: usize = 20;
/// Failures of a slot that are told among the lines.
const FAILURES_TOLD: usize = 3;
/// Lines that are remembered of each deployment.
const LINES: usize = 200;

// === impl Journal ===

impl Default for Journal {
    fn default() -> Self {
        Self { pages: Mutex::default(), lines: watch::Sender::new(0) }
    }
}

impl Journal {
    /// These deployments there are, as they are now, and no others.
    pub fn turn_to(&self, tenants: &Tenants) {
        let mut pages = self.lock();
        let before = pages.len();
        pages.retain(|key, _| tenants.get(key).is_some());
        if pages.len() < before {
            // Whoever waits for lines of one that is gone waits for nothing.
            self.lines.send_modify(|_| {});
        }
        for (key, deployed) in tenants.named() {
            let page = pages.entry(key.clone()).or_insert_with(|| Page::of(&deployed.deployment));
            page.deployment.clone_from(&deployed.deployment);
            page.broken.clone_from(&deployed.broken);
            page.lacks = deployed.lacks().cloned();
            page.outdated = deployed.is_outdated();
            page.gives = gives(deployed);
            page.share = share(tenants, deployed);
            page.in_force = deployed.ready.iter().map(|(number, ready)| (*number, in_force(ready))).collect();
        }
    }

    /// Some were due, and had enough for it or not.
    pub fn cycled(&self, tenants: &Tenants) {
        for (key, page) in &mut *self.lock() {
            let deployed = tenants.get(key);
            page.short = deployed.and_then(Deployed::short);
            page.share = deployed.and_then(|deployed| share(tenants, deployed));
        }
    }

    /// What modules did in a slot.
    pub fn landed(&self, tenants: &Tenants, reports: &[ModuleReport]) {
        let (mut pages, mut more) = (self.lock(), 0);
        for report in reports {
            let Some((key, version)) = &report.of else { continue };
            let Some(page) = pages.get_mut(key) else { continue };
            if let Some(deployed) = tenants.get(key) {
                page.deployment.clone_from(&deployed.deployment);
                page.lacks = deployed.lacks().cloned();
                page.used.skipped = deployed.skipped();
                if let Some(fuel) = deployed.fuel(*version, report.resources) {
                    page.used.fuel_granted = fuel;
                }
            }
            more += page.note(*version, report);
        }
        drop(pages);
        if more > 0 {
            self.lines.send_modify(|lines| *lines += more);
        }
    }

    /// All deployments.
    pub fn rows(&self, rules: &Rules, now: i64) -> Vec<Row> {
        self.lock().values().map(|page| page.row(rules, now)).collect()
    }

    /// One of them.
    pub fn page(&self, key: &Key) -> Option<Page> {
        self.lock().get(key).cloned()
    }

    /// What it logged after so many lines; none if there is no such deployment.
    pub fn log(&self, key: &Key, after: u64) -> Option<Log> {
        self.lock().get(key).map(|page| page.log(after))
    }

    /// Waits until anything is logged. Lines of which the caller knows are not waited for.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.lines.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Page>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Page ===

impl Page {
    fn of(deployment: &Deployment) -> Self {
        Self {
            deployment: deployment.clone(),
            broken: None,
            lacks: None,
            outdated: false,
            gives: None,
            short: None,
            share: None,
            in_force: BTreeMap::new(),
            last: Last::default(),
            used: Used::default(),
            failures: VecDeque::new(),
            lines: VecDeque::new(),
            before: 0,
        }
    }

    fn note(&mut self, version: u64, report: &ModuleReport) -> u64 {
        let (at, version) = (Some(Time(report.at)), Some(version));
        self.used.fuel = self.used.fuel.saturating_add(report.fuel);
        self.used.calls = self.used.calls.saturating_add(report.calls);
        self.used.samples = self.used.samples.saturating_add(report.samples as u64);
        self.used.memory = self.used.memory.max(report.memory as u64);
        self.used.seconds += report.took.as_secs_f64();
        let mut failing = Vec::new();
        for (failure, resources) in &report.failures {
            let cause = failure.cause.word().to_owned();
            *self.used.failures.entry(cause.clone()).or_default() += 1;
            if !failing.contains(&cause) {
                failing.push(cause.clone());
            }
            let failed = Failed { at, version, cause, why: failure.words(), resources: *resources };
            if !failed.joins(&mut self.failures) {
                push(&mut self.failures, FAILURES, failed);
            }
        }
        self.last = Last { at, samples: report.samples as u64, fuel: report.fuel, failing };
        let mut more = 0;
        let failed = report.failures.iter().take(FAILURES_TOLD);
        let failed = failed.map(|(failure, _)| (tracing::Level::ERROR, failure.on_one_line()));
        for (level, text) in report.lines.kept().iter().cloned().chain(failed) {
            self.before +=
                push(&mut self.lines, LINES, Line { at, version, level: level.as_str().to_lowercase(), text });
            more += 1;
        }
        more
    }

    /// As a row of a list.
    pub fn row(&self, rules: &Rules, now: i64) -> Row {
        let Self { deployment, last, .. } = self;
        let current = deployment.life.current().version;
        let version = deployment.version(current);
        let names: BTreeSet<&String> = deployment.running().flat_map(|version| &version.grants.names).collect();
        Row {
            key: deployment.key.clone(),
            version: current,
            digest: version.map(|version| version.digest).unwrap_or_else(|| crate::digest::Digest::of(b"")),
            file: deployment.file.clone(),
            lacks: self.lacks.clone(),
            outdated: self.outdated,
            differs: deployment.differs_from_file(),
            interval: version.map_or(0, |version| version.interval),
            names: names.into_iter().cloned().collect(),
            gives: self.gives.clone(),
            state: self.standing(rules, now),
            last: last.at,
            samples: last.samples,
            fuel: last.fuel,
            failing: last.failing.clone(),
        }
    }

    fn standing(&self, rules: &Rules, now: i64) -> Standing {
        let Self { deployment, broken, .. } = self;
        if let Some(paused) = &deployment.paused {
            return Standing::Paused { since: Time(paused.at), by: paused.by.clone() };
        }
        if let Some(why) = broken {
            return Standing::Broken { why: why.clone() };
        }
        match (deployment.plan(rules, now), deployment.life.trial()) {
            (Run::Nothing(Idle::Quarantined { until, cause }), _) => {
                Standing::Quarantined { until: Time(until), cause: cause.word().to_owned() }
            }
            _ if self.short == Some(Short::Reads) => Standing::Short { waits: true },
            (_, Some(trial)) if trial.dry => Standing::TryingOut { version: trial.instance.version },
            (_, Some(trial)) => Standing::Trial {
                version: trial.instance.version,
                good: trial.good,
                of: rules.trial_slots,
                failed: trial.failed,
            },
            _ if self.short == Some(Short::Fuel) => Standing::Short { waits: false },
            _ => Standing::Running,
        }
    }

    fn log(&self, after: u64) -> Log {
        let next = self.before + self.lines.len() as u64;
        // Whoever knows of more knew another one of this name.
        let after = if after > next { 0 } else { after };
        let skip = usize::try_from(after.saturating_sub(self.before)).unwrap_or(usize::MAX);
        Log { next, lost: self.before.saturating_sub(after), lines: self.lines.iter().skip(skip).cloned().collect() }
    }
}

fn share(tenants: &Tenants, deployed: &Deployed) -> Option<Share> {
    let ((name, tenant), admitted) = (deployed.named(), tenants.admitted());
    let fuel_per_second = admitted.get(&tenant, &name)?.per_second();
    Some(Share { fuel_per_second, of_tenant: admitted.budget().for_tenant(&tenant) })
}

fn gives(deployed: &Deployed) -> Option<Vec<String>> {
    let mut all = BTreeSet::new();
    for ready in deployed.ready.values() {
        let Description { meters, declares, .. } = &*ready.module.description;
        let meters = meters.iter().map(|meter| &meter.name).filter(|name| ready.source.meters.matches(name));
        all.extend(meters.chain(declares).cloned());
        if ready.converts() {
            return None;
        }
    }
    (!deployed.ready.is_empty()).then(|| all.into_iter().collect())
}

fn in_force(ready: &Ready) -> InForce {
    let Module { limits, granted, .. } = &*ready.module;
    let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let requests = granted.http.as_ref().map(|access| {
        let (limits, per_minute) = (access.permissions.limits(), access.permissions.per_minute());
        RequestLimits {
            body: Some(limits.body as u64),
            time: Some(milliseconds(limits.deadline)),
            per_minute: Some(per_minute),
        }
    });
    let limits = Overrides {
        fuel_base: Some(limits.fuel_base),
        fuel_per_resource: Some(limits.fuel_per_resource),
        memory: Some(limits.memory as u64),
        deadline: Some(milliseconds(limits.deadline)),
    };
    InForce { limits, requests }
}

/// Adds one, and lets go of the oldest where there are too many; gives how many that were.
fn push<T>(all: &mut VecDeque<T>, most: usize, one: T) -> u64 {
    all.push_back(one);
    u64::from(all.len() > most && all.pop_front().is_some())
}
