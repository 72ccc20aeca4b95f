//! What tenants keep together with what is written in files, held against their quotas.

use std::collections::BTreeMap;

use super::{Prepared, Refused};
use crate::config::daemon::Quota;
use crate::modules::deployment::{Deployment, Key, Tenant};
use crate::modules::store::quota;
use crate::modules::store::record::{self, RECORD_BYTES};

/// What is there, and what was found to have room beside it.
#[derive(Debug, Default)]
pub struct Room {
    /// By tenant: with many files, nobody is held against all others.
    kept: BTreeMap<Tenant, BTreeMap<Key, Deployment>>,
    now: i64,
}

// === impl Room ===

impl Room {
    /// Beside deployments that go on.
    pub fn beside<'a>(deployments: impl Iterator<Item = &'a Deployment>, now: i64) -> Self {
        let mut kept: BTreeMap<Tenant, BTreeMap<Key, Deployment>> = BTreeMap::new();
        for deployment in deployments {
            let own = kept.entry(deployment.key.tenant.clone()).or_default();
            own.insert(deployment.key.clone(), deployment.clone());
        }
        Self { kept, now }
    }

    /// Counts with a version, if its tenant has room for it. One that runs already has.
    pub fn take(&mut self, prepared: &Prepared, quota: &Quota) -> Result<(), Refused> {
        let (key, version) = (&prepared.key, &prepared.version);
        let own = self.kept.entry(key.tenant.clone()).or_default();
        let next = match own.get(key) {
            Some(kept) if kept.versions.iter().any(|known| known.is_like(version)) => return Ok(()),
            Some(kept) => match kept.deployed(version.clone()) {
                Ok((next, _)) => next,
                // Why it cannot be another version is said by whoever makes it one.
                Err(_) => return Ok(()),
            },
            None => Deployment::new(key.clone(), version.clone(), "", self.now),
        };
        if !record::has_room(&next) {
            let message =
                format!("it cannot be kept: with the version that runs it fills more than {RECORD_BYTES} bytes");
            return Err(Refused::new("config", message, "Shorten its configuration and grants"));
        }
        let next = quota::fit(own.values(), next, quota)
            .map_err(|no_room| Refused::no_room("file", no_room.to_string(), no_room.remedy()))?;
        own.insert(key.clone(), next);
        Ok(())
    }
}
