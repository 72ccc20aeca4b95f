//! Which modules measure what in a cycle: sources and pollsters, turned into work.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use crate::agent::usage;
use crate::config::in_vain::{Given, InVain};
use crate::config::polling::Source;
use crate::config::{Config, MeterFilter, Polling, Problems};
use crate::discovery::Resources;
use crate::modules;
use crate::sandbox::Module;

/// The discovery whose resources are guests.
const GUESTS: &str = "local_instances";
/// The discovery whose resource is this host.
const NODE: &str = "local_node";

/// What one module does in a cycle.
#[derive(Debug, Clone)]
pub struct Work {
    /// The module.
    pub module: Arc<Module>,
    /// For each meter of its description: the resources that are wanted, if any.
    pub meters: Vec<Selection>,
    /// Meters that it declares at run time are compared with these sources.
    pub sources: Vec<(Source, Selection)>,
    /// Every meter that it declares is wanted of these, whatever it is called.
    pub declared: Option<Selection>,
}

/// Resources that a meter is wanted of. The union of what sources want: a resource that two sources want is
/// measured once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    guests: bool,
    node: bool,
    fixed: BTreeSet<String>,
}

/// Whether a source can name this as a discovery.
pub fn is_discovery(url: &str) -> bool {
    [GUESTS, NODE].contains(&discovery_name(url))
}

/// The name of a discovery, which may carry a parameter, as in `local_instances://`; ours take none.
pub fn discovery_name(url: &str) -> &str {
    url.split(':').next().unwrap_or(url)
}

/// What sources want that is not there: meters that no module has, and discoveries that there are not.
pub fn check(config: &Config, pollsters: &[Arc<Module>]) -> Problems {
    let mut problems = Problems::of(config.polling_file.as_deref());
    let declares = pollsters.iter().any(|module| !module.description.declares.is_empty());
    let described = pollsters.iter().flat_map(|module| &module.description.meters);
    let mut meters: Vec<&str> = described.map(|meter| meter.name.as_str()).collect();
    for name in usage::names().filter(|_| config.budget.meters) {
        meters.push(name);
    }
    let given = Given { meters, off: modules::off(pollsters), ..Given::default() };
    for source in &config.polling.sources {
        let who = format!("source {}", source.name);
        let in_vain = given.in_vain(&who, "of any module that is on", &source.meters);
        for InVain { message, remedy } in in_vain.into_iter().filter(|_| !declares) {
            problems.warning(source.place, "meters", message, remedy);
        }
        let is_taken = given.meters.iter().any(|name| source.meters.matches(name));
        for url in source.discovery.iter().filter(|url| !is_discovery(url)) {
            let message = format!("source {}: there is no discovery {url:?}", source.name);
            if is_taken {
                problems.error(source.place, "discovery", message, "Write local_instances or local_node");
            } else {
                // Agents that share a file take what is theirs.
                let remedy = "Remove the source, unless another agent reads the file: it finds nothing here";
                problems.warning(source.place, "discovery", message, remedy);
            }
        }
    }
    problems
}

/// What a cycle has to do for these intervals. Modules of which nothing is wanted are left out.
pub fn plan(polling: &Polling, modules: &[Arc<Module>], intervals: &[u64]) -> Vec<Work> {
    let due: Vec<&Source> =
        polling.sources.iter().filter(|source| intervals.contains(&source.interval.as_secs())).collect();
    let work = modules.iter().map(|module| Work::of(module, &due));
    work.filter(|work| !work.selection().is_empty()).collect()
}

/// Texts that sources name as resources, in the work of a cycle.
pub fn fixed_resources(work: &[Work]) -> BTreeSet<String> {
    work.iter().flat_map(|work| work.selection().fixed).collect()
}

// === impl Work ===

impl Work {
    /// What these sources want of a module.
    pub fn of(module: &Arc<Module>, due: &[&Source]) -> Self {
        let described = &module.description;
        let selections: Vec<Selection> = due.iter().map(|source| Selection::of(source, &described.discovery)).collect();
        let wanted = |name: &str| {
            let matching = due.iter().zip(&selections).filter(|(source, _)| source.meters.matches(name));
            matching.fold(Selection::default(), |all, (_, selection)| all.or(selection))
        };
        let meters = described.meters.iter().map(|meter| wanted(&meter.name)).collect();
        let declares = !described.declares.is_empty();
        let sources = if declares {
            due.iter().zip(selections).map(|(source, selection)| ((*source).clone(), selection)).collect()
        } else {
            Vec::new()
        };
        Self { module: Arc::clone(module), meters, sources, declared: None }
    }

    /// Everything that a module gives, of every guest.
    pub fn everything(module: &Arc<Module>) -> Self {
        let all = Selection { guests: true, ..Selection::default() };
        let meters = vec![all.clone(); module.description.meters.len()];
        Self { module: Arc::clone(module), meters, sources: Vec::new(), declared: Some(all) }
    }

    /// All resources that any of its meters is wanted of.
    pub fn selection(&self) -> Selection {
        let declared = self.sources.iter().map(|(_, selection)| selection).chain(&self.declared);
        self.meters.iter().chain(declared).fold(Selection::default(), Selection::or)
    }

    /// Whether it may give any of these meters, of guests.
    pub fn may_give(&self, meters: &MeterFilter) -> bool {
        let described = self.meters.iter().zip(&self.module.description.meters);
        let mut of_guests = described.filter(|(selection, _)| selection.guests);
        of_guests.any(|(_, meter)| meters.matches(&meter.name))
            || self.sources.iter().any(|(_, selection)| selection.guests)
    }

    /// The resources that a meter declared at run time is wanted of.
    pub fn declared(&self, name: &str) -> Selection {
        let matching = self.sources.iter().filter(|(source, _)| source.meters.matches(name));
        let always = self.declared.clone().unwrap_or_default();
        matching.fold(always, |all, (_, selection)| all.or(selection))
    }
}

// === impl Selection ===

impl Selection {
    /// What a source says, or the module where it says nothing.
    pub fn of(source: &Source, by_default: &[String]) -> Self {
        let says_nothing = source.resources.is_empty() && source.discovery.is_empty();
        let discovery = if says_nothing { by_default } else { &source.discovery };
        let named = |name: &str| discovery.iter().any(|url| discovery_name(url) == name);
        let fixed = source.resources.iter().cloned().collect();
        Self { guests: named(GUESTS), node: named(NODE), fixed }
    }

    /// Whether guests are meant.
    pub fn has_guests(&self) -> bool {
        self.guests
    }

    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        !self.guests && !self.node && self.fixed.is_empty()
    }

    fn or(self, other: &Self) -> Self {
        let (guests, node) = (self.guests || other.guests, self.node || other.node);
        let mut fixed = self.fixed;
        fixed.extend(other.fixed.iter().cloned());
        Self { guests, node, fixed }
    }

    /// The roots of a slot that are meant, as ascending ranges. Roots that are no guests are the node and then the
    /// fixed resources, as [`others`] lists them.
    pub fn roots(&self, resources: &Resources, others: &[String]) -> Vec<Range<u32>> {
        let guests = resources.guests();
        let mut ranges = Vec::new();
        if self.guests {
            ranges.push(guests.clone());
        }
        for (number, (index, id)) in (guests.end..).zip(others.iter().enumerate()) {
            let is_node = index == 0;
            if (is_node && self.node) || (!is_node && self.fixed.contains(id)) {
                ranges.push(number..number + 1);
            }
        }
        ranges
    }
}

/// Roots that are no guests, in order: this host, then fixed resources.
pub fn others(host: &str, work: &[Work]) -> Vec<String> {
    std::iter::once(host.to_owned()).chain(fixed_resources(work)).collect()
}
