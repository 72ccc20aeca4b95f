//! What a resource is beyond this run of the daemon: what modules remember of it is kept under this.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Ident;

/// What a resource is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Identity {
    /// A root that is no guest, by its id.
    Root(Arc<str>),
    /// A guest.
    Guest(Uuid),
    /// A guest's block device, by its name.
    Disk(Uuid, Arc<str>),
    /// A guest's network device, by its name.
    Nic(Uuid, Arc<str>),
    /// A guest's virtual CPU, by its number.
    Vcpu(Uuid, u32),
    /// A part that modules declared: of what, and its name there.
    Declared(Box<Identity>, Arc<str>),
}

/// Identities in this run, as numbers that state is found by quickly.
#[derive(Debug, Default)]
pub struct Idents {
    names: Vec<Option<Identity>>,
    free: Vec<Ident>,
    /// Numbers of what an earlier run remembered, and this one has not met yet.
    expected: FxHashMap<Identity, Ident>,
}

// === impl Idents ===

impl Idents {
    /// A number for what this run meets for the first time.
    pub fn meet(&mut self, identity: Identity) -> Ident {
        match self.expected.remove(&identity) {
            Some(ident) => ident,
            None => self.name(identity),
        }
    }

    /// A number for what an earlier run remembered.
    pub fn expect(&mut self, identity: Identity) -> Ident {
        match self.expected.get(&identity) {
            Some(ident) => *ident,
            None => {
                let ident = self.name(identity.clone());
                self.expected.insert(identity, ident);
                ident
            }
        }
    }

    /// Whether anything is expected that did not come yet.
    pub fn expect_any(&self) -> bool {
        !self.expected.is_empty()
    }

    /// What was expected and did not come.
    pub fn missed(&mut self) -> Vec<Ident> {
        std::mem::take(&mut self.expected).into_values().collect()
    }

    /// What has this number.
    pub fn identity(&self, ident: Ident) -> Option<&Identity> {
        self.names.get(ident.0 as usize)?.as_ref()
    }

    /// These numbers are free for others.
    pub fn release(&mut self, idents: &[Ident]) {
        for ident in idents {
            if let Some(name) = self.names.get_mut(ident.0 as usize) {
                *name = None;
            }
        }
        self.free.extend(idents);
    }

    fn name(&mut self, identity: Identity) -> Ident {
        let next = Ident(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        let ident = self.free.pop().unwrap_or(next);
        match self.names.get_mut(ident.0 as usize) {
            Some(name) => *name = Some(identity),
            None => self.names.push(Some(identity)),
        }
        ident
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_run_remembered_is_met_under_its_number() {
        let (mut idents, guest) = (Idents::default(), Identity::Guest(Uuid::nil()));
        let disk = Identity::Disk(Uuid::nil(), "vda".into());
        let expected = idents.expect(guest.clone());
        assert_eq!(idents.expect(guest.clone()), expected);
        let other = idents.meet(disk.clone());
        assert_ne!(other, expected);
        assert_eq!(idents.meet(guest.clone()), expected);
        assert!(idents.missed().is_empty());
        idents.release(&[expected]);
        assert_eq!((idents.identity(expected), idents.identity(other)), (None, Some(&disk)));
        assert_eq!(idents.expect(guest), expected, "the free number is the next");
        assert_eq!(idents.missed(), [expected]);
    }
}
