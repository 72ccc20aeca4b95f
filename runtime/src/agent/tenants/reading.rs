//! What is read for tenants' modules, and what they pay for it.

use std::sync::Arc;

use super::{Deployed, Tenants};
use crate::agent::Agent;
use crate::discovery::holdings::{Holding, Holdings};
use crate::hypervisor::Groups;
use crate::hypervisor::reader::{Reading, Want, cost};
use crate::modules::deploying::terms::groups;
use crate::modules::deployment::{Key, Tenant};
use crate::modules::life::Run;
use crate::sandbox::Cause;

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
        let (holdings, operators) = (self.directory.holdings(), want.groups());
        let (mut all, mut last) = (Vec::with_capacity(due.len()), None);
        for (key, run) in due {
            let Some(holding) = self.tenants.holding(&key, &holdings, &mut last) else { continue };
            let mut stand_in = Groups::NONE;
            // One that is still at its last slot reads nothing.
            if self.tenants.deployed.get(&key).is_some_and(Deployed::has_time) {
                let sure = self.tenants.bears(&key, &holding, chunk);
                let Some(deployed) = self.tenants.deployed.get_mut(&key) else { continue };
                let (always, instead) = groups(deployed.reads());
                let price = cost::price(always.but(operators | Groups::STATE)).saturating_mul(holding.present.into());
                let name = key.name.shared();
                let paid = price == 0 || self.ledger.charge(&name, &deployed.tenant, price, sure);
                if std::mem::replace(&mut deployed.unpaid, !paid) == paid {
                    say_unpaid(&key, paid);
                }
                if !paid {
                    let owner = Arc::clone(&deployed.owner);
                    self.tally.failed(&owner, Cause::OutOfFuel.word(), holding.resources);
                    continue;
                }
                want.add_of(deployed.reads(), &holding.guests);
                stand_in = instead.but(operators);
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
    /// What the tenant of a deployment has. Deployments of one tenant follow each other.
    fn holding(
        &self,
        key: &Key,
        holdings: &Holdings,
        last: &mut Option<(Tenant, Arc<Holding>)>,
    ) -> Option<Arc<Holding>> {
        if let Some((_, holding)) = last.as_ref().filter(|(tenant, _)| *tenant == key.tenant) {
            return Some(Arc::clone(holding));
        }
        let holding = Arc::new(holdings.of(&self.deployed.get(key)?.projects));
        *last = Some((key.tenant.clone(), Arc::clone(&holding)));
        Some(holding)
    }

    /// A deployment has so much to do. Where that is more than it was admitted with and does not fit, it has for sure
    /// what it had; the rest it has as far as anybody leaves some. Tells what it has for sure for what it reads.
    pub(super) fn bears(&mut self, key: &Key, holding: &Holding, chunk: u32) -> u64 {
        let Self { deployed, admitted, operators, .. } = self;
        let Some(deployed) = deployed.get_mut(key) else { return 0 };
        let Some(demand) = deployed.demand(holding, chunk, operators) else { return 0 };
        let (tenant, name) = (Arc::clone(&demand.tenant), Arc::clone(&demand.module));
        if admitted.get(&tenant, &name) != Some(&demand) {
            match admitted.admit(&demand) {
                Ok(()) => {
                    deployed.exceeds = false;
                    Arc::make_mut(admitted).put(demand);
                }
                Err(refused) if !std::mem::replace(&mut deployed.exceeds, true) => {
                    let (tenant, deployment) = (&*tenant, &*name);
                    let (why, remedy) = (refused.to_string(), refused.remedy());
                    tracing::warn!(
                        tenant,
                        deployment,
                        why,
                        remedy,
                        "A deployment needs more than it was admitted with."
                    );
                }
                Err(_) => {}
            }
        }
        let admitted = admitted.get(&tenant, &name);
        deployed.sure = admitted.map_or(0, |admitted| admitted.calls);
        admitted.map_or(0, |admitted| admitted.reads)
    }
}
