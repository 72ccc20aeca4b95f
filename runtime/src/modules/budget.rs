//! Who may have how much fuel: the node as a whole, each tenant, and so each module.
//!
//! What is added up is what modules need if all goes well: the fuel of a call for all that there is, in each interval,
//! and the price of what is read for them. What was admitted fits as long as nobody is given more. A module counts with
//! its share of a second, rounded up. The bounds of tenants may together be more than the node's: then whoever comes
//! first is served.
//!
//! Looking for an odd guest by halves takes more fuel, and so do guests that came after a module was deployed. That is
//! what is saved up of what others do not use; see [`ledger`](crate::sandbox::ledger).
//!
//! What is needed twice for a short time is not counted: by a version that is tried out or on trial, and by the one before
//! it in the slot of the dry run, or in which the trial fails. But until a trial has passed, what the version before it needs
//! in slots of its own is nobody else's: it may have them again at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub use refusal::{Bound, DoesNotFit};

use super::deployment::Key;
use crate::config::Config;
use crate::sandbox::Limits;
use crate::sandbox::ledger::{self, Flow, SAVED};

mod refusal;

/// How much fuel there is in a second.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Budget {
    /// For all modules of tenants.
    pub node: u64,
    /// For all modules of a tenant of which nothing else is said.
    pub tenant: u64,
    /// For all modules of a tenant of which it is.
    pub tenants: BTreeMap<Arc<str>, u64>,
}

/// What a module needs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Demand {
    /// Whose it is.
    pub tenant: Arc<str>,
    /// Its name, which it has to itself in its tenant.
    pub module: Arc<str>,
    /// The fuel of its calls in an interval: that of each call, and that of each resource for as many as there are.
    pub calls: u64,
    /// The price of what is read for it in an interval, as fuel.
    pub reads: u64,
    /// How long that has to last.
    pub interval: Duration,
}

/// What a module has to do in an interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Calls that are needed for so many guests.
    pub calls: u64,
    /// Guests and their parts.
    pub resources: u32,
    /// The price of what is read, as fuel.
    pub reads: u64,
}

/// What was admitted of a budget.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admitted {
    budget: Budget,
    demands: BTreeMap<Module, Demand>,
    by_tenant: BTreeMap<Arc<str>, u64>,
    all: u64,
}

/// A module by its tenant and its name.
type Module = (Arc<str>, Arc<str>);

// === impl Budget ===

impl Budget {
    /// What the configuration says.
    pub fn of(config: &Config) -> Self {
        let tenants = config.tenants.budgets().map(|(tenant, share)| (tenant.into(), share.fuel()));
        Self { node: config.budget.node.fuel(), tenant: config.budget.tenant.fuel(), tenants: tenants.collect() }
    }

    /// How much all modules of a tenant may have.
    pub fn for_tenant(&self, tenant: &str) -> u64 {
        self.tenants.get(tenant).copied().unwrap_or(self.tenant).min(self.node)
    }
}

impl Default for Budget {
    fn default() -> Self {
        let crate::config::daemon::Budget { node, tenant, .. } = crate::config::daemon::Budget::default();
        Self { node: node.fuel(), tenant: tenant.fuel(), tenants: BTreeMap::new() }
    }
}

// === impl Demand ===

impl Demand {
    /// What a deployment needs with these limits.
    pub fn new(key: &Key, limits: &Limits, load: Load, interval: Duration) -> Self {
        let calls = ledger::once(limits, load.calls, load.resources);
        Self { tenant: key.tenant.shared(), module: key.name.shared(), calls, reads: load.reads, interval }
    }

    /// All fuel of an interval.
    pub fn fuel(&self) -> u64 {
        self.calls.saturating_add(self.reads)
    }

    /// The fuel of a second, rounded up: sums of it are never less than what is burnt.
    pub fn per_second(&self) -> u64 {
        let interval = self.interval.as_nanos().max(1);
        let fuel = u128::from(self.fuel()).saturating_mul(Duration::from_secs(1).as_nanos());
        u64::try_from(fuel.div_ceil(interval)).unwrap_or(u64::MAX)
    }

    /// What is enough for both of two versions, of which one or the other runs in a slot.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let (calls, reads) = (self.calls.max(other.calls), self.reads.max(other.reads));
        Self { calls, reads, interval: self.interval.min(other.interval), ..self.clone() }
    }

    /// As much of this as is for sure where another demand was admitted: no more than that is in as long a time.
    #[must_use]
    pub fn within(&self, admitted: &Self) -> Self {
        if self.per_second() <= admitted.per_second() {
            return self.clone();
        }
        let as_long = |fuel: u64| {
            let fuel = u128::from(fuel).saturating_mul(self.interval.as_nanos()) / admitted.interval.as_nanos().max(1);
            u64::try_from(fuel).unwrap_or(u64::MAX)
        };
        let (calls, reads) = (self.calls.min(as_long(admitted.calls)), self.reads.min(as_long(admitted.reads)));
        Self { calls, reads, ..self.clone() }
    }

    fn key(&self) -> Module {
        (Arc::clone(&self.tenant), Arc::clone(&self.module))
    }
}

// === impl Admitted ===

impl Admitted {
    /// Nothing yet.
    pub fn of(budget: Budget) -> Self {
        Self { budget, ..Self::default() }
    }

    /// The same of another budget, of which it may be more than there is.
    #[must_use]
    pub fn under(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }

    /// What it is admitted of.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Whether a module can have what it needs beside those that there are. One of its name in its tenant is the one
    /// that it takes the place of. Who needs no more than that one has can always have it: nobody has to give up a
    /// module to make it smaller, even when the budget became smaller meanwhile.
    pub fn admit(&self, wanted: &Demand) -> Result<(), DoesNotFit> {
        let (tenant, asked) = (&wanted.tenant, wanted.per_second());
        let before = self.demands.get(&wanted.key()).map(Demand::per_second);
        if before.is_some_and(|before| asked <= before) {
            return Ok(());
        }
        let before = before.unwrap_or_default();
        let (own, all) = (self.of_tenant(tenant).saturating_sub(before), self.all.saturating_sub(before));
        let named = self.budget.tenants.contains_key(tenant);
        let bounds =
            [(Bound::Tenant { named }, self.budget.for_tenant(tenant), own), (Bound::Node, self.budget.node, all)];
        let free = bounds.map(|(bound, limit, used)| (bound, limit, limit.saturating_sub(used)));
        // The tighter one, so that there is not another one behind it.
        match free.into_iter().min_by_key(|(_, _, free)| *free) {
            Some((bound, limit, free)) if asked > free => {
                let own_modules = self.modules_of(tenant).filter(|demand| demand.module != wanted.module);
                Err(DoesNotFit {
                    bound,
                    limit,
                    free,
                    wanted: wanted.clone(),
                    own: own_modules.map(|demand| (Arc::clone(&demand.module), demand.per_second())).collect(),
                    others: all.saturating_sub(own),
                })
            }
            _ => Ok(()),
        }
    }

    /// Counts with what a module needs, in the place of what it needed before.
    pub fn put(&mut self, demand: Demand) {
        self.remove(&demand.tenant, &demand.module);
        let (tenant, fuel) = (Arc::clone(&demand.tenant), demand.per_second());
        let of_tenant = self.by_tenant.entry(tenant).or_default();
        *of_tenant = of_tenant.saturating_add(fuel);
        self.all = self.all.saturating_add(fuel);
        self.demands.insert(demand.key(), demand);
    }

    /// A module is gone.
    pub fn remove(&mut self, tenant: &Arc<str>, module: &Arc<str>) {
        let Some(demand) = self.demands.remove(&(Arc::clone(tenant), Arc::clone(module))) else { return };
        let fuel = demand.per_second();
        self.all = self.all.saturating_sub(fuel);
        if let Some(of_tenant) = self.by_tenant.get_mut(tenant) {
            *of_tenant = of_tenant.saturating_sub(fuel);
            if *of_tenant == 0 {
                self.by_tenant.remove(tenant);
            }
        }
    }

    /// Keeps those modules of a tenant, by its name and theirs, that are wanted.
    pub fn retain(&mut self, wanted: impl Fn(&str, &str) -> bool) {
        let gone: Vec<Module> =
            self.demands.keys().filter(|(tenant, module)| !wanted(tenant, module)).cloned().collect();
        gone.iter().for_each(|(tenant, module)| self.remove(tenant, module));
    }

    /// What a module was admitted with.
    pub fn get(&self, tenant: &Arc<str>, module: &Arc<str>) -> Option<&Demand> {
        self.demands.get(&(Arc::clone(tenant), Arc::clone(module)))
    }

    /// Whether a deployment was admitted.
    pub fn has(&self, key: &Key) -> bool {
        self.get(&key.tenant.shared(), &key.name.shared()).is_some()
    }

    /// All that was admitted.
    pub fn all(&self) -> impl Iterator<Item = &Demand> {
        self.demands.values()
    }

    /// How fuel flows to all modules of tenants, and to those of each of these. What they save up is enough for some
    /// seconds, and for what is needed at once in longer intervals than that; no more, however long these are.
    pub fn flows(&self, tenants: impl Iterator<Item = Arc<str>>) -> (Flow, BTreeMap<Arc<str>, Flow>) {
        let mut at_once: BTreeMap<Arc<str>, u64> = tenants.map(|tenant| (tenant, 0)).collect();
        let mut of_all = 0_u64;
        for demand in self.demands.values().filter(|demand| demand.interval > Duration::from_secs(SAVED)) {
            of_all = of_all.saturating_add(demand.fuel());
            if let Some(of_tenant) = at_once.get_mut(&demand.tenant) {
                *of_tenant = of_tenant.saturating_add(demand.fuel());
            }
        }
        let flow = |rate: u64, more: u64| Flow { rate, most: rate.saturating_mul(SAVED).saturating_add(more) };
        let of_tenant = |(tenant, more): (Arc<str>, u64)| {
            let rate = self.budget.for_tenant(&tenant);
            (tenant, flow(rate, more))
        };
        (flow(self.budget.node, of_all), at_once.into_iter().map(of_tenant).collect())
    }

    /// How much more modules of a tenant can have in a second.
    pub fn free(&self, tenant: &str) -> u64 {
        let of_tenant = self.budget.for_tenant(tenant).saturating_sub(self.of_tenant(tenant));
        of_tenant.min(self.budget.node.saturating_sub(self.all))
    }

    /// How much all modules need in a second.
    pub fn used(&self) -> u64 {
        self.all
    }

    /// What each tenant's modules need in a second, and how much they may have.
    pub fn by_tenant(&self) -> BTreeMap<Arc<str>, (u64, u64)> {
        let tenants: BTreeSet<&Arc<str>> = self.by_tenant.keys().chain(self.budget.tenants.keys()).collect();
        let row = |tenant: &Arc<str>| (self.of_tenant(tenant), self.budget.for_tenant(tenant));
        tenants.into_iter().map(|tenant| (Arc::clone(tenant), row(tenant))).collect()
    }

    fn of_tenant(&self, tenant: &str) -> u64 {
        self.by_tenant.get(tenant).copied().unwrap_or_default()
    }

    fn modules_of(&self, tenant: &Arc<str>) -> impl Iterator<Item = &Demand> {
        let first = (Arc::clone(tenant), Arc::from(""));
        self.demands.range(first..).map(|(_, demand)| demand).take_while(move |demand| demand.tenant == *tenant)
    }
}

#[cfg(test)]
mod tests;
