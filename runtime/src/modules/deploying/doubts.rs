//! What is odd about a deployment that can run all the same: a name that is nobody's, patterns that match nothing.

use std::collections::BTreeSet;
use std::fmt;

use super::{Ready, names_of};
use crate::config::daemon::Tenants;
use crate::config::in_vain::InVain;
use crate::config::pipeline::{Sink, Transformer};
use crate::config::polling::Source;
use crate::config::{Config, Glob, closest};
use crate::contract::{Description, Meter};
use crate::discovery::holdings::Holdings;
use crate::modules::deploying::terms::Operators;
use crate::modules::deployment::{Key, Tenant};

/// What is odd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// The key of a deployment's file that it is about.
    pub key: &'static str,
    /// What it is, without a full stop.
    pub message: String,
    /// What to do, without a full stop.
    pub remedy: String,
}

/// A tenant that is none of the configuration and has no guest here. One that looks like the id of a project may have
/// its guests elsewhere, unless another one is called nearly the same.
pub fn of_tenant(tenants: &Tenants, here: &Holdings, tenant: &Tenant) -> Option<Doubt> {
    let name = tenant.as_str();
    let is_known = tenants.named().any(|(named, _)| named == name) || here.projects().any(|project| project == name);
    let listed = tenants.named().flat_map(|(named, projects)| projects.iter().map(String::as_str).chain([named]));
    let meant = closest(name, &listed.chain(here.projects()).collect::<Vec<_>>());
    if is_known || (tenants.knows(tenant) && meant.is_none()) {
        return None;
    }
    let of_none = if here.is_anything_known() { ", of which no guest is here" } else { "" };
    let message = format!("{name} is no tenant of the configuration, and is taken for the id of a project{of_none}");
    let remedy = match meant {
        Some(meant) => format!("Did you mean {meant}?"),
        None => "Add it under `tenants`, or write a project's id".to_owned(),
    };
    Some(Doubt { key: "tenant", message, remedy })
}

/// Projects of tenants that have no guest here, where one has that is no tenant's and is called nearly the same. All
/// others may have their guests elsewhere.
pub fn of_projects(tenants: &Tenants, here: &Holdings) -> Vec<Doubt> {
    let listed = || tenants.named().flat_map(|(name, projects)| projects.iter().map(move |project| (name, &**project)));
    let taken: BTreeSet<&str> = listed().map(|(_, project)| project).collect();
    let present: BTreeSet<&str> = here.projects().collect();
    let free: Vec<&str> = present.difference(&taken).copied().collect();
    let doubt = |(name, project): (&str, &str)| {
        let meant = closest(project, &free)?;
        let message = format!("no guest here is of {project}, a project of {name}");
        Some(Doubt { key: "tenants", message, remedy: format!("Did you mean {meant}?") })
    };
    listed().filter(|(_, project)| !present.contains(project)).filter_map(doubt).collect()
}

/// The name of a deployment that was probably meant by one that there is not.
pub fn meant_by<'a>(key: &Key, tenants: &Tenants, deployed: impl Iterator<Item = &'a Key>) -> Option<String> {
    let deployed: Vec<String> = deployed.map(ToString::to_string).collect();
    let deployed: Vec<&str> = deployed.iter().map(String::as_str).collect();
    let named: Vec<&str> = tenants.named().map(|(tenant, _)| tenant).collect();
    let of_tenant = || {
        let is_named = named.contains(&key.tenant.as_str());
        let tenant = closest(key.tenant.as_str(), &named).filter(|_| !is_named);
        tenant.map(|tenant| format!("{tenant}/{}", key.name))
    };
    closest(&key.to_string(), &deployed).map(str::to_owned).or_else(of_tenant)
}

/// Patterns of meters that match nothing. Who declares more in a slot may give anything.
pub fn of_meters<'a>(ready: &Ready, operators: &Operators, own: impl Iterator<Item = &'a Description>) -> Vec<Doubt> {
    match ready.converts() {
        true => of_inputs(ready, operators, own),
        false => Vec::from_iter(of_outputs(ready)),
    }
}

/// Of a transformer: what nothing measures that it could be handed, and what nobody could hand to it.
fn of_inputs<'a>(ready: &Ready, operators: &Operators, own: impl Iterator<Item = &'a Description>) -> Vec<Doubt> {
    let (mut given, mut declares) = (operators.given(), operators.declare);
    for description in own {
        given.meters.extend(description.meters.iter().map(|meter| &*meter.name));
        declares |= !description.declares.is_empty();
    }
    if declares || operators.is_in_a_chain(&ready.source) {
        return Vec::new();
    }
    let whose = "that the operator's pollsters give, or its tenant's own that are known";
    let in_vain = given.in_vain(&ready.source.name, whose, &ready.source.meters).into_iter();
    in_vain.map(|InVain { message, remedy }| Doubt { key: "meters", message, remedy }).collect()
}

/// Of a pollster: what is none of the meters that it says it gives.
fn of_outputs(ready: &Ready) -> Option<Doubt> {
    let Description { meters, declares, .. } = &*ready.module.description;
    let meters: Vec<&Meter> = meters.iter().collect();
    if !declares.is_empty() || meters.is_empty() {
        return None;
    }
    let is_idle = |pattern: &&str| {
        let glob = Glob::new(pattern.trim_start_matches('!'));
        glob.is_ok_and(|glob| !meters.iter().any(|meter| glob.matches(&meter.name)))
    };
    let patterns = ready.source.meters.patterns().iter().map(String::as_str);
    let idle: Vec<&str> = patterns.filter(is_idle).collect();
    let first = idle.first()?;
    let names: Vec<&str> = meters.iter().map(|meter| &*meter.name).collect();
    let remedy = match closest(first.trim_start_matches('!'), &names) {
        Some(meant) => format!("Did you mean {meant}?"),
        None => "Correct the pattern, or leave it out".to_owned(),
    };
    let message = format!("{} matches none of the meters that it gives: {}", idle.join(", "), names_of(&meters));
    Some(Doubt { key: "meters", message, remedy })
}

/// A transformer in a chain to which samples come more often than its budget counts with.
pub fn of_chain(key: &Key, ready: &Ready, config: &Config, operators: &Operators) -> Option<Doubt> {
    let pipelines = config.pipeline.as_ref().filter(|_| ready.converts())?;
    let is_it = |transformer: &Transformer| transformer.deployment().is_some_and(|named| named.as_ref() == Ok(key));
    let stands_in = |(_, sink): &(usize, &Sink)| sink.transformers.iter().any(is_it);
    let (number, sink) = (0..).zip(&pipelines.sinks).find(stands_in)?;
    let leading = pipelines.leading_to(number);
    let comes = |meter: &&str| ready.source.meters.matches(meter) && leading.iter().any(|source| source.matches(meter));
    let meters: Vec<&str> = operators.meters.iter().map(|meter| &*meter.name).filter(comes).collect();
    let measures = |source: &&Source| meters.iter().any(|meter| source.meters.matches(meter));
    let often = config.polling.sources.iter().filter(measures).map(|source| source.interval).min()?;
    let own = ready.source.interval;
    if own <= often {
        return None;
    }
    let (own, often) = (own.as_secs(), often.as_secs());
    let message = format!(
        "samples come to it in sink {} every {often} s, and it has fuel for sure once in {own} s: beyond that it runs \
         on what others leave of the budget",
        sink.name
    );
    Some(Doubt { key: "interval", message, remedy: format!("Write {often}") })
}

// === impl Doubt ===

/// As it is told of an order.
impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.message, self.remedy)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const HERE: &str = "5d7b60047a9a234138bda7f890cb50bf";

    #[test]
    fn a_name_that_is_nobodys_is_odd() {
        let (config, _) = Config::parse("tenants: {acme-shop: {projects: [p-one]}}", None).unwrap();
        let mut here = Holdings::default();
        let said = |here: &Holdings, tenant: &str| {
            of_tenant(&config.tenants, here, &tenant.parse().unwrap()).map(|doubt| doubt.to_string())
        };
        let unknown = |tenant: &str, rest: &str| {
            Some(format!("{tenant} is no tenant of the configuration, and is taken for the id of a project{rest}"))
        };
        assert_eq!(said(&here, "other"), unknown("other", ". Add it under `tenants`, or write a project's id"));
        here.add(Uuid::from_u128(1), Some(HERE), Some(3));
        here.add(Uuid::from_u128(2), Some("plain"), Some(3));
        for (tenant, meant) in [("acme_shops", "acme-shop"), ("p-oen", "p-one"), (&HERE.replacen('5', "6", 1), HERE)] {
            let rest = format!(", of which no guest is here. Did you mean {meant}?");
            assert_eq!(said(&here, tenant), unknown(tenant, &rest));
        }
        for known in ["acme-shop", HERE, "plain", "0123456789abcdef0123456789abcdef"] {
            assert_eq!(said(&here, known), None, "{known}");
        }
    }

    #[test]
    fn a_project_that_is_nearly_another_one_is_odd() {
        let text = "tenants: {acme: {projects: [p-one, p-tow, elsewhere]}, shop: {projects: [p-three, p-thre]}}";
        let (config, _) = Config::parse(text, None).unwrap();
        let mut here = Holdings::default();
        for (guest, project) in [(1, "p-one"), (2, "p-two"), (3, "p-three")] {
            here.add(Uuid::from_u128(guest), Some(project), Some(1));
        }
        let said: Vec<String> = of_projects(&config.tenants, &here).iter().map(ToString::to_string).collect();
        assert_eq!(said, ["no guest here is of p-tow, a project of acme. Did you mean p-two?"]);
        assert_eq!(of_projects(&config.tenants, &Holdings::default()), []);
    }

    #[test]
    fn what_was_meant_by_a_deployment_is_found() {
        let (config, _) = Config::parse("tenants: {acme: {projects: [p]}}", None).unwrap();
        let key = |text: &str| {
            let (tenant, name) = text.split_once('/').unwrap();
            Key::new(tenant.parse().unwrap(), name.parse().unwrap())
        };
        let deployed = [key("acme/growth")];
        for (text, meant) in [
            ("acme/grwoth", Some("acme/growth")),
            ("acmee/growth", Some("acme/growth")),
            ("acmee/ordered", Some("acme/ordered")),
            ("acme/ordered", None),
            ("elsewhere/parts", None),
        ] {
            assert_eq!(meant_by(&key(text), &config.tenants, deployed.iter()).as_deref(), meant, "{text}");
        }
    }
}
