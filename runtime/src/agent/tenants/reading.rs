//! What is read for tenants' modules, and what they pay for it.

use std::sync::Arc;
use std::time::Duration;

use super::{Deployed, Tenants};
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
    /// What its tenant has here.
    holding: Arc<Holding>,
    /// Groups that stand in for others that it reads.
    stand_in: Groups,
}

// === impl Agent ===

impl Agent {
    /// Wants what those read that are due, of their tenants' guests, and has them pay for it. Those that cannot leave
    /// out this slot.
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
                let (always, instead) = deployed
                    .ready
                    .values()
                    .fold((Groups::NONE, Groups::NONE), |all, ready| (all.0 | ready.reads, all.1 | ready.instead));
                let price = cost::price(always.but(read_anyway | Groups::STATE)).saturating_mul(holding.present.into());
                let paid = price == 0 || self.ledger.charge(&key.name.shared(), &deployed.tenant, price, sure);
                if std::mem::replace(&mut deployed.unpaid, !paid) == paid {
                    say_unpaid(&key, paid);
                }
                if !paid {
                    self.tally.failed(&deployed.owner, Cause::OutOfFuel.word(), holding.resources);
                    continue;
                }
                want.add_of(deployed.reads(), &holding.guests);
                stand_in = instead.but(read_anyway);
            }
            all.push(Due { key, run, holding, stand_in });
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

fn say_unpaid(key: &Key, paid: bool) {
    let (tenant, deployment) = (key.tenant.as_str(), key.name.as_str());
    if paid {
        tracing::info!(tenant, deployment, "What a deployment reads can be paid for again.");
    } else {
        tracing::warn!(
            tenant,
            deployment,
            "What a deployment reads costs more than its tenant has left; it leaves out slots until there is enough."
        );
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
    /// the rest it has as far as anybody leaves some. Tells what it has for sure for what it reads.
    pub(super) fn bears(
        &mut self,
        admitted: &mut Arc<Admitted>,
        operators: &Operators,
        holding: &Holding,
        chunk: u32,
    ) -> u64 {
        self.sure = Sure::default();
        let Some((now, most)) = self.needs(operators, holding, chunk) else { return 0 };
        let before = admitted.get(&most.tenant, &most.module);
        let (sure, refused) = match before == Some(&most) {
            true => (Some(now), None),
            false => match admitted.admit(&most) {
                Ok(()) => {
                    Arc::make_mut(admitted).put(most);
                    (Some(now), None)
                }
                Err(refused) => (before.map(|before| now.within(before)), Some(refused)),
            },
        };
        if let (Some(refused), false) = (&refused, self.exceeds) {
            let (tenant, deployment) = (&*self.tenant, self.deployment.key.name.as_str());
            let (why, remedy) = (refused.to_string(), refused.remedy());
            tracing::warn!(tenant, deployment, why, remedy, "A deployment needs more than it was admitted with.");
        }
        self.exceeds = refused.is_some();
        let of_calls = |sure: &Demand| Sure { fuel: sure.calls, interval: sure.interval };
        self.sure = sure.as_ref().map(of_calls).unwrap_or_default();
        sure.map_or(0, |sure| sure.reads)
    }

    /// What it needs in its slots, and the most that it may need in a second before anybody deploys another version:
    /// until a trial ends, its slots may be those of either version at any time.
    fn needs(&self, operators: &Operators, holding: &Holding, chunk: u32) -> Option<(Demand, Demand)> {
        let leading = self.deployment.leading().filter(|_| !self.is_broken())?;
        let current = self.deployment.current()?;
        let alone = self.demand(&[current], operators, holding, chunk);
        let Some(trial) = self.deployment.on_trial() else { return alone.map(|alone| (alone.clone(), alone)) };
        let on_trial = self.demand(&[current, trial], operators, holding, chunk);
        let (now, other) = if leading.number == trial.number { (on_trial, alone) } else { (alone, on_trial) };
        let now = now?;
        let most = other.filter(|other| other.per_second() > now.per_second()).unwrap_or_else(|| now.clone());
        Some((now, most))
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
