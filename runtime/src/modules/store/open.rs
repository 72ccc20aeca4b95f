//! Opening: what is there, and what of it can be used.

use std::io::ErrorKind;
use std::sync::Arc;

use super::error::file;
use super::pins::Pins;
use super::record::{self, Found, RECORD_BYTES};
use super::*;

impl<S: Storage> Store<S> {
    /// Opens the store that this storage holds: see [`Store::open`].
    pub fn open_on(storage: S) -> Result<(Self, Vec<Oddity>), Error> {
        let locked = storage.lock().map_err(|source| Error::Io { step: Step::Lock, file: "lock".to_owned(), source });
        let lock = locked?.ok_or(Error::Locked)?;
        let mut store = Self {
            storage,
            deployments: BTreeMap::new(),
            whole: BTreeSet::new(),
            pins: Pins::default(),
            unsettled: BTreeSet::new(),
            closed: BTreeMap::new(),
            mentioned: BTreeSet::new(),
            unread: None,
            _lock: lock,
        };
        let mut oddities = Vec::new();
        let ours = |name: &str| names::as_deployment(name).is_some();
        for name in store.tidy(Shelf::Deployments, ours, &mut oddities)? {
            store.take_up(&name, &mut oddities);
        }
        // What was found to be there may be what a crash left behind that was not durable yet.
        store.storage.sync(Shelf::Deployments).map_err(Error::io(Step::Sync, Shelf::Deployments, ""))?;
        store.tidy(Shelf::Modules, |name| names::as_module(name).is_some(), &mut oddities)?;
        store.check_modules(&mut oddities);
        Ok((store, oddities))
    }

    /// Names of files that are ours. Files that were never written to their end are removed.
    fn tidy(
        &mut self,
        shelf: Shelf,
        ours: impl Fn(&str) -> bool,
        oddities: &mut Vec<Oddity>,
    ) -> Result<Vec<String>, Error> {
        let mut names = self.storage.list(shelf, FILES).map_err(Error::io(Step::List, shelf, ""))?;
        names.sort_unstable();
        let mut found = Vec::new();
        for name in names {
            if ours(&name) {
                found.push(name);
            } else if names::as_new(&name).is_some_and(&ours) && self.storage.remove(shelf, &name).is_ok() {
                // It was never written to its end, or never took its place.
            } else if names::as_damaged(&name).is_some_and(&ours) {
                self.mention(shelf, &name);
            } else {
                oddities.push(Oddity::Stranger { file: file(shelf, &name) });
            }
        }
        Ok(found)
    }

    /// Keeps the modules that a file names which was set aside: whoever mends it will want them.
    fn mention(&mut self, shelf: Shelf, name: &str) {
        match self.storage.read(shelf, name, RECORD_BYTES) {
            Ok(bytes) => self.mentioned.extend(record::mentioned(&bytes)),
            Err(error) if error.kind() == ErrorKind::InvalidData => {}
            Err(_) => self.unread = Some(file(shelf, name)),
        }
    }

    fn take_up(&mut self, name: &str, oddities: &mut Vec<Oddity>) {
        let Some(key) = names::as_deployment(name) else { return };
        let shelf = Shelf::Deployments;
        let place = file(shelf, name);
        let damage = match self.storage.read(shelf, name, RECORD_BYTES) {
            Ok(bytes) => {
                let damage = match record::decode(&bytes) {
                    Found::Deployment(deployment) if deployment.key == key => {
                        self.deployments.insert(key, *deployment);
                        return;
                    }
                    Found::Deployment(deployment) => Some(format!("it is the deployment {}", deployment.key)),
                    Found::Damaged(what) => Some(what),
                    Found::Foreign(format) => {
                        let oddity = Oddity::Foreign { file: place.clone(), format };
                        self.closed.insert(key, oddity.to_string());
                        oddities.push(oddity);
                        None
                    }
                };
                self.mentioned.extend(record::mentioned(&bytes));
                damage
            }
            Err(error) if error.kind() == ErrorKind::InvalidData => Some(error.to_string()),
            Err(error) => {
                let oddity = Oddity::Unreadable { file: place.clone(), what: error.to_string() };
                self.closed.insert(key, oddity.to_string());
                oddities.push(oddity);
                self.unread = Some(place.clone());
                None
            }
        };
        if let Some(what) = damage {
            let set_aside = self.storage.rename(shelf, name, &names::damaged(name)).is_ok();
            oddities.push(Oddity::Damaged { file: place, what, set_aside });
        }
    }

    /// Which modules are whole. A deployment whose module is not is kept as it is, and not served.
    fn check_modules(&mut self, oddities: &mut Vec<Oddity>) {
        let mut checked: BTreeMap<Digest, Option<String>> = BTreeMap::new();
        for deployment in self.deployments.values_mut() {
            for version in &deployment.versions {
                let checked = checked.entry(version.digest);
                let what =
                    checked.or_insert_with(|| Some(read_module(&self.storage, &version.digest).err()?.with_cause()));
                let Some(what) = what.clone() else {
                    self.whole.insert(version.digest);
                    continue;
                };
                let role = match version.number {
                    number if number == deployment.life.current().version => Role::Current,
                    number if deployment.on_trial().is_some_and(|trial| trial.number == number) => Role::Trial,
                    _ => Role::Kept,
                };
                let (key, version, digest) = (deployment.key.clone(), version.number, version.digest);
                oddities.push(Oddity::NoModule { key, version, digest, what, role });
            }
            // What is current can run without it.
            let lost = |version: &Arc<Version>| !self.whole.contains(&version.digest);
            if deployment.on_trial().is_some_and(lost)
                && let Ok((without, _)) = deployment.rolled_back()
            {
                *deployment = without;
            }
        }
    }
}
