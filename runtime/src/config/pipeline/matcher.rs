//! Which pipelines take a meter.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Pipelines;
use crate::config::matching::MeterFilter;

/// The most names that are remembered. A host has some hundred meters; modules that make up names make no more.
const MOST_NAMES: usize = 10_000;

/// Says which pipelines take a meter. It looks at a name once.
#[derive(Debug, Clone)]
pub struct Matcher {
    /// For each source its meters and its pipelines, with their sinks.
    sources: Vec<(MeterFilter, Vec<(usize, usize)>)>,
    names: HashMap<Box<str>, Arc<Takers>>,
    nobody: Arc<Takers>,
}

/// Who takes a meter: numbers of [`Pipelines::pipelines`] and [`Pipelines::sinks`].
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Takers {
    /// The pipelines, in the order in which samples are handed to them.
    pub pipelines: Box<[usize]>,
    /// Their sinks, each once, in the same order. A sink of two of them gets each sample twice.
    pub sinks: Box<[usize]>,
}

// === impl Matcher ===

impl Matcher {
    pub(super) fn of(pipelines: &Pipelines) -> Self {
        let mut sources: Vec<_> = pipelines.sources.iter().map(|source| (source.meters.clone(), Vec::new())).collect();
        for (number, pipeline) in pipelines.pipelines.iter().enumerate() {
            if let Some((_, of_source)) = sources.get_mut(pipeline.source) {
                of_source.push((number, pipeline.sink));
            }
        }
        Self { sources, names: HashMap::new(), nobody: Arc::default() }
    }

    /// Who takes a meter.
    pub fn takers(&mut self, meter: &str) -> Arc<Takers> {
        if let Some(takers) = self.names.get(meter) {
            return Arc::clone(takers);
        }
        let mut sinks = HashSet::new();
        let taking = self.sources.iter().filter(|(meters, _)| meters.matches(meter));
        let taking: Vec<(usize, usize)> = taking.flat_map(|(_, pipelines)| pipelines).copied().collect();
        let takers = if taking.is_empty() {
            Arc::clone(&self.nobody)
        } else {
            Arc::new(Takers {
                pipelines: taking.iter().map(|(pipeline, _)| *pipeline).collect(),
                sinks: taking.iter().map(|(_, sink)| *sink).filter(|sink| sinks.insert(*sink)).collect(),
            })
        };
        if self.names.len() >= MOST_NAMES {
            self.names.clear();
        }
        self.names.insert(meter.into(), Arc::clone(&takers));
        takers
    }
}
