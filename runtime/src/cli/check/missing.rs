//! What pipelines take, or transformers calculate with, and what does not come.

use crate::config::in_vain::Given;
use crate::config::{Config, Problems};
use crate::modules::deploying::Ready;
use crate::modules::starving::Starving;
use crate::modules::{self, Modules};
use crate::sandbox::names::built_in;

/// What tenants' modules give.
struct OfTenants<'a> {
    /// Whether there are any.
    are_there: bool,
    /// Meters that they describe.
    meters: Vec<&'a str>,
    /// Whether they may give others.
    and_others: bool,
}

/// Says so as far as it is known: what the operator's modules declare while they run is not.
pub fn look(config: &Config, modules: &Modules, deployed: &[&Ready]) -> Problems {
    let file = config.pipeline_file.as_deref();
    let mut problems = Problems::of(file);
    let Some(pipelines) = config.pipeline.as_ref().filter(|_| !modules.declare) else { return problems };
    let of_tenants = OfTenants::of(deployed);
    for Starving { place, key, message, remedy, .. } in modules.starving.iter().filter(|one| !of_tenants.may_feed(one))
    {
        problems.warning(*place, key, message, remedy);
    }
    // What is said of a source that is measured as well is said of measuring.
    if config.polling_file != config.pipeline_file {
        problems.extend(pipelines.untaken(file, &given(config, modules, of_tenants)));
    }
    problems.sort();
    problems
}

/// What comes to pipelines.
fn given<'a>(config: &'a Config, modules: &'a Modules, of_tenants: OfTenants<'a>) -> Given<'a> {
    let (mut meters, unmeasured) = modules.meters(config);
    meters.extend(of_tenants.meters);
    let (polling, off) = (config.polling_file.as_deref(), modules::off(&modules.pollsters));
    Given { meters, unmeasured, polling, off, and_others: of_tenants.and_others }
}

// === impl OfTenants ===

impl<'a> OfTenants<'a> {
    fn of(deployed: &[&'a Ready]) -> Self {
        let descriptions = || deployed.iter().map(|ready| &ready.module.description);
        Self {
            are_there: !deployed.is_empty(),
            meters: descriptions().flat_map(|description| &description.meters).map(|meter| &*meter.name).collect(),
            and_others: deployed.iter().any(|ready| ready.converts())
                || descriptions().any(|description| !description.declares.is_empty()),
        }
    }

    /// Whether they may give what a transformer needs. Behind another transformer it may have had any name before.
    fn may_feed(&self, Starving { meter, .. }: &Starving) -> bool {
        match meter {
            Some(meter) => self.meters.contains(&&**meter) || (self.and_others && !built_in::has(meter)),
            None => self.are_there,
        }
    }
}
