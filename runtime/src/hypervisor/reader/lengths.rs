//! How long the files are that guests' disks are, which libvirt's bulk statistics do not tell.
//!
//! Looking at a file on storage that hangs takes for ever. So a thread looks at them that can be done without: if it is
//! late, the slot goes on without lengths, and no other thread looks until this one is back.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::oneshot::{self, Receiver};
use tokio::time::timeout;

use crate::hypervisor::{KeyId, Record, Stat, Value, key};

/// A slot never waits longer: files of ten thousand guests take a tenth of it, on storage that is well.
const LONGEST: Duration = Duration::from_secs(1);

/// Looks at files, slot after slot.
#[derive(Debug)]
pub struct Lengths {
    look: fn(&str) -> Option<Size>,
    /// What a thread that is late will say.
    late: Option<Receiver<Vec<Found>>>,
    /// Whether the last look was late, which the log has said.
    hangs: bool,
}

/// How large a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    length: u64,
    taken: u64,
}

/// A file that a guest's disk is.
#[derive(Debug)]
struct File {
    /// The place of the guest's record.
    place: usize,
    /// The number of the disk.
    number: u32,
    path: Arc<str>,
}

type Found = (File, Size);

/// Bytes of a block, as files count them.
const BLOCK: u64 = 512;

// === impl Lengths ===

impl Default for Lengths {
    fn default() -> Self {
        Self { look, late: None, hangs: false }
    }
}

impl Lengths {
    /// Adds the lengths of files whose paths are among these statistics, as far as they are known in time.
    pub async fn add(&mut self, records: &mut [Record], watchdog: Duration) {
        let files = files(records);
        if files.is_empty() || self.is_late() {
            return;
        }
        let Some(mut answer) = self.start(files) else { return };
        match timeout(watchdog.min(LONGEST), &mut answer).await {
            Ok(found) => {
                add(records, found.unwrap_or_default());
                if std::mem::take(&mut self.hangs) {
                    tracing::info!("Files of guests' disks can be looked at again.");
                }
            }
            Err(_) => {
                self.late = Some(answer);
                if !std::mem::replace(&mut self.hangs, true) {
                    let why =
                        "their lengths are not known until it answers, and disk.device.usage is the room they take";
                    tracing::warn!("Storage does not answer when files of guests' disks are looked at; {why}.");
                }
            }
        }
    }

    /// Whether a thread is still looking. What it says at last is too old.
    fn is_late(&mut self) -> bool {
        let is_late = self.late.as_mut().is_some_and(|late| matches!(late.try_recv(), Err(TryRecvError::Empty)));
        if !is_late {
            self.late = None;
        }
        is_late
    }

    /// Starts looking. Without a thread there are no lengths this time.
    fn start(&self, files: Vec<File>) -> Option<Receiver<Vec<Found>>> {
        let (tell, answer) = oneshot::channel();
        let look = self.look;
        let run = move || {
            let found = files.into_iter().filter_map(|file| look(&file.path).map(|size| (file, size))).collect();
            // Nobody listens any more after a shutdown.
            let _ = tell.send(found);
        };
        thread::Builder::new().name("lengths".into()).spawn(run).ok().map(|_| answer)
    }
}

/// The files that disks are, by libvirt's word. Some paths name no file, and some none that this user may look at.
fn files(records: &[Record]) -> Vec<File> {
    let Some(path_of) = KeyId::of(key::PATH) else { return Vec::new() };
    let paths = records.iter().enumerate().flat_map(|(place, record)| {
        let paths = record.stats.iter().filter(|stat| stat.key == path_of);
        paths.filter_map(move |stat| match &stat.value {
            Value::Text(path) if path.starts_with('/') => {
                Some(File { place, number: stat.number, path: Arc::clone(path) })
            }
            _ => None,
        })
    });
    paths.collect()
}

/// Of block devices, libvirt tells the size itself.
fn look(path: &str) -> Option<Size> {
    let about = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some(Size { length: about.len(), taken: about.blocks().saturating_mul(BLOCK) })
}

fn add(records: &mut [Record], found: Vec<Found>) {
    let (Some(length), Some(taken)) = (KeyId::of(key::LENGTH), KeyId::of(key::TAKEN)) else { return };
    for (File { place, number, .. }, size) in found {
        let Some(record) = records.get_mut(place) else { continue };
        let both = [(length, size.length), (taken, size.taken)];
        record.stats.extend(both.map(|(key, value)| Stat { key, number, value: Value::Count(value) }));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use uuid::Uuid;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(50);

    fn disks(paths: &[&str]) -> Record {
        let key = KeyId::of("block.*.path").unwrap();
        let path = |(number, path): (u32, &&str)| Stat { key, number, value: Value::Text((*path).into()) };
        Record { guest: Uuid::nil(), revision: 0, stats: (0..).zip(paths).map(path).collect() }
    }

    fn lengths(records: &[Record]) -> Vec<(u32, u64, u64)> {
        let (length, taken) = (KeyId::of(key::LENGTH), KeyId::of(key::TAKEN));
        let value = |stat: &Stat| if let Value::Count(value) = stat.value { value } else { panic!("{stat:?}") };
        let stats: Vec<&Stat> = records.iter().flat_map(|record| &record.stats).collect();
        let of = |key| stats.iter().filter(move |stat| Some(stat.key) == key);
        of(length).zip(of(taken)).map(|(length, taken)| (length.number, value(length), value(taken))).collect()
    }

    #[tokio::test]
    async fn only_files_have_a_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        fs::File::create(path("empty")).unwrap().set_len(1 << 20).unwrap();
        fs::write(path("full"), vec![1; 8192]).unwrap();
        std::os::unix::fs::symlink(path("full"), path("link")).unwrap();
        let paths = [path(""), path("empty"), "full".into(), path("absent"), path("full"), "/dev/null".into()];
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let link = path("link");
        let mut records = [disks(&paths), disks(&[]), disks(&[&link])];
        Lengths::default().add(&mut records, Duration::from_secs(60)).await;
        // How much is taken is the file system's business.
        let found = |records: &[Record]| {
            lengths(records).into_iter().map(|(number, length, taken)| (number, length, taken > 0)).collect::<Vec<_>>()
        };
        assert_eq!(found(&records[..1]), [(1, 1 << 20, false), (4, 8192, true)]);
        assert_eq!(found(&records[1..]), [(0, 8192, true)]);
    }

    /// How many looks have begun, and how many may end.
    static BEGUN: AtomicUsize = AtomicUsize::new(0);
    static MAY_END: AtomicUsize = AtomicUsize::new(0);

    fn hang(_: &str) -> Option<Size> {
        let number = BEGUN.fetch_add(1, Ordering::SeqCst);
        while MAY_END.load(Ordering::SeqCst) <= number {
            thread::sleep(Duration::from_millis(1));
        }
        Some(Size { length: 2, taken: 1 })
    }

    #[tokio::test]
    async fn storage_that_hangs_costs_one_thread_and_two_lines() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let subscriber = tracing_subscriber::fmt().with_writer(Mutex::new(log.reopen().unwrap())).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let mut all = Lengths { look: hang, ..Lengths::default() };
        for _ in 0..5 {
            let mut records = [disks(&["/d"])];
            all.add(&mut records, PATIENCE).await;
            assert_eq!((lengths(&records), BEGUN.load(Ordering::SeqCst)), (vec![], 1));
        }
        // It answers, and hangs again at once.
        MAY_END.store(1, Ordering::SeqCst);
        while BEGUN.load(Ordering::SeqCst) < 2 {
            all.add(&mut [disks(&["/d"])], PATIENCE).await;
        }
        MAY_END.store(usize::MAX, Ordering::SeqCst);
        let mut records = [disks(&["/d"])];
        while lengths(&records).is_empty() {
            all.add(&mut records, PATIENCE * 100).await;
        }
        assert_eq!(lengths(&records), [(0, 2, 1)]);
        let log = fs::read_to_string(log.path()).unwrap();
        assert_eq!((log.matches("does not answer").count(), log.lines().count()), (1, 2), "{log}");
    }
}
