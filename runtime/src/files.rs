//! Opening what is to be read as a whole.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// Opens a regular file. A pipe or a device might keep whoever reads it for ever.
pub fn open(path: &Path) -> io::Result<File> {
    // Opening a pipe waits for whoever writes it, unless told not to.
    let file = File::from(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())?);
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    if !kind.is_file() {
        return Err(io::Error::other("it is a pipe or a device, not a file"));
    }
    Ok(file)
}

/// All of a regular file that is not larger than so many bytes.
pub fn read(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(largest.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > largest {
        return Err(io::Error::other(format!("it is larger than {largest} bytes")));
    }
    Ok(bytes)
}
