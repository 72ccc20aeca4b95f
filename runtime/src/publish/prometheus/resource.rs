//! What the series of a resource have in common: whose it is, and what it is called. The text is written once for each
//! label and kept as long as the label stays.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{escape, label};
use crate::discovery::resource::Ident;
use crate::discovery::{Label, Resources};

/// The labels of a resource's series, as text.
#[derive(Debug)]
pub struct ResourceText {
    /// Its id.
    pub id: String,
    /// Whose it is: what stands before the unit.
    pub owner: String,
    /// All that stands behind the unit.
    pub rest: String,
    /// Of all of it, so that resources with the same labels are found.
    digest: u64,
}

/// One resource of a slot.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What it is from slot to slot.
    pub ident: Ident,
    /// The guest that it belongs to, or itself.
    pub root: Ident,
    /// Its labels.
    pub text: Arc<ResourceText>,
    /// Whether a later one has the same labels. There can be but one series with these.
    pub shadowed: bool,
}

/// The resources of a slot, by their numbers in it.
#[derive(Debug, Default)]
pub struct Texts {
    entries: Vec<Entry>,
    /// What there is in this slot, with its number.
    numbers: FxHashMap<Ident, u32>,
}

/// Labels that were written before.
#[derive(Debug, Default)]
pub struct Known(FxHashMap<Ident, (Arc<Label>, Arc<ResourceText>)>);

// === impl Known ===

impl Known {
    /// The texts of a slot's resources. What is not among these is forgotten.
    pub fn of(&mut self, resources: &Resources) -> Arc<Texts> {
        let mut now = FxHashMap::default();
        let mut entries = Vec::with_capacity(resources.len() as usize);
        let mut numbers = FxHashMap::default();
        for (number, resource) in (0..).zip((0..resources.len()).filter_map(|number| resources.get(number))) {
            numbers.insert(resource.ident, number);
            let text = match self.0.get(&resource.ident) {
                Some((label, text)) if Arc::ptr_eq(label, &resource.label) => Arc::clone(text),
                _ => Arc::new(ResourceText::of(&resource.label)),
            };
            now.insert(resource.ident, (Arc::clone(&resource.label), Arc::clone(&text)));
            let root = resources.get(resource.root).map_or(resource.ident, |root| root.ident);
            entries.push(Entry { ident: resource.ident, root, text, shadowed: false });
        }
        let mut digests = FxHashSet::default();
        for entry in entries.iter_mut().rev() {
            entry.shadowed = !digests.insert(entry.text.digest);
        }
        self.0 = now;
        Arc::new(Texts { entries, numbers })
    }
}

// === impl Texts ===

impl Texts {
    /// The resource with a number.
    pub fn get(&self, number: u32) -> Option<&Entry> {
        self.entries.get(number as usize)
    }

    /// These alone, by their numbers among them, without a slot.
    pub fn only(entries: Vec<Entry>) -> Arc<Self> {
        Arc::new(Self { entries, numbers: FxHashMap::default() })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// The resource that this is in the slot.
    pub fn of(&self, ident: Ident) -> Option<&Entry> {
        self.get(*self.numbers.get(&ident)?)
    }

    /// Whether there is such a resource in the slot.
    pub fn contains(&self, ident: Ident) -> bool {
        self.numbers.contains_key(&ident)
    }
}

// === impl ResourceText ===

impl ResourceText {
    /// The text of a label, in the order of Ceilometer's exporter.
    pub fn of(of: &Label) -> Self {
        let (mut id, mut owner, mut rest) = (String::new(), String::new(), String::new());
        escape(&mut id, &of.id);
        label(&mut owner, "project", of.project.as_deref().unwrap_or_default());
        label(&mut owner, "user", of.user.as_deref().unwrap_or_default());
        label(&mut rest, "resource", &of.id);
        if !of.metadata.is_empty() {
            let about = &of.about;
            label(&mut rest, "vm_instance", &about.host_id);
            let mut names = vec![about.display_name.clone(), of.metadata.name()];
            names.retain(|name| !name.is_empty());
            label(&mut rest, "resource_name", &names.join(":"));
            let group = Some(about.server_group.as_str()).filter(|group| !group.is_empty());
            label(&mut rest, "server_group", group.unwrap_or("none"));
            label(&mut rest, "flavor_id", &about.flavor_id);
            label(&mut rest, "flavor_name", &about.flavor);
        }
        let mut hasher = DefaultHasher::new();
        (&owner, &rest).hash(&mut hasher);
        [&mut id, &mut owner, &mut rest].into_iter().for_each(String::shrink_to_fit);
        Self { id, owner, rest, digest: hasher.finish() }
    }
}
