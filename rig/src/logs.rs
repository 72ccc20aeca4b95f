//! Reading logs.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// What an error tells of a log, in lines.
const TAIL: usize = 10;

/// What stands in a log after some bytes; nothing if there is no log.
pub(crate) fn read(log: &Path, from: u64) -> String {
    let mut all = Vec::new();
    if let Ok(mut file) = File::open(log) {
        let _ = file.seek(SeekFrom::Start(from)).and_then(|_| file.read_to_end(&mut all));
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// The end of a log, on one line.
pub(crate) fn tail(log: &Path) -> String {
    let all = read(log, 0);
    let mut last: Vec<_> = all.lines().rev().take(TAIL).collect();
    last.reverse();
    last.join("; ")
}
