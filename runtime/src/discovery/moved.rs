//! Guests that may be another tenant's than they were.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::Ident;

/// Guests that may be another tenant's than they were, with their parts, and their projects now; none if they are
/// nobody's.
#[derive(Debug, Default)]
pub struct Moved(FxHashMap<Ident, Option<Arc<str>>>);

// === impl Moved ===

impl Moved {
    /// Adds what is a project's now.
    pub fn add(&mut self, project: Option<&Arc<str>>, idents: impl Iterator<Item = Ident>) {
        self.0.extend(idents.map(|ident| (ident, project.cloned())));
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is among them, and none of these projects'.
    pub fn is_anothers(&self, ident: Ident, own: &BTreeSet<String>) -> bool {
        self.0.get(&ident).is_some_and(|project| project.as_ref().is_none_or(|project| !own.contains(&**project)))
    }
}
