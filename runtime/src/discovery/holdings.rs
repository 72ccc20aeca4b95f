//! Who has how much here.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

/// What each project has here.
#[derive(Debug, Default)]
pub struct Holdings {
    by_project: HashMap<String, Holding>,
    /// Guests of which it is known whose they are, and be it nobody's.
    known: BTreeSet<Uuid>,
}

/// What some projects have here.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Their guests, also those that may come back.
    pub guests: BTreeSet<Uuid>,
    /// How many of them are there.
    pub present: u32,
    /// How many resources these are with their parts.
    pub resources: u32,
}

// === impl Holdings ===

impl Holdings {
    /// Adds a guest, whose it is, and of how many parts it is if it is there.
    pub fn add(&mut self, guest: Uuid, project: Option<&str>, parts: Option<u32>) {
        self.known.insert(guest);
        let Some(project) = project else { return };
        let one = Holding {
            guests: BTreeSet::from([guest]),
            present: u32::from(parts.is_some()),
            resources: parts.map_or(0, |parts| parts.saturating_add(1)),
        };
        match self.by_project.get_mut(project) {
            Some(holding) => holding.add(&one),
            None => drop(self.by_project.insert(project.to_owned(), one)),
        }
    }

    /// What these projects have.
    pub fn of(&self, projects: &BTreeSet<String>) -> Holding {
        let mut all = Holding::default();
        projects.iter().filter_map(|project| self.by_project.get(project)).for_each(|holding| all.add(holding));
        all
    }

    /// The projects that have anything here.
    pub fn projects(&self) -> impl Iterator<Item = &str> {
        self.by_project.keys().map(String::as_str)
    }

    /// Whether it is known of any guest whose it is.
    pub fn is_anything_known(&self) -> bool {
        !self.known.is_empty()
    }

    /// Guests of which it is known whose they are.
    pub fn into_known(self) -> BTreeSet<Uuid> {
        self.known
    }
}

// === impl Holding ===

impl Holding {
    fn add(&mut self, other: &Self) {
        self.guests.extend(&other.guests);
        self.present += other.present;
        self.resources = self.resources.saturating_add(other.resources);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_what_its_projects_have() {
        let mut holdings = Holdings::default();
        let guest = |number: u128| Uuid::from_u128(number);
        holdings.add(guest(1), Some("a"), Some(3));
        holdings.add(guest(2), Some("b"), Some(5));
        holdings.add(guest(3), Some("a"), None);
        holdings.add(guest(4), None, Some(1));
        let projects = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let both = holdings.of(&projects(&["a", "b", "c"]));
        assert_eq!(both, Holding { guests: [1, 2, 3].map(guest).into(), present: 2, resources: 10 });
        assert_eq!(holdings.of(&projects(&["c"])), Holding::default());
        assert_eq!(holdings.into_known().len(), 4);
    }
}
