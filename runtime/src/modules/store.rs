//! Modules and deployments, in one folder.
//!
//! A module is a file that is called by its digest, so it is written once and never changed. A deployment is a file
//! that is replaced as a whole. Whatever ends the daemon, and whenever: each deployment is what it was before or what
//! it was to become, and every module that it names is there, because a module is durable before a deployment that
//! names it is written, and goes after the last one that does is gone.

use std::collections::{BTreeMap, BTreeSet};

use cap_std::fs::Dir;

use super::deployment::{Deployment, Key, Tenant, Version};
use crate::config::daemon::Quota;
use crate::digest::Digest;
use crate::sandbox::limits::FILE_BYTES;

mod change;
mod collect;
mod error;
mod names;
mod oddity;
mod open;
mod pins;
pub mod quota;
pub(crate) mod record;
mod storage;
mod survey;
#[cfg(test)]
mod tests;

pub use self::collect::Collected;
pub use self::error::{Error, Step};
pub use self::oddity::{Oddity, Role};
pub use self::pins::{Pinned, Stored};
pub use self::quota::{NoRoom, Used};
pub use self::storage::{Folder, Shelf, Storage};
pub use self::survey::Survey;

use self::pins::Pins;

/// Deployments of all tenants together. A thousand is what a node is made for.
pub const DEPLOYMENTS: usize = 10_000;
/// Files that are looked at on a shelf; a folder with more is not one of ours.
const FILES: usize = 200_000;

/// Modules and deployments, in one folder that nobody else writes to. Its calls wait for the disk.
#[derive(Debug)]
pub struct Store<S: Storage = Folder> {
    storage: S,
    deployments: BTreeMap<Key, Deployment>,
    /// Modules whose bytes were seen to be whole.
    whole: BTreeSet<Digest>,
    /// Modules that somebody holds.
    pins: Pins,
    /// Deployments whose files may differ from what is here, because the disk failed.
    unsettled: BTreeSet<Key>,
    /// Deployments whose files are left alone, and why.
    closed: BTreeMap<Key, String>,
    /// Modules that are named in files which cannot be used.
    mentioned: BTreeSet<Digest>,
    /// A file that may name any module, because it cannot be read.
    unread: Option<String>,
    /// Whether a deployment let go of a module since nobody's were last removed.
    has_let_go: bool,
    _lock: S::Lock,
}

// === impl Store ===

impl Store {
    /// Opens the store in this folder, which is made one if it is empty. What is odd about it keeps nothing else from
    /// being served.
    pub fn open(dir: Dir) -> Result<(Self, Vec<Oddity>), Error> {
        Self::open_on(Folder::new(dir)?)
    }
}

impl<S: Storage> Store<S> {
    /// All deployments, by tenant and name, whether they can run or not.
    pub fn deployments(&self) -> impl Iterator<Item = &Deployment> {
        self.deployments.values()
    }

    /// Deployments of a tenant.
    pub fn of<'a>(&'a self, tenant: &'a Tenant) -> impl Iterator<Item = &'a Deployment> + Clone {
        self.deployments.values().filter(move |deployment| deployment.key.tenant == *tenant)
    }

    /// A deployment, whether it can run or not.
    pub fn get(&self, key: &Key) -> Option<&Deployment> {
        self.deployments.get(key)
    }

    /// Whether a deployment's current module is there and whole.
    pub fn serves(&self, deployment: &Deployment) -> bool {
        deployment.current().is_some_and(|version| self.whole.contains(&version.digest))
    }

    /// The bytes of a module, as they were deployed: they are compared with the digest each time.
    pub fn read(&mut self, digest: &Digest) -> Result<Vec<u8>, Error> {
        let bytes = read_module(&self.storage, digest)?;
        // Somebody may have mended it.
        self.whole.insert(*digest);
        Ok(bytes)
    }
}

fn read_module<S: Storage>(storage: &S, digest: &Digest) -> Result<Vec<u8>, Error> {
    let name = names::module(digest);
    let bytes = match storage.read(Shelf::Modules, &name, FILE_BYTES as u64) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Error::Missing { digest: *digest }),
        Err(error) => return Err(Error::io(Step::Read, Shelf::Modules, &name)(error)),
    };
    match Digest::of(&bytes) {
        found if found == *digest => Ok(bytes),
        found => Err(Error::Changed { digest: *digest, found }),
    }
}
