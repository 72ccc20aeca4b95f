//! Another configuration: what it makes of modules is prepared beside the loop, because compilers and modules that
//! describe themselves take their time, and taken over between two slots.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::tenants::{Around, Tenants};
use super::{Agent, Restored, load, loader, restore};
use crate::config::{Config, Severity};
use crate::discovery::Rules;
use crate::discovery::holdings::Holdings;
use crate::modules::deploying::terms::Operators;
use crate::modules::deploying::{self, Drafts, Fault, Loaded, Loader, Ready, Refused};
use crate::modules::deployment::{Key, Version};
use crate::modules::registry::Registry;
use crate::modules::store::Pinned;
use crate::modules::{Modules, NotLoaded};
use crate::pipeline::Sinks;

/// All that a configuration takes, ready to be taken over.
#[derive(Debug)]
pub struct Reloaded {
    config: Config,
    modules: Modules,
    /// What is in the store again.
    mended: Vec<Restored>,
    follow: Follow,
}

/// What is to become of deployments.
#[derive(Debug)]
pub(super) struct Follow {
    drafts: Drafts,
    /// Modules that came, until their deployments are kept.
    held: Vec<Pinned>,
    /// Which versions of those that there are may run by these rules.
    verdicts: Vec<(Key, Vec<Verdict>)>,
}

/// A version that is to run, and what runs of it until now, if anything does.
pub(crate) type Running = (Arc<Version>, Option<Arc<Ready>>);

/// A version by its number: what runs of it, or why it cannot.
pub(crate) type Verdict = (u64, Result<Arc<Ready>, Refused>);

// === impl Reloaded ===

impl Reloaded {
    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }
}

// === impl Follow ===

impl Follow {
    /// Makes ready what is written, and anew what runs: by these rules and limits, with secrets as they are now.
    pub(super) async fn prepare(
        mut loader: Loader,
        registry: &Registry,
        config: &Config,
        running: Vec<(Key, Vec<Running>)>,
    ) -> Self {
        let drafts = deploying::prepare(&mut loader, config).await;
        // So that what is written now can be gone back to when the files say something else.
        let files: BTreeMap<_, _> = drafts.prepared().map(|one| (one.version.digest, one.file.clone())).collect();
        let mut held = Vec::new();
        if registry.missing().is_none() {
            for file in files.into_values() {
                match registry.put(file).await {
                    Ok(pinned) => held.push(pinned),
                    Err(error) => {
                        tracing::error!(%error, "A module is not kept; after a restart it cannot be gone back to.");
                    }
                }
            }
        }
        let written: BTreeMap<_, _> = drafts.prepared().map(|prepared| (&prepared.key, prepared)).collect();
        let mut verdicts = Vec::with_capacity(running.len());
        for (key, mut versions) in running {
            let same = written.get(&key).and_then(|written| {
                let place = versions.iter().position(|(version, _)| written.version.is_like(version))?;
                Some((versions.remove(place).0.number, Ok(Arc::clone(&written.ready))))
            });
            let mut of_key = judge(&mut loader, registry, &key, &versions).await;
            of_key.extend(same);
            verdicts.push((key, of_key));
        }
        Self { drafts, held, verdicts }
    }

    /// Has what runs go on by these rules, or stop, such as under a key that was taken away; and what is written, as far
    /// as it fits. What does not is said, and keeps nothing else from running.
    pub(super) fn take_over(
        self,
        tenants: &mut Tenants,
        around: &Around<'_>,
        config: &Config,
        holdings: Holdings,
    ) -> Vec<Pinned> {
        let Self { drafts, held, verdicts } = self;
        for (key, verdicts) in verdicts {
            tenants.hold_to(&key, verdicts);
        }
        let mut fitting = tenants.fitting(config, holdings, around);
        let mut room = tenants.room(config, around.now);
        let Loaded { prepared, problems } =
            drafts.admit(config, &mut fitting, &mut room, |key| tenants.get(key)?.file());
        if !problems.is_empty() {
            tracing::error!("Not all deployments run as they are written now:\n{problems}");
        }
        tenants.follow(prepared, config, around);
        tenants.refused = problems.iter().filter(|problem| problem.severity == Severity::Error).cloned().collect();
        tenants.admit(fitting.admitted);
        held
    }
}

/// Makes versions of a deployment ready by the rules of a loader, from what is in the store. What something is missing
/// of is held against those rules that can be told without.
pub(super) async fn judge(loader: &mut Loader, registry: &Registry, key: &Key, versions: &[Running]) -> Vec<Verdict> {
    let mut verdicts = Vec::with_capacity(versions.len());
    for (version, runs) in versions {
        let prepared = match registry.read(version.digest).await {
            Ok(file) => loader.prepare(key.clone(), Version::clone(version), file.into()).await,
            Err(error) => Err(error.into()),
        };
        let verdict = match (prepared, runs) {
            (Err(why), Some(ready)) if why.fault == Fault::Missing => {
                loader.may_go_on(key, version, ready).and(Err(why))
            }
            (prepared, _) => prepared.map(|prepared| prepared.ready),
        };
        verdicts.push((version.number, verdict));
    }
    verdicts
}

/// What somebody put back into the store, such as a backup of a file that was damaged.
async fn mended(loader: &mut Loader, registry: &Registry) -> Vec<Restored> {
    if registry.missing().is_some() {
        return Vec::new();
    }
    match registry.take_up().await {
        Ok(found) => {
            let keys = found.iter().map(|deployment| &deployment.key);
            keys.for_each(|key| {
                tracing::info!(%key, "A deployment is in the store again, and goes on with nothing remembered.");
            });
            restore(loader, registry, found).await
        }
        Err(error) => {
            tracing::error!(%error, "What is in the store of deployments cannot be looked at again.");
            Vec::new()
        }
    }
}

// === impl Agent ===

impl Agent {
    /// Makes all ready that another configuration takes, beside what runs. Until it is taken over, no order is to be
    /// followed.
    pub fn reload(&self, config: Config) -> impl Future<Output = Result<Reloaded, NotLoaded>> + Send + use<> {
        let (sandbox, registry, reserved) = (Arc::clone(&self.sandbox), self.registry.clone(), Arc::clone(&self.names));
        let works: BTreeMap<String, Option<String>> =
            self.modules.names().map(|name| (name.to_owned(), self.modules.work_of(name))).collect();
        let (leaving, now) = (self.tenants.leaving(&config), self.clock.now().wall);
        let mut running = self.tenants.running();
        running.retain(|(key, _)| !leaving.contains(key));
        async move {
            let modules = load(&sandbox, &config).await?;
            let mut names = modules.names.clone();
            names.keep_declared(&reserved, |name| {
                let new = modules.work_of(name);
                new.is_some() && works.get(name) == Some(&new)
            });
            let (names, operators) = (Arc::new(names), Operators::of(&config, &modules.pollsters));
            let around = Around { tenants: &config.tenants, reserved: &names, operators: &operators, now };
            let mut loader = loader(&sandbox, &config, &around).without(&leaving);
            let mended = mended(&mut loader, &registry).await;
            let follow = Follow::prepare(loader, &registry, &config, running).await;
            Ok(Reloaded { config, modules, mended, follow })
        }
    }

    /// The same on other threads than those of the loop.
    pub fn begin_reload(&self, config: Config) -> JoinHandle<Result<Reloaded, NotLoaded>> {
        self.guests.spawn(self.reload(config))
    }

    /// Goes on by another configuration. The host cannot be changed so.
    pub async fn take_over(&mut self, reloaded: Reloaded) {
        let Reloaded { config, modules, mended, follow } = reloaded;
        self.reader.reconfigure(config.watchdog(), config.reader.max_stuck);
        self.directory.reconfigure(Rules::of(&config));
        let old_chains = std::mem::replace(&mut self.chains, modules.chains());
        let old_sinks = std::mem::replace(&mut self.sinks, Sinks::of(config.pipeline.as_ref(), &modules.sinks));
        self.sinks.meet(&old_sinks.origins());
        let old = old_chains.into_iter().map(|chain| chain.transformer);
        let mut old: Vec<_> = old.chain(old_sinks.into_transformers()).collect();
        let chains = self.chains.iter_mut().map(|chain| &mut chain.transformer);
        chains.chain(self.sinks.transformers_mut()).for_each(|transformer| transformer.take_over(&mut old));
        for transformer in old.iter().filter(|transformer| transformer.state().names() > 0) {
            let (module, samples) = (&transformer.module().name, transformer.state().waiting());
            self.tally.forgot(module, samples);
            tracing::warn!(
                %module,
                samples,
                "What it remembered is forgotten: it, its parameters or its place are others now."
            );
        }
        // Another module, or another configuration, would not know what to make of what the old one remembers.
        let is_the_same = |name: &str| modules.work_of(name).is_some_and(|new| self.modules.work_of(name) == Some(new));
        self.states.retain(|name, _| is_the_same(name));
        let mut names = modules.names.clone();
        names.keep_declared(&self.names, is_the_same);
        self.names = Arc::new(names);
        let operators = Operators::of(&config, &modules.pollsters);
        let around = Around {
            tenants: &config.tenants,
            reserved: &self.names,
            operators: &operators,
            now: self.clock.now().wall,
        };
        self.tenants.restore(mended, &around);
        self.rules += 1;
        let held = follow.take_over(&mut self.tenants, &around, &config, self.directory.holdings());
        self.forget_removed();
        self.tenants.flow_into(&self.ledger);
        self.saving.held.extend(held);
        self.save().await;
        self.modules = modules;
        self.config = config;
        // What was removed may have been waited for.
        self.begin_next();
    }

    /// Both at once, or it stays as it is if the configuration is wrong.
    pub async fn reconfigure(&mut self, config: Config) -> Result<(), NotLoaded> {
        let reloaded = self.reload(config).await?;
        self.take_over(reloaded).await;
        Ok(())
    }
}
