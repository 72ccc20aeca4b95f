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

/// A deployment as it is to become, with as many of its versions as a tenant has room for that keeps these: the oldest
/// that are not needed go, before one is refused that is.
///
/// What makes nothing larger has room, even if the limit was lowered below what is used.
pub fn fit<'a>(
    own: impl Iterator<Item = &'a Deployment> + Clone,
    mut deployment: Deployment,
    quota: &Quota,
) -> Result<Deployment, NoRoom> {
    let used = Used::by(own.clone());
    let others: Vec<&Deployment> = own.filter(|other| other.key != deployment.key).collect();
    loop {
        match check(used, &others, &deployment, quota) {
            Ok(()) => return Ok(deployment),
            Err(no_room) if !deployment.forget_oldest() => return Err(no_room),
            Err(_) => {}
        }
    }
}

fn check(used: Used, others: &[&Deployment], deployment: &Deployment, quota: &Quota) -> Result<(), NoRoom> {
    let wanted = Used::by(others.iter().copied().chain([deployment]));
    for (key, unit, wanted, used, limit) in [
        (DEPLOYMENTS_KEY, "deployments", wanted.deployments, used.deployments, quota.deployments),
        (BYTES_KEY, "bytes of modules", wanted.bytes, used.bytes, quota.module_bytes.bytes()),
    ] {
        if wanted > limit && wanted > used {
            return Err(NoRoom { tenant: deployment.key.tenant.clone(), key, unit, wanted, used, limit });
        }
    }
    Ok(())
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

    /// A deployment as it is to become, as far as its tenant has room for it: see [`fit`].
    pub fn fit(&self, deployment: Deployment, quota: &Quota) -> Result<Deployment, NoRoom> {
        let tenant = deployment.key.tenant.clone();
        fit(self.of(&tenant), deployment, quota)
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
