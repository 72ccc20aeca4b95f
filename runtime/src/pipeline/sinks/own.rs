//! The operator's transformers in chains. What each tenant's deployment gives is transformed for itself: it meets
//! nobody else's samples, and is remembered beside nobody else's, at its tenant's expense.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Along;
use crate::pipeline::chain::{Handed, Made, Transformer};
use crate::pipeline::route::Route;
use crate::pipeline::samples::{Origin, Samples};
use crate::sandbox::limits::{TENANTS_STATE_BYTES, TENANTS_STATE_NAMES};
use crate::sandbox::{Cause, Failure, Module, Names};

/// A transformer of the operator's.
#[derive(Debug)]
pub(super) struct Own {
    module: Arc<Module>,
    /// Its sink, and its place there: two sinks may have the same transformers, and remember different things.
    place: [String; 2],
    stages: BTreeMap<Origin, Stage>,
}

/// A transformer for samples of one origin.
#[derive(Debug)]
struct Stage {
    transformer: Transformer,
    /// Names of its meters. They are its own: what comes out of a sink may bear any name.
    names: Arc<Names>,
    /// Whether the deployment was removed. That nothing is remembered of it is still to be kept.
    gone: bool,
}

// === impl Own ===

impl Own {
    pub fn of(module: &Arc<Module>, sink: &str, place: usize) -> Self {
        let place = [format!("pipeline:{sink}"), place.to_string()];
        let mut own = Self { module: Arc::clone(module), place, stages: BTreeMap::new() };
        own.meet(&Origin::Operator);
        own
    }

    /// What its module is called.
    pub fn name(&self) -> &Arc<str> {
        &self.module.name
    }

    /// All that it is, for whomever.
    pub fn transformers(&self) -> impl Iterator<Item = &Transformer> {
        self.stages.values().map(|stage| &stage.transformer)
    }

    /// The same without what was removed, to be changed.
    pub fn transformers_mut(&mut self) -> impl Iterator<Item = &mut Transformer> {
        self.stages.values_mut().filter(|stage| !stage.gone).map(|stage| &mut stage.transformer)
    }

    /// The same, without anything else.
    pub fn into_transformers(self) -> impl Iterator<Item = Transformer> {
        self.stages.into_values().filter(|stage| !stage.gone).map(|stage| stage.transformer)
    }

    /// Whose samples it remembers something of, or may.
    pub fn origins(&self) -> impl Iterator<Item = &Origin> {
        self.stages.keys()
    }

    /// Bytes that a record has of what it remembers of tenants' samples, by tenant.
    pub fn remembered(&self) -> impl Iterator<Item = (&Arc<str>, usize)> {
        self.stages.iter().filter_map(|(origin, stage)| match origin {
            Origin::Operator => None,
            Origin::Deployment { tenant, .. } => Some((tenant, stage.transformer.state().recorded())),
        })
    }

    /// Whose samples wait in it, so that it is to be called even if nothing comes.
    pub fn holding(&self) -> impl Iterator<Item = &Origin> {
        self.stages.iter().filter(|(_, stage)| stage.transformer.holds()).map(|(origin, _)| origin)
    }

    /// Whether samples of an origin wait in it.
    pub fn holds(&self, origin: &Origin) -> bool {
        self.stages.get(origin).is_some_and(|stage| stage.transformer.holds())
    }

    /// Has samples of an origin be remembered from now on.
    pub fn meet(&mut self, origin: &Origin) {
        self.stage(origin);
    }

    /// Forgets what deployments gave that there are no more. Tells how many samples waited.
    pub fn forget_others(&mut self, is_there: impl Fn(&Origin) -> bool) -> u64 {
        let gone = self.stages.iter_mut().filter(|(origin, stage)| !stage.gone && !is_there(origin));
        gone.map(|(_, stage)| {
            stage.gone = true;
            let waited = stage.transformer.state().waiting();
            stage.transformer.set_state(Arc::default());
            waited
        })
        .sum()
    }

    /// What it remembers is kept: what was removed is nothing any more.
    pub fn keep(&mut self) {
        self.stages.retain(|_, stage| !stage.gone);
    }

    /// Lets go of those of whose samples nothing is remembered. They are met again.
    pub fn let_go_of_strangers(&mut self) {
        let is_known = |stage: &Stage| stage.transformer.state().names() > 0;
        self.stages.retain(|origin, stage| *origin == Origin::Operator || is_known(stage));
    }

    /// Transforms samples of one origin, which stay its own.
    pub async fn run(&mut self, along: &mut Along<'_>, origin: &Origin, batch: &[Samples], route: &Route) -> Made {
        let Stage { transformer, names, .. } = self.stage(origin);
        Arc::make_mut(names).next_slot();
        let samples: Vec<&Samples> = batch.iter().collect();
        let handed = Handed { samples: &samples, resources: &along.slot.resources, at: along.slot.at };
        let before = Arc::clone(transformer.state());
        let mut made = transformer.run(along.around, along.directory, names, along.ids, handed, route).await;
        let Origin::Deployment { tenant, name } = origin else { return made };
        for samples in &mut made.samples {
            samples.tenant = Arc::clone(tenant);
            samples.module = Arc::clone(name);
        }
        let after = transformer.state();
        if !Arc::ptr_eq(&before, after)
            && let Err(failure) = (along.admit)(tenant, before.recorded(), after.recorded())
        {
            transformer.set_state(before);
            made.refuse(failure);
        } else if is_full(after.names(), after.size())
            && made.report.failures.iter().any(|(failure, _)| failure.cause == Cause::ModuleError)
        {
            // With ever new names there would never be room again as long as the guests are there.
            let waited = u32::try_from(after.waiting()).unwrap_or(u32::MAX);
            transformer.set_state(Arc::default());
            let why = "what it remembered of these meters took all room, and is forgotten";
            made.report.failures.push((Failure::new(Cause::TooMuch, why), waited));
        }
        made
    }

    fn stage(&mut self, origin: &Origin) -> &mut Stage {
        let Self { module, place, stages } = self;
        let stage = stages.entry(origin.clone()).or_insert_with(|| {
            let transformer = match origin {
                Origin::Operator => Transformer::new(Arc::clone(module), place),
                Origin::Deployment { tenant, name } => {
                    let [sink, place] = place.clone();
                    let paid = module.paid_by(Arc::clone(tenant));
                    Transformer::new(Arc::new(paid), &[sink, place, format!("{tenant}/{name}")])
                }
            };
            Stage { transformer, names: Arc::default(), gone: false }
        });
        stage.gone = false;
        stage
    }
}

/// Whether so many names and bytes leave less room than there may be need of at once for what a deployment gives.
fn is_full(names: usize, bytes: usize) -> bool {
    names > TENANTS_STATE_NAMES / 2 || bytes > TENANTS_STATE_BYTES / 2
}
