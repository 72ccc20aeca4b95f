//! Who the tenants are.

use std::collections::{BTreeMap, BTreeSet};

use super::budget::SHARE;
use super::read::Reading;
use super::store::{QUOTA_KEYS, Quota};
use crate::config::problem::{Severity, quoted};
use crate::config::share::Share;
use crate::config::yaml::{Kind, Section};
use crate::modules::deployment::Tenant;
use crate::modules::trust::{Policy, Rule, Signatures};

/// Tenants of which something is said: that they are more than one project or called otherwise than theirs, or who signs
/// their modules.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Tenants {
    named: BTreeMap<String, TenantRules>,
    /// What all others may keep.
    #[serde(skip)]
    quota: Quota,
}

/// What is said of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
struct TenantRules {
    /// Its projects; the one that it is called after if there are none.
    projects: BTreeSet<String>,
    /// Who signs its modules.
    #[serde(flatten)]
    signed: Rule,
    /// What it may keep.
    #[serde(flatten)]
    quota: Quota,
    /// How much of a core its modules may have, where that is not as much as any tenant's.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<Share>,
}

const MOST_TENANTS: usize = 10_000;
const MOST_PROJECTS: usize = 10_000;
const MOST_KEYS: usize = 100;

// === impl Tenants ===

impl Tenants {
    /// Those that are written; `quota` is that of all of whom nothing else is said, and all of them together may have so
    /// much of a core.
    pub(super) fn read(reading: &mut Reading<'_, '_>, quota: &Quota, node_has: Share) -> Self {
        let root = reading.root();
        let tenants = root.read("tenants", reading.problems, |node| match &node.kind {
            Kind::Map(tenants) if tenants.len() <= MOST_TENANTS => Ok(tenants),
            Kind::Map(_) => Err(node.refuse("too many tenants", format!("Write at most {MOST_TENANTS}"))),
            _ => Err(node.refuse("not a mapping", "Write `name: {projects: [...]}` for each tenant")),
        });
        let (mut all, mut owners): (BTreeMap<_, _>, BTreeMap<String, String>) = Default::default();
        for tenant in tenants.into_iter().flatten() {
            let (name, path) = (&tenant.key, format!("tenants.{}", tenant.key));
            if let Err(error) = name.parse::<Tenant>() {
                reading.problems.error(tenant.place, &path, error.to_string(), "Give it another name");
            }
            let [deployments, module_bytes] = QUOTA_KEYS;
            let known = ["projects", "signatures", "keys", "budget", deployments, module_bytes];
            let Some(section) = Section::of(&tenant.value, path, &known, Severity::Error, reading.problems) else {
                continue;
            };
            let projects = section.texts("projects", MOST_PROJECTS, reading.problems).unwrap_or_default();
            for (place, project) in &projects {
                if let Some(other) = owners.insert(project.clone(), name.clone()).filter(|other| other != name) {
                    let message = format!("the project {} is {other}'s, too: both see its guests", quoted(project));
                    let remedy = "Take it away from one of them, unless that is what you want";
                    reading.problems.warning(*place, &section.key("projects"), message, remedy);
                }
            }
            if projects.is_empty() && section.get("projects").is_some() {
                let (message, remedy) = (format!("{} has no projects", quoted(name)), "Write their ids, or remove it");
                reading.problems.error(tenant.place, &section.key("projects"), message, remedy);
            }
            let projects = projects.into_iter().map(|(_, project)| project).collect();
            let signatures = section.read("signatures", reading.problems, |node| match node.text() {
                Ok("required") => Ok(Signatures::Required),
                Ok("optional") => Ok(Signatures::Optional),
                _ => Err(node.refuse("neither of the two", "Write required or optional")),
            });
            let keys = section.get("keys").and_then(|_| section.texts("keys", MOST_KEYS, reading.problems));
            let keys = keys.map(|keys| keys.into_iter().map(|(_, key)| key.into()).collect());
            let signed = Rule { signatures: signatures.unwrap_or_default(), keys };
            let quota = quota.overridden(&section, reading.problems);
            let budget =
                section.read("budget", reading.problems, |node| match Share::read(node, &SHARE)? {
                    share if share > node_has => Err(node
                        .refuse("more than the node has", format!("Write at most {node_has}, or raise budget.node"))),
                    share => Ok(share),
                });
            all.insert(name.clone(), TenantRules { projects, signed, quota, budget });
        }
        Self { named: all, quota: *quota }
    }

    /// The projects of a tenant: those that are listed, or the one that it is called after.
    pub fn projects_of(&self, tenant: &Tenant) -> BTreeSet<String> {
        let listed = self.named.get(tenant.as_str()).filter(|rules| !rules.projects.is_empty());
        listed.map_or_else(|| BTreeSet::from([tenant.as_str().to_owned()]), |rules| rules.projects.clone())
    }

    /// What a tenant may keep.
    pub fn quota_of(&self, tenant: &Tenant) -> Quota {
        self.named.get(tenant.as_str()).map_or(self.quota, |rules| rules.quota)
    }

    /// Those of which something is said, with their projects.
    pub fn named(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        self.named.iter().map(|(name, rules)| (&**name, &rules.projects))
    }

    /// Whether a tenant is one of these, or looks like the id of a project.
    pub fn knows(&self, tenant: &Tenant) -> bool {
        let id = tenant.as_str().bytes().filter(|letter| *letter != b'-');
        self.named.contains_key(tenant.as_str())
            || (id.clone().count() == 32 && id.clone().all(|c| c.is_ascii_hexdigit()))
    }

    /// The tenant whose project is called like this one, of whom nothing else is said. What holds for that tenant is not
    /// gone around by naming a project of its.
    pub fn owner_of(&self, tenant: &Tenant) -> Option<&str> {
        if self.named.contains_key(tenant.as_str()) {
            return None;
        }
        let owner = self.named.iter().find(|(_, rules)| rules.projects.contains(tenant.as_str()));
        owner.map(|(name, _)| name.as_str())
    }

    /// Tenants whose modules may have another share of a core than others.
    pub fn budgets(&self) -> impl Iterator<Item = (&str, Share)> {
        self.named.iter().filter_map(|(tenant, rules)| Some((&**tenant, rules.budget?)))
    }

    /// Whose modules have to be signed, and by whom.
    pub fn policy(&self) -> Policy {
        let tenants = self.named.iter().map(|(tenant, rules)| (tenant.clone(), rules.signed.clone()));
        Policy { tenants: tenants.collect(), others: Rule::default() }
    }
}
