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
     is the limit: remove a deployment, or raise tenants.{tenant}.{key}",
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

impl<S: Storage> Store<S> {
    /// What a tenant keeps.
    pub fn used(&self, tenant: &Tenant) -> Used {
        Used::by(self.of(tenant))
    }

    /// Whether a tenant has room for a deployment as it is to become. Gives what would be used.
    ///
    /// One that makes nothing larger has, even if the limit was lowered below what is used.
    pub fn fits(&self, deployment: &Deployment, quota: &Quota) -> Result<Used, NoRoom> {
        let tenant = &deployment.key.tenant;
        let used = self.used(tenant);
        let others = self.of(tenant).filter(|other| other.key != deployment.key);
        let wanted = Used::by(others.chain([deployment]));
        for (key, unit, wanted, used, limit) in [
            (DEPLOYMENTS_KEY, "deployments", wanted.deployments, used.deployments, quota.deployments),
            (BYTES_KEY, "bytes of modules", wanted.bytes, used.bytes, quota.module_bytes.bytes()),
        ] {
            if wanted > limit && wanted > used {
                return Err(NoRoom { tenant: tenant.clone(), key, unit, wanted, used, limit });
            }
        }
        Ok(wanted)
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
