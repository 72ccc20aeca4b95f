//! Small files beside the log, each written as a whole: the old one is there until the new one is.

use std::io::{self, ErrorKind, Read, Write};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};

/// What of its kind fits; a file of another origin does not.
const LARGEST: u64 = 1 << 30;

/// What a file of this kind holds. The kind is what it begins with.
pub(super) fn read(dir: &Dir, name: &str, kind: &[u8; 8]) -> io::Result<Vec<u8>> {
    let damaged = || io::Error::new(ErrorKind::InvalidData, "the file is damaged");
    let mut bytes = Vec::new();
    dir.open(name)?.take(LARGEST).read_to_end(&mut bytes)?;
    let body = bytes.strip_prefix(kind).ok_or_else(damaged)?;
    let (stored, packed) = body.split_first_chunk::<4>().ok_or_else(damaged)?;
    if crc32fast::hash(packed).to_le_bytes() != *stored {
        return Err(damaged());
    }
    lz4_flex::decompress_size_prepended(packed).map_err(|_| damaged())
}

/// Has a file hold this, whatever happens meanwhile: that, or what it held before.
pub(super) fn write(dir: &Dir, name: &str, kind: &[u8; 8], bytes: &[u8]) -> io::Result<()> {
    let packed = lz4_flex::compress_prepend_size(bytes);
    let (options, next) = (&mut OpenOptions::new(), format!("{name}.next"));
    let mut file = dir.open_with(&next, options.write(true).create(true).truncate(true).mode(0o600))?;
    file.write_all(kind)?;
    file.write_all(&crc32fast::hash(&packed).to_le_bytes())?;
    file.write_all(&packed)?;
    file.sync_all()?;
    dir.rename(&next, dir, name)?;
    dir.open(".")?.sync_all()
}
