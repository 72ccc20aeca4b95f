//! Where a spool is: a folder that is nobody's but ours.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use rustix::fs::Access;

use super::log::Error;

/// Removes the folder with the daemon, where it is not to stay.
#[derive(Debug)]
pub(super) struct Temporary(pub(super) PathBuf);

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

// === impl Temporary ===

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The folder, made if it is not there, and nobody's but ours.
pub(super) fn folder(path: &Path) -> Result<Dir, Unusable> {
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
