//! Where deployments outlive the daemon, as far as there is a place for that: the store and the audit log, for callers
//! that must not wait for a disk themselves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use tokio::task::spawn_blocking;

use super::audit::{self, Audit, AuditError, Begun, Entry};
use super::deployment::{Deployment, Key};
use super::store::{self, NoRoom, Oddity, Pinned, Step, Store};
use crate::config::daemon;
use crate::control::time::Time;
use crate::digest::Digest;

/// Where deployments outlive the daemon.
#[derive(Debug, Clone)]
pub struct Registry(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Why there is no store, if there is none. Whoever asks does not wait for the disk.
    missing: Option<String>,
    /// Whether there should be one.
    is_wanted: bool,
    store: Mutex<Option<Store>>,
    /// Whether its files are what it says.
    is_settled: AtomicBool,
    /// Where the audit log is.
    log: PathBuf,
    audit: Mutex<Audit>,
    /// Where the store is.
    path: PathBuf,
    /// Deployments that are not there although they were ordered, and why.
    lacking: Mutex<BTreeMap<Key, String>>,
}

/// Why something is not kept.
#[derive(Debug, thiserror::Error)]
pub enum Unkept {
    /// There is no store.
    #[error("deployments cannot be kept: {0}")]
    NoStore(String),
    /// The store does not take it.
    #[error("{}", .0.with_cause())]
    Store(#[from] store::Error),
    /// The tenant has no room for it.
    #[error("{}", .0.with_remedy())]
    NoRoom(#[from] NoRoom),
    /// It could not be written down, and so is not done.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

// === impl Registry ===

impl Registry {
    /// The one that the configuration names. What is odd about it comes beside it; if it cannot be used, deployments run
    /// and are not kept.
    pub fn open(config: &daemon::Store) -> (Self, Vec<Oddity>) {
        let opened = folder(&config.path).and_then(|dir| Store::open(dir).map_err(|error| error.with_cause()));
        let (store, oddities) = match opened {
            Ok((store, oddities)) => (Ok(store), oddities),
            Err(why) => (Err(format!("{}: {why}", config.path.display())), Vec::new()),
        };
        let registry = Self::of(store, Some(&config.path), &config.audit);
        registry.note(&oddities);
        (registry, oddities)
    }

    /// None, for this reason.
    pub fn none(why: &str) -> Self {
        Self::of(Err(why.to_owned()), None, Path::new(""))
    }

    fn of(store: Result<Store, String>, path: Option<&Path>, log: &Path) -> Self {
        let (store, missing) = match store {
            Ok(store) => (Some(store), None),
            Err(why) => (None, Some(why)),
        };
        let (store, audit) = (Mutex::new(store), Mutex::new(Audit::at(log)));
        Self(Arc::new(Shared {
            missing,
            is_wanted: path.is_some(),
            store,
            is_settled: AtomicBool::new(true),
            log: log.to_owned(),
            audit,
            path: path.map(Path::to_owned).unwrap_or_default(),
            lacking: Mutex::default(),
        }))
    }

    /// Why there is no store, where there should be one.
    pub fn failing(&self) -> Option<String> {
        self.missing().filter(|_| self.0.is_wanted)
    }

    /// Why there is no store, if there is none.
    pub fn missing(&self) -> Option<String> {
        self.0.missing.clone()
    }

    /// All that are kept.
    pub fn deployments(&self) -> Vec<Deployment> {
        self.store().as_ref().map(|store| store.deployments().cloned().collect()).unwrap_or_default()
    }

    /// Deployments that were ordered and are not there, as their files cannot be used, and why. Whoever asks does not wait
    /// for the disk.
    pub fn lacking(&self) -> BTreeMap<Key, String> {
        lock(&self.0.lacking).clone()
    }

    /// Deployments whose files can be used since somebody mended them. What is odd about others is said.
    pub async fn take_up(&self) -> Result<Vec<Deployment>, Unkept> {
        let (found, oddities) = self.with(|store| Ok(store.take_up()?)).await?;
        self.note(&oddities);
        self.say(&oddities);
        Ok(found)
    }

    /// Says what is odd about the store.
    pub fn say(&self, oddities: &[Oddity]) {
        let store = self.0.path.display();
        for oddity in oddities {
            tracing::error!(%store, remedy = oddity.remedy(), "The store of deployments: {}.", oddity.message());
        }
    }

    fn note(&self, oddities: &[Oddity]) {
        let store = self.0.path.display();
        let lacks = |oddity: &Oddity| {
            let why = format!("in {store}, {}. {}", oddity.message(), oddity.remedy());
            Some((oddity.lacks()?.clone(), why))
        };
        *lock(&self.0.lacking) = oddities.iter().filter_map(lacks).collect();
    }

    /// The file of a module.
    pub async fn read(&self, digest: Digest) -> Result<Vec<u8>, Unkept> {
        self.with(move |store| Ok(store.read(&digest)?)).await
    }

    /// Keeps the file of a module.
    pub async fn put(&self, file: Bytes) -> Result<Pinned, Unkept> {
        self.with(move |store| Ok(store.put(&file)?)).await
    }

    /// Whether a deployment as it is to become can be kept. Whether its tenant has room for it is asked before.
    pub async fn may_keep(&self, deployment: Deployment) -> Result<(), Unkept> {
        self.with(move |store| Ok(store.may_keep(&deployment)?)).await
    }

    /// Keeps a deployment as it is to become.
    pub async fn save(&self, deployment: Deployment) -> Result<(), Unkept> {
        self.with(move |store| Ok(store.save(&deployment)?)).await
    }

    /// Forgets a deployment; that there is none is no failure.
    pub async fn remove(&self, key: Key) -> Result<(), Unkept> {
        let removed = move |store: &mut Store| match store.remove(&key) {
            Err(store::Error::NoDeployment(_)) => Ok(()),
            removed => Ok(removed?),
        };
        self.with(removed).await
    }

    /// Whether the disk may hold something else than what was answered, because it failed.
    pub fn is_settled(&self) -> bool {
        self.0.is_settled.load(Ordering::Relaxed)
    }

    /// Has the disk hold again what was answered.
    pub async fn settle(&self) -> Result<(), Unkept> {
        self.with(|store| Ok(store.settle()?)).await
    }

    /// Removes modules that nobody needs.
    pub async fn collect(&self) -> Result<usize, Unkept> {
        self.with(|store| Ok(store.collect()?.modules)).await
    }

    /// Removes modules that deployments let go of, if there are any. Where that fails, it is said.
    pub async fn tidy(&self) {
        if let Err(error) = self.with(|store| Ok(store.collect_let_go()?)).await {
            tracing::warn!(%error, "Modules that nobody needs stay in the store.");
        }
    }

    /// Writes down what is about to be done.
    pub async fn begin(&self, entry: Entry) -> Result<Begun, Unkept> {
        self.writing(move |audit| audit.begin(entry)).await
    }

    /// Writes down what came of it.
    pub async fn end(&self, begun: Begun, time: Time, result: audit::Outcome) -> Result<(), Unkept> {
        self.writing(move |audit| audit.end(begun, time, result)).await
    }

    /// Writes down what happened by itself.
    pub async fn write(&self, entry: Entry) -> Result<(), Unkept> {
        self.writing(move |audit| audit.write(&entry)).await
    }

    /// What was last written down of a deployment.
    pub async fn history(&self, key: Key, lines: usize) -> Vec<Entry> {
        let log = self.0.log.clone();
        let read = spawn_blocking(move || audit::last(&log, &key, lines)).await;
        read.unwrap_or_else(|error| Err(std::io::Error::other(error))).unwrap_or_else(|error| {
            tracing::warn!(%error, "The audit log cannot be read.");
            Vec::new()
        })
    }

    async fn writing<T: Send + 'static>(
        &self,
        write: impl FnOnce(&mut Audit) -> Result<T, AuditError> + Send + 'static,
    ) -> Result<T, Unkept> {
        if let Some(why) = self.missing() {
            return Err(Unkept::NoStore(why));
        }
        let shared = Arc::clone(&self.0);
        let written = spawn_blocking(move || write(&mut lock(&shared.audit))).await;
        written.map_err(|error| Unkept::NoStore(error.to_string()))?.map_err(Unkept::Audit)
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, Unkept> + Send + 'static,
    ) -> Result<T, Unkept> {
        let registry = self.clone();
        if let Some(why) = self.missing() {
            return Err(Unkept::NoStore(why));
        }
        let done = spawn_blocking(move || match &mut *registry.store() {
            Some(store) => {
                let done = work(store);
                registry.0.is_settled.store(store.is_settled(), Ordering::Relaxed);
                done
            }
            None => Err(Unkept::NoStore("there is no store".to_owned())),
        });
        done.await.unwrap_or_else(|error| Err(Unkept::NoStore(error.to_string())))
    }

    fn store(&self) -> MutexGuard<'_, Option<Store>> {
        lock(&self.0.store)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Unkept ===

impl Unkept {
    /// Whether the disk, and not the order, is to blame.
    pub fn is_lasting(&self) -> bool {
        matches!(self, Self::NoStore(_) | Self::Audit(_))
            || matches!(self, Self::Store(store::Error::Io { step: Step::Write | Step::Sync, .. }))
    }
}

/// Opens the folder, which is made for the daemon's user alone if it is not there.
fn folder(path: &Path) -> Result<Dir, String> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| error.to_string())?;
    Dir::open_ambient_dir(path, ambient_authority()).map_err(|error| error.to_string())
}
