//! Compiled modules on disk, so that a start costs milliseconds.
//!
//! Compiled code is native code: whoever can change it is the daemon. So the folder and the files belong to the
//! daemon's user and to nobody else, a checksum finds what a disk has damaged, and what does not fit in every way is
//! deleted and compiled again. The name holds the digest of the module and what the engine says of its own
//! settings, so that an upgrade finds nothing instead of something wrong.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Marks our files, and their layout.
const MAGIC: &[u8; 8] = b"wasmetr2";
const CHECKSUM: usize = 32;

/// Compiled modules in a folder.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
    engine: Engine,
    settings: u64,
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
    #[error("{} is open to others: {what}; compiled code from there is not trusted", path.display())]
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
        Ok(Self { folder: folder.to_owned(), engine: engine.clone(), settings: hasher.finish() })
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
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(at)?;
        let damaged = || CacheError::Damaged { path: path.to_owned() };
        let (magic, rest) = bytes.split_at_checked(MAGIC.len()).ok_or_else(damaged)?;
        let (checksum, code) = rest.split_at_checked(CHECKSUM).ok_or_else(damaged)?;
        if magic != MAGIC || self.checksum(path, code) != checksum {
            return Err(damaged());
        }
        self.deserialize(code).map(Some).map_err(|source| CacheError::Refused { path: path.to_owned(), source })
    }

    /// Keeps compiled code, and loads it.
    pub fn store(&self, digest: &str, code: &[u8]) -> Result<Component, CacheError> {
        let path = self.path(digest);
        let at = |source| CacheError::Io { path: path.clone(), source };
        let component = self.deserialize(code).map_err(|source| CacheError::Refused { path: path.clone(), source })?;
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
        Ok(component)
    }

    /// Over the code and the name that it goes by, so that no file can pass for another.
    fn checksum(&self, path: &Path, code: &[u8]) -> [u8; CHECKSUM] {
        let mut hash = Sha256::new();
        hash.update(path.file_name().unwrap_or_default().as_encoded_bytes());
        hash.update(code);
        hash.finalize().into()
    }

    /// The one place where compiled code is believed.
    #[allow(unsafe_code, clippy::disallowed_methods, reason = "loads what this daemon's compiler made")]
    fn deserialize(&self, code: &[u8]) -> wasmtime::Result<Component> {
        // SAFETY: `code` is what our own child process wrote to us just now, or what this user wrote to a file that
        // nobody else can write, with a checksum that still holds; the engine checks version and settings itself.
        unsafe { Component::deserialize(&self.engine, code) }
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}-{:016x}.cwasm", self.settings))
    }
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
