//! What a tenant may keep.

use super::*;

/// The keys in the configuration, of a tenant or in `store`.
const DEPLOYMENTS_KEY: &str = "deployments";
const BYTES_KEY: &str = "module_bytes";

/// What a tenant keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Deployments.
    pub deployments: u64,
    /// Bytes of all modules that its versions name; one that several name counts once.
    pub bytes: u64,
}

/// A tenant has no room for a deployment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no room for this in {tenant}: with it there would be {wanted} {unit}, {used} are used, {} are free, and {limit} \
     is the limit",
    limit.saturating_sub(*used)
)]
pub struct NoRoom {
    /// Whose room.
    pub tenant: Tenant,
    /// The limit's key in the configuration.
    pub key: &'static str,
    /// What is counted.
    pub unit: &'static str,
    /// What there would be.
    pub wanted: u64,
    /// What is used.
    pub used: u64,
    /// What may be.
    pub limit: u64,
}

/// Whether a tenant that keeps these has room for a deployment as it is to become. Gives what would be used.
///
/// One that makes nothing larger has, even if the limit was lowered below what is used.
pub fn fits<'a>(
    own: impl Iterator<Item = &'a Deployment> + Clone,
    deployment: &'a Deployment,
    quota: &Quota,
) -> Result<Used, NoRoom> {
    let used = Used::by(own.clone());
    let wanted = Used::by(own.filter(|other| other.key != deployment.key).chain([deployment]));
    for (key, unit, wanted, used, limit) in [
        (DEPLOYMENTS_KEY, "deployments", wanted.deployments, used.deployments, quota.deployments),
        (BYTES_KEY, "bytes of modules", wanted.bytes, used.bytes, quota.module_bytes.bytes()),
    ] {
        if wanted > limit && wanted > used {
            return Err(NoRoom { tenant: deployment.key.tenant.clone(), key, unit, wanted, used, limit });
        }
    }
    Ok(wanted)
}

// === impl NoRoom ===

impl NoRoom {
    /// What to do about it, without a full stop.
    pub fn remedy(&self) -> String {
        format!("Remove a deployment, or raise tenants.{}.{}", self.tenant, self.key)
    }

    /// Both in one text.
    pub fn with_remedy(&self) -> String {
        format!("{self}. {}", self.remedy())
    }
}

impl<S: Storage> Store<S> {
    /// What a tenant keeps.
    pub fn used(&self, tenant: &Tenant) -> Used {
        Used::by(self.of(tenant))
    }

    /// Whether a tenant has room for a deployment as it is to become: see [`fits`].
    pub fn fits(&self, deployment: &Deployment, quota: &Quota) -> Result<Used, NoRoom> {
        fits(self.of(&deployment.key.tenant), deployment, quota)
    }
}

// === impl Used ===

impl Used {
    fn by<'a>(deployments: impl Iterator<Item = &'a Deployment>) -> Self {
        let (mut number, mut modules) = (0, BTreeMap::new());
        for deployment in deployments {
            number += 1;
            modules.extend(deployment.versions.iter().map(|version| (version.digest, version.size)));
        }
        Self { deployments: number, bytes: modules.values().sum() }
    }
}
