//! What the configuration says of meters: how often they are measured, and whose transformers they go through.

use std::sync::Arc;
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::agent::OPERATOR;
use crate::config::{Config, MeterFilter};
use crate::pipeline::{Samples, Slot};

/// What was not measured for so many intervals is not expected any more. One or two slots may be lost to a host that
/// does not answer, which shall not look like guests that are gone.
const INTERVALS: u32 = 3;

/// The most names that are remembered over slots. A host has some hundred meters; modules may make up others all the
/// time.
const MOST_NAMES: usize = 10_000;

/// What is planned for all meters.
#[derive(Debug, Default)]
pub struct Plan {
    /// How often what is measured.
    sources: Vec<(MeterFilter, Duration)>,
    /// What goes to whom.
    makers: Vec<(MeterFilter, Maker)>,
    /// Modules that `transform` names.
    transforms: FxHashSet<Arc<str>>,
    /// By the names that were looked up.
    known: FxHashMap<String, Planned>,
    /// What was measured under the configuration before, until the first slot under this one.
    before: Vec<String>,
}

/// Whose transformers make samples of samples.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Maker {
    /// A sink of `pipeline.yaml`.
    Sink(Arc<str>),
    /// All of one module under `transform` in `wasmeter.yaml`.
    Transform(Arc<str>),
}

/// What is planned for a meter.
#[derive(Debug, Clone, Default)]
pub struct Planned {
    /// How often it is measured.
    pub interval: Duration,
    /// Whose transformers its samples go through.
    pub makers: Vec<Maker>,
    /// Whether it came without the help of a sink: what a sink makes under its name is another meter.
    is_measured: bool,
    /// Until when that is believed because it did so under the configuration before.
    was_measured: u64,
}

// === impl Plan ===

impl Plan {
    /// That of a configuration.
    pub fn of(config: &Config) -> Self {
        let sources = config.polling.sources.iter().map(|source| (source.meters.clone(), source.interval));
        let deployments = config.deployments.files.iter().filter_map(|deployment| {
            let names = deployment.grants.names.iter().map(|name| format!("{name}*")).collect();
            Some((MeterFilter::new(names).ok()?, Duration::from_secs(deployment.interval)))
        });
        let pipelines = config.pipeline.iter().flat_map(|pipelines| {
            pipelines.pipelines.iter().filter_map(|pipeline| {
                let (source, sink) = (pipelines.sources.get(pipeline.source)?, pipelines.sinks.get(pipeline.sink)?);
                let maker = Maker::Sink(sink.name.as_str().into());
                (!sink.transformers.is_empty()).then(|| (source.meters.clone(), maker))
            })
        });
        let transforms = config.transform.iter();
        let transforms = transforms.map(|of| (of.meters.clone(), Maker::Transform(of.module.as_str().into())));
        Self::new(sources.chain(deployments).collect(), pipelines.chain(transforms).collect())
    }

    /// That of sources and of who makes something of what they measure.
    pub fn new(sources: Vec<(MeterFilter, Duration)>, makers: Vec<(MeterFilter, Maker)>) -> Self {
        let module = |maker: &Maker| if let Maker::Transform(module) = maker { Some(Arc::clone(module)) } else { None };
        let transforms = makers.iter().filter_map(|(_, maker)| module(maker)).collect();
        Self { sources, makers, transforms, known: FxHashMap::default(), before: Vec::new() }
    }

    /// Learns what was measured under another configuration, which this one follows.
    pub fn follow(&mut self, before: &Self) {
        let measured = before.known.iter().filter(|(_, planned)| planned.is_measured);
        self.before = measured.map(|(name, _)| name).chain(&before.before).cloned().collect();
    }

    /// Looks up the meters of a slot.
    pub fn learn(&mut self, slot: &Slot) {
        if self.known.len() > MOST_NAMES {
            self.known.clear();
        }
        let now = slot.at.monotonic;
        for name in std::mem::take(&mut self.before) {
            let planned = self.look_up(&name);
            self.known.insert(name, Planned { was_measured: planned.until(now), ..planned });
        }
        for samples in &slot.samples {
            let name = &samples.meter.name;
            if !self.known.contains_key(name) {
                let planned = self.look_up(name);
                self.known.insert(name.clone(), planned);
            }
            if samples.sink.is_none() && *samples.tenant == *OPERATOR {
                self.known.get_mut(name).into_iter().for_each(|planned| planned.is_measured = true);
            }
        }
    }

    /// What is planned for a meter of the slot that was learnt last.
    pub fn meter(&self, name: &str) -> Option<&Planned> {
        self.known.get(name)
    }

    /// Who made samples, unless they were measured.
    pub fn maker(&self, samples: &Samples) -> Option<Maker> {
        if let Some(sink) = &samples.sink {
            return Some(Maker::Sink(Arc::clone(sink)));
        }
        // The second transformer of a module is called so behind its name.
        let module = samples.module.split('#').next().filter(|_| *samples.tenant == *OPERATOR)?;
        self.transforms.get(module).cloned().map(Maker::Transform)
    }

    /// A meter that no source names is what a transformer made, which comes as seldom as anything does, for all we
    /// know.
    fn look_up(&self, name: &str) -> Planned {
        let longest = |wanted: fn(&MeterFilter, &str) -> bool| {
            self.sources.iter().filter(|(meters, _)| wanted(meters, name)).map(|(_, interval)| *interval).max()
        };
        let interval = longest(MeterFilter::matches).or_else(|| longest(|_, _| true)).unwrap_or_default();
        let makers = self.makers.iter().filter(|(meters, _)| meters.matches(name)).map(|(_, maker)| maker.clone());
        Planned { interval, makers: makers.collect(), is_measured: false, was_measured: 0 }
    }
}

// === impl Planned ===

impl Planned {
    /// Whether it comes without the help of a sink, as far as is known now.
    pub fn is_measured(&self, now: u64) -> bool {
        self.is_measured || now < self.was_measured
    }

    /// Until when values of now are told if nothing comes after them.
    pub fn until(&self, now: u64) -> u64 {
        after(now, self.interval.saturating_mul(INTERVALS))
    }

    /// Until when nobody expects others.
    pub fn fresh(&self, now: u64) -> u64 {
        after(now, self.interval / 2)
    }
}

fn after(now: u64, time: Duration) -> u64 {
    now.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}
