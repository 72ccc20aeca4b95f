//! Pipelines: each sample goes to the sinks that take its meter, through their transformers to their publishers.
//!
//! What a sink does not transform keeps its place in the slot, and is told which further outputs it is for. What comes
//! out of a chain of transformers is new, and for the sink's publishers alone.
//!
//! Tenants' transformers run beside the slot. What a chain hands to one of them waits here to be taken; what that gives
//! comes back with a slot of its own, and goes on where it left the chain.

mod own;
pub mod share;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use self::own::Own;
use self::share::{Held, Shares};
use super::chain::{Made, Surroundings, Transformer};
use super::flow::Flow;
use super::route::{Route, Tag};
use super::samples::{Origin, Samples, Slot};
use crate::agent::report::ModuleReport;
use crate::config::Pipelines;
use crate::config::pipeline::Matcher;
use crate::discovery::Directory;
use crate::modules::Step;
use crate::modules::deployment::Key;
use crate::publish::id::Ids;
use crate::sandbox::Failure;

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
    /// What is to be handed to tenants' transformers.
    held: Held,
}

/// A chain of transformers and its publishers.
#[derive(Debug)]
struct Sink {
    name: Arc<str>,
    publishers: Vec<Tag>,
    links: Vec<Link>,
    /// Where the samples that its transformers made stand in the last slot.
    made: Vec<Range<usize>>,
}

/// A transformer in a chain.
#[derive(Debug)]
enum Link {
    /// The operator's.
    Own(Own),
    /// A tenant's, by the name of its deployment.
    Deployed(Key),
}

/// Whether a tenant has room for so many bytes that are remembered in the place of so many.
pub type Admit<'a> = dyn FnMut(&Arc<str>, usize, usize) -> Result<(), Failure> + Send + 'a;

/// What chains need along their way.
struct Along<'a> {
    around: &'a Surroundings,
    directory: &'a mut Directory,
    ids: &'a mut Ids,
    slot: &'a mut Slot,
    shares: &'a Shares,
    held: &'a mut Held,
    admit: &'a mut Admit<'a>,
    reports: &'a mut Vec<ModuleReport>,
}

/// What samples come to the sinks by.
#[derive(Debug, Clone, Copy)]
pub enum Occasion<'a> {
    /// A slot: whoever holds samples is called in it, be it with nothing.
    Slot,
    /// What tenants' modules gave beside a slot.
    Beside,
    /// What this deployment gave in its chain: it goes on there, and nowhere else.
    Chain(&'a Key),
}

/// Samples of one origin on their way through a chain.
struct Batch {
    /// The sink.
    sink: usize,
    /// Whose they are.
    origin: Origin,
    /// Which of its links comes next.
    next: usize,
    samples: Vec<Samples>,
}

// === impl Sinks ===

impl Sinks {
    /// The sinks of these pipelines, with the modules that they transform with.
    pub fn of(pipelines: Option<&Pipelines>, chains: &[Vec<Step>]) -> Self {
        let Some(pipelines) = pipelines else { return Self::default() };
        let nothing = Vec::new();
        let sinks = (0..).zip(&pipelines.sinks).map(|(number, sink): (usize, _)| {
            let outputs = sink.publishers.iter().filter_map(|publisher| publisher.output.as_deref());
            let chain = chains.get(number).unwrap_or(&nothing);
            let link = |(place, step): (usize, &Step)| match step {
                Step::Own(module) => Link::Own(Own::of(module, &sink.name, place)),
                Step::Deployed(key) => Link::Deployed(key.clone()),
            };
            let (publishers, links) = (outputs.map(Tag::of).collect(), (0..).zip(chain).map(link).collect());
            Sink { name: sink.name.as_str().into(), publishers, links, made: Vec::new() }
        });
        let sinks: Vec<Sink> = sinks.collect();
        Self {
            matcher: Some(pipelines.matcher()),
            ends: pipelines.pipelines.iter().map(|pipeline| pipeline.sink).collect(),
            flow: Flow::of(pipelines.pipelines.len(), sinks.iter().map(|sink| sink.links.len())),
            sinks,
            handed: 0,
            held: Held::default(),
        }
    }

    /// The operator's transformers.
    pub fn transformers(&self) -> impl Iterator<Item = &Transformer> {
        self.own().flat_map(Own::transformers)
    }

    /// The same, to be changed.
    pub fn transformers_mut(&mut self) -> impl Iterator<Item = &mut Transformer> {
        self.own_mut().flat_map(Own::transformers_mut)
    }

    /// The same, without anything else.
    pub fn into_transformers(self) -> impl Iterator<Item = Transformer> {
        let links = self.sinks.into_iter().flat_map(|sink| sink.links);
        let own = links.filter_map(|link| if let Link::Own(own) = link { Some(own) } else { None });
        own.flat_map(Own::into_transformers)
    }

    /// Whose samples the operator's transformers remember something of, or may.
    pub fn origins(&self) -> BTreeSet<Origin> {
        self.own().flat_map(Own::origins).cloned().collect()
    }

    /// Bytes that a record has of what is remembered of tenants' samples, by tenant.
    pub fn remembered(&self) -> BTreeMap<Arc<str>, usize> {
        let mut all = BTreeMap::new();
        for (tenant, bytes) in self.own().flat_map(Own::remembered) {
            *all.entry(Arc::clone(tenant)).or_default() += bytes;
        }
        all
    }

    /// Has samples of these origins be remembered from now on.
    pub fn meet(&mut self, origins: &BTreeSet<Origin>) {
        self.own_mut().for_each(|own| origins.iter().for_each(|origin| own.meet(origin)));
    }

    /// Forgets what deployments gave that there are no more. Tells by which modules samples waited, and how many.
    pub fn forget_others(&mut self, is_there: impl Fn(&Origin) -> bool) -> Vec<(Arc<str>, u64)> {
        self.own_mut().map(|own| (Arc::clone(own.name()), own.forget_others(&is_there))).collect()
    }

    /// What is remembered is kept.
    pub fn keep(&mut self) {
        self.own_mut().for_each(Own::keep);
    }

    /// Lets go of those of whose samples nothing is remembered. They are met again.
    pub fn let_go_of_strangers(&mut self) {
        self.own_mut().for_each(Own::let_go_of_strangers);
    }

    fn own(&self) -> impl Iterator<Item = &Own> {
        self.sinks.iter().flat_map(|sink| &sink.links).filter_map(Link::own)
    }

    fn own_mut(&mut self) -> impl Iterator<Item = &mut Own> {
        self.sinks.iter_mut().flat_map(|sink| &mut sink.links).filter_map(Link::own_mut)
    }

    /// Deployments that stand in chains.
    pub fn deployed(&self) -> impl Iterator<Item = &Key> {
        self.sinks.iter().flat_map(|sink| &sink.links).filter_map(Link::deployed)
    }

    /// The sink in whose chain a deployment stands.
    pub fn sink_of(&self, key: &Key) -> Option<&Arc<str>> {
        Some(&self.sinks.get(self.place_of(key)?.0)?.name)
    }

    /// Which sink and which link of it is a deployment's.
    fn place_of(&self, key: &Key) -> Option<(usize, usize)> {
        let place = |sink: &Sink| sink.links.iter().position(|link| link.deployed() == Some(key));
        (0..).zip(&self.sinks).find_map(|(number, sink)| Some((number, place(sink)?)))
    }

    /// So many samples that came to a deployment in a chain came to nothing.
    pub fn lost(&mut self, key: &Key, samples: u32) {
        if let Some((sink, link)) = self.place_of(key) {
            self.flow.transformed(sink, link, 0, samples);
        }
    }

    /// What is to be handed to tenants' transformers, and was not taken before.
    pub fn take_held(&mut self) -> Held {
        std::mem::take(&mut self.held)
    }

    /// How many samples went through what, since the configuration is in force.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// What came out of a sink in the slot that was handed over last. A sink without transformers gives what it takes.
    pub fn out_of<'a>(&mut self, sink: &str, slot: &'a Slot) -> Vec<&'a Samples> {
        let Some((number, sink)) = (0..).zip(&self.sinks).find(|(_, known): &(usize, _)| *known.name == *sink) else {
            return Vec::new();
        };
        if !sink.links.is_empty() {
            return sink.made.iter().filter_map(|made| slot.samples.get(made.clone())).flatten().collect();
        }
        let Some(matcher) = &mut self.matcher else { return Vec::new() };
        let handed = slot.samples.iter().take(self.handed);
        handed.filter(|samples| matcher.takers(&samples.meter.name).sinks.contains(&number)).collect()
    }

    /// Hands samples of a slot to the sinks that take them. Those of each pipeline and origin are handed to its chain at
    /// once: they are a batch, and its end is where transformers that wait for more let go of what they have; where they
    /// do and nothing comes, the batch is empty. A transformer that fails loses its own output only. `shares` says what
    /// deployments are handed, and `admit` what may be remembered of tenants' samples.
    pub async fn run(
        &mut self,
        around: &Surroundings,
        directory: &mut Directory,
        ids: &mut Ids,
        slot: &mut Slot,
        (shares, occasion): (&Shares, Occasion<'_>),
        admit: &mut Admit<'_>,
    ) -> Vec<ModuleReport> {
        if self.matcher.is_none() {
            return Vec::new();
        }
        self.flow.turn_to(slot.at);
        self.sinks.iter_mut().for_each(|sink| sink.made.clear());
        let batches = match occasion {
            Occasion::Slot => {
                let mut batches = self.taken(slot);
                batches.extend(self.ends_without_any(&batches, shares));
                batches
            }
            Occasion::Beside => self.taken(slot),
            Occasion::Chain(key) => self.come_back(slot, key).into_iter().collect(),
        };
        self.handed = slot.samples.len();
        let mut reports = Vec::new();
        for Batch { sink: number, origin, next, samples } in batches {
            let Some(sink) = self.sinks.get_mut(number) else { continue };
            let (held, flow, admit) = (&mut self.held, &mut self.flow, &mut *admit);
            let reports = &mut reports;
            let mut along = Along { around, directory, ids, slot: &mut *slot, shares, held, admit, reports };
            let made = sink.run(&mut along, &origin, samples, next, |link, gave, failed| {
                flow.transformed(number, link, gave, failed);
            });
            let made = made.await;
            flow.gave(number, made.iter().map(|samples| samples.column.len()).sum());
            let first = slot.samples.len();
            slot.samples.extend(made);
            sink.made.push(first..slot.samples.len());
        }
        reports
    }

    /// Takes what a deployment gave in its chain out of a slot, to go on there.
    fn come_back(&mut self, slot: &mut Slot, key: &Key) -> Option<Batch> {
        let samples = std::mem::take(&mut slot.samples);
        let (sink, link) = self.place_of(key)?;
        let count = samples.iter().map(|samples| samples.column.len()).sum();
        self.flow.transformed(sink, link, count, 0);
        Some(Batch { sink, origin: Origin::of(key), next: link + 1, samples })
    }

    /// What each pipeline with transformers takes. What goes to sinks without any is told so.
    fn taken(&mut self, slot: &mut Slot) -> Vec<Batch> {
        let Some(matcher) = &mut self.matcher else { return Vec::new() };
        // Places of samples, by pipeline in their order, and by whose they are.
        let mut batches: BTreeMap<(usize, Origin), Vec<usize>> = BTreeMap::new();
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
                batches.entry((*pipeline, samples.origin())).or_default().push(place);
                self.flow.took(*pipeline, samples.column.len());
            }
        }
        let batch = |((pipeline, origin), places): ((usize, Origin), Vec<usize>)| {
            let sink = self.ends.get(pipeline).copied()?;
            self.sinks.get(sink).filter(|sink| !sink.links.is_empty())?;
            let samples = places.into_iter().filter_map(|place| slot.samples.get(place)).cloned().collect();
            Some(Batch { sink, origin, next: 0, samples })
        };
        batches.into_iter().filter_map(batch).collect()
    }

    /// An empty batch for each sink and origin of which none of these is, and of which samples wait there.
    fn ends_without_any(&self, batches: &[Batch], shares: &Shares) -> Vec<Batch> {
        let there: BTreeSet<(usize, &Origin)> = batches.iter().map(|batch| (batch.sink, &batch.origin)).collect();
        let waiting = (0..).zip(&self.sinks).flat_map(|(number, sink)| {
            let origins: BTreeSet<Origin> = sink.links.iter().flat_map(|link| link.holding(shares)).collect();
            origins.into_iter().map(move |origin| (number, origin))
        });
        let due = waiting.filter(|(sink, origin)| !there.contains(&(*sink, origin)));
        due.map(|(sink, origin)| Batch { sink, origin, next: 0, samples: Vec::new() }).collect()
    }
}

// === impl Sink ===

impl Sink {
    /// Hands a batch from one transformer to the next, from the one at `next` on, be it empty: the end of a batch is
    /// where those let go of samples that hold some. Parts that they declare become the slot's. `count` is told how many
    /// samples each gave, and failed for.
    async fn run(
        &mut self,
        along: &mut Along<'_>,
        origin: &Origin,
        mut batch: Vec<Samples>,
        next: usize,
        mut count: impl FnMut(usize, usize, u32),
    ) -> Vec<Samples> {
        let route = Route::to(self.publishers.clone());
        for (place, link) in self.links.iter_mut().enumerate().skip(next) {
            batch.retain(|samples| !samples.column.is_empty());
            batch = match link {
                Link::Own(own) if batch.is_empty() && !own.holds(origin) => continue,
                Link::Own(own) => {
                    let Made { report, samples, declared } = own.run(along, origin, &batch, &route).await;
                    along.slot.declare(declared);
                    let failed = report.failures.iter().map(|(_, samples)| *samples).sum();
                    count(place, report.samples, failed);
                    report.join(along.reports);
                    samples
                }
                Link::Deployed(key) => along.shares.split(key, batch, &along.slot.resources, along.held),
            };
        }
        // What deployments do not take passes by, and is new like what they give.
        for samples in &mut batch {
            samples.first_id = along.ids.take(along.slot.at, samples.column.len());
            samples.route = route.clone();
            samples.sink = Some(Arc::clone(&self.name));
        }
        batch
    }
}

// === impl Link ===

impl Link {
    fn own(&self) -> Option<&Own> {
        if let Self::Own(own) = self { Some(own) } else { None }
    }

    fn own_mut(&mut self) -> Option<&mut Own> {
        if let Self::Own(own) = self { Some(own) } else { None }
    }

    fn deployed(&self) -> Option<&Key> {
        if let Self::Deployed(key) = self { Some(key) } else { None }
    }

    /// Whose samples wait in it, so that it is to be called even if nothing comes. A deployment in a chain is handed the
    /// operator's.
    fn holding(&self, shares: &Shares) -> Vec<Origin> {
        match self {
            Self::Own(own) => own.holding().cloned().collect(),
            Self::Deployed(key) => shares.holds(key).then_some(Origin::Operator).into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::pipeline::sinks::share::Share;

    const THREE: &str = "
sources: [{name: a, meters: ['*'], sinks: [held, idle, plain]}]
sinks:
    - name: held
      transformers: [{name: acme/idle, parameters: {}}, {name: acme/holds, parameters: {}}]
      publishers: [test]
    - {name: idle, transformers: [{name: acme/idle, parameters: {}}], publishers: [test]}
    - {name: plain, publishers: [test]}
";

    #[test]
    fn a_slot_ends_for_each_chain_that_holds_samples() {
        let (pipelines, _) = Pipelines::parse(THREE, Path::new("p.yaml"), 0, false).unwrap();
        let key = |name: &str| Key::new("acme".parse().unwrap(), name.parse().unwrap());
        let [idle, holds] = ["idle", "holds"].map(|name| Step::Deployed(key(name)));
        let sinks = Sinks::of(Some(&pipelines), &[vec![idle.clone(), holds], vec![idle], Vec::new()]);
        let share = |holds| Share { guests: Vec::new(), meters: None, tried: None, holds };
        let shares = Shares::of([(key("idle"), share(false)), (key("holds"), share(true))].into_iter());
        let ends = |batches: &[Batch], shares: &Shares| -> Vec<(usize, usize, usize)> {
            let ends = sinks.ends_without_any(batches, shares);
            ends.iter().map(|batch| (batch.sink, batch.next, batch.samples.len())).collect()
        };
        assert_eq!(ends(&[], &shares), [(0, 0, 0)]);
        let other = |sink| Batch { sink, origin: Origin::Operator, next: 0, samples: Vec::new() };
        assert_eq!(ends(&[other(1)], &shares), [(0, 0, 0)]);
        assert_eq!(ends(&[other(0)], &shares), []);
        assert_eq!(ends(&[], &Shares::default()), []);
    }
}
