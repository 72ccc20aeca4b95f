//! Opening what is to be read as a whole.

use std::fs::File;
use std::io::{self, ErrorKind};
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
