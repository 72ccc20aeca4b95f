//! What was measured and is not yet delivered, on disk.
//!
//! Each slot becomes one record ([`record`]): its samples, and what modules remember after it. Records stand in a
//! [`log`] until every publisher has delivered them; each publisher follows it through a [`feed`] of its own. What
//! modules remember is also kept in a [`checkpoint`] now and then, so that records need not be kept for it. What a
//! publisher goes on with after a start stands on a [`shelf`].

pub mod books;
pub mod checkpoint;
pub mod feed;
mod file;
pub mod log;
pub mod memory;
pub mod missed;
pub mod record;
pub mod shelf;
pub mod sight;
pub mod thinning;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use rustix::fs::Access;
use tokio::sync::watch;
use uuid::{Builder, Uuid};

use self::books::{Books, View};
use self::checkpoint::Checkpoint;
pub use self::feed::{Delivery, Feed};
use self::log::{Account, Cause, Counts, Dropped, Error, Limits, Recovery, Sequence, Start, Store, SyncPolicy};
use self::memory::Memory;
use self::missed::{Missed, Why};
use crate::clock::SECOND;
use crate::config::daemon;
use crate::digest::Digest;

/// The cursor by which records are kept until a checkpoint has what modules remember. No publisher is called so.
const MEMORY: &str = "\u{1f}memory";
/// Positions become durable with a slot, and no more often than this: after a crash, what was delivered since the last
/// slot is delivered again.
const SETTLED_EVERY: i64 = SECOND;
/// Records that a checkpoint may be behind.
const BEHIND: u64 = 32;
/// A segment's part of the whole: the fewer, the more goes at once where something must go.
const SEGMENTS: u64 = 16;
/// The part of the whole, as a fraction, that may be in use after samples were handed in to be delivered again.
const REPLAYS: (u64, u64) = (3, 4);
/// Segments beyond this size only make a start slower.
const LARGEST_SEGMENT: u64 = 16 << 20;

/// The spool of a daemon, shared by those who write and read it.
#[derive(Clone, Debug)]
pub struct Spool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    dir: Dir,
    limits: Limits,
    id: Uuid,
    kept: Mutex<Kept>,
    /// What publishers are done with, and could not be noted because somebody else was at the disk.
    done: Mutex<Vec<Done>>,
    /// The number that the next record has; who waits for records waits for this.
    committed: watch::Sender<u64>,
    /// Removes the folder with the daemon, where it is not to stay.
    _temporary: Option<Temporary>,
}

#[derive(Debug)]
struct Kept {
    store: Store,
    missed: Missed,
    /// Whether the losses changed since a record had them.
    missed_changed: bool,
    settled: i64,
    checkpointed: u64,
    /// How many samples publishers lost since they had delivered all there was, if they lost any.
    losing: BTreeMap<String, u64>,
    /// Publishers that are not served any more, and what they lost by that, until somebody was told.
    closed: Vec<(String, u64)>,
}

/// A record that a publisher is done with, and all before it.
#[derive(Debug)]
struct Done {
    publisher: Arc<str>,
    sequence: Sequence,
    /// Whether it was delivered; otherwise it could not be read.
    delivered: bool,
    /// Samples of it that were not delivered and never will be.
    lost: Vec<(Cause, Counts)>,
}

/// What became of a record that was to be kept.
#[derive(Debug)]
pub struct Committed {
    /// Its number.
    pub sequence: Sequence,
    /// Why it is not on disk for good yet. It will be delivered once it is.
    pub delayed: Option<Error>,
}

/// A spool that was opened, and what was found in it.
#[derive(Debug)]
pub struct Opened {
    /// The spool.
    pub spool: Spool,
    /// What modules remembered.
    pub memory: Memory,
    /// What was repaired.
    pub recovery: Recovery,
}

/// Why a spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Its folder cannot be made or opened.
    #[error("the spool's folder {} cannot be used: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others could read samples or change what is billed.
    #[error("the spool's folder {} is open to others: it must have mode 0700", .0.display())]
    Open(PathBuf),
    /// It is another user's.
    #[error("the spool's folder {} is of user {owner}, and this is user {us}", path.display())]
    Others {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        us: u32,
    },
    /// Something else is there.
    #[error("the spool's folder {} is no folder", .0.display())]
    NoFolder(PathBuf),
    /// The log in it cannot be opened.
    #[error("the spool in {} cannot be used: {source}", path.display())]
    Log {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: Error,
    },
}

#[derive(Debug)]
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

// === impl Unusable ===

impl Unusable {
    /// Whether another try would end the same.
    pub fn is_lasting(&self) -> bool {
        matches!(self, Self::Open(_) | Self::Others { .. } | Self::NoFolder(_))
    }

    /// What the operator can do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Folder { .. } => "Make the folder and give it to the daemon's user, or name another as spool.path",
            Self::Open(_) => "Run chmod 700 on it, or name another as spool.path",
            Self::Others { .. } => "Run this as that user, give the folder to this one, or name another as spool.path",
            Self::NoFolder(_) => "Remove it, or name another as spool.path",
            Self::Log { source: Error::Locked, .. } => {
                "End the other daemon, or give each a folder of its own as spool.path"
            }
            Self::Log { .. } => "See that the disk is well and can be written, or name another folder as spool.path",
        }
    }
}

// === impl Spool ===

impl Spool {
    /// Opens the spool of a configuration, or starts one.
    pub fn open(config: &daemon::Spool, now: i64) -> Result<Opened, Unusable> {
        Self::open_at(&config.path, config, None, now)
    }

    /// A spool that ends with the daemon.
    pub fn temporary(config: &daemon::Spool, now: i64) -> Result<Opened, Unusable> {
        let name = format!("wasmeter-{}-{:x}", std::process::id(), now);
        let path = std::env::temp_dir().join(name);
        let config = daemon::Spool { sync: daemon::Sync::Never, ..config.clone() };
        Self::open_at(&path, &config, Some(Temporary(path.clone())), now)
    }

    fn open_at(
        path: &Path,
        config: &daemon::Spool,
        temporary: Option<Temporary>,
        now: i64,
    ) -> Result<Opened, Unusable> {
        let dir = folder(path)?;
        let log = |source| Unusable::Log { path: path.to_owned(), source };
        let view = dir.try_clone().map_err(|source| Unusable::Folder { path: path.to_owned(), source })?;
        let limits = limits(config);
        let (mut store, recovery) = Store::open(view, limits, now).map_err(log)?;
        store.set_thin(thinning::Rule);
        let known = |store: &Store| store.account(MEMORY).is_ok();
        if !known(&store) {
            store.add_cursor(MEMORY, Start::Beginning).map_err(log)?;
        }
        let Checkpoint { mut memory, missed } = checkpoint::read(&dir);
        let mut missed = missed;
        store.rewind(MEMORY).map_err(log)?;
        while let Some(found) = store.next(MEMORY).map_err(log)? {
            match record::read_memory(&found.payload) {
                Ok(kept) => {
                    if let Some(newer) = kept.missed.clone() {
                        missed = newer;
                    }
                    memory.update(kept);
                }
                Err(error) => {
                    tracing::warn!(record = found.sequence.0, %error, "A record of the spool is passed over.")
                }
            }
        }
        // Nobody holds what it was given.
        store.rewind(MEMORY).map_err(log)?;
        // What they lost is counted, and the end came before they could go.
        for closed in std::mem::take(&mut memory.closed) {
            if store.account(&closed.0).is_ok_and(|account| is_closed(&account, &closed)) {
                store.remove_cursor(&closed.0).map_err(log)?;
                shelf::remove(&dir, &closed.0);
            }
        }
        let (committed, _) = watch::channel(store.committed().0);
        let id = id_of(store.number());
        let checkpointed = store.account(MEMORY).map_or(0, |account| account.position.0);
        let mut kept = Kept {
            store,
            missed,
            missed_changed: false,
            settled: i64::MIN,
            checkpointed,
            losing: BTreeMap::new(),
            closed: Vec::new(),
        };
        // What turned out to be damaged when it was read.
        kept.say_dropped();
        let shared = Shared {
            path: path.to_owned(),
            dir,
            limits,
            id,
            kept: Mutex::new(kept),
            done: Mutex::default(),
            committed,
            _temporary: temporary,
        };
        Ok(Opened { spool: Self(Arc::new(shared)), memory, recovery })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// What tells it from all other spools, for as long as it is there.
    pub fn id(&self) -> Uuid {
        self.0.id
    }

    /// How much it may keep.
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// Keeps a record. If it cannot, it is as if it had never been.
    pub fn commit(&self, counts: Counts, payload: &[u8], now: i64) -> Result<Committed, Error> {
        let mut kept = self.lock();
        let committed = self.append(&mut kept, counts, payload, now)?;
        // The record tells of them.
        kept.missed_changed = false;
        Ok(committed)
    }

    /// Keeps samples that are to be delivered again, for one publisher or for all, as long as there is room beside what
    /// is measured. None if there is not.
    pub fn replay(
        &self,
        only: Option<&str>,
        samples: &[String],
        counts: Counts,
        now: i64,
    ) -> Result<Option<Committed>, Error> {
        let payload = record::of_samples(only, samples);
        let mut kept = self.lock();
        if let Some(only) = only {
            kept.store.account(only)?;
        }
        let most = self.0.limits.bytes / REPLAYS.1 * REPLAYS.0;
        if kept.store.bytes().saturating_add(payload.len() as u64) > most {
            return Ok(None);
        }
        self.append(&mut kept, counts, &payload, now).map(Some)
    }

    fn append(&self, kept: &mut Kept, counts: Counts, payload: &[u8], now: i64) -> Result<Committed, Error> {
        let Kept { store, settled, .. } = &mut *kept;
        let appended = store.append(payload, counts, now);
        let sequence = match appended {
            Ok(sequence) => sequence,
            Err(error) => {
                kept.say_dropped();
                return Err(error);
            }
        };
        let delayed = if self.0.limits.sync == SyncPolicy::OnSync { store.sync().err() } else { None };
        let next = store.committed().0;
        if now.saturating_sub(*settled) >= SETTLED_EVERY || now < *settled {
            // Nothing is lost by doing so later.
            if store.settle(now).is_ok() {
                *settled = now;
            }
        }
        kept.say_dropped();
        self.0.committed.send_replace(next);
        Ok(Committed { sequence, delayed })
    }

    /// Counts samples that could not be kept, for each who would have had them.
    pub fn missed(&self, why: Why, counts: &Counts) {
        let mut kept = self.lock();
        let publishers = publishers(&kept.store);
        for publisher in publishers {
            kept.missed.add(&publisher, why, counts);
        }
        kept.missed_changed = true;
    }

    /// The losses, if a record is to tell of them.
    pub fn missed_since_commit(&self) -> Option<Missed> {
        let kept = self.lock();
        kept.missed_changed.then(|| kept.missed.clone())
    }

    /// Whether it is time for a checkpoint.
    pub fn wants_checkpoint(&self) -> bool {
        let kept = self.lock();
        let behind = kept.store.committed().0.saturating_sub(kept.checkpointed);
        behind >= BEHIND || (behind > 0 && kept.store.bytes() > self.0.limits.bytes / 2)
    }

    /// Keeps what modules remember by now, after the last record.
    pub fn checkpoint(&self, memory: Memory) -> io::Result<()> {
        let (missed, last) = {
            let mut kept = self.lock();
            // It must not be more durable than the samples that go with it.
            kept.store.sync().map_err(io::Error::other)?;
            (kept.missed.clone(), kept.store.committed().0)
        };
        if last > 1 || !missed.is_empty() {
            checkpoint::write(&self.0.dir, &Checkpoint { memory, missed })?;
        }
        if last > 1 {
            let mut kept = self.lock();
            kept.checkpointed = last;
            // It is there if its cursor is.
            let _ = kept.store.acknowledge(MEMORY, Sequence(last - 1));
        }
        Ok(())
    }

    /// Makes positions durable, as before an end.
    pub fn settle(&self, now: i64) -> Result<(), Error> {
        self.lock().store.settle(now)
    }

    /// Has these publishers and no others follow the spool. What others still waited for is lost with them: these are
    /// they, and how many samples of theirs that is: counted, whatever happens from now on.
    pub fn follow(&self, publishers_now: &[String], now: i64) -> Result<Vec<(String, u64)>, Error> {
        let mut kept = self.lock();
        self.close_others(&mut kept, publishers_now, now)?;
        if !kept.closed.is_empty() {
            kept.store.sync()?;
        }
        for new in publishers_now {
            if kept.store.account(new).is_err() {
                kept.store.add_cursor(new, Start::End)?;
            }
        }
        kept.store.settle(now)?;
        Ok(std::mem::take(&mut kept.closed))
    }

    /// The same, for all that are followed but this one.
    pub fn close(&self, publisher: &str, now: i64) -> Result<Vec<(String, u64)>, Error> {
        let followed = self.lock().store.accounts().into_iter().filter(is_publisher).map(|account| account.cursor);
        self.follow(&followed.filter(|other| other != publisher).collect::<Vec<_>>(), now)
    }

    /// Closes the books of all but these. What they lose stands in a record before their cursors go: whoever finds both
    /// after a crash knows that the cursors are to go uncounted.
    fn close_others(&self, kept: &mut Kept, publishers_now: &[String], now: i64) -> Result<(), Error> {
        let mut missed = kept.missed.clone();
        let mut closed = Vec::new();
        for old in kept.store.accounts().iter().filter(|account| is_publisher(account)) {
            if !publishers_now.contains(&old.cursor) {
                missed.close(&old.cursor, &old.held.counts);
                closed.push((old.cursor.clone(), books::of_publisher(&old.held, &old.cursor)));
            }
        }
        missed.bound(publishers_now);
        let is_told = closed.iter().any(|(_, samples)| *samples > 0);
        if is_told {
            let next = kept.store.committed().0;
            let closed = closed.iter().map(|(name, _)| (name.clone(), next)).collect();
            let memory = Memory { missed: Some(missed.clone()), closed, ..Memory::default() };
            self.append(kept, Counts::new(), &record::of_memory(&memory, now), now)?;
        }
        for (old, _) in &closed {
            kept.store.remove_cursor(old)?;
            kept.losing.remove(old);
            shelf::remove(&self.0.dir, old);
        }
        kept.missed_changed = !is_told && (kept.missed_changed || missed != kept.missed);
        kept.missed = missed;
        kept.closed.extend(closed);
        Ok(())
    }

    /// What a publisher has not delivered of what was kept before this time, in samples of its own.
    pub fn held_before(&self, publisher: &str, time: i64) -> Result<u64, Error> {
        let (_, total) = self.lock().store.held_before(publisher, time)?;
        Ok(books::of_publisher(&total, publisher))
    }

    /// Gives that up, for good.
    pub fn give_up(&self, publisher: &str, time: i64, now: i64) -> Result<u64, Error> {
        let mut kept = self.lock();
        let (last, total) = kept.store.held_before(publisher, time)?;
        if let Some(last) = last {
            kept.store.discard(publisher, last, Cause::Operator)?;
            // Whoever asked for it will not expect it back after a crash.
            kept.store.settle(now)?;
        }
        Ok(books::of_publisher(&total, publisher))
    }

    /// What is in it and what became of all that was, unless somebody is at the disk just now.
    pub fn try_view(&self, now: i64) -> Option<View> {
        let mut kept = match self.0.kept.try_lock() {
            Ok(kept) => kept,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        self.note_done(&mut kept);
        Some(self.view_of(&kept, now))
    }

    /// The same, as soon as nobody is.
    pub fn view(&self, now: i64) -> View {
        self.view_of(&self.lock(), now)
    }

    fn view_of(&self, kept: &Kept, at: i64) -> View {
        let Kept { store, missed, .. } = kept;
        let accounts = store.accounts().into_iter().filter(is_publisher);
        let books = accounts.map(|account| {
            let oldest = store.oldest_held(&account.cursor).unwrap_or_default();
            Books::of(&account, missed, oldest)
        });
        let books: Vec<Books> = books.collect();
        View {
            at,
            bytes: store.bytes(),
            limits: self.0.limits,
            records: store.held_records(),
            oldest: store.oldest(),
            former: books::former(missed, &books),
            books,
        }
    }

    /// Notes what a publisher is done with: at once, or as soon as nobody else is at the disk, which may hang.
    fn done(&self, done: Done) {
        self.0.done.lock().unwrap_or_else(PoisonError::into_inner).push(done);
        if let Ok(mut kept) = self.0.kept.try_lock() {
            self.note_done(&mut kept);
        }
    }

    fn note_done(&self, kept: &mut Kept) {
        let all = std::mem::take(&mut *self.0.done.lock().unwrap_or_else(PoisonError::into_inner));
        for Done { publisher, sequence, delivered, lost } in all {
            let noted = match delivered {
                true if !lost.is_empty() => kept.store.acknowledge_but(&publisher, sequence, &lost),
                true => kept.store.acknowledge(&publisher, sequence),
                false => kept.store.discard(&publisher, sequence, Cause::Damaged),
            };
            if let Err(error) = noted {
                // It was removed meanwhile.
                tracing::debug!(%publisher, %error, "What was delivered is not noted.");
            }
        }
        kept.say_caught_up();
    }

    /// Each publisher's books.
    pub fn accounts(&self) -> Vec<Account> {
        let all = self.lock().store.accounts();
        all.into_iter().filter(|account| account.cursor != MEMORY).collect()
    }

    /// Whether every publisher has everything.
    pub fn is_drained(&self) -> bool {
        self.accounts().iter().all(|account| account.held.records == 0)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        self.note_done(&mut kept);
        kept
    }
}

// === impl Kept ===

impl Kept {
    /// Says who lost what: once, until that publisher has delivered all that is left. Damage is said each time.
    fn say_dropped(&mut self) {
        for Dropped { cursor, cause, total, .. } in self.store.take_dropped() {
            let Some(output) = cursor.filter(|cursor| cursor != MEMORY) else { continue };
            let samples = total.counts.samples();
            match cause {
                // Whoever asked for it was told, and publishers say themselves what they cannot deliver.
                Cause::Operator | Cause::Refused | Cause::Oversize => {}
                Cause::Damaged => {
                    tracing::error!(output, samples, "A record of the spool was damaged on the disk, and is lost.");
                }
                _ => {
                    if !self.losing.contains_key(&output) {
                        let cause = cause.as_str();
                        tracing::warn!(
                            output,
                            cause,
                            "Not all that waits in the spool can stay: samples are lost, and counted."
                        );
                    }
                    *self.losing.entry(output).or_default() += samples;
                }
            }
        }
    }

    fn say_caught_up(&mut self) {
        let store = &self.store;
        let waits = |output: &str| store.account(output).is_ok_and(|account| account.held.records > 0);
        for (output, lost) in self.losing.extract_if(.., |output, _| !waits(output)) {
            tracing::info!(output, lost, "All that is left of what waited was delivered.");
        }
    }
}

/// The id of the spool that drew this number when it was new.
fn id_of(number: u64) -> Uuid {
    let digest = Digest::of(&number.to_le_bytes());
    Builder::from_random_bytes(digest.bytes().first_chunk().copied().unwrap_or_default()).into_uuid()
}

/// Whether an account is a publisher's.
pub fn is_publisher(account: &Account) -> bool {
    account.cursor != MEMORY
}

/// Whether this cursor was to go by that record, and is still there.
fn is_closed(account: &Account, (name, record): &(String, u64)) -> bool {
    account.cursor == *name && account.position.0 <= *record
}

fn publishers(store: &Store) -> Vec<String> {
    store.accounts().into_iter().filter(is_publisher).map(|account| account.cursor).collect()
}

fn limits(config: &daemon::Spool) -> Limits {
    let bytes = config.max_size.bytes();
    Limits {
        bytes,
        age: config.max_age,
        segment_bytes: (bytes / SEGMENTS).min(LARGEST_SEGMENT),
        sync: match config.sync {
            daemon::Sync::Slots(1) => SyncPolicy::OnSync,
            daemon::Sync::Slots(slots) => SyncPolicy::Every(slots),
            daemon::Sync::Never => SyncPolicy::Never,
        },
    }
}

/// The folder, made if it is not there, and nobody's but ours.
fn folder(path: &Path) -> Result<Dir, Unusable> {
    let failed = |source| Unusable::Folder { path: path.to_owned(), source };
    match DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    check(path)?;
    Dir::open_ambient_dir(path, ambient_authority()).map_err(failed)
}

/// Whether the spool can be in this folder, which need not be there yet. Nothing is made.
pub fn check(path: &Path) -> Result<(), Unusable> {
    use std::os::unix::fs::MetadataExt;
    let failed = |path: &Path, source| Unusable::Folder { path: path.to_owned(), source };
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut above = path.ancestors().skip(1);
            let there = above.find(|folder| folder.is_dir() || folder.as_os_str().is_empty()).unwrap_or(path);
            let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
            return rustix::fs::access(there, Access::WRITE_OK).map_err(|errno| failed(path, errno.into()));
        }
        Err(source) => return Err(failed(path, source)),
    };
    let (owner, us) = (about.uid(), rustix::process::geteuid().as_raw());
    match () {
        () if !about.is_dir() => Err(Unusable::NoFolder(path.to_owned())),
        () if owner != us => Err(Unusable::Others { path: path.to_owned(), owner, us }),
        () if about.mode() & 0o077 != 0 => Err(Unusable::Open(path.to_owned())),
        () => Ok(()),
    }
}

#[cfg(test)]
mod tests;
