//! `--secret NAME=@FILE`: texts that a module uses and never sees.

use std::path::PathBuf;
use std::str::FromStr;

use crate::files;

/// A secret, and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFile {
    /// What the module calls it.
    pub name: String,
    path: PathBuf,
}

/// A text that names no secret. It is not repeated: it may be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "write NAME=@FILE: whoever lists processes sees what is on a command line, so a secret is in a file of its own"
)]
pub struct InvalidSecret;

/// What is kept of one.
const LARGEST: u64 = 4 << 10;

const REMEDY: &str = "Name a file that you may read and that has the secret alone";

// === impl SecretFile ===

impl SecretFile {
    /// The secret, without the end of the line that editors put behind it; in words why there is none.
    pub fn read(&self) -> Result<String, String> {
        let path = self.path.display();
        let bytes = files::read(&self.path, LARGEST)
            .map_err(|error| format!("the secret {} cannot be read from {path}: {error}. {REMEDY}", self.name))?;
        let mut text = String::from_utf8(bytes)
            .map_err(|_| format!("the secret {} in {path} is not UTF-8 text. Save it as UTF-8", self.name))?;
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
        if text.is_empty() {
            return Err(format!("the secret {} in {path} is empty. {REMEDY}", self.name));
        }
        Ok(text)
    }
}

impl FromStr for SecretFile {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        match text.split_once("=@") {
            Some((name, path)) if !name.is_empty() && !name.contains('=') && !path.is_empty() => {
                Ok(Self { name: name.to_owned(), path: path.into() })
            }
            _ => Err(InvalidSecret),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_in_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let secret: SecretFile = format!("token=@{}", path.display()).parse().unwrap();
        assert_eq!(secret.name, "token");
        for (content, read) in [("s3cret\n", Some("s3cret")), ("two\nlines\r\n", Some("two\nlines")), ("\n", None)] {
            std::fs::write(&path, content).unwrap();
            match read {
                Some(text) => assert_eq!(secret.read().unwrap(), text),
                None => assert!(secret.read().unwrap_err().ends_with(REMEDY)),
            }
        }
        std::fs::write(&path, [b'x'; 5_000]).unwrap();
        assert!(secret.read().unwrap_err().contains("larger than 4096 bytes"));
        for text in ["", "token", "token=s3cret", "=@file", "token=@", "a=b=@file"] {
            assert_eq!(text.parse::<SecretFile>(), Err(InvalidSecret), "{text}");
        }
        assert!(!InvalidSecret.to_string().contains("s3cret"));
    }
}
