//! Reading keys from their folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, MetadataExt, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;

use super::Trust;
use super::key::{Key, is_name};
use crate::config::{Place, Problems};

/// Bytes of the largest file of a key: minisign's longest comment is 1 KiB.
const FILE_BYTES: u64 = 4 << 10;
/// Keys that are looked at, in the order of their names.
const KEYS: usize = 256;
const SUFFIX: &str = ".pub";

/// What anybody may write is nobody's word.
const FOR_ANYBODY: u32 = 0o002;

// === impl Trust ===

impl Trust {
    /// The keys in a folder, and what is odd about it. An odd file costs that one key only; a folder that is not
    /// there has none.
    pub fn load(folder: &Path) -> (Self, Problems) {
        let mut loading = Loading { folder, keys: BTreeMap::new(), problems: Problems::of(Some(folder)) };
        match Dir::open_ambient_dir(folder, ambient_authority()) {
            Ok(dir) => loading.all(&dir),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => loading.folder_is_odd(
                format!("the folder cannot be read: {error}"),
                "Make it a folder that the daemon can read",
            ),
        }
        let keys = loading.keys.into_values().collect();
        (Self { folder: folder.to_owned(), keys }, loading.problems)
    }
}

struct Loading<'a> {
    folder: &'a Path,
    keys: BTreeMap<String, Key>,
    problems: Problems,
}

// === impl Loading ===

impl Loading<'_> {
    fn all(&mut self, dir: &Dir) {
        if dir.dir_metadata().is_ok_and(|metadata| metadata.mode() & FOR_ANYBODY != 0) {
            return self.folder_is_odd(
                "anybody may put keys into the folder, so none of them is trusted".to_owned(),
                "Take that right away with chmod o-w",
            );
        }
        let names = match names(dir) {
            Ok(names) => names,
            Err(error) => {
                let message = format!("the folder cannot be read: {error}");
                return self.folder_is_odd(message, "Make it a folder that the daemon can read");
            }
        };
        for name in names.iter().take(KEYS) {
            self.one(dir, name);
        }
        if let Some(more) = names.len().checked_sub(KEYS + 1) {
            let message = format!("{} keys are left out: the first {KEYS} by name are looked at", more + 1);
            self.folder_is_odd(message, "Take away those that sign nothing any more");
        }
    }

    fn one(&mut self, dir: &Dir, file: &str) {
        let name = file.strip_suffix(SUFFIX).unwrap_or(file);
        if !is_name(name) {
            let remedy = "Call it NAME.pub, with up to 64 letters, digits and . _ - @ in NAME";
            return self.file_is_odd(file, None, "its name cannot be a key's", remedy);
        }
        let bytes = match read(dir, file) {
            Ok(bytes) => bytes,
            Err(error) => {
                let remedy = "Put the public key there as a file of its own that the daemon can read";
                return self.file_is_odd(file, None, error, remedy);
            }
        };
        let key = match Key::parse(name, &bytes) {
            Ok(key) => key,
            Err(no) => return self.file_is_odd(file, Some(no.line), no.message, no.remedy),
        };
        if let Some(other) = self.keys.values().find(|other| other.id == key.id) {
            // A signature names a key by its id, and it must be clear which one that is.
            let message = format!("its id {} is that of {}, which is used", key.id, other.name);
            return self.file_is_odd(file, Some(2), message, "Take away one of the two");
        }
        self.keys.insert(name.to_owned(), key);
    }

    fn file_is_odd(&mut self, file: &str, line: Option<u64>, message: impl Display, remedy: &str) {
        let mut problems = Problems::of(Some(&self.folder.join(file)));
        let place = line.map(|line| Place { line, column: 1 });
        problems.warning(place, "", format!("the key is not used: {message}"), remedy);
        self.problems.extend(problems);
    }

    fn folder_is_odd(&mut self, message: String, remedy: &str) {
        self.problems.warning(None, "", message, remedy);
    }
}

/// What looks like a key, in the order of the names. Hidden files are editors'.
fn names(dir: &Dir) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in dir.entries()? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(SUFFIX) && !name.starts_with('.') {
            names.insert(name);
        }
    }
    Ok(names)
}

fn read(dir: &Dir, file: &str) -> io::Result<Vec<u8>> {
    let mut options = OpenOptions::new();
    // Opening a pipe waits for whoever writes it, unless told not to.
    options.read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let file = dir.open_with(file, &options)?;
    check(&file.metadata()?)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(io::Error::other(format!("it is larger than {FILE_BYTES} bytes")));
    }
    Ok(bytes)
}

fn check(metadata: &Metadata) -> io::Result<()> {
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    if metadata.mode() & FOR_ANYBODY != 0 {
        return Err(io::Error::other("anybody may write it"));
    }
    Ok(())
}
