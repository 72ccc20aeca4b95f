//! Reading the log back, newest lines first, in memory for those lines alone.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::backwards::Backwards;
use super::{Entry, LINE_BYTES};
use crate::modules::deployment::Key;

/// Lines that are handed out at most.
pub const LINES: usize = 1_000;
/// Lines that are looked at for those of one deployment: about 100 MB.
const LOOKED_AT: usize = 500_000;

/// The last lines, oldest first, at most [`LINES`]; also of the file that was rotated last.
pub fn tail(path: &Path, lines: usize) -> io::Result<Vec<Entry>> {
    collect(path, lines, |_| true)
}

/// The last lines of one deployment, in the same way.
pub fn last(path: &Path, key: &Key, lines: usize) -> io::Result<Vec<Entry>> {
    collect(path, lines, |entry| entry.key == *key)
}

fn collect(path: &Path, lines: usize, wanted: impl Fn(&Entry) -> bool) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut looked_at = 0;
    // Both are opened before either is read: one that is rotated meanwhile is the same file by another name.
    let newest = open(path)?;
    let rotated = open(&rotated(path))?.filter(|file| newest.as_ref().is_none_or(|newest| !same(newest, file)));
    for file in [newest, rotated].into_iter().flatten() {
        let mut backwards = Backwards::new(file, LINE_BYTES)?;
        while entries.len() < lines.min(LINES) && looked_at < LOOKED_AT {
            let Some(line) = backwards.line()? else { break };
            looked_at += 1;
            // A line that is half there was followed by one that is whole, or its action was not done.
            entries.extend(serde_json::from_slice(&line).ok().filter(&wanted));
        }
    }
    entries.reverse();
    Ok(entries)
}

/// Where logrotate puts the file that was.
fn rotated(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".1");
    name.into()
}

fn open(path: &Path) -> io::Result<Option<File>> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) if file.metadata()?.is_file() => Ok(Some(file)),
        Ok(_) => Err(io::Error::other("it is no file")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn same(one: &File, other: &File) -> bool {
    match (one.metadata(), other.metadata()) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}
