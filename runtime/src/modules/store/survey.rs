//! A look at a store that changes nothing, whoever uses it meanwhile.

use std::io::ErrorKind;
use std::path::Path;

use cap_std::ambient_authority;

use super::error::file;
use super::open::look_at;
use super::*;

/// What is in a store.
#[derive(Debug)]
pub struct Survey<S: Storage = Folder> {
    storage: S,
    /// The deployments that can be used.
    pub deployments: Vec<Deployment>,
    /// What cannot, and what is none of the store's. Modules were not looked at.
    pub oddities: Vec<Oddity>,
}

// === impl Survey ===

impl Survey {
    /// Of the store in this folder, if there is one.
    pub fn at(path: &Path) -> Result<Option<Self>, Error> {
        let dir = Dir::open_ambient_dir(path, ambient_authority());
        match dir.map_err(Error::io(Step::Make, Shelf::Deployments, "")).and_then(Folder::existing) {
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
            opened => Self::on(opened?).map(Some),
        }
    }
}

impl<S: Storage> Survey<S> {
    /// Of the store that this storage holds.
    pub fn on(storage: S) -> Result<Self, Error> {
        let shelf = Shelf::Deployments;
        let mut names = storage.list(shelf, FILES).map_err(Error::io(Step::List, shelf, ""))?;
        names.sort_unstable();
        let (mut deployments, mut oddities) = (Vec::new(), Vec::new());
        for name in &names {
            if let Some(key) = names::as_deployment(name) {
                match look_at(&storage, name, &key).0 {
                    Ok(deployment) => deployments.push(*deployment),
                    Err(oddity) => oddities.push(oddity),
                }
            } else if let Some((was, key)) =
                names::as_damaged(name).and_then(|was| Some((was, names::as_deployment(was)?)))
            {
                if !names.iter().any(|name| name == was) {
                    oddities.push(Oddity::SetAside { file: file(shelf, was), key, set_aside: file(shelf, name) });
                }
            } else if names::as_new(name).and_then(names::as_deployment).is_none() {
                oddities.push(Oddity::Stranger { file: file(shelf, name) });
            }
        }
        // Who uses it may have removed one meanwhile.
        let is_there = |oddity: &Oddity| match oddity {
            Oddity::Unreadable { key, .. } => {
                storage.list(shelf, FILES).is_ok_and(|names| names.contains(&names::deployment(key)))
            }
            _ => true,
        };
        oddities.retain(is_there);
        Ok(Self { storage, deployments, oddities })
    }

    /// Where a deployment is, from the store's folder on.
    pub fn file(&self, key: &Key) -> String {
        file(Shelf::Deployments, &names::deployment(key))
    }

    /// The file of a module.
    pub fn read(&self, digest: &Digest) -> Result<Vec<u8>, Error> {
        read_module(&self.storage, digest)
    }

    /// Whether a deployment is still what it was, or somebody changed or removed it meanwhile.
    pub fn is_still(&self, deployment: &Deployment) -> bool {
        let (now, _) = look_at(&self.storage, &names::deployment(&deployment.key), &deployment.key);
        now.is_ok_and(|now| *now == *deployment)
    }
}
