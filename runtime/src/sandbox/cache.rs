//! Compiled modules on disk, so that a start costs milliseconds.
//!
//! Compiled code is native code: whoever can change it is the daemon. So the folder and the files belong to the
//! daemon's user and to nobody else, a checksum finds what a disk has damaged, and what does not fit in every way is
//! deleted and compiled again. The name holds the digest of the module and what the engine says of its own
//! settings, so that an upgrade finds nothing instead of something wrong.
//!
//! The folder does not grow without end: modules come and go, and some are compiled that never run. What was not used
//! for longest goes first, and is compiled again if it comes back.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use rustix::fs::{Timespec, Timestamps, UTIME_NOW, futimens};
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Marks our files, and their layout.
const MAGIC: &[u8; 8] = b"wasmetr2";
const CHECKSUM: usize = 32;
/// Bytes of all files. A built-in module compiles to less than 1 MiB, the largest that is taken to 128 MiB.
const MOST_BYTES: u64 = 1 << 30;

/// Compiled modules in a folder.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
    engine: Engine,
    settings: u64,
    /// Bytes of all files, beside one that was just written.
    most: u64,
}

/// A file of ours, and when it was last used.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Used {
    at: SystemTime,
    path: PathBuf,
    bytes: u64,
}

/// Why compiled code is not taken from the cache.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The folder or the file cannot be used.
    #[error("cannot use {}: {source}; give the daemon a folder of its own (sandbox.cache)", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others can write there.
    #[error(
        "{} is open to others: {what}, and code from there is not trusted; give the daemon a folder of its own with mode \
         0700 (sandbox.cache)",
        path.display()
    )]
    Open {
        /// Which.
        path: PathBuf,
        /// In which way.
        what: String,
    },
    /// It is not what was written.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
    },
    /// The engine refuses it.
    #[error("{} is not for this engine: {source}", path.display())]
    Refused {
        /// Which.
        path: PathBuf,
        /// Its words.
        source: wasmtime::Error,
    },
}

// === impl Cache ===

impl Cache {
    /// A cache in this folder, which is made if it is not there.
    pub fn open(folder: &Path, engine: &Engine) -> Result<Self, CacheError> {
        let at = |source| CacheError::Io { path: folder.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at)?;
        private(folder, &fs::symlink_metadata(folder).map_err(at)?)?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { folder: folder.to_owned(), engine: engine.clone(), settings: hasher.finish(), most: MOST_BYTES })
    }

    /// The compiled module of a digest, if there is one that can be trusted. What cannot be is removed.
    pub fn load(&self, digest: &str) -> Option<Component> {
        let path = self.path(digest);
        match self.read(&path) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "A compiled module is thrown away and made again.");
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    fn read(&self, path: &Path) -> Result<Option<Component>, CacheError> {
        let at = |source| CacheError::Io { path: path.to_owned(), source };
        let mut file = match OpenOptions::new().read(true).custom_flags(nofollow()).open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(at)?,
        };
        private(path, &file.metadata().map_err(at)?)?;
        if let Err(error) = touch(&file) {
            tracing::warn!(path = %path.display(), %error, "A compiled module is used, and may go as if it was not.");
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(at)?;
        let damaged = || CacheError::Damaged { path: path.to_owned() };
        let (magic, rest) = bytes.split_at_checked(MAGIC.len()).ok_or_else(damaged)?;
        let (checksum, code) = rest.split_at_checked(CHECKSUM).ok_or_else(damaged)?;
        if magic != MAGIC || self.checksum(path, code) != checksum {
            return Err(damaged());
        }
        deserialize(&self.engine, code)
            .map(Some)
            .map_err(|source| CacheError::Refused { path: path.to_owned(), source })
    }

    /// Keeps compiled code, and loads it.
    pub fn store(&self, digest: &str, code: &[u8]) -> Result<Component, CacheError> {
        let path = self.path(digest);
        let at = |source| CacheError::Io { path: path.clone(), source };
        let component =
            deserialize(&self.engine, code).map_err(|source| CacheError::Refused { path: path.clone(), source })?;
        // One file for each writer: two may be at the same module.
        static WRITER: AtomicU64 = AtomicU64::new(0);
        let writer = WRITER.fetch_add(1, Ordering::Relaxed);
        let unfinished = path.with_extension(format!("new-{}-{writer}", std::process::id()));
        let write = |mut file: File| {
            file.write_all(MAGIC)?;
            file.write_all(&self.checksum(&path, code))?;
            file.write_all(code)?;
            fs::rename(&unfinished, &path)
        };
        let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished);
        opened.and_then(write).inspect_err(|_| drop(fs::remove_file(&unfinished))).map_err(at)?;
        if let Err(error) = self.make_room(&path) {
            let folder = self.folder.display();
            tracing::warn!(%folder, %error, "Compiled modules that nobody uses stay on disk.");
        }
        Ok(component)
    }

    /// Removes what was not used for longest until the rest is not too much. What was just written stays.
    fn make_room(&self, written: &Path) -> std::io::Result<()> {
        let mut files = self.files()?;
        files.sort_unstable();
        let mut all: u64 = files.iter().map(|file| file.bytes).sum();
        for Used { path, bytes, .. } in files.iter().filter(|file| file.path != written) {
            if all <= self.most {
                break;
            }
            match fs::remove_file(path) {
                // Another daemon may be at it too.
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => all = all.saturating_sub(*bytes),
            }
        }
        Ok(())
    }

    /// All files that are ours: of other versions, and what a writer left that was ended.
    fn files(&self) -> std::io::Result<Vec<Used>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            if extension != "cwasm" && !extension.starts_with("new-") {
                continue;
            }
            match fs::symlink_metadata(&path) {
                Ok(found) if found.is_file() => files.push(Used { at: found.modified()?, bytes: found.len(), path }),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(files)
    }

    /// Over the code and the name that it goes by, so that no file can pass for another.
    fn checksum(&self, path: &Path, code: &[u8]) -> [u8; CHECKSUM] {
        let mut hash = Sha256::new();
        hash.update(path.file_name().unwrap_or_default().as_encoded_bytes());
        hash.update(code);
        hash.finalize().into()
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}-{:016x}.cwasm", self.settings))
    }
}

/// The one place where compiled code is believed: what the compiler wrote to us just now, or what it once did.
#[allow(unsafe_code, clippy::disallowed_methods, reason = "loads what this daemon's compiler made")]
pub(super) fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `code` is what our own child process wrote to us just now, or what this user wrote to a file that nobody
    // else can write, with a checksum that still holds; the engine checks version and settings itself.
    unsafe { Component::deserialize(engine, code) }
}

/// Notes that a file was used just now. Times of reading are not kept on every disk.
fn touch(file: &File) -> std::io::Result<()> {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    Ok(futimens(file, &Timestamps { last_access: now, last_modification: now })?)
}

/// A link would lead to files of others.
fn nofollow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}

/// Whether only this user can write here.
fn private(path: &Path, metadata: &fs::Metadata) -> Result<(), CacheError> {
    let what = if metadata.uid() != rustix::process::geteuid().as_raw() {
        format!("it belongs to user {}", metadata.uid())
    } else if metadata.mode() & 0o077 != 0 {
        format!("its mode is {:o}", metadata.mode() & 0o777)
    } else {
        return Ok(());
    };
    Err(CacheError::Open { path: path.to_owned(), what })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;
    use crate::sandbox::engine;

    /// Has a file have been used so many seconds after 1970.
    fn used(path: &Path, seconds: u64) {
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let folder = TempDir::new().unwrap();
        let engine = engine::compiling().unwrap();
        let code = engine.precompile_component(b"\0asm\x0d\0\x01\0").unwrap();
        let size = (MAGIC.len() + CHECKSUM + code.len()) as u64;
        let cache = Cache { most: 3 * size, ..Cache::open(&folder.path().join("cache"), &engine).unwrap() };
        let left = || cache.folder.join("gone-0.new-1-0");
        let keep = |digest: &str, seconds| {
            cache.store(digest, &code).unwrap();
            used(&cache.path(digest), seconds);
        };
        keep("first", 10);
        keep("second", 20);
        // What is not ours stays, and what an ended writer left is the oldest.
        fs::write(cache.folder.join("readme"), vec![0; 1 << 20]).unwrap();
        fs::write(left(), b"half").unwrap();
        used(&left(), 5);
        let there = |digest: &str| cache.path(digest).exists();
        keep("third", 30);
        assert!(!left().exists() && ["first", "second", "third"].into_iter().all(there));
        // Whoever uses it has it stay.
        assert!(cache.load("first").is_some());
        keep("fourth", 1);
        assert!(!there("second") && ["first", "third", "fourth"].into_iter().all(there));
        // What was just written stays, however old it says that it is, and however large.
        let small = Cache { most: 1, ..cache.clone() };
        small.store("fifth", &code).unwrap();
        assert!(there("fifth") && !["first", "third", "fourth"].into_iter().any(there));
        assert!(cache.folder.join("readme").exists() && small.load("fifth").is_some());
    }
}
