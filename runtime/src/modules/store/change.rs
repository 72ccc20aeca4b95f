//! Putting, saving and removing.

use super::error::file;
use super::record::{RECORD_BYTES, encode};
use super::*;

impl<S: Storage> Store<S> {
    /// Keeps a module, durably. What is there already is compared, and replaced if it is damaged.
    ///
    /// Whether the tenant has room is asked before: [`Store::fits`].
    pub fn put(&mut self, bytes: &[u8]) -> Result<Pinned, Error> {
        if bytes.len() > FILE_BYTES {
            return Err(Error::TooLarge { bytes: bytes.len(), most: FILE_BYTES });
        }
        let (digest, shelf) = (Digest::of(bytes), Shelf::Modules);
        let name = names::module(&digest);
        let stored = match self.read(&digest) {
            Ok(_) => Stored::Known,
            Err(Error::Missing { .. }) => Stored::New,
            Err(_) => Stored::Mended,
        };
        if stored != Stored::Known {
            self.write(shelf, &name, bytes)?;
            let renamed = self.storage.rename(shelf, &names::new(&name), &name);
            renamed.map_err(Error::io(Step::Write, shelf, &name))?;
        }
        // One that is known may be there because an earlier try came no further than this.
        self.storage.sync(shelf).map_err(Error::io(Step::Sync, shelf, ""))?;
        self.whole.insert(digest);
        Ok(self.pins.pin(digest, stored))
    }

    /// Keeps a deployment in place of what it was, durably. If that fails, it goes on as it was.
    ///
    /// A version that is to run and did not run before needs its module in the store.
    pub fn save(&mut self, deployment: &Deployment) -> Result<(), Error> {
        self.may_keep(deployment)?;
        let before = self.deployments.get(&deployment.key);
        for digest in deployment.running().map(|version| &version.digest) {
            let ran = || before.is_some_and(|before| before.running().any(|version| version.digest == *digest));
            if !self.whole.contains(digest) && !ran() {
                return Err(Error::Missing { digest: *digest });
            }
        }
        let done = self.replace(deployment);
        self.or_as_it_was(done)?;
        let before = self.deployments.insert(deployment.key.clone(), deployment.clone());
        let is_named = |digest| deployment.versions.iter().any(|version| version.digest == digest);
        self.has_let_go |= before.is_some_and(|before| before.versions.iter().any(|old| !is_named(old.digest)));
        Ok(())
    }

    /// Whether a deployment may be in the store at all, as it is to become.
    pub fn may_keep(&self, deployment: &Deployment) -> Result<(), Error> {
        let key = &deployment.key;
        deployment.check().map_err(|invalid| Error::Invalid { key: key.clone(), invalid })?;
        self.check_open(key)?;
        record_of(deployment)?;
        match self.deployments.len() {
            count if count >= DEPLOYMENTS && !self.deployments.contains_key(key) => Err(Error::TooMany(count)),
            _ => Ok(()),
        }
    }

    /// What was not made durable may be there all the same after a crash, so what was before is put back at once. Where
    /// the disk does not take that either, it is with the next [`Store::settle`].
    fn or_as_it_was(&mut self, done: Result<(), Error>) -> Result<(), Error> {
        match done {
            Err(Error::Unsettled { file, source }) if self.settle().is_ok() => {
                Err(Error::Io { step: Step::Sync, file, source })
            }
            done => done,
        }
    }

    /// Whether files may differ from what is here.
    pub fn is_settled(&self) -> bool {
        self.unsettled.is_empty()
    }

    /// Removes a deployment. Its modules go with the next [`Store::collect`].
    pub fn remove(&mut self, key: &Key) -> Result<(), Error> {
        self.check_open(key)?;
        if !self.deployments.contains_key(key) {
            return Err(Error::NoDeployment(key.clone()));
        }
        let done = self.erase(key);
        self.or_as_it_was(done)?;
        self.deployments.remove(key);
        self.has_let_go = true;
        Ok(())
    }

    /// Does again what the disk failed to do, so that the files are what is here.
    pub fn settle(&mut self) -> Result<(), Error> {
        while let Some(key) = self.unsettled.first().cloned() {
            match self.deployments.get(&key).cloned() {
                Some(deployment) => self.replace(&deployment)?,
                None => self.erase(&key)?,
            }
        }
        Ok(())
    }

    fn replace(&mut self, deployment: &Deployment) -> Result<(), Error> {
        let (shelf, name) = (Shelf::Deployments, names::deployment(&deployment.key));
        let bytes = record_of(deployment)?;
        self.write(shelf, &name, &bytes)?;
        let renamed = self.storage.rename(shelf, &names::new(&name), &name);
        let done = renamed.and_then(|()| self.storage.sync(shelf));
        self.settled(&deployment.key, done)
    }

    fn erase(&mut self, key: &Key) -> Result<(), Error> {
        let (shelf, name) = (Shelf::Deployments, names::deployment(key));
        let removed = match self.storage.remove(shelf, &name) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        };
        self.settled(key, removed.and_then(|()| self.storage.sync(shelf)))
    }

    fn check_open(&self, key: &Key) -> Result<(), Error> {
        match self.closed.get(key) {
            Some(why) => Err(Error::Closed { key: key.clone(), why: why.clone() }),
            None => Ok(()),
        }
    }

    /// Notes whether a deployment's file is as it is to be.
    fn settled(&mut self, key: &Key, done: std::io::Result<()>) -> Result<(), Error> {
        match done {
            Ok(()) => {
                self.unsettled.remove(key);
                Ok(())
            }
            Err(source) => {
                self.unsettled.insert(key.clone());
                Err(Error::Unsettled { file: file(Shelf::Deployments, &names::deployment(key)), source })
            }
        }
    }

    /// Writes a file beside the one that it is to replace.
    fn write(&self, shelf: Shelf, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let new = names::new(name);
        self.storage.write(shelf, &new, bytes).map_err(|error| {
            // It would be removed with the next start.
            let _ = self.storage.remove(shelf, &new);
            Error::io(Step::Write, shelf, name)(error)
        })
    }
}

/// A deployment as its file has it.
fn record_of(deployment: &Deployment) -> Result<Vec<u8>, Error> {
    let key = &deployment.key;
    let failed =
        |error: serde_json::Error| Error::io(Step::Write, Shelf::Deployments, &names::deployment(key))(error.into());
    let bytes = encode(deployment).map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > RECORD_BYTES {
        return Err(Error::TooLong { key: key.clone(), bytes: bytes.len(), most: RECORD_BYTES });
    }
    Ok(bytes)
}
