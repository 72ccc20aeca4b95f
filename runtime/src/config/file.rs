//! Reading a file as a whole, if it is of a size that a person writes.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::files;

/// The largest configuration file. A list of ten thousand resources fits; a log read by mistake does not.
const LARGEST: u64 = 1 << 20;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("is larger than 1 MiB")]
    TooLarge,
    #[error("is not UTF-8 text (line {0})")]
    NotText(usize),
}

/// The text of a file.
pub(super) fn read(path: &Path) -> Result<String, FileError> {
    let mut bytes = Vec::new();
    files::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LARGEST {
        return Err(FileError::TooLarge);
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        FileError::NotText(1 + error.as_bytes().iter().take(valid).filter(|&&byte| byte == b'\n').count())
    })
}

/// For `#[serde(serialize_with)]`: a path need not be a text, but can be shown as one.
pub(super) fn show<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// The same for a path that may be missing.
pub(super) fn show_optional<S: serde::Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    match path {
        Some(path) => show(path, serializer),
        None => serializer.serialize_none(),
    }
}

// === impl FileError ===

impl FileError {
    /// What the operator can do.
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Unreadable(error) if error.kind() == io::ErrorKind::NotFound => "Create it or correct its path",
            Self::Unreadable(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                "Let the user that wasmeter runs as read it"
            }
            Self::Unreadable(_) => "Name a file that can be read",
            Self::TooLarge => "Name a configuration file, or shorten this one",
            Self::NotText(_) => "Save it as UTF-8",
        }
    }
}
