//! A folder in memory, for tests and fuzzing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use super::{Storage, StorageFile};

/// A folder in memory; clones are the same one. It never fails, and has no room to run out of.
#[derive(Debug, Clone, Default)]
pub struct Memory(Rc<RefCell<BTreeMap<String, MemoryFile>>>);

/// A file in memory; clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct MemoryFile(Rc<RefCell<Vec<u8>>>);

// === impl Memory ===

impl Memory {
    /// Puts a file there, in the place of one of the same name.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        self.0.borrow_mut().insert(name.to_owned(), MemoryFile(Rc::new(RefCell::new(bytes))));
    }

    /// What this file holds.
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.0.borrow().get(name).map(|file| file.0.borrow().clone())
    }
}

impl Storage for Memory {
    type File = MemoryFile;
    type Lock = ();

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.borrow().keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<MemoryFile> {
        self.0.borrow().get(name).cloned().ok_or(io::ErrorKind::NotFound.into())
    }

    fn view(&self, name: &str) -> io::Result<MemoryFile> {
        self.open(name)
    }

    fn create(&self, name: &str) -> io::Result<MemoryFile> {
        let file = self.0.borrow_mut().entry(name.to_owned()).or_default().clone();
        file.0.borrow_mut().clear();
        Ok(file)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let file = self.0.borrow_mut().remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.0.borrow_mut().insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.borrow_mut().remove(name).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, _: &str) -> io::Result<Option<()>> {
        Ok(Some(()))
    }

    fn entropy(&self) -> u64 {
        0
    }
}

impl StorageFile for MemoryFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.borrow().len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let bytes = self.0.borrow();
        let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        Ok(length)
    }

    fn write_at(&self, written: &[u8], offset: u64) -> io::Result<usize> {
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let end = offset.checked_add(written.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        let mut bytes = self.0.borrow_mut();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        if let Some(there) = bytes.get_mut(offset..end) {
            there.copy_from_slice(written);
        }
        Ok(written.len())
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.0.borrow_mut().resize(length, 0);
        Ok(())
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.cut(length)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
