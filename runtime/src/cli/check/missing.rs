//! What pipelines take, or transformers calculate with, and what does not come; and tenants' transformers that are not
//! there.

use super::ordered::Ordered;
use crate::config::in_vain::Given;
use crate::config::problem::quoted;
use crate::config::{Config, Pipelines, Problems};
use crate::modules::deploying::{Prepared, Ready, doubts};
use crate::modules::deployment::Key;
use crate::modules::starving::Starving;
use crate::modules::{self, Modules};
use crate::sandbox::names::built_in;

/// What tenants' modules give.
struct OfTenants<'a> {
    /// Whether there are any.
    are_there: bool,
    /// Meters that they describe.
    meters: Vec<&'a str>,
    /// What the names of others begin with that they may give.
    others: Vec<&'a str>,
}

/// Says so as far as it is known: what the operator's modules declare while they run is not.
pub fn look(config: &Config, modules: &Modules, written: &[Prepared], ordered: &Ordered) -> Problems {
    let file = config.pipeline_file.as_deref();
    let mut problems = Problems::of(file);
    let Some(pipelines) = &config.pipeline else { return problems };
    let deployed: Vec<&Ready> =
        written.iter().map(|prepared| &prepared.ready).chain(&ordered.ready).map(|ready| &**ready).collect();
    idle(config, pipelines, &deployed, ordered, &mut problems);
    if modules.declare {
        return problems;
    }
    let of_tenants = OfTenants::of(&deployed);
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

/// Says which tenants' deployments in chains transform nothing there. Why one does not run is said of itself.
fn idle(config: &Config, pipelines: &Pipelines, ready: &[&Ready], ordered: &Ordered, problems: &mut Problems) {
    let is_of = |key: &Key, ready: &Ready| {
        (&*ready.module.tenant, &*ready.module.name) == (key.tenant.as_str(), key.name.as_str())
    };
    let polls = |key: &Key| ready.iter().any(|ready| is_of(key, ready) && !ready.converts());
    let files = config.deployments.files.iter().map(|file| &file.key);
    let files = files.chain(config.deployments.unread.values().flatten());
    let known: Vec<&Key> = files.chain(ordered.kept.iter().map(|kept| &kept.key)).collect();
    for (number, sink) in pipelines.sinks.iter().enumerate() {
        for (at, transformer) in sink.transformers.iter().enumerate() {
            let Some(Ok(key)) = transformer.deployment() else { continue };
            let (what, remedy) = if polls(&key) {
                ("is a pollster, which changes nothing there", "Name a transformer of its tenant's".to_owned())
            } else if ordered.is_unseen || known.contains(&&key) {
                continue;
            } else {
                let others = known.iter().copied().filter(|key| !polls(key));
                let meant = doubts::meant_by(&key, &config.tenants, others);
                let meant = meant.map(|meant| format!("Did you mean {meant}? ")).unwrap_or_default();
                ("is not deployed", meant + "Until it is, what is of its tenant ends there")
            };
            let name = format!("sinks[{number}].transformers[{at}].name");
            let message = format!("sink {}: {key} {what}", quoted(&sink.name));
            problems.warning(transformer.place, &name, message, remedy);
        }
    }
}

/// What comes to pipelines.
fn given<'a>(config: &'a Config, modules: &'a Modules, of_tenants: OfTenants<'a>) -> Given<'a> {
    let (mut meters, unmeasured) = modules.meters(config);
    meters.extend(of_tenants.meters);
    let (polling, off) = (config.polling_file.as_deref(), modules::off(&modules.pollsters));
    Given { meters, unmeasured, polling, off, others: of_tenants.others }
}

// === impl OfTenants ===

impl<'a> OfTenants<'a> {
    fn of(deployed: &[&'a Ready]) -> Self {
        let descriptions = || deployed.iter().map(|ready| &ready.module.description);
        Self {
            are_there: !deployed.is_empty(),
            meters: descriptions().flat_map(|description| &description.meters).map(|meter| &*meter.name).collect(),
            others: deployed
                .iter()
                .filter(|ready| ready.converts() || !ready.module.description.declares.is_empty())
                .flat_map(|ready| ready.module.granted.names.iter().flat_map(|names| names.iter()))
                .map(String::as_str)
                .collect(),
        }
    }

    /// Whether they may give what a transformer needs. Behind another transformer it may have had any name before.
    fn may_feed(&self, Starving { meter, .. }: &Starving) -> bool {
        match meter {
            Some(meter) => {
                let may_give = |beginning: &&str| meter.starts_with(beginning) && !built_in::has(meter);
                self.meters.contains(&&**meter) || self.others.iter().any(may_give)
            }
            None => self.are_there,
        }
    }
}
