//! Ceilometer's own configuration, read once to make ours of it: `ceilometer.conf` and what lies beside it.
//!
//! - [`ini`]: the lines of a file, as oslo.config reads them.
//! - [`value`]: texts as values of oslo.config's types.
//! - [`known`]: the options that Ceilometer 27 has.
//! - [`settings`]: what all files together say, with references resolved.
//! - [`folder`]: the folder that they lie in.
//! - [`take`]: what becomes of each.
//! - [`draft`]: the `wasmeter.yaml` that this gives.
//! - [`report`]: what was taken over, what differs, and what has no counterpart.
//!
//! Values are shown in the draft alone, and secrets not even there: they go to files of their own.

mod advice;
mod draft;
mod folder;
mod ini;
mod known;
mod meters;
mod report;
mod settings;
mod take;
mod value;

use std::path::Path;

pub use self::draft::{CopiedFile, Draft, SecretFile};
pub use self::meters::{is_given_elsewhere, module_of};
pub use self::report::{Item, Verdict};
pub use super::secret::Secret;

use self::folder::Folder;
use super::problem::Problems;

/// What a folder of Ceilometer's configuration comes to.
#[derive(Debug, Default)]
pub struct Import {
    /// Our configuration.
    pub draft: Draft,
    /// What becomes of everything that is set.
    pub items: Vec<Item>,
    /// What is wrong, or may not be meant. With errors, the draft is not to be used.
    pub problems: Problems,
}

/// What to make of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PollingFile {
    /// `polling.yaml`, or Mitaka's `pipeline.yaml`, stays where it is, and is referred to.
    Stays,
    /// It is copied.
    Copied,
}

// === impl Import ===

impl Import {
    /// Reads a folder such as `/etc/ceilometer`.
    pub fn read(folder: &Path, polling: PollingFile) -> Self {
        take::all(&Folder::open(folder), polling)
    }

    /// Reads the bytes of a `ceilometer.conf` that lies in no folder. Whatever they are, this ends soon and gives
    /// something.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        take::all(&Folder::of_bytes(bytes), PollingFile::Stays)
    }
}

#[cfg(test)]
mod tests;
