//! Deployments that were ordered: whether they would run, by what is in the store. The daemon may use it meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::{Config, Problems};
use crate::modules::deploying::terms::Fitting;
use crate::modules::deploying::{Loader, Prepared, Ready, Refused};
use crate::modules::deployment::{Deployment, Key, Version};
use crate::modules::registry::Unkept;
use crate::modules::store::{Oddity, Survey};

/// What a look at the store showed.
#[derive(Debug, Default)]
pub struct Ordered {
    /// Deployments that are kept and go on.
    pub kept: Vec<Deployment>,
    /// Whether there may be more, as the store could not be looked at.
    pub is_unseen: bool,
    /// Those that were ordered and would run.
    pub running: Vec<Key>,
    /// What runs of them, which holds places for requests as long as it is there.
    pub ready: Vec<Arc<Ready>>,
    /// What is odd, and what would not run.
    pub problems: Problems,
}

/// Looks at the store, and counts with what would run of it.
pub async fn look(config: &Config, loader: &mut Loader, fitting: &mut Fitting) -> Ordered {
    let mut found = Ordered::default();
    // Without a configuration file there is no store.
    if config.file.is_none() {
        return found;
    }
    let mut of_store = Problems::of(Some(&config.store.path));
    let survey = match Survey::at(&config.store.path) {
        Ok(Some(survey)) => survey,
        Ok(None) => return found,
        Err(error) => {
            let message = format!("deployments that were ordered cannot be looked at: {}", error.with_cause());
            of_store.warning(None, "store.path", message, "Ask as the daemon's user");
            return Ordered { problems: of_store, is_unseen: true, ..found };
        }
    };
    for oddity in &survey.oddities {
        match oddity {
            Oddity::Stranger { .. } | Oddity::SetAside { .. } => {
                of_store.warning(None, "", oddity.message(), oddity.remedy());
            }
            _ => of_store.error(None, "", oddity.message(), oddity.remedy()),
        }
    }
    found.problems.extend(of_store);
    let is_written = |key: &Key| config.deployments.files.iter().any(|file| file.key == *key);
    for deployment in &survey.deployments {
        let key = &deployment.key;
        if deployment.file.is_some() || is_written(key) {
            continue;
        }
        let mut problems = Problems::of(Some(&config.store.path.join(survey.file(key))));
        let remove = format!("`wasmeter module remove {key}`");
        if !config.tenants.knows(&key.tenant) {
            let message =
                format!("{} is no tenant of the configuration, and is taken for the id of a project", key.tenant);
            problems.warning(None, "tenant", message, format!("Add it under `tenants`, or remove {key}: {remove}"));
        }
        let mut runs = false;
        for version in deployment.running() {
            let on_trial = deployment.on_trial().is_some_and(|trial| trial.number == version.number);
            match prepare(loader, &survey, key, version).await {
                Ok(prepared) => {
                    runs |= !on_trial;
                    found.ready.push(Arc::clone(&prepared.ready));
                    if let Err(refused) = fitting.admit(key, &prepared.ready) {
                        let message = format!("{key} has no fuel for sure: {refused}");
                        problems.warning(None, refused.key, message, refused.remedy);
                    }
                }
                // The daemon removed it meanwhile, or made it another.
                Err(_) if !survey.is_still(deployment) => break,
                Err(Refused { key: place, message, remedy, .. }) if on_trial => {
                    let message =
                        format!("version {} of {key}, which is on trial, does not run: {message}", version.number);
                    let remedy = format!("{remedy}, or end its trial: `wasmeter module rollback {key}`");
                    problems.error(None, place, message, remedy);
                }
                Err(Refused { key: place, message, remedy, .. }) => {
                    let message = format!("{key} does not run: {message}");
                    problems.error(None, place, message, format!("{remedy}, or remove it: {remove}"));
                }
            }
        }
        found.running.extend(runs.then(|| key.clone()));
        found.problems.extend(problems);
    }
    // What is in no file any more ends, and leaves its room.
    let unread = &config.deployments.unread;
    let files: BTreeSet<String> = unread.keys().map(|path| path.display().to_string()).collect();
    let is_unread = |key: &Key| unread.values().flatten().any(|unread| unread == key);
    let stays = |kept: &Deployment| {
        let goes_on = kept.file.as_ref().is_none_or(|file| files.contains(file));
        goes_on || is_written(&kept.key) || is_unread(&kept.key)
    };
    found.kept = survey.deployments.into_iter().filter(stays).collect();
    found
}

async fn prepare(loader: &mut Loader, survey: &Survey, key: &Key, version: &Version) -> Result<Prepared, Refused> {
    let file = survey.read(&version.digest).map_err(Unkept::from)?;
    loader.prepare(key.clone(), version.clone(), file.into()).await
}
