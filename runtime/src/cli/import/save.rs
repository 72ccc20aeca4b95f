//! Writing what was imported: all of it, or nothing.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use super::super::Exit;
use super::file;
use crate::config::ceilometer::Draft;

/// What only its owner may read.
const SECRET: u32 = 0o600;
/// What the group of the folder may read, too.
const PLAIN: u32 = 0o640;

/// Why it was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotWritten {
    #[error(
        "{} is there already{}; write over it with --force, or name another place",
        path.display(),
        beside(path, config)
    )]
    Exists { path: PathBuf, config: PathBuf },
    #[error("{} is not written: {source}. {}", path.display(), remedy(path, source))]
    Io { path: PathBuf, source: io::Error },
}

/// A file that is written beside its place, and not there yet. Dropping it deletes it.
struct New {
    path: PathBuf,
    beside: PathBuf,
    is_done: bool,
}

/// Writes the configuration and the files that it refers to. Returns their paths; the last is the configuration's.
pub(super) fn all(draft: &Draft, yaml: &str, output: &Path, force: bool) -> Result<Vec<PathBuf>, NotWritten> {
    let config = file(output);
    let folder = config.parent().unwrap_or(Path::new(""));
    let secrets = draft.secrets.iter().map(|file| (folder.join(file.name), file.secret.expose(), SECRET));
    let copied = draft.copied.iter().map(|file| (folder.join(file.name), file.text.as_str(), PLAIN));
    let files: Vec<_> = secrets.chain(copied).chain([(config.clone(), yaml, PLAIN)]).collect();
    if let Some((path, _, _)) = files.iter().find(|(path, _, _)| !force && path.symlink_metadata().is_ok()) {
        return Err(NotWritten::Exists { path: path.clone(), config });
    }
    let mut new = Vec::new();
    for (path, text, mode) in files {
        new.push(New::write(path, text, mode)?);
    }
    // The configuration is the last, so that what it refers to is there.
    new.into_iter().map(New::put).collect()
}

/// Where a file stands that is not the configuration itself, which may have been meant as a folder.
fn beside(path: &Path, config: &Path) -> String {
    if path == config { String::new() } else { format!(", beside the file {}", config.display()) }
}

/// What the operator can do.
fn remedy(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => {
            let folder = path.parent().unwrap_or(Path::new("")).display();
            format!("Make the folder first (mkdir -p {folder}), or name one that is there")
        }
        ErrorKind::PermissionDenied => "Run it as a user who may write there, or name another place".to_owned(),
        _ => "Name another place".to_owned(),
    }
}

// === impl NotWritten ===

impl NotWritten {
    /// How the program ends.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Exists { .. } => Exit::Usage,
            Self::Io { .. } => Exit::Failed,
        }
    }
}

// === impl New ===

impl New {
    fn write(path: PathBuf, text: &str, mode: u32) -> Result<Self, NotWritten> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let beside = path.with_file_name(format!(".{name}.{}.new", std::process::id()));
        let new = Self { path, beside, is_done: false };
        match new.fill(text, mode) {
            Ok(()) => Ok(new),
            Err(source) => Err(NotWritten::Io { path: new.path.clone(), source }),
        }
    }

    fn fill(&self, text: &str, mode: u32) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(SECRET).open(&self.beside)?;
        self.own(&file, mode)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    /// Whose it is: of whoever owns what it replaces, or else of the folder's group, if we may give it away.
    fn own(&self, file: &File, mode: u32) -> io::Result<()> {
        let replaced = fs::metadata(&self.path).ok();
        match &replaced {
            Some(old) => fchown(file, Some(old.uid()), Some(old.gid()))?,
            None => {
                let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
                let group = fs::metadata(folder.unwrap_or(Path::new(".")))?.gid();
                // It may not be ours, and then nobody but us reads the file until it is given away.
                let _ = fchown(file, None, Some(group));
            }
        }
        let kept = replaced.map(|old| old.mode() & 0o777).filter(|_| mode != SECRET);
        file.set_permissions(Permissions::from_mode(kept.unwrap_or(mode)))
    }

    fn put(mut self) -> Result<PathBuf, NotWritten> {
        match fs::rename(&self.beside, &self.path) {
            Ok(()) => {
                self.is_done = true;
                Ok(std::mem::take(&mut self.path))
            }
            Err(source) => Err(NotWritten::Io { path: self.path.clone(), source }),
        }
    }
}

impl Drop for New {
    fn drop(&mut self) {
        if !self.is_done {
            // It was never there for anybody.
            let _ = fs::remove_file(&self.beside);
        }
    }
}
