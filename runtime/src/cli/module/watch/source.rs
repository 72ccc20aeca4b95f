//! The files of a crate, looked at again and again: that needs nothing of the system, and works on every file system,
//! shared folders of virtual machines included. A crate has a few dozen.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A crate's folder.
pub struct Source {
    folder: PathBuf,
}

/// When each file was changed, and how long it is.
#[derive(Debug, PartialEq, Eq)]
pub struct State(BTreeMap<PathBuf, (Option<SystemTime>, u64)>);

/// What is made of files, and is none of the author's.
const MADE: [&str; 2] = ["target", "Cargo.lock"];

/// Deeper folders are not looked into.
const DEEPEST: usize = 16;

// === impl Source ===

impl Source {
    /// The crate in a folder.
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// How its files are now.
    pub fn state(&self) -> State {
        let mut state = State(BTreeMap::new());
        state.look(&self.folder, DEEPEST);
        state
    }
}

// === impl State ===

impl State {
    /// What cannot be read is as if it were not there: an editor may be about to replace it.
    fn look(&mut self, folder: &Path, deepest: usize) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let hidden = name.as_encoded_bytes().starts_with(b".");
            let Ok(about) = entry.metadata() else { continue };
            if hidden || MADE.iter().any(|made| name == *made) {
                continue;
            }
            if about.is_dir() && deepest > 0 {
                self.look(&entry.path(), deepest - 1);
            } else if about.is_file() {
                self.0.insert(entry.path(), (about.modified().ok(), about.len()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_author_changes_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let source = Source::at(folder.path());
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("src/lib.rs", "a");
        let mut before = source.state();
        for (name, text, seen) in [
            ("src/lib.rs", "ab", true),
            ("src/deep/er.rs", "", true),
            ("tests/cases/a/case.yaml", "", true),
            ("target/debug/x", "", false),
            (".git/index", "", false),
            ("Cargo.lock", "", false),
        ] {
            write(name, text);
            let now = source.state();
            assert_eq!(now != before, seen, "{name}");
            before = now;
        }
        fs::remove_file(folder.path().join("src/lib.rs")).unwrap();
        assert_ne!(source.state(), before);
    }
}
