//! Who did what to whose modules: one line of JSON each, in a file that only grows.
//!
//! An action is written down before it is done and again with its result, so that whatever ends the daemon in between,
//! nothing was done that is not in the log. An action that cannot be written down is not done.
//!
//! The file may be renamed or removed at any time, by logrotate above all: the next line goes to a new one.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::deployment::Key;
use crate::control::time::Time;
use crate::digest::Digest;

mod backwards;
mod read;
#[cfg(test)]
mod tests;

pub use self::read::{LINES, last, tail};

/// Operators read it, and nobody else; only the daemon writes.
const MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;
/// Letters of a text that anybody wrote, such as an error.
const TEXT: usize = 1_000;
/// The longest line, with every letter escaped.
const LINE_BYTES: usize = 32 << 10;

/// The log.
#[derive(Debug)]
pub struct Audit {
    path: PathBuf,
    file: Option<File>,
}

/// One line of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub time: Time,
    /// Who wanted it.
    pub who: Who,
    /// What: `deploy`, `rollback`, `remove` and the like; `adopt` of a file from which it runs on as it was.
    pub action: String,
    /// To which deployment.
    #[serde(flatten)]
    pub key: Key,
    /// To which version, if it is about one: that which runs after it, or ran until it was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// With which module, if it is about one: that of the version, or one that was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// What came of it.
    pub result: Outcome,
    /// What failed, if the daemon did it for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Who wanted something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// Whoever wrote the operator's files.
    File,
    /// The daemon itself: a trial that ended, a quarantine.
    Daemon,
    /// The process at the other end of the control socket.
    Peer {
        /// Its user.
        uid: u32,
        /// Its group.
        gid: u32,
        /// Its number, if the system says so.
        pid: Option<i32>,
    },
}

/// What came of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Outcome {
    /// It is about to be done. A line without another one after it: the daemon was ended in the middle.
    Begun,
    /// It was done.
    Done,
    /// It was not, and why.
    Failed(String),
}

/// A line could not be written.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot write to the audit log {}: {source}; nothing is done that is not in it: make room, and let the daemon's \
     user write to the file and its folder",
    path.display()
)]
pub struct AuditError {
    path: PathBuf,
    source: io::Error,
}

/// An action that is written down and not done yet.
#[derive(Debug)]
#[must_use = "what came of it is to be written down"]
pub struct Begun(Entry);

// === impl Audit ===

impl Audit {
    /// The log at this path. It is made, and its folder, with the first line.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), file: None }
    }

    fn folder(&self) -> io::Result<&Path> {
        let folder = self.path.parent().ok_or(ErrorKind::IsADirectory)?;
        // The working folder, of a name alone.
        Ok(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
    }

    fn make_folder(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(self.folder()?)
    }

    /// Writes down what is about to be done. If that fails, it must not be done.
    pub fn begin(&mut self, entry: Entry) -> Result<Begun, AuditError> {
        let entry = Entry { result: Outcome::Begun, ..entry };
        self.write(&entry)?;
        Ok(Begun(entry))
    }

    /// Writes down what came of it.
    pub fn end(&mut self, begun: Begun, time: Time, result: Outcome) -> Result<(), AuditError> {
        self.write(&Entry { time, result, ..begun.0 })
    }

    /// Writes one line, durably. For what was refused before it began.
    pub fn write(&mut self, entry: &Entry) -> Result<(), AuditError> {
        self.try_write(entry).map_err(|source| {
            // Whatever is wrong with this file, the next line begins with a look at it.
            self.file = None;
            self.failed(source)
        })
    }

    fn try_write(&mut self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(&entry.bounded())?;
        line.push(b'\n');
        if self.file.is_none() {
            self.make_folder()?;
        }
        self.reach()?;
        let file = self.file.as_mut().ok_or(ErrorKind::NotFound)?;
        // One call for the whole line, so that it is in one piece whoever else writes.
        match file.write(&line)? {
            written if written == line.len() => file.sync_data(),
            _ => Err(ErrorKind::StorageFull.into()),
        }
    }

    /// Makes sure that the file is the one of this name.
    fn reach(&mut self) -> io::Result<()> {
        let id = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        if let Some(file) = &self.file {
            match std::fs::symlink_metadata(&self.path).map(id) {
                Ok(there) if there == id(file.metadata()?) => return Ok(()),
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let mut file = self.open_file()?;
        if torn(&file)? {
            file.write_all(b"\n")?;
        }
        self.file = Some(file);
        Ok(())
    }

    fn open_file(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        // A link might lead anywhere, and a pipe would wait for a reader.
        options.read(true).append(true).custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
        let file = match options.open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let file = options.create_new(true).mode(MODE).open(&self.path)?;
                // Whatever the process masks, operators are to read it.
                file.set_permissions(Permissions::from_mode(MODE))?;
                File::open(self.folder()?)?.sync_all()?;
                file
            }
            opened => opened?,
        };
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no file")) }
    }

    fn failed(&self, source: io::Error) -> AuditError {
        AuditError { path: self.path.clone(), source }
    }
}

/// Whether the last line was never written to its end, so that the next one needs a line of its own.
fn torn(file: &File) -> io::Result<bool> {
    let Some(last) = file.metadata()?.len().checked_sub(1) else { return Ok(false) };
    let mut byte = [0];
    file.read_exact_at(&mut byte, last)?;
    Ok(byte != *b"\n")
}

// === impl Begun ===

impl Begun {
    /// The same, of this version and with this module, as far as that is known by now.
    pub fn of(self, version: Option<u64>, digest: Option<Digest>) -> Self {
        let Self(entry) = self;
        Self(Entry { version: version.or(entry.version), digest: digest.or(entry.digest), ..entry })
    }
}

// === impl Entry ===

impl Entry {
    /// Such that its line is not longer than whoever reads it expects.
    fn bounded(&self) -> Self {
        let cut = |text: &str| text.chars().take(TEXT).collect::<String>();
        let result = match &self.result {
            Outcome::Failed(why) => Outcome::Failed(cut(why)),
            result => result.clone(),
        };
        Self { action: cut(&self.action), result, why: self.why.as_deref().map(cut), ..self.clone() }
    }
}

// === impl Outcome ===

impl From<String> for Outcome {
    fn from(text: String) -> Self {
        match &*text {
            "begun" => Self::Begun,
            "ok" => Self::Done,
            _ => Self::Failed(text),
        }
    }
}

impl From<Outcome> for String {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Begun => "begun".to_owned(),
            Outcome::Done => "ok".to_owned(),
            Outcome::Failed(why) => why,
        }
    }
}
