//! Whose samples go through which transformers. What these gave of a resource is the latest as long as samples of it go
//! in: a transformer that says nothing of them has nothing new to say.

use rustc_hash::FxHashMap;

use super::plan::{Maker, Plan};
use super::resource::{Entry, Texts};
use crate::discovery::resource::Ident;
use crate::pipeline::Slot;
use crate::sandbox::limits::DECLARED_PARTS_PER_ROOT;

/// What goes into whose transformers.
#[derive(Debug, Default)]
pub struct Fed(FxHashMap<Maker, Feed>);

/// What goes into one's.
#[derive(Debug, Default)]
pub struct Feed {
    /// Until when more is expected, by resource.
    resources: FxHashMap<Ident, u64>,
    /// Parts that the transformers made themselves, by the guests that they made them of.
    made: FxHashMap<Ident, Ident>,
    /// The latest of these.
    until: u64,
}

// === impl Fed ===

impl Fed {
    /// Learns of a slot, whose resources are these, and forgets what did not go in for too long.
    pub fn learn(&mut self, slot: &Slot, texts: &Texts, plan: &Plan) {
        let now = slot.at.monotonic;
        for samples in slot.samples.iter().filter(|samples| samples.sink.is_none()) {
            let Some(planned) = plan.meter(&samples.meter.name) else { continue };
            let until = planned.until(now);
            for maker in &planned.makers {
                let feed = self.0.entry(maker.clone()).or_default();
                feed.until = feed.until.max(until);
                for entry in samples.column.resources.iter().filter_map(|number| texts.get(*number)) {
                    feed.takes(entry.ident, until);
                    // What is made of its devices may be the guest's.
                    if entry.root != entry.ident {
                        feed.takes(entry.root, until);
                    }
                }
            }
        }
        for samples in &slot.samples {
            let feed = plan.maker(samples).and_then(|maker| self.0.get_mut(&maker));
            let Some(Feed { resources, made, .. }) = feed else { continue };
            // A guest's devices are measured, or were.
            let declared = samples.column.resources.iter().filter(|number| slot.resources.declared().contains(number));
            let entries = declared.filter_map(|number| texts.get(*number));
            let never_went_in = |entry: &&Entry| !resources.contains_key(&entry.ident);
            // Whoever makes up others all the time has what came last.
            if made.len() > resources.len().saturating_mul(DECLARED_PARTS_PER_ROOT) {
                made.clear();
            }
            made.extend(entries.filter(never_went_in).map(|entry| (entry.ident, entry.root)));
        }
        self.0.retain(|_, Feed { resources, made, .. }| {
            resources.retain(|_, until| now <= *until);
            made.retain(|_, guest| resources.contains_key(guest));
            !resources.is_empty()
        });
    }

    /// What goes into one's transformers, if anything does.
    pub fn of(&self, maker: &Maker) -> Option<&Feed> {
        self.0.get(maker)
    }
}

// === impl Feed ===

impl Feed {
    fn takes(&mut self, resource: Ident, until: u64) {
        let known = self.resources.entry(resource).or_default();
        *known = until.max(*known);
    }

    /// Whether samples of a resource go in, or of that of which it was made.
    pub fn has(&self, resource: Ident) -> bool {
        let went_in = self.made.get(&resource).unwrap_or(&resource);
        self.resources.contains_key(went_in) || self.resources.contains_key(&resource)
    }

    /// Until when anything is expected to.
    pub fn until(&self) -> u64 {
        self.until
    }
}
