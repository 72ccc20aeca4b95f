//! Real folders. All names are resolved below their handles, and no link is followed.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};

use cap_std::fs::{Dir, DirBuilder, DirBuilderExt, OpenOptions, OpenOptionsExt};
use rustix::fs::{FlockOperation, OFlags, flock};

use super::super::error::{Error, Step};
use super::{Shelf, Storage};

const LOCK: &str = "lock";
/// Files are the daemon's alone: deployments hold tenants' secrets.
const MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// A folder on a disk with a folder for each shelf.
#[derive(Debug)]
pub struct Folder {
    dir: Dir,
    modules: Dir,
    deployments: Dir,
}

/// Keeps other writers out.
#[derive(Debug)]
pub struct Lock(File);

// === impl Lock ===

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing would not do: a child process has it open too until it has become another program.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

// === impl Folder ===

impl Folder {
    /// This folder. Its shelves are made if they are not there.
    pub fn new(dir: Dir) -> Result<Self, Error> {
        for shelf in [Shelf::Modules, Shelf::Deployments] {
            match dir.create_dir_with(shelf.folder(), DirBuilder::new().mode(FOLDER_MODE)) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => made.map_err(Error::io(Step::Make, shelf, ""))?,
            }
        }
        dir.open(".").and_then(|dir| dir.sync_all()).map_err(Error::io(Step::Make, Shelf::Deployments, ""))?;
        Self::existing(dir)
    }

    /// This folder, which has its shelves.
    pub fn existing(dir: Dir) -> Result<Self, Error> {
        let shelf = |shelf: Shelf| dir.open_dir(shelf.folder()).map_err(Error::io(Step::Make, shelf, ""));
        let (modules, deployments) = (shelf(Shelf::Modules)?, shelf(Shelf::Deployments)?);
        Ok(Self { dir, modules, deployments })
    }

    fn shelf(&self, shelf: Shelf) -> &Dir {
        match shelf {
            Shelf::Modules => &self.modules,
            Shelf::Deployments => &self.deployments,
        }
    }
}

/// Opening a pipe would wait for whoever writes it, and a link leads elsewhere.
fn open(dir: &Dir, name: &str, options: &mut OpenOptions) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = dir.open_with(name, options.custom_flags(flags))?.into_std();
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::new(ErrorKind::InvalidData, "it is no file")) }
}

impl Storage for Folder {
    type Lock = Lock;

    fn lock(&self) -> io::Result<Option<Lock>> {
        let file = open(&self.dir, LOCK, OpenOptions::new().read(true).write(true).create(true).mode(MODE))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    fn list(&self, shelf: Shelf, most: usize) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for (place, entry) in self.shelf(shelf).entries()?.enumerate() {
            if place >= most {
                return Err(io::Error::other(format!("there are more than {most} files")));
            }
            // A name that is no text is none of ours; it is reported, not opened.
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    }

    fn read(&self, shelf: Shelf, name: &str, largest: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = open(self.shelf(shelf), name, OpenOptions::new().read(true))?;
        file.take(largest.saturating_add(1)).read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > largest {
            return Err(io::Error::new(ErrorKind::InvalidData, format!("it is larger than {largest} bytes")));
        }
        Ok(bytes)
    }

    fn write(&self, shelf: Shelf, name: &str, bytes: &[u8]) -> io::Result<()> {
        let dir = self.shelf(shelf);
        match dir.remove_file(name) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = open(dir, name, OpenOptions::new().write(true).create_new(true).mode(MODE))?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn rename(&self, shelf: Shelf, from: &str, to: &str) -> io::Result<()> {
        let dir = self.shelf(shelf);
        dir.rename(from, dir, to)
    }

    fn remove(&self, shelf: Shelf, name: &str) -> io::Result<()> {
        self.shelf(shelf).remove_file(name)
    }

    fn sync(&self, shelf: Shelf) -> io::Result<()> {
        // The handle itself may be one that can only resolve names.
        self.shelf(shelf).open(".")?.sync_all()
    }
}
