//! What modules remember, in a file of its own: records that are older than it need not be kept for that.

use std::io::{self, ErrorKind, Read, Write};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use serde::{Deserialize, Serialize};

use super::memory::Memory;
use super::missed::Missed;

const NAME: &str = "memory";
/// While it is written.
const NEXT: &str = "memory.next";
/// Which way of writing it is.
const MAGIC: &[u8; 8] = b"wmmemry1";
/// What all modules may remember fits; a file of another origin does not.
const LARGEST: u64 = 1 << 30;

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
    let damaged = || io::Error::new(ErrorKind::InvalidData, "the file is damaged");
    let mut bytes = Vec::new();
    dir.open(NAME)?.take(LARGEST).read_to_end(&mut bytes)?;
    let body = bytes.strip_prefix(MAGIC).ok_or_else(damaged)?;
    let (stored, packed) = body.split_first_chunk::<4>().ok_or_else(damaged)?;
    if crc32fast::hash(packed).to_le_bytes() != *stored {
        return Err(damaged());
    }
    let unpacked = lz4_flex::decompress_size_prepended(packed).map_err(|_| damaged())?;
    postcard::from_bytes(&unpacked).map_err(|_| damaged())
}

/// Keeps it: the old one is there until the new one is, whatever happens.
pub fn write(dir: &Dir, checkpoint: &Checkpoint) -> io::Result<()> {
    let bytes = postcard::to_stdvec(checkpoint).map_err(io::Error::other)?;
    let packed = lz4_flex::compress_prepend_size(&bytes);
    let options = &mut OpenOptions::new();
    let mut file = dir.open_with(NEXT, options.write(true).create(true).truncate(true).mode(0o600))?;
    file.write_all(MAGIC)?;
    file.write_all(&crc32fast::hash(&packed).to_le_bytes())?;
    file.write_all(&packed)?;
    file.sync_all()?;
    dir.rename(NEXT, dir, NAME)?;
    dir.open(".")?.sync_all()
}
