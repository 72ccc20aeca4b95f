//! What every deployment is held against, whoever deployed it: how often it runs, what it reads how often, and what
//! that costs.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::written::Written;
use super::{Ready, Refused};
use crate::config::Config;
use crate::config::in_vain::Given;
use crate::config::polling::Source;
use crate::contract::{Meter, Wanted};
use crate::discovery::holdings::Holdings;
use crate::hypervisor::Groups;
use crate::hypervisor::reader::cost;
use crate::modules;
use crate::modules::budget::{Admitted, Demand, Load};
use crate::modules::deployment::{Key, Version};
use crate::sandbox::{Module, World};
use crate::schedule::plan::{self, Work};

/// What the operator's pollsters read of all guests, in the slots of each of their intervals, and what they give.
#[derive(Debug, Clone, Default)]
pub struct Operators {
    reads: Vec<(u64, Groups)>,
    /// The meters that they describe.
    pub meters: Arc<[Meter]>,
    /// Those of them that nothing measures.
    unmeasured: Arc<BTreeSet<String>>,
    /// Built-in modules that are off.
    off: Vec<&'static str>,
    /// Whether any of them declares more in a slot.
    pub declare: bool,
    /// Tenants' deployments in chains, which are handed what comes there.
    in_chains: Arc<BTreeSet<String>>,
}

/// What is to fit.
#[derive(Debug)]
pub struct Fitting {
    /// What runs and goes on, and what was found to fit.
    pub admitted: Admitted,
    /// What is there, as far as it is known.
    pub holdings: Holdings,
    /// The most guests handed over in one call.
    pub chunk: u32,
    /// Whose guests are whose, and what is read anyway.
    tenants: crate::config::daemon::Tenants,
    operators: Operators,
}

/// The groups that statistics are in: those that are read in any case, and those that only stand in for others.
fn groups<'a>(reads: impl Iterator<Item = &'a Wanted> + Clone) -> (Groups, Groups) {
    let of = |stand_in: bool| {
        let some = reads.clone().filter(|wanted| wanted.instead_of.is_empty() != stand_in);
        Groups::of_keys(some.map(|wanted| &*wanted.key))
    };
    (of(false), of(true))
}

/// Whether a module may run so often, and read so often what it reads.
pub(super) fn may_run(
    config_shortest: u64,
    covered: Groups,
    version: &Version,
    module: &Module,
) -> Result<(), Refused> {
    let Version { grants, interval, .. } = version;
    let (interval, written) = (*interval, Written::of(version));
    let shortest = grants.shortest_interval.unwrap_or(config_shortest);
    if interval < shortest {
        let message = format!("it runs every {interval} s, and may every {shortest} s");
        let grant = written.number("grants.shortest_interval", interval);
        let remedy = format!("Write at least {shortest}, or grant it: {grant}");
        return Err(Refused::new("interval", message, remedy));
    }
    let (always, stand_in) = groups(module.description.reads.iter());
    let may = Groups::of_keys(grants.groups.iter().map(String::as_str)) | covered;
    let rare: Vec<(&str, u64)> = cost::too_often((always | stand_in).but(may), interval).collect();
    let Some(least) = rare.iter().map(|(_, shortest)| *shortest).max() else { return Ok(()) };
    let names = rare.iter().map(|(group, _)| *group).collect::<Vec<_>>().join(", ");
    let message = format!(
        "every {interval} s it reads statistics of {names}, for which guests' processes are asked, and which are \
         granted every {least} s"
    );
    let grant = written.entries("grants.groups", rare.iter().map(|(group, _)| group));
    let remedy = format!("Write an interval of at least {least}, or grant them: {grant}");
    Err(Refused::new("grants.groups", message, remedy))
}

// === impl Operators ===

impl Operators {
    /// What these pollsters read.
    pub fn of(config: &Config, pollsters: &[Arc<Module>]) -> Self {
        let intervals = config.polling.sources.iter().map(|source| source.interval.as_secs()).filter(|s| *s > 0);
        let read = |interval: u64| {
            let work = plan::plan(&config.polling, pollsters, &[interval]);
            let all = work.iter().map(|work| groups(work.module.description.reads.iter()).0);
            (interval, all.fold(Groups::STATE, |all, some| all | some))
        };
        let meters: Arc<[Meter]> = pollsters.iter().flat_map(|module| &module.description.meters).cloned().collect();
        let names = meters.iter().map(|meter| &meter.name);
        let unmeasured = Arc::new(names.filter(|name| !config.polling.measures(name)).cloned().collect());
        let declare = pollsters.iter().any(|module| !module.description.declares.is_empty());
        let sinks = config.pipeline.iter().flat_map(|pipelines| &pipelines.sinks);
        let steps = sinks.flat_map(|sink| &sink.transformers).filter_map(|step| step.deployment()?.ok());
        let in_chains = Arc::new(steps.map(|key| key.to_string()).collect());
        let (reads, off) = (intervals.map(read).collect(), modules::off(pollsters));
        Self { reads, meters, unmeasured, off, declare, in_chains }
    }

    /// Whether a source is a tenant's deployment in a chain, which is handed what comes there.
    pub fn is_in_a_chain(&self, source: &Source) -> bool {
        self.in_chains.contains(&source.name)
    }

    /// What they give.
    pub fn given(&self) -> Given<'_> {
        let names = self.meters.iter().map(|meter| &*meter.name);
        let (unmeasured, meters) = names.partition(|name| self.unmeasured.contains(*name));
        Given { meters, unmeasured, off: self.off.clone(), ..Given::default() }
    }

    /// What they read in every slot of an interval.
    pub fn in_slots_of(&self, interval: u64) -> Groups {
        let theirs = self.reads.iter().filter(|(their, _)| interval.is_multiple_of(*their));
        theirs.fold(Groups::STATE, |all, (_, groups)| all | *groups)
    }
}

// === impl Ready ===

impl Ready {
    /// Of a module all that this source wants.
    pub fn of(module: Module, source: Source) -> Self {
        let module = Arc::new(module);
        let (work, (reads, instead)) = (Work::of(&module, &[&source]), groups(module.description.reads.iter()));
        Self { module, source, work, reads, instead }
    }

    /// Whether it is a transformer.
    pub fn converts(&self) -> bool {
        self.module.code.manifest.world == World::Transformer
    }

    /// What it needs for so many guests that are there and so many resources, where some groups are read anyway.
    pub fn demand(&self, key: &Key, (present, resources): (u32, u32), chunk: u32, covered: Groups) -> Demand {
        let reads = cost::price(self.reads.but(covered)).saturating_mul(present.into());
        let load = Load { calls: u64::from(present.div_ceil(chunk.max(1))), resources, reads };
        Demand::new(key, &self.module.limits, load, self.source.interval)
    }
}

// === impl Fitting ===

impl Fitting {
    /// Beside what goes on, by a configuration.
    pub fn beside(admitted: Admitted, holdings: Holdings, config: &Config, operators: Operators) -> Self {
        let chunk = u32::try_from(config.sandbox.chunk).unwrap_or(u32::MAX);
        Self { admitted, holdings, chunk, tenants: config.tenants.clone(), operators }
    }

    /// What the operator's modules read anyway, and give.
    pub fn operators(&self) -> &Operators {
        &self.operators
    }

    /// Counts with what a version of a deployment needs, if that fits. What runs of it may run again, should the new
    /// version fail, so until that has shown nothing is given back.
    pub fn admit(&mut self, key: &Key, ready: &Ready) -> Result<(), Refused> {
        let holding = self.holdings.of(&self.tenants.projects_of(&key.tenant));
        let covered = self.operators.in_slots_of(ready.source.interval.as_secs());
        let demand = ready.demand(key, (holding.present, holding.resources), self.chunk, covered);
        let before = self.admitted.get(&demand.tenant, &demand.module);
        let both = before.map_or_else(|| demand.clone(), |before| demand.or(before));
        let wanted = Demand { interval: demand.interval, ..both };
        let is_more = before.is_none_or(|before| wanted.per_second() > before.per_second());
        let admitted = self.admitted.admit(&wanted);
        admitted.map_err(|refused| Refused::no_room("fuel_base", refused.to_string(), refused.remedy()))?;
        if is_more {
            self.admitted.put(wanted);
        }
        Ok(())
    }
}
