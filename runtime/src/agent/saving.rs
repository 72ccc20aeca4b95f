//! Keeping what becomes of deployments, beside the slots: no slot waits for it.

use tokio::task::JoinHandle;

use super::Agent;
use super::tenants::Happened;
use crate::control::time::Time;
use crate::modules::audit::{self, Entry};
use crate::modules::deployment::{Deployment, Key};
use crate::modules::registry::{Registry, Unkept};
use crate::modules::store::Pinned;

/// What is under way.
#[derive(Debug, Default)]
pub(super) struct Saving {
    /// Gives the deployments that could not be kept.
    task: Option<JoinHandle<Vec<(Key, Unkept)>>>,
    /// Modules of deployments that are not kept yet.
    pub(super) held: Vec<Pinned>,
    /// Whether the log says that something is not kept.
    said: bool,
}

// === impl Saving ===

impl Saving {
    /// With modules of deployments that are not kept yet.
    pub(super) fn holding(held: Vec<Pinned>) -> Self {
        Self { held, ..Self::default() }
    }
}

// === impl Agent ===

impl Agent {
    /// Has what changed kept, unless something is being kept just now; then it is with the next call.
    pub async fn save(&mut self) {
        if self.saving.task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        self.saved().await;
        let changed = std::mem::take(&mut self.tenants.unsaved);
        let happened = std::mem::take(&mut self.tenants.happened);
        let is_settled = self.registry.is_settled();
        if (changed.is_empty() && happened.is_empty() && is_settled) || self.registry.missing().is_some() {
            return;
        }
        let now = self.clock.now().wall;
        let entry = |Happened { key, who, action, version, why }| {
            let (version, digest) = version.unzip();
            Entry { time: Time(now), who, action, key, version, digest, result: audit::Outcome::Done, why }
        };
        let entries: Vec<Entry> = happened.into_iter().map(entry).collect();
        let deployment = |key: &Key| self.tenants.get(key).map(|deployed| deployed.deployment.clone());
        let changed: Vec<_> = changed.into_iter().map(|key| (deployment(&key), key)).collect();
        let registry = self.registry.clone();
        self.saving.task = Some(tokio::spawn(async move {
            let mut failed = Vec::new();
            // First, so that nothing of it is kept that is not in the log.
            for entry in entries {
                if let Err(error) = registry.write(entry).await {
                    tracing::error!(%error, "What became of a deployment is not in the audit log.");
                }
            }
            // An order that was refused because the disk failed must not be in force after a restart.
            if !is_settled && let Err(error) = registry.settle().await {
                tracing::debug!(%error, "The disk does not hold what was answered yet; it is tried again.");
            }
            for (deployment, key) in changed {
                if let Err(error) = keep(&registry, &key, deployment).await {
                    failed.push((key, error));
                }
            }
            registry.tidy().await;
            failed
        }));
    }

    /// Waits until what is being kept is. What could not be is tried again with the next call of [`Agent::save`].
    pub async fn saved(&mut self) {
        let Some(task) = &mut self.saving.task else { return };
        let failed = task.await.unwrap_or_default();
        self.saving.task = None;
        match failed.last() {
            Some((key, error)) if !std::mem::replace(&mut self.saving.said, true) => {
                tracing::error!(%key, %error, "What became of deployments is not kept; it is tried again.");
            }
            Some(_) => {}
            None => self.saving.said = false,
        }
        self.tenants.unsaved.extend(failed.into_iter().map(|(key, _)| key));
        if self.tenants.unsaved.is_empty() {
            self.saving.held.clear();
        }
    }
}

async fn keep(registry: &Registry, key: &Key, deployment: Option<Deployment>) -> Result<(), Unkept> {
    match deployment {
        Some(deployment) => registry.save(deployment).await,
        None => registry.remove(key.clone()).await,
    }
}
