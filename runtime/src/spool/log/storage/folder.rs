//! A real folder. All names are resolved below its handle, so no link leads out of it.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::unix::fs::FileExt;

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock};

use super::{Storage, StorageFile};

/// Files are the daemon's alone: samples name tenants.
const MODE: u32 = 0o600;

/// A folder on a disk.
#[derive(Debug)]
pub struct Folder(Dir);

/// A lock that is held. Closing the file is not enough: a process that is being started may still have it for a moment.
#[derive(Debug)]
pub struct Locked(File);

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

// === impl Folder ===

impl Folder {
    /// This folder.
    pub fn new(dir: Dir) -> Self {
        Self(dir)
    }

    fn open_with(&self, name: &str, options: &OpenOptions) -> io::Result<File> {
        self.0.open_with(name, options).map(cap_std::fs::File::into_std)
    }
}

impl Storage for Folder {
    type File = File;
    type Lock = Locked;

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in self.0.entries()? {
            // A name that is no text is none of ours.
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<File> {
        self.open_with(name, OpenOptions::new().read(true).write(true))
    }

    fn view(&self, name: &str) -> io::Result<File> {
        self.open_with(name, OpenOptions::new().read(true))
    }

    fn create(&self, name: &str) -> io::Result<File> {
        self.open_with(name, OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(MODE))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, &self.0, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove_file(name)
    }

    fn sync(&self) -> io::Result<()> {
        // The handle itself may be one that can only resolve names.
        self.0.open(".")?.sync_all()
    }

    fn lock(&self, name: &str) -> io::Result<Option<Locked>> {
        let options = &mut OpenOptions::new();
        let file = self.open_with(name, options.read(true).write(true).create(true).mode(MODE))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Locked(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    fn entropy(&self) -> u64 {
        // The standard library seeds each of these from the operating system.
        RandomState::new().build_hasher().finish()
    }
}

impl StorageFile for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(self, bytes, offset)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        Ok(fallocate(self, FallocateFlags::empty(), 0, length)?)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
