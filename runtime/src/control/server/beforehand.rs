//! What can be told of a socket before it is taken.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::fs::Access;
use rustix::process::{getegid, geteuid, getgroups};

use super::{Unusable, folder_of};
use crate::config::daemon::machine::group_number;

/// Whether this user can make a socket there, and give it to the group. Nothing is made.
pub fn check(path: &Path, group: Option<&str>) -> Result<(), Unusable> {
    if fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
        return Err(Unusable::NoSocket(path.to_owned()));
    }
    let folder = folder_of(path);
    if folder.exists() {
        is_writable(folder).map_err(|error| Unusable::Failed { path: path.to_owned(), error })?;
    } else {
        let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
        is_writable(there).map_err(|error| Unusable::NoFolder { folder: folder.to_owned(), error })?;
    }
    match group.and_then(|group| Some((group, group_number(group)?))) {
        Some((group, number)) if !may_give_to(number) => Err(Unusable::NoMember(group.to_owned())),
        _ => Ok(()),
    }
}

/// Whether somebody listens there, although we may not be the one who may ask.
pub fn is_answered(path: &Path) -> bool {
    let is_nobody = |error: &io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory
        )
    };
    !UnixStream::connect(path).is_err_and(|error| is_nobody(&error))
}

fn is_writable(folder: &Path) -> io::Result<()> {
    Ok(rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

/// Whether the system lets this user give a file of its own to a group.
fn may_give_to(group: u32) -> bool {
    let is_of_it = || getgroups().is_ok_and(|groups| groups.iter().any(|own| own.as_raw() == group));
    geteuid().is_root() || getegid().as_raw() == group || is_of_it()
}
