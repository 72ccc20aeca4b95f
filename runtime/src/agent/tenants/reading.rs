//! What is read for tenants' modules, and what they pay for it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Deployed, Short, Tenants};
use crate::agent::Agent;
use crate::discovery::holdings::{Holding, Holdings};
use crate::hypervisor::Groups;
use crate::hypervisor::reader::{Reading, Want, cost};
use crate::modules::budget::{Admitted, Demand};
use crate::modules::deploying::terms::Operators;
use crate::modules::deployment::{Key, Version};
use crate::modules::life::Run;
use crate::sandbox::Cause;
use crate::sandbox::ledger::Sure;

/// A deployment whose slot it is.
#[derive(Debug)]
pub struct Due {
    /// Which one.
    pub key: Key,
    /// What of it runs.
    pub run: Run,
    /// Versions of it for which nothing was read, as that could not be paid for: they leave out this slot.
    pub unpaid: BTreeSet<u64>,
    /// What its tenant has here.
    holding: Arc<Holding>,
    /// Groups that stand in for others that it reads.
    stand_in: Groups,
}

// === impl Agent ===

impl Agent {
    /// Wants what those read that are due, of their tenants' guests, and has them pay for it. What cannot be paid for
    /// leaves out this slot: a version beside another one that can, or the deployment.
    pub(in crate::agent) fn want(&mut self, due: Vec<(Key, Run)>, want: &mut Want) -> Vec<Due> {
        if due.is_empty() {
            return Vec::new();
        }
        let chunk = u32::try_from(self.config.sandbox.chunk).unwrap_or(u32::MAX);
        let (holdings, read_anyway) = (self.directory.holdings(), want.groups());
        let mut all = Vec::with_capacity(due.len());
        // Deployments of one tenant follow each other, and have the same.
        let mut last: Option<(Arc<str>, Arc<Holding>)> = None;
        let Tenants { deployed, admitted, operators, .. } = &mut self.tenants;
        for (key, run) in due {
            let Some(deployed) = deployed.get_mut(&key) else { continue };
            let holding = match &last {
                Some((tenant, holding)) if *tenant == deployed.tenant => Arc::clone(holding),
                _ => {
                    let holding = Arc::new(holdings.of(&deployed.projects));
                    last = Some((Arc::clone(&deployed.tenant), Arc::clone(&holding)));
                    holding
                }
            };
            let mut stand_in = Groups::NONE;
            // One that is still at its last slot reads nothing.
            if deployed.has_time() {
                let sure = deployed.bears(admitted, operators, &holding, chunk);
                let mut covered = read_anyway | Groups::STATE;
                // What counts comes first, and each pays for what it adds.
                for (version, sure) in run.versions().zip(sure) {
                    let Some(ready) = deployed.ready.get(&version) else { continue };
                    let price = cost::price(ready.reads.but(covered)).saturating_mul(holding.present.into());
                    let paid = price == 0 || self.ledger.charge(&key.name.shared(), &deployed.tenant, price, sure);
                    if paid {
                        want.add_of(ready.module.description.reads.iter(), &holding.guests);
                        covered = covered | ready.reads;
                        stand_in = stand_in | ready.instead.but(read_anyway);
                    }
                    deployed.pays(version, paid);
                }
                if deployed.short() == Some(Short::Reads) {
                    self.tally.failed(&deployed.owner, Cause::OutOfFuel.word(), holding.resources);
                    continue;
                }
            }
            all.push(Due { key, run, unpaid: deployed.unpaid.clone(), holding, stand_in });
        }
        want.know(holdings.into_known());
        all
    }

    /// Has those pay for whom something was read that stands in for something else, which shows only then.
    pub(in crate::agent) fn charge(&self, due: &[Due], want: &Want, reading: &Reading) {
        for Due { key, holding, stand_in, .. } in due.iter().filter(|due| !due.stand_in.is_empty()) {
            let stood_in = reading.stood_in.iter();
            let theirs = stood_in.filter(|(group, _)| stand_in.but(want.stand_in()).contains(**group));
            let price = theirs.fold(0_u64, |sum, (group, guests)| {
                let guests = guests.iter().filter(|guest| holding.guests.contains(guest)).count() as u64;
                sum.saturating_add(cost::price(*group).saturating_mul(guests))
            });
            if price > 0 {
                self.ledger.charge(&key.name.shared(), &key.tenant.shared(), price, price);
            }
        }
    }
}

// === impl Tenants ===

impl Tenants {
    /// All have to do what comes of what their tenants have, also those whose slots are far off: none of it is another's.
    pub(in crate::agent) fn bear(&mut self, holdings: &Holdings, chunk: u32) {
        let Self { deployed, admitted, operators, .. } = self;
        for deployed in deployed.values_mut() {
            deployed.bears(admitted, operators, &holdings.of(&deployed.projects), chunk);
        }
    }
}

// === impl Deployed ===

impl Deployed {
    /// It has so much to do. Where that is more than it was admitted with and does not fit, it has for sure what it had;
    /// the rest it has as far as anybody leaves some. Tells what is for sure of what is read: for the version whose
    /// slots these are, and for the other one. That both are read for is for a short time only, and does not count.
    pub(super) fn bears(
        &mut self,
        admitted: &mut Arc<Admitted>,
        operators: &Operators,
        holding: &Holding,
        chunk: u32,
    ) -> [u64; 2] {
        self.sure = Sure::default();
        let Some((now, other)) = self.needs(operators, holding, chunk) else { return [0, 0] };
        let most = other.as_ref().filter(|other| other.per_second() > now.per_second()).unwrap_or(&now);
        let before = admitted.get(&most.tenant, &most.module).cloned();
        let is_as_before = before.as_ref() == Some(most);
        let refused = if is_as_before { None } else { admitted.admit(most).err() };
        if !is_as_before && refused.is_none() {
            Arc::make_mut(admitted).put(most.clone());
        }
        let sure = |demand: &Demand| match &refused {
            None => Some(demand.clone()),
            Some(_) => before.as_ref().map(|before| demand.within(before)),
        };
        let (now, other) = (sure(&now), other.as_ref().and_then(sure));
        if let (Some(refused), false) = (&refused, self.exceeds) {
            let (tenant, deployment) = (&*self.tenant, self.deployment.key.name.as_str());
            let (why, remedy) = (refused.to_string(), refused.remedy());
            tracing::warn!(tenant, deployment, why, remedy, "A deployment needs more than it was admitted with.");
        }
        self.exceeds = refused.is_some();
        let of_calls = |sure: &Demand| Sure { fuel: sure.calls, interval: sure.interval };
        self.sure = now.as_ref().map(of_calls).unwrap_or_default();
        [now, other].map(|sure| sure.map_or(0, |sure| sure.reads))
    }

    /// Notes whether what a version reads was paid for.
    fn pays(&mut self, version: u64, paid: bool) {
        let (tenant, deployment) = (&*self.tenant, self.deployment.key.name.as_str());
        if !paid && self.unpaid.insert(version) {
            tracing::warn!(
                tenant,
                deployment,
                version,
                "What a version of a deployment reads costs more than its tenant has left; it leaves out slots until \
                 there is enough."
            );
        } else if paid && self.unpaid.remove(&version) {
            tracing::info!(tenant, deployment, version, "What a version of a deployment reads can be paid for again.");
        }
    }

    /// What it needs in its slots, and in those of the other version that runs, if there is one: until a trial ends its
    /// slots may become those of either, before anybody deploys another one.
    fn needs(&self, operators: &Operators, holding: &Holding, chunk: u32) -> Option<(Demand, Option<Demand>)> {
        let leading = self.deployment.leading().filter(|_| !self.is_broken())?;
        let current = self.deployment.current()?;
        let alone = self.demand(&[current], operators, holding, chunk);
        let Some(trial) = self.deployment.on_trial() else { return alone.map(|alone| (alone, None)) };
        let on_trial = self.demand(&[current, trial], operators, holding, chunk);
        let (now, other) = if leading.number == trial.number { (on_trial, alone) } else { (alone, on_trial) };
        Some((now?, other))
    }

    /// What is enough for any of these versions in slots of the last one.
    fn demand(
        &self,
        versions: &[&Arc<Version>],
        operators: &Operators,
        holding: &Holding,
        chunk: u32,
    ) -> Option<Demand> {
        let interval = versions.last()?.interval;
        let covered = operators.in_slots_of(interval);
        let holding = (holding.present, holding.resources.max(self.entries));
        let ready = versions.iter().filter_map(|version| self.ready.get(&version.number));
        let each = ready.map(|ready| ready.demand(&self.deployment.key, holding, chunk, covered));
        let all = each.reduce(|one, other| one.or(&other))?;
        Some(Demand { interval: Duration::from_secs(interval), ..all })
    }
}
