//! The few calls that reach a disk.

use std::io;

mod folder;
mod memory;

pub use self::folder::Folder;
#[doc(hidden)]
pub use self::memory::{Memory, MemoryFile};

/// A folder that can keep files. Names are plain file names.
pub trait Storage {
    /// An open file of it.
    type File: StorageFile;
    /// Keeps other writers out for as long as it lives.
    type Lock;

    /// The names of all files.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Opens an existing file to read and write.
    fn open(&self, name: &str) -> io::Result<Self::File>;
    /// Opens an existing file to read only, without ever changing anything.
    fn view(&self, name: &str) -> io::Result<Self::File>;
    /// Opens an empty file of this name; what was there before is gone.
    fn create(&self, name: &str) -> io::Result<Self::File>;
    /// Gives a file another name, in one step; a file that had that name is gone.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes names durable: files created, renamed and removed.
    fn sync(&self) -> io::Result<()>;
    /// Locks the folder against other writers; `None` if one is there.
    fn lock(&self, name: &str) -> io::Result<Option<Self::Lock>>;
    /// A number that nobody can foresee.
    fn entropy(&self) -> u64;
}

/// An open file.
pub trait StorageFile {
    /// Its length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Reads up to as many bytes as the buffer holds; 0 at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes some of these bytes.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Cuts it to a length.
    fn cut(&self, length: u64) -> io::Result<()>;
    /// Takes room on the disk for so many bytes.
    fn allocate(&self, length: u64) -> io::Result<()>;
    /// Makes its content durable, and its length.
    fn sync(&self) -> io::Result<()>;
}

/// Fills the buffer as far as the file goes, and says how far that is.
pub(super) fn read_full(file: &impl StorageFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset.saturating_add(filled as u64)) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Writes all of these bytes, or fails having written some of them.
pub(super) fn write_full(file: &impl StorageFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match file.write_at(rest, offset.saturating_add(written as u64)) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(wrote) => written += wrote,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
