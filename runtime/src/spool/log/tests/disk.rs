//! A disk in memory that does what disks do when the power goes, and more than they should.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use super::super::storage::{Storage, StorageFile};

/// What a write is torn into.
const SECTOR: usize = 32;

/// What calls fail with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Full,
    Broken,
    ReadOnly,
}

/// The disk; clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Disk(Rc<RefCell<Inner>>);

#[derive(Debug, Clone, Default)]
struct Inner {
    nodes: Vec<Node>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    name_changes: Vec<NameChange>,
    locked: bool,
    capacity: Option<usize>,
    fault: Option<(Fault, u32, u32)>,
    read_faults: u32,
    /// What is there when so many more calls that write have come.
    photo: Option<(u32, Option<Box<Inner>>)>,
    random: u64,
}

/// A name that goes, and one that comes, in one step.
type NameChange = (Option<String>, Option<(String, usize)>);

#[derive(Debug, Clone, Default)]
struct Node {
    cache: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Cut(usize),
}

#[derive(Debug)]
pub struct DiskFile {
    disk: Disk,
    node: usize,
}

pub struct DiskLock(Disk);

impl Drop for DiskLock {
    fn drop(&mut self) {
        self.0.0.borrow_mut().locked = false;
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Cut(length) => bytes.resize(*length, 0),
        Change::Write(offset, written) => {
            if bytes.len() < offset + written.len() {
                bytes.resize(offset + written.len(), 0);
            }
            bytes[*offset..offset + written.len()].copy_from_slice(written);
        }
    }
}

impl Inner {
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.random() % bound.max(1) as u64) as usize
    }

    /// Counts a call, and fails it if its turn has come.
    fn call(&mut self, reading: bool, growing: bool) -> io::Result<()> {
        match self.photo.take() {
            photo if reading => self.photo = photo,
            Some((0, None)) => self.photo = Some((0, Some(Box::new(self.clone())))),
            Some((after, None)) => self.photo = Some((after - 1, None)),
            taken => self.photo = taken,
        }
        let Some((fault, after, length)) = self.fault else { return Ok(()) };
        if after > 0 {
            self.fault = Some((fault, after - 1, length));
            return Ok(());
        }
        let kind = match fault {
            Fault::Full if growing => io::ErrorKind::StorageFull,
            Fault::ReadOnly if !reading => io::ErrorKind::ReadOnlyFilesystem,
            Fault::Broken => io::ErrorKind::Other,
            _ => return Ok(()),
        };
        self.read_faults += u32::from(reading);
        self.fault = (length > 1).then_some((fault, 0, length - 1));
        Err(kind.into())
    }

    fn used(&self) -> usize {
        self.names.values().map(|node| self.nodes[*node].cache.len()).sum()
    }
}

impl Disk {
    pub fn new(seed: u64) -> Self {
        let disk = Self::default();
        disk.0.borrow_mut().random = seed;
        disk
    }

    /// Another disk that holds the same, on which nobody writes.
    pub fn copy(&self, seed: u64) -> Self {
        let mut inner = self.0.borrow().clone();
        (inner.random, inner.locked) = (seed, false);
        Self(Rc::new(RefCell::new(inner)))
    }

    /// Remembers what is there when so many more calls that write have come.
    pub fn take_photo(&self, after: u32) {
        self.0.borrow_mut().photo = Some((after, None));
    }

    /// What was there then, with what was not durable yet; `None` if not as many calls came.
    pub fn photo(&self, seed: u64) -> Option<Self> {
        let mut inner = Inner::clone(self.0.borrow().photo.as_ref()?.1.as_ref()?);
        (inner.random, inner.locked) = (seed, false);
        Some(Self(Rc::new(RefCell::new(inner))))
    }

    /// Whether the calls that are to fail have not come yet.
    pub fn is_waiting_to_fail(&self) -> bool {
        matches!(self.0.borrow().fault, Some((_, after, _)) if after > 0)
    }

    /// From so many calls on, so many calls fail.
    pub fn fail(&self, fault: Fault, after: u32, length: u32) {
        self.0.borrow_mut().fault = Some((fault, after, length));
    }

    pub fn heal(&self) {
        let mut inner = self.0.borrow_mut();
        inner.fault = None;
        inner.capacity = None;
    }

    /// Leaves so many bytes free.
    pub fn leave(&self, bytes: usize) {
        let mut inner = self.0.borrow_mut();
        inner.capacity = Some(inner.used() + bytes);
    }

    /// How many reads have failed.
    pub fn read_faults(&self) -> u32 {
        self.0.borrow().read_faults
    }

    /// The power goes. Of what was not synced anything may be there, in parts and in any combination.
    pub fn crash(&self) {
        let mut inner = self.0.borrow_mut();
        for number in 0..inner.nodes.len() {
            let node = std::mem::take(&mut inner.nodes[number]);
            let mut bytes = node.durable;
            let all = inner.below(4) == 0;
            for change in &node.pending {
                match (change, if all { 0 } else { inner.below(3) }) {
                    (_, 0) => apply(&mut bytes, change),
                    (Change::Write(offset, written), 1) => {
                        for (part, chunk) in written.chunks(SECTOR).enumerate() {
                            if inner.below(3) > 0 {
                                let cut = if inner.below(4) == 0 { inner.below(chunk.len()) } else { chunk.len() };
                                apply(&mut bytes, &Change::Write(offset + part * SECTOR, chunk[..cut].to_vec()));
                            }
                        }
                    }
                    _ => {}
                }
            }
            inner.nodes[number] = Node { cache: bytes.clone(), durable: bytes, pending: Vec::new() };
        }
        let mut names = inner.durable_names.clone();
        for (gone, come) in std::mem::take(&mut inner.name_changes) {
            if inner.below(2) == 0 {
                gone.map(|name| names.remove(&name));
                come.map(|(name, node)| names.insert(name, node));
            }
        }
        inner.names = names.clone();
        inner.durable_names = names;
        inner.fault = None;
        inner.capacity = None;
    }

    /// Flips one bit of a file whose name ends like this, if one is there and at rest.
    pub fn flip(&self, suffix: &str, pick: u64) -> bool {
        let mut inner = self.0.borrow_mut();
        let files: Vec<usize> =
            inner.names.iter().filter(|(name, _)| name.ends_with(suffix)).map(|(_, node)| *node).collect();
        if files.is_empty() {
            return false;
        }
        let node = &mut inner.nodes[files[pick as usize % files.len()]];
        if node.cache.is_empty() || !node.pending.is_empty() || node.cache != node.durable {
            return false;
        }
        let at = (pick >> 8) as usize % node.cache.len();
        let bit = 1 << ((pick >> 40) % 8);
        node.cache[at] ^= bit;
        node.durable[at] ^= bit;
        true
    }

    fn file(&self, node: usize) -> DiskFile {
        DiskFile { disk: self.clone(), node }
    }
}

impl Storage for Disk {
    type File = DiskFile;
    type Lock = DiskLock;

    fn list(&self) -> io::Result<Vec<String>> {
        self.0.borrow_mut().call(true, false)?;
        Ok(self.0.borrow().names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<DiskFile> {
        self.0.borrow_mut().call(true, false)?;
        let node = self.0.borrow().names.get(name).copied();
        node.map(|node| self.file(node)).ok_or(io::ErrorKind::NotFound.into())
    }

    fn view(&self, name: &str) -> io::Result<DiskFile> {
        self.open(name)
    }

    fn create(&self, name: &str) -> io::Result<DiskFile> {
        let mut inner = self.0.borrow_mut();
        inner.call(false, true)?;
        if let Some(node) = inner.names.get(name).copied() {
            inner.nodes[node].cache.clear();
            inner.nodes[node].pending.push(Change::Cut(0));
            return Ok(self.file(node));
        }
        let node = inner.nodes.len();
        inner.nodes.push(Node::default());
        inner.names.insert(name.to_owned(), node);
        inner.name_changes.push((None, Some((name.to_owned(), node))));
        Ok(self.file(node))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inner = self.0.borrow_mut();
        inner.call(false, true)?;
        let node = inner.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        inner.names.insert(to.to_owned(), node);
        inner.name_changes.push((Some(from.to_owned()), Some((to.to_owned(), node))));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut inner = self.0.borrow_mut();
        inner.call(false, false)?;
        inner.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        inner.name_changes.push((Some(name.to_owned()), None));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = self.0.borrow_mut();
        inner.call(false, false)?;
        inner.durable_names = inner.names.clone();
        inner.name_changes.clear();
        Ok(())
    }

    fn lock(&self, _: &str) -> io::Result<Option<DiskLock>> {
        let mut inner = self.0.borrow_mut();
        if std::mem::replace(&mut inner.locked, true) { Ok(None) } else { Ok(Some(DiskLock(self.clone()))) }
    }

    fn entropy(&self) -> u64 {
        self.0.borrow_mut().random()
    }
}

impl StorageFile for DiskFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.0.borrow().nodes[self.node].cache.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut inner = self.disk.0.borrow_mut();
        inner.call(true, false)?;
        let rest = inner.nodes[self.node].cache.get(offset as usize..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut inner = self.disk.0.borrow_mut();
        let failed = inner.call(false, true);
        let mut length = match failed {
            Err(_) => inner.below(bytes.len() + 1),
            Ok(()) if inner.below(8) == 0 => 1 + inner.below(bytes.len()),
            Ok(()) => bytes.len(),
        };
        if let Some(capacity) = inner.capacity {
            let size = inner.nodes[self.node].cache.len();
            let most = size + capacity.saturating_sub(inner.used());
            length = length.min(most.saturating_sub(offset as usize));
            if length == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        let change = Change::Write(offset as usize, bytes[..length].to_vec());
        apply(&mut inner.nodes[self.node].cache, &change);
        inner.nodes[self.node].pending.push(change);
        failed.map(|()| length)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        let mut inner = self.disk.0.borrow_mut();
        inner.call(false, false)?;
        let change = Change::Cut(length as usize);
        apply(&mut inner.nodes[self.node].cache, &change);
        inner.nodes[self.node].pending.push(change);
        Ok(())
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let mut inner = self.disk.0.borrow_mut();
        inner.call(false, true)?;
        let used = inner.used() + length as usize;
        if inner.capacity.is_some_and(|capacity| used > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let change = Change::Cut(length as usize);
        apply(&mut inner.nodes[self.node].cache, &change);
        inner.nodes[self.node].pending.push(change);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = self.disk.0.borrow_mut();
        let called = inner.call(false, false);
        let node = &mut inner.nodes[self.node];
        if called.is_ok() && node.pending.is_empty() {
            // Whatever an earlier failure lost, the kernel believes that it is clean.
            return Ok(());
        }
        let pending = std::mem::take(&mut node.pending);
        if called.is_ok() {
            pending.iter().for_each(|change| apply(&mut node.durable, change));
        }
        called
    }
}
