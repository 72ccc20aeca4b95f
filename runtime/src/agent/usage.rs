//! What modules use, as samples: of each module, beside what is measured of guests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::tenants::Deployed;
use super::{Agent, OPERATOR};
use crate::clock::Moment;
use crate::contract::{Column, Kind, Meter, Values};
use crate::discovery::Resources;
use crate::pipeline::samples::Origin;
use crate::pipeline::{Route, Samples};
use crate::sandbox::Names;
use crate::sandbox::ledger::{Account, Accounts};

/// What gives these samples. No module is called so: none that has a file, and none that is built in.
const HOST: &str = "wasmeter";

/// A meter, and what it is of an account.
type Row = (&'static str, Kind, &'static str, fn(&Account) -> u64);

/// All meters. Their names are nobody else's.
const METERS: [Row; 8] = [
    ("wasmeter.module.fuel", Kind::Cumulative, "fuel", |account| account.used_in_all),
    ("wasmeter.module.reads", Kind::Cumulative, "fuel", |account| account.reads_in_all),
    ("wasmeter.module.time", Kind::Cumulative, "ns", |account| account.time_in_all),
    ("wasmeter.module.memory", Kind::Gauge, "B", |account| account.memory_peak),
    ("wasmeter.module.calls", Kind::Cumulative, "call", |account| account.calls),
    ("wasmeter.module.calls.failed", Kind::Cumulative, "call", |account| account.failures.values().sum()),
    ("wasmeter.module.samples", Kind::Cumulative, "sample", |account| account.samples_in_all),
    ("wasmeter.module.stopped", Kind::Gauge, "", |account| u64::from(account.stopped)),
];

/// What modules have used when a slot began.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// Modules by what their resource is called.
    accounts: BTreeMap<String, Account>,
    /// Those of the meters that are wanted.
    meters: Vec<Row>,
}

/// Takes the names of these meters, so that no module has them.
pub fn reserve(names: &mut Names) {
    let host = Arc::from(HOST);
    for (name, ..) in METERS {
        // They are taken first of all.
        let _ = names.describe(&host, name);
    }
}

/// The names of these meters.
pub fn names() -> impl Iterator<Item = &'static str> {
    METERS.into_iter().map(|(name, ..)| name)
}

// === impl Usage ===

impl Usage {
    fn of(accounts: Accounts, meters: Vec<Row>) -> Self {
        let name =
            |((module, tenant), account): ((Arc<str>, Arc<str>), Account)| (format!("{tenant}/{module}"), account);
        Self { accounts: accounts.into_iter().map(name).collect(), meters }
    }

    /// Resources that there have to be for it, beside these.
    pub fn resources(&self, beside: &[String]) -> Vec<String> {
        self.accounts.keys().filter(|name| !beside.contains(name)).cloned().collect()
    }
}

// === impl Agent ===

impl Agent {
    /// What modules have used, if anybody wants to know in these intervals.
    pub(super) fn usage(&self, intervals: &[u64]) -> Usage {
        if !self.config.budget.meters {
            return Usage::default();
        }
        let due = self.config.polling.sources.iter().filter(|source| intervals.contains(&source.interval.as_secs()));
        let due: Vec<_> = due.collect();
        let wanted = |(name, ..): &Row| due.iter().any(|source| source.meters.matches(name));
        let meters: Vec<Row> = METERS.into_iter().filter(wanted).collect();
        if meters.is_empty() { Usage::default() } else { Usage::of(self.ledger.accounts(), meters) }
    }

    /// Forgets what modules used, lost and remember whose deployments were removed: with each name that was ever
    /// deployed there would be more of it.
    pub(super) fn forget_removed(&mut self) {
        let Self { tenants, sinks, ledger, tally, .. } = self;
        let named: BTreeSet<(Arc<str>, Arc<str>)> = tenants.all().map(Deployed::named).collect();
        let is_there = |origin: &Origin| match origin {
            Origin::Operator => true,
            Origin::Deployment { tenant, name } => named.contains(&(Arc::clone(name), Arc::clone(tenant))),
        };
        for (module, samples) in sinks.forget_others(is_there) {
            tally.forgot(&module, samples);
        }
        // What tenants gave is in the operator's transformers, too.
        let transforming = sinks.transformers().map(|it| (&*it.module().name, &*it.module().payer));
        let mut there: BTreeSet<(&str, &str)> = transforming.collect();
        there.extend(named.iter().map(|(name, tenant)| (&**name, &**tenant)));
        there.extend(sinks.deployed().map(|key| (key.name.as_str(), key.tenant.as_str())));
        ledger.retain(|(name, tenant)| **tenant == *OPERATOR || there.contains(&(name, tenant)));
        // Names of the operator's modules have no slash.
        tally.retain(|module| module.split_once('/').is_none_or(|(tenant, name)| there.contains(&(name, tenant))));
    }

    /// The same as samples; `others` are the slot's resources that are no guests.
    pub(super) fn metered(
        &mut self,
        usage: &Usage,
        resources: &Resources,
        others: &[String],
        at: Moment,
    ) -> Vec<Samples> {
        let numbered = (resources.guests().end..).zip(others);
        let found: Vec<(u32, &Account)> =
            numbered.filter_map(|(number, id)| Some((number, usage.accounts.get(id)?))).collect();
        let (module, tenant) = (Arc::from(HOST), Arc::from(OPERATOR));
        let samples = |(name, kind, unit, value): &Row| {
            let values = found.iter().map(|(_, account)| value(account)).collect();
            let column =
                Column { resources: found.iter().map(|(number, _)| *number).collect(), values: Values::Counts(values) };
            let meter = Arc::new(Meter { name: (*name).to_owned(), kind: *kind, unit: (*unit).to_owned() });
            let first_id = self.ids.take(at, column.resources.len());
            let (module, tenant) = (Arc::clone(&module), Arc::clone(&tenant));
            Samples {
                module,
                tenant,
                meter,
                at: at.into(),
                column,
                notes: Vec::new(),
                first_id,
                route: Route::default(),
                sink: None,
            }
        };
        usage.meters.iter().map(samples).collect()
    }
}
