//! What publishers go on with after a start, beside the cursors: a file for each that has anything of the kind.

use std::io::{self, ErrorKind};

use cap_std::fs::Dir;

use super::file;
use crate::digest::Digest;

/// Which way of writing it is.
const KIND: &[u8; 8] = b"wmshelf1";
/// Letters of a publisher's digest: its name may be a URL, and no file's.
const DIGITS: usize = 16;

/// What a publisher kept last, if it kept anything. What is damaged is nothing, and said.
pub(super) fn read(dir: &Dir, publisher: &str) -> Option<Vec<u8>> {
    match file::read(dir, &name(publisher), KIND) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            if error.kind() != ErrorKind::NotFound {
                tracing::warn!(publisher, %error, "What an output kept cannot be read; it begins anew.");
            }
            None
        }
    }
}

/// Keeps it.
pub(super) fn write(dir: &Dir, publisher: &str, bytes: &[u8]) -> io::Result<()> {
    file::write(dir, &name(publisher), KIND, bytes)
}

/// Forgets it, with its publisher.
pub(super) fn remove(dir: &Dir, publisher: &str) {
    match dir.remove_file(name(publisher)) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::debug!(publisher, %error, "What an output kept is still there.");
        }
        _ => {}
    }
}

fn name(publisher: &str) -> String {
    let digest = Digest::of(publisher.as_bytes()).to_string();
    format!("output.{}", digest.get(..DIGITS).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use cap_std::ambient_authority;

    use super::*;

    #[test]
    fn each_finds_what_it_kept() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap();
        let url = "pipeline:http://host/a?b=1";
        assert_eq!(read(&dir, url), None);
        write(&dir, url, b"one").unwrap();
        write(&dir, "other", b"two").unwrap();
        write(&dir, url, &[7; 5000]).unwrap();
        assert_eq!((read(&dir, url), read(&dir, "other")), (Some(vec![7; 5000]), Some(b"two".to_vec())));
        std::fs::write(folder.path().join(name("other")), b"wmshelf1\0\0\0\0damaged").unwrap();
        assert_eq!(read(&dir, "other"), None);
        remove(&dir, url);
        remove(&dir, url);
        assert_eq!(read(&dir, url), None);
    }
}
