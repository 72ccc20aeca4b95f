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
            has_let_go: false,
            _lock: lock,
        };
        let (_, oddities) = store.take_up()?;
        Ok((store, oddities))
    }

    /// Takes up what is there and not known yet, such as a file that somebody mended. What is known already goes on as
    /// it is here, whatever its file says.
    pub fn take_up(&mut self) -> Result<(Vec<Deployment>, Vec<Oddity>), Error> {
        let list = |shelf| self.storage.list(shelf, FILES).map_err(Error::io(Step::List, shelf, ""));
        let (deployments, modules) = (list(Shelf::Deployments)?, list(Shelf::Modules)?);
        // What is found to be there may be what a crash left behind that was not durable yet.
        self.storage.sync(Shelf::Deployments).map_err(Error::io(Step::Sync, Shelf::Deployments, ""))?;
        self.closed.clear();
        self.unread = None;
        let (mut found, mut oddities) = (Vec::new(), Vec::new());
        let ours = |name: &str| names::as_deployment(name).is_some();
        for name in self.tidy(Shelf::Deployments, deployments, ours, &mut oddities) {
            let new = names::as_deployment(&name);
            let new = new.filter(|key| !self.deployments.contains_key(key) && !self.unsettled.contains(key));
            found.extend(new.and_then(|key| self.take_up_one(key, &name, &mut oddities)));
        }
        oddities.retain(|oddity| !matches!(oddity, Oddity::SetAside { key, .. } if self.deployments.contains_key(key)));
        self.tidy(Shelf::Modules, modules, |name| names::as_module(name).is_some(), &mut oddities);
        let found = found.into_iter().filter_map(|key| self.check_modules(&key, &mut oddities)).collect();
        Ok((found, oddities))
    }

    /// Names of files that are ours. Files that were never written to their end are removed.
    fn tidy(
        &mut self,
        shelf: Shelf,
        mut names: Vec<String>,
        ours: impl Fn(&str) -> bool,
        oddities: &mut Vec<Oddity>,
    ) -> Vec<String> {
        names.sort_unstable();
        let mut found = Vec::new();
        for name in names {
            if ours(&name) {
                found.push(name);
            } else if names::as_new(&name).is_some_and(&ours) && self.storage.remove(shelf, &name).is_ok() {
                // It was never written to its end, or never took its place.
            } else if let Some(was) = names::as_damaged(&name).filter(|name| ours(name)) {
                self.mention(shelf, &name);
                let set_aside = |key| Oddity::SetAside { file: file(shelf, was), key, set_aside: file(shelf, &name) };
                oddities.extend(names::as_deployment(was).map(set_aside));
            } else {
                oddities.push(Oddity::Stranger { file: file(shelf, &name) });
            }
        }
        found
    }

    /// Keeps the modules that a file names which was set aside: whoever mends it will want them.
    fn mention(&mut self, shelf: Shelf, name: &str) {
        match self.storage.read(shelf, name, RECORD_BYTES) {
            Ok(bytes) => self.mentioned.extend(record::mentioned(&bytes)),
            Err(error) if error.kind() == ErrorKind::InvalidData => {}
            Err(_) => self.unread = Some(file(shelf, name)),
        }
    }

    /// The deployment that was found, unless its file cannot be used.
    fn take_up_one(&mut self, key: Key, name: &str, oddities: &mut Vec<Oddity>) -> Option<Key> {
        let (found, mentioned) = look_at(&self.storage, name, &key);
        self.mentioned.extend(mentioned);
        let mut oddity = match found {
            Ok(deployment) => {
                self.deployments.insert(key.clone(), *deployment);
                return Some(key);
            }
            Err(oddity) => oddity,
        };
        match &mut oddity {
            Oddity::Damaged { set_aside, .. } => {
                *set_aside = self.set_aside(name).ok();
            }
            oddity => {
                if let Oddity::Unreadable { file, .. } = oddity {
                    self.unread = Some(file.clone());
                }
                self.closed.insert(key, oddity.to_string());
            }
        }
        oddities.push(oddity);
        None
    }

    /// Gives a file that cannot be used another name, which it says. What was set aside before may be what somebody
    /// wants.
    fn set_aside(&self, name: &str) -> std::io::Result<String> {
        let shelf = Shelf::Deployments;
        let set_aside = names::damaged(name, &self.storage.list(shelf, FILES)?);
        self.storage.rename(shelf, name, &set_aside)?;
        Ok(file(shelf, &set_aside))
    }

    /// Which modules of a deployment are whole. One whose module is not is kept as it is, and not served.
    fn check_modules(&mut self, key: &Key, oddities: &mut Vec<Oddity>) -> Option<Deployment> {
        let deployment = self.deployments.get_mut(key)?;
        for version in &deployment.versions {
            if self.whole.contains(&version.digest) {
                continue;
            }
            let Err(error) = read_module(&self.storage, &version.digest) else {
                self.whole.insert(version.digest);
                continue;
            };
            let role = match version.number {
                number if number == deployment.life.current().version => Role::Current,
                number if deployment.on_trial().is_some_and(|trial| trial.number == number) => Role::Trial,
                _ => Role::Kept,
            };
            let (key, version, digest) = (deployment.key.clone(), version.number, version.digest);
            oddities.push(Oddity::NoModule { key, version, digest, what: error.with_cause(), role });
        }
        // What is current can run without it.
        let lost = |version: &Arc<Version>| !self.whole.contains(&version.digest);
        if deployment.on_trial().is_some_and(lost)
            && let Ok((without, _)) = deployment.rolled_back()
        {
            *deployment = without;
        }
        Some(deployment.clone())
    }
}

/// What a deployment's file is, and the modules that it names if it cannot be used.
pub(super) fn look_at<S: Storage>(
    storage: &S,
    name: &str,
    key: &Key,
) -> (Result<Box<Deployment>, Oddity>, BTreeSet<Digest>) {
    let file = file(Shelf::Deployments, name);
    let damaged = |what| Oddity::Damaged { file: file.clone(), key: key.clone(), what, set_aside: None };
    let bytes = match storage.read(Shelf::Deployments, name, RECORD_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            return (Err(damaged(error.to_string())), BTreeSet::new());
        }
        Err(error) => {
            let oddity = Oddity::Unreadable { file, key: key.clone(), what: error.to_string() };
            return (Err(oddity), BTreeSet::new());
        }
    };
    let oddity = match record::decode(&bytes) {
        Found::Deployment(deployment) if deployment.key == *key => return (Ok(deployment), BTreeSet::new()),
        Found::Deployment(deployment) => damaged(format!("it is the deployment {}", deployment.key)),
        Found::Damaged(what) => damaged(what),
        Found::Foreign(format) => Oddity::Foreign { file, key: key.clone(), format },
    };
    (Err(oddity), record::mentioned(&bytes))
}
