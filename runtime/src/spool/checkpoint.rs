//! What modules remember, in a file of its own: records that are older than it need not be kept for that.

use std::io::{self, ErrorKind};

use cap_std::fs::Dir;
use serde::{Deserialize, Serialize};

use super::file;
use super::memory::Memory;
use super::missed::Missed;

const NAME: &str = "memory";
/// Which way of writing it is.
const KIND: &[u8; 8] = b"wmmemry1";

/// What is kept.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Checkpoint {
    /// What modules remember.
    pub memory: Memory,
    /// Samples that the spool could not take.
    pub missed: Missed,
}

/// What was kept last; nothing if there is none, or it is damaged, which is said.
pub fn read(dir: &Dir) -> Checkpoint {
    match try_read(dir) {
        Ok(checkpoint) => checkpoint,
        Err(error) if error.kind() == ErrorKind::NotFound => Checkpoint::default(),
        Err(error) => {
            tracing::warn!(%error, "What modules remembered cannot be read; they begin anew.");
            Checkpoint::default()
        }
    }
}

fn try_read(dir: &Dir) -> io::Result<Checkpoint> {
    let bytes = file::read(dir, NAME, KIND)?;
    postcard::from_bytes(&bytes).map_err(|_| io::Error::new(ErrorKind::InvalidData, "the file is damaged"))
}

/// Keeps it: the old one is there until the new one is, whatever happens.
pub fn write(dir: &Dir, checkpoint: &Checkpoint) -> io::Result<()> {
    let bytes = postcard::to_stdvec(checkpoint).map_err(io::Error::other)?;
    file::write(dir, NAME, KIND, &bytes)
}
