//! Parts of guests that modules declared, as they are remembered from slot to slot.

use std::collections::HashMap;
use std::sync::Arc;

use crate::discovery::Ident;

/// Parts of one guest that one module declared and that are remembered at once, beside those of the slot at hand.
pub const DECLARED_PARTS: usize = 128;

/// Parts by guest and suffix. A part that several modules declare is one.
#[derive(Debug, Default)]
pub struct Declared {
    guests: HashMap<Ident, HashMap<String, Part>>,
}

#[derive(Debug)]
struct Part {
    ident: Ident,
    /// Who declared it, and when last.
    by: Vec<(Arc<str>, u64)>,
}

// === impl Declared ===

impl Declared {
    /// The identity of a part, which takes `fresh` if it is new. A module that has too many parts of this guest loses
    /// the one that it declared longest ago: if that was nobody else's, its identity is put among the `retired`.
    pub fn declare(
        &mut self,
        (module, guest, suffix): (&Arc<str>, Ident, &str),
        now: u64,
        fresh: impl FnOnce() -> Ident,
        retired: &mut Vec<Ident>,
    ) -> Ident {
        let parts = self.guests.entry(guest).or_default();
        if let Some(part) = parts.get_mut(suffix)
            && let Some(last) = part.last_by(module)
        {
            *last = now;
            return part.ident;
        }
        while let Some(old) = superfluous(parts, module, now) {
            retired.extend(release(parts, &old, module));
        }
        let part = parts.entry(suffix.to_owned()).or_insert_with(|| Part { ident: fresh(), by: Vec::new() });
        part.by.push((Arc::clone(module), now));
        part.ident
    }

    /// Identities of a guest's parts.
    pub fn of_guest(&self, guest: Ident) -> impl Iterator<Item = Ident> {
        self.guests.get(&guest).into_iter().flat_map(|parts| parts.values().map(|part| part.ident))
    }

    /// Forgets a guest. These were the identities of its parts.
    pub fn forget_guest(&mut self, guest: Ident) -> impl Iterator<Item = Ident> + use<> {
        self.guests.remove(&guest).unwrap_or_default().into_values().map(|part| part.ident)
    }

    /// Forgets what has not been declared for `remembered`. These were its identities.
    pub fn forget(&mut self, now: u64, remembered: u64) -> Vec<Ident> {
        let mut gone = Vec::new();
        for parts in self.guests.values_mut() {
            let old = parts.extract_if(|_, part| {
                part.by.retain(|(_, last)| now.saturating_sub(*last) <= remembered);
                part.by.is_empty()
            });
            gone.extend(old.map(|(_, part)| part.ident));
        }
        self.guests.retain(|_, parts| !parts.is_empty());
        gone
    }
}

/// The part that a module declared longest ago, and before this slot, if there is no room for another.
fn superfluous(parts: &HashMap<String, Part>, module: &Arc<str>, now: u64) -> Option<String> {
    let own = || parts.iter().filter_map(|(suffix, part)| Some((part.declared_by(module)?, suffix)));
    if own().count() < DECLARED_PARTS {
        return None;
    }
    // Of those of one time the first by name, so that it is always the same one.
    own().filter(|(last, _)| *last < now).min().map(|(_, suffix)| suffix.clone())
}

/// Takes a part away from a module; gives its identity if it was nobody else's.
fn release(parts: &mut HashMap<String, Part>, suffix: &str, module: &Arc<str>) -> Option<Ident> {
    let part = parts.get_mut(suffix)?;
    part.by.retain(|(by, _)| by != module);
    let ident = part.by.is_empty().then_some(part.ident)?;
    parts.remove(suffix);
    Some(ident)
}

// === impl Part ===

impl Part {
    fn declared_by(&self, module: &Arc<str>) -> Option<u64> {
        self.by.iter().find(|(by, _)| by == module).map(|(_, last)| *last)
    }

    fn last_by(&mut self, module: &Arc<str>) -> Option<&mut u64> {
        self.by.iter_mut().find(|(by, _)| by == module).map(|(_, last)| last)
    }
}
