//! Pipelines: each sample goes to the sinks that take its meter, through their transformers to their publishers.
//!
//! What a sink does not transform keeps its place in the slot, and is told which further outputs it is for. What comes
//! out of a chain of transformers is new, and for the sink's publishers alone.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::chain::{Handed, Made, Surroundings, Transformer};
use super::flow::Flow;
use super::route::{Route, Tag};
use super::samples::{Samples, Slot};
use crate::agent::report::ModuleReport;
use crate::config::Pipelines;
use crate::config::pipeline::Matcher;
use crate::discovery::Directory;
use crate::publish::id::Ids;
use crate::sandbox::{Module, Names};

/// All sinks of the configuration.
#[derive(Debug, Default)]
pub struct Sinks {
    /// Who takes which meter; `None` if there are no pipelines.
    matcher: Option<Matcher>,
    /// Which sink each pipeline ends in.
    ends: Vec<usize>,
    sinks: Vec<Sink>,
    /// How many samples went through what.
    flow: Flow,
    /// How many of the samples of the last slot were handed over; the others came out.
    handed: usize,
}

/// A chain of transformers and its publishers.
#[derive(Debug)]
struct Sink {
    name: String,
    publishers: Vec<Tag>,
    links: Vec<Link>,
    /// Where the samples that its transformers made stand in the last slot.
    made: Vec<Range<usize>>,
}

/// A transformer in a chain.
#[derive(Debug)]
struct Link {
    transformer: Transformer,
    /// Names of its meters. They are its own: what comes out of a sink may bear any name.
    names: Arc<Names>,
}

// === impl Sinks ===

impl Sinks {
    /// The sinks of these pipelines, with the modules that they transform with.
    pub fn of(pipelines: Option<&Pipelines>, modules: &[Vec<Arc<Module>>]) -> Self {
        let Some(pipelines) = pipelines else { return Self::default() };
        let nothing = Vec::new();
        let sinks = (0..).zip(&pipelines.sinks).map(|(number, sink): (usize, _)| {
            let outputs = sink.publishers.iter().filter_map(|publisher| publisher.output.as_deref());
            let modules = modules.get(number).unwrap_or(&nothing);
            // Two sinks may have the same transformers, and remember different things.
            let link = |(place, module): (usize, &Arc<Module>)| {
                let work = [format!("pipeline:{}", sink.name), place.to_string()];
                Link { transformer: Transformer::new(Arc::clone(module), &work), names: Arc::default() }
            };
            let (publishers, links) = (outputs.map(Tag::of).collect(), (0..).zip(modules).map(link).collect());
            Sink { name: sink.name.clone(), publishers, links, made: Vec::new() }
        });
        let sinks: Vec<Sink> = sinks.collect();
        Self {
            matcher: Some(pipelines.matcher()),
            ends: pipelines.pipelines.iter().map(|pipeline| pipeline.sink).collect(),
            flow: Flow::of(pipelines.pipelines.len(), sinks.iter().map(|sink| sink.links.len())),
            sinks,
            handed: 0,
        }
    }

    /// All transformers.
    pub fn transformers(&self) -> impl Iterator<Item = &Transformer> {
        self.sinks.iter().flat_map(|sink| sink.links.iter().map(|link| &link.transformer))
    }

    /// All transformers.
    pub fn transformers_mut(&mut self) -> impl Iterator<Item = &mut Transformer> {
        self.sinks.iter_mut().flat_map(|sink| sink.links.iter_mut().map(|link| &mut link.transformer))
    }

    /// All transformers, without anything else.
    pub fn into_transformers(self) -> impl Iterator<Item = Transformer> {
        self.sinks.into_iter().flat_map(|sink| sink.links.into_iter().map(|link| link.transformer))
    }

    /// How many samples went through what, since the configuration is in force.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// What came out of a sink in the slot that was handed over last. A sink without transformers gives what it takes.
    pub fn out_of<'a>(&mut self, sink: &str, slot: &'a Slot) -> Vec<&'a Samples> {
        let Some((number, sink)) = (0..).zip(&self.sinks).find(|(_, known): &(usize, _)| known.name == sink) else {
            return Vec::new();
        };
        if !sink.links.is_empty() {
            return sink.made.iter().filter_map(|made| slot.samples.get(made.clone())).flatten().collect();
        }
        let Some(matcher) = &mut self.matcher else { return Vec::new() };
        let handed = slot.samples.iter().take(self.handed);
        handed.filter(|samples| matcher.takers(&samples.meter.name).sinks.contains(&number)).collect()
    }

    /// Hands samples of a slot to the sinks that take them. Each pipeline's are handed to its chain at once: they are a
    /// batch, and its end is where transformers that wait for more let go of what they have. A transformer that fails
    /// loses its own output only.
    pub async fn run(
        &mut self,
        around: &Surroundings,
        directory: &mut Directory,
        ids: &mut Ids,
        slot: &mut Slot,
    ) -> Vec<ModuleReport> {
        let Some(matcher) = &mut self.matcher else { return Vec::new() };
        self.flow.turn_to(slot.at);
        self.handed = slot.samples.len();
        self.sinks.iter_mut().for_each(|sink| sink.made.clear());
        // Places of samples, by pipeline in their order.
        let mut batches: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (place, samples) in slot.samples.iter_mut().enumerate() {
            let takers = matcher.takers(&samples.meter.name);
            let mut publishers: Vec<Tag> = Vec::new();
            for number in &takers.sinks {
                if let Some(sink) = self.sinks.get(*number).filter(|sink| sink.links.is_empty()) {
                    publishers.extend(&sink.publishers);
                    self.flow.gave(*number, samples.column.len());
                }
            }
            if !publishers.is_empty() {
                samples.route = samples.route.and_to(&publishers);
            }
            for pipeline in &takers.pipelines {
                batches.entry(*pipeline).or_default().push(place);
                self.flow.took(*pipeline, samples.column.len());
            }
        }
        let mut reports = Vec::new();
        for (pipeline, places) in batches {
            let Some(number) = self.ends.get(pipeline).copied() else { continue };
            let sink = self.sinks.get_mut(number).filter(|sink| !sink.links.is_empty());
            let Some(sink) = sink else { continue };
            let taken = places.into_iter().filter_map(|place| slot.samples.get(place)).cloned().collect();
            let before = reports.len();
            let made = sink.run(around, directory, ids, slot, taken, &mut reports).await;
            for (link, report) in reports.iter().skip(before).enumerate() {
                let failed = report.failures.iter().map(|(_, samples)| *samples).sum();
                self.flow.transformed(number, link, report.samples, failed);
            }
            self.flow.gave(number, made.iter().map(|samples| samples.column.len()).sum());
            let first = slot.samples.len();
            slot.samples.extend(made);
            sink.made.push(first..slot.samples.len());
        }
        reports
    }
}

// === impl Sink ===

impl Sink {
    /// Hands a batch from one transformer to the next. Parts that they declare become the slot's.
    async fn run(
        &mut self,
        around: &Surroundings,
        directory: &mut Directory,
        ids: &mut Ids,
        slot: &mut Slot,
        mut batch: Vec<Samples>,
        reports: &mut Vec<ModuleReport>,
    ) -> Vec<Samples> {
        let route = Route::to(self.publishers.clone());
        for Link { transformer, names } in &mut self.links {
            let handed: Vec<&Samples> = batch.iter().filter(|samples| !samples.column.is_empty()).collect();
            if handed.is_empty() {
                return Vec::new();
            }
            Arc::make_mut(names).next_slot();
            let handed = Handed { samples: &handed, resources: &slot.resources, at: slot.at };
            let Made { report, samples, declared } =
                transformer.run(around, directory, names, ids, handed, &route).await;
            slot.declare(declared);
            reports.push(report);
            batch = samples;
        }
        batch
    }
}
