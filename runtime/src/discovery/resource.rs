//! The resources of one slot, numbered: what a module sees of them is the number.
//!
//! Guests come first, then the node and the texts of static `resources`; these are the roots. Parts of guests follow,
//! kind by kind and guest by guest, so that the parts of neighbouring guests are neighbours too. Parts that modules
//! declared stand behind all others.

use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use super::label::Label;

/// A resource that is the same from slot to slot, whatever its number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ident(pub u32);

/// One resource.
#[derive(Debug, Clone)]
pub struct Resource {
    /// What it is from slot to slot.
    pub ident: Ident,
    /// The root that it belongs to; a root belongs to itself.
    pub root: u32,
    /// What its samples say about it.
    pub label: Arc<Label>,
}

/// Kinds of parts that a guest has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A block device.
    Disk,
    /// A network device.
    Nic,
    /// A virtual CPU.
    Vcpu,
}

/// All resources of a slot.
#[derive(Debug, Default)]
pub struct Resources {
    entries: Vec<Resource>,
    guests: u32,
    roots: u32,
    /// For each kind of part: where each guest's parts begin, and the end of the last.
    starts: [Vec<u32>; PARTS],
}

const PARTS: usize = 3;
const KINDS: [Part; PARTS] = [Part::Disk, Part::Nic, Part::Vcpu];

/// Guests of each project, as ascending ranges.
#[derive(Debug)]
pub struct ByProject<'a>(HashMap<&'a str, Vec<Range<u32>>>);

/// With one more number, which is larger than all before.
fn grow(ranges: &mut Vec<Range<u32>>, number: u32) {
    match ranges.last_mut().filter(|last| last.end == number) {
        Some(last) => last.end += 1,
        None => ranges.push(number..number + 1),
    }
}

// === impl ByProject ===

impl ByProject<'_> {
    /// Guests of some projects, as ascending ranges.
    pub fn of(&self, projects: &BTreeSet<String>) -> Vec<Range<u32>> {
        let found = projects.iter().filter_map(|project| self.0.get(project.as_str()));
        let mut ranges: Vec<Range<u32>> = found.flatten().cloned().collect();
        ranges.sort_unstable_by_key(|range| range.start);
        ranges
    }
}

// === impl Resources ===

impl Resources {
    /// Numbers guests with their parts, and other roots.
    pub fn number<G: Borrow<GuestResources>>(guests: &[G], others: &[(Ident, Arc<Label>)]) -> Self {
        let guests = || guests.iter().map(Borrow::borrow);
        let count = guests().map(|guest| 1 + guest.parts.iter().map(Vec::len).sum::<usize>()).sum::<usize>();
        let mut all = Self { entries: Vec::with_capacity(count + others.len()), ..Self::default() };
        for guest in guests() {
            all.push(guest.ident, None, Arc::clone(&guest.label));
        }
        all.guests = all.len();
        for (ident, label) in others {
            all.push(*ident, None, Arc::clone(label));
        }
        all.roots = all.len();
        for kind in KINDS {
            let mut starts = Vec::with_capacity(all.guests as usize + 1);
            starts.push(all.len());
            for (root, guest) in (0..).zip(guests()) {
                for (ident, label) in guest.of(kind) {
                    all.push(*ident, Some(root), Arc::clone(label));
                }
                starts.push(all.len());
            }
            if let Some(place) = all.starts.get_mut(kind as usize) {
                *place = starts;
            }
        }
        all
    }

    /// Resources of which nothing is known but what their samples say.
    pub fn listed(entries: Vec<Resource>) -> Self {
        Self { entries, ..Self::default() }
    }

    fn push(&mut self, ident: Ident, root: Option<u32>, label: Arc<Label>) {
        let root = root.unwrap_or(self.len());
        self.entries.push(Resource { ident, root, label });
    }

    /// The same resources, and parts that modules declared after them.
    #[must_use]
    pub fn with_declared(&self, declared: Vec<Resource>) -> Self {
        let mut entries = self.entries.clone();
        entries.extend(declared);
        Self { entries, guests: self.guests, roots: self.roots, starts: self.starts.clone() }
    }

    /// How many there are.
    pub fn len(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The resource behind a number.
    pub fn get(&self, number: u32) -> Option<&Resource> {
        self.entries.get(number as usize)
    }

    /// The guests.
    pub fn guests(&self) -> Range<u32> {
        0..self.guests
    }

    /// Guests of some projects, as ascending ranges.
    pub fn guests_of(&self, is_theirs: impl Fn(&str) -> bool) -> Vec<Range<u32>> {
        let mut ranges: Vec<Range<u32>> = Vec::new();
        for number in self.guests() {
            let project = self.get(number).and_then(|guest| guest.label.project.as_deref());
            if project.is_some_and(&is_theirs) {
                grow(&mut ranges, number);
            }
        }
        ranges
    }

    /// Guests of each project.
    pub fn by_project(&self) -> ByProject<'_> {
        let mut projects: HashMap<&str, Vec<Range<u32>>> = HashMap::new();
        for number in self.guests() {
            let Some(project) = self.get(number).and_then(|guest| guest.label.project.as_deref()) else { continue };
            grow(projects.entry(project).or_default(), number);
        }
        ByProject(projects)
    }

    /// Guests and all that is part of nothing.
    pub fn roots(&self) -> Range<u32> {
        0..self.roots
    }

    /// Parts that modules declared.
    pub fn declared(&self) -> Range<u32> {
        let counted = self.starts.last().and_then(|starts| starts.last());
        counted.copied().unwrap_or(self.roots)..self.len()
    }

    /// A guest's parts of one kind.
    pub fn parts(&self, kind: Part, guests: &Range<u32>) -> Range<u32> {
        let Some(starts) = self.starts.get(kind as usize) else { return 0..0 };
        let at = |guest: u32| starts.get(guest.min(self.guests) as usize).copied().unwrap_or(0);
        at(guests.start)..at(guests.end)
    }

    /// The part of a guest that has this name among its devices.
    pub fn part_named(&self, guest: u32, device: &str) -> Option<u32> {
        let mut parts = KINDS.into_iter().flat_map(|kind| self.parts(kind, &(guest..guest.saturating_add(1))));
        parts.find(|number| self.get(*number).is_some_and(|part| part.label.device == device))
    }

    /// The numbers of some roots and of all their parts, as ascending ranges.
    pub fn with_parts(&self, roots: &[Range<u32>]) -> Vec<Range<u32>> {
        let mut ranges: Vec<Range<u32>> = roots.to_vec();
        for kind in KINDS {
            for range in roots.iter().map(|range| self.parts(kind, range)).filter(|range| !range.is_empty()) {
                append(&mut ranges, range);
            }
        }
        // These stand in the order in which they were declared.
        for number in self.declared() {
            if self.get(number).is_some_and(|part| among(roots, part.root)) {
                append(&mut ranges, number..number.saturating_add(1));
            }
        }
        ranges
    }
}

/// Appends a range to ascending ranges, as a part of the last one where they meet.
fn append(ranges: &mut Vec<Range<u32>>, range: Range<u32>) {
    match ranges.last_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        _ => ranges.push(range),
    }
}

/// Whether a number is in one of some ascending ranges.
pub(super) fn among(ranges: &[Range<u32>], number: u32) -> bool {
    ranges.get(ranges.partition_point(|range| range.end <= number)).is_some_and(|range| range.contains(&number))
}

/// A guest and its parts before they have numbers.
#[derive(Debug)]
pub struct GuestResources {
    /// The guest.
    pub ident: Ident,
    /// What its samples say about it.
    pub label: Arc<Label>,
    /// Its parts by kind.
    pub parts: [Vec<(Ident, Arc<Label>)>; PARTS],
}

impl GuestResources {
    /// How many block and network devices it has.
    pub fn devices(&self) -> usize {
        self.of(Part::Disk).len() + self.of(Part::Nic).len()
    }

    fn of(&self, kind: Part) -> &[(Ident, Arc<Label>)] {
        self.parts.get(kind as usize).map_or(&[], Vec::as_slice)
    }
}
