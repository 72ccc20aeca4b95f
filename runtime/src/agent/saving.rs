//! Keeping what becomes of deployments, beside the slots: no slot waits for it.

use tokio::task::JoinHandle;

use super::Agent;
use super::errands::Following;
use super::tenants::Happened;
use crate::control::time::Time;
use crate::modules::audit::{self, Entry};
use crate::modules::deployment::{Deployment, Key};
use crate::modules::registry::{Registry, Unkept};
use crate::modules::store::Pinned;

/// What is under way: one thing after the other.
#[derive(Debug, Default)]
pub(super) struct Saving {
    /// Keeps it.
    task: Option<JoinHandle<Saved>>,
    /// The order that it keeps, if it keeps one: until that is followed, nothing else is begun.
    following: Option<Following>,
    /// What came of keeping that, once it is known.
    kept: Option<Result<(), Unkept>>,
    /// Deployments that could not be kept, once that is known.
    failed: Option<Vec<(Key, Unkept)>>,
    /// Modules of deployments that are not kept yet.
    pub(super) held: Vec<Pinned>,
    /// Whether the log says that something is not kept.
    said: bool,
}

/// What came of it.
#[derive(Debug, Default)]
struct Saved {
    /// Deployments that could not be kept.
    failed: Vec<(Key, Unkept)>,
    /// Of an order, if it was about one.
    order: Option<Result<(), Unkept>>,
}

// === impl Saving ===

impl Saving {
    /// With modules of deployments that are not kept yet.
    pub(super) fn holding(held: Vec<Pinned>) -> Self {
        Self { held, ..Self::default() }
    }

    /// Has an order kept, after what is being kept just now, which is older.
    pub(super) fn follow(
        &mut self,
        following: Following,
        keeping: impl Future<Output = Result<(), Unkept>> + Send + 'static,
    ) {
        let before = self.task.take();
        self.following = Some(following);
        self.task = Some(tokio::spawn(async move {
            let failed = match before {
                Some(before) => before.await.unwrap_or_default().failed,
                None => Vec::new(),
            };
            Saved { failed, order: Some(keeping.await) }
        }));
    }

    /// Whether an order is being kept, or is and was not followed yet.
    pub(super) fn is_following(&self) -> bool {
        self.following.is_some()
    }

    /// Waits until the order is kept, or could not be, and for ever if there is none. Waiting can be given up and taken
    /// up again.
    pub(super) async fn kept(&mut self) {
        match self.is_following() {
            true => self.done().await,
            false => std::future::pending().await,
        }
    }

    async fn done(&mut self) {
        let Some(task) = &mut self.task else { return };
        let Saved { failed, order } = task.await.unwrap_or_default();
        let lost = || Err(Unkept::NoStore("the task that keeps them was lost".to_owned()));
        self.kept = self.is_following().then(|| order.unwrap_or_else(lost));
        (self.task, self.failed) = (None, Some(failed));
    }

    /// The order that is kept, or could not be.
    pub(super) fn take(&mut self) -> Option<(Following, Result<(), Unkept>)> {
        let kept = self.kept.take()?;
        Some((self.following.take()?, kept))
    }
}

// === impl Agent ===

impl Agent {
    /// Whether an order is being kept, or is and was not followed yet.
    pub fn is_following(&self) -> bool {
        self.saving.is_following()
    }

    /// Has what changed kept, unless something is being kept just now; then it is with the next call, which comes with
    /// the next landing or once an order is followed.
    pub async fn save(&mut self) {
        let Saving { task, following, .. } = &self.saving;
        if following.is_some() || task.as_ref().is_some_and(|task| !task.is_finished()) {
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
                if let Err(error) = keep(registry.clone(), key.clone(), deployment).await {
                    failed.push((key, error));
                }
            }
            registry.tidy().await;
            Saved { failed, order: None }
        }));
    }

    /// Waits until what is being kept is. What could not be is tried again with the next call of [`Agent::save`].
    pub async fn saved(&mut self) {
        self.saving.done().await;
        let Some(failed) = self.saving.failed.take() else { return };
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

/// Keeps a deployment, or that there is none.
pub(super) async fn keep(registry: Registry, key: Key, deployment: Option<Deployment>) -> Result<(), Unkept> {
    match deployment {
        Some(deployment) => registry.save(deployment).await,
        None => registry.remove(key).await,
    }
}
