//! A disk in memory that fails at any call, and forgets what was not made durable when the power goes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use super::super::*;

/// The disk; clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Disk(Rc<RefCell<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    names: Names,
    durable: Names,
    /// What is not durable yet; each happens in one step.
    changes: Vec<Change>,
    /// After so many calls, so many fail.
    fault: Option<(u32, u32)>,
    failed: u32,
    locked: bool,
    random: u64,
}

type Names = BTreeMap<(Shelf, String), Rc<[u8]>>;

/// A name that goes, and one that comes with what it names.
type Change = (Shelf, Option<String>, Option<(String, Rc<[u8]>)>);

#[derive(Debug)]
pub struct Lock(Disk);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.0.borrow_mut().locked = false;
    }
}

impl Inner {
    fn below(&mut self, bound: usize) -> usize {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) as usize % bound.max(1)
    }

    /// Counts a call; whether it works.
    fn works(&mut self) -> bool {
        match self.fault {
            Some((0, 0)) => self.fault = None,
            Some((0, length)) => {
                self.fault = Some((0, length - 1));
                self.failed += 1;
                return false;
            }
            Some((after, length)) => self.fault = Some((after - 1, length)),
            None => {}
        }
        true
    }

    fn change(&mut self, shelf: Shelf, gone: Option<&str>, come: Option<(&str, Rc<[u8]>)>) {
        let gone = gone.map(ToOwned::to_owned);
        let come = come.map(|(name, bytes)| (name.to_owned(), bytes));
        apply(&mut self.names, (shelf, gone.clone(), come.clone()));
        self.changes.push((shelf, gone, come));
    }
}

fn apply(names: &mut Names, (shelf, gone, come): Change) {
    gone.map(|name| names.remove(&(shelf, name)));
    come.map(|(name, bytes)| names.insert((shelf, name), bytes));
}

fn broken<T>() -> io::Result<T> {
    Err(io::Error::other("the disk is broken"))
}

impl Disk {
    pub fn new(seed: u64) -> Self {
        let disk = Self::default();
        disk.0.borrow_mut().random = seed;
        disk
    }

    /// From so many calls on, so many calls fail.
    pub fn fail(&self, after: u32, length: u32) {
        self.0.borrow_mut().fault = Some((after, length));
    }

    pub fn heal(&self) {
        self.0.borrow_mut().fault = None;
    }

    /// How many calls have failed.
    pub fn failed(&self) -> u32 {
        self.0.borrow().failed
    }

    /// The power goes: of the names that were not durable any may be there.
    pub fn crash(&self) {
        let mut inner = self.0.borrow_mut();
        let mut names = inner.durable.clone();
        for change in std::mem::take(&mut inner.changes) {
            if inner.below(2) == 0 {
                apply(&mut names, change);
            }
        }
        inner.durable = names.clone();
        inner.names = names;
        inner.fault = None;
    }

    /// What a file holds.
    pub fn look(&self, shelf: Shelf, name: &str) -> Option<Rc<[u8]>> {
        self.0.borrow().names.get(&(shelf, name.to_owned())).cloned()
    }

    /// The names of all files.
    pub fn names(&self, shelf: Shelf) -> Vec<String> {
        self.0.borrow().names.keys().filter(|(on, _)| *on == shelf).map(|(_, name)| name.clone()).collect()
    }
}

impl Storage for Disk {
    type Lock = Lock;

    fn lock(&self) -> io::Result<Option<Lock>> {
        let mut inner = self.0.borrow_mut();
        if !inner.works() {
            return broken();
        }
        if std::mem::replace(&mut inner.locked, true) { Ok(None) } else { Ok(Some(Lock(self.clone()))) }
    }

    fn list(&self, shelf: Shelf, most: usize) -> io::Result<Vec<String>> {
        if !self.0.borrow_mut().works() {
            return broken();
        }
        let names = self.names(shelf);
        assert!(names.len() <= most);
        Ok(names)
    }

    fn read(&self, shelf: Shelf, name: &str, largest: u64) -> io::Result<Vec<u8>> {
        if !self.0.borrow_mut().works() {
            return broken();
        }
        match self.look(shelf, name) {
            Some(bytes) if bytes.len() as u64 <= largest => Ok(bytes.to_vec()),
            Some(_) => Err(io::ErrorKind::InvalidData.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn write(&self, shelf: Shelf, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.0.borrow_mut();
        let works = inner.works();
        let length = if works { bytes.len() } else { inner.below(bytes.len() + 1) };
        inner.change(shelf, None, Some((name, bytes[..length].into())));
        if works { Ok(()) } else { broken() }
    }

    fn rename(&self, shelf: Shelf, from: &str, to: &str) -> io::Result<()> {
        let mut inner = self.0.borrow_mut();
        let works = inner.works();
        let Some(bytes) = inner.names.get(&(shelf, from.to_owned())).cloned() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if works || inner.below(2) == 0 {
            inner.change(shelf, Some(from), Some((to, bytes)));
        }
        if works { Ok(()) } else { broken() }
    }

    fn remove(&self, shelf: Shelf, name: &str) -> io::Result<()> {
        let mut inner = self.0.borrow_mut();
        let works = inner.works();
        if !inner.names.contains_key(&(shelf, name.to_owned())) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if works || inner.below(2) == 0 {
            inner.change(shelf, Some(name), None);
        }
        if works { Ok(()) } else { broken() }
    }

    fn sync(&self, shelf: Shelf) -> io::Result<()> {
        let mut inner = self.0.borrow_mut();
        if !inner.works() {
            return broken();
        }
        let (synced, others) = std::mem::take(&mut inner.changes).into_iter().partition(|change| change.0 == shelf);
        inner.changes = others;
        synced.into_iter().for_each(|change| apply(&mut inner.durable, change));
        Ok(())
    }
}
