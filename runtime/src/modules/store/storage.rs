//! The few calls that reach a disk.

use std::io;

mod folder;

pub use self::folder::Folder;

/// Folders of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Shelf {
    /// Modules by digest.
    Modules,
    /// Deployments by tenant and name.
    Deployments,
}

/// Two folders that can keep small files. Names are plain file names.
pub trait Storage {
    /// Keeps other writers out for as long as it lives.
    type Lock;

    /// Locks both folders against other writers; `None` if one is there.
    fn lock(&self) -> io::Result<Option<Self::Lock>>;
    /// The names of all files, if there are not more than so many.
    fn list(&self, shelf: Shelf, most: usize) -> io::Result<Vec<String>>;
    /// All of a file. One that is larger than so many bytes, or no file at all, is invalid data.
    fn read(&self, shelf: Shelf, name: &str, largest: u64) -> io::Result<Vec<u8>>;
    /// Writes a file and makes its content durable. What was there under this name is gone.
    fn write(&self, shelf: Shelf, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Gives a file another name, in one step; a file that had that name is gone.
    fn rename(&self, shelf: Shelf, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, shelf: Shelf, name: &str) -> io::Result<()>;
    /// Makes names durable: of files written, renamed and removed.
    fn sync(&self, shelf: Shelf) -> io::Result<()>;
}

// === impl Shelf ===

impl Shelf {
    /// The folder's name.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Modules => "modules",
            Self::Deployments => "deployments",
        }
    }
}
