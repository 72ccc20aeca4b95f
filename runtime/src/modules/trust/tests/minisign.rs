//! The real minisign, with keys of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::modules::trust::Trust;

/// A folder of keys, and whoever has the secret ones.
pub struct Signers {
    folder: TempDir,
}

// === impl Signers ===

impl Signers {
    /// Makes a pair for each name. The public keys are where they are looked for.
    pub fn new(names: &[&str]) -> Self {
        let signers = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(signers.trusted()).unwrap();
        for name in names {
            signers.make(name);
        }
        signers
    }

    /// Makes another pair.
    pub fn make(&self, name: &str) {
        let (public, secret) = (self.public(name), self.secret(name));
        minisign(&["-G", "-W", "-f", "-p", path(&public), "-s", path(&secret)]);
    }

    /// The folder in which keys are trusted.
    pub fn trusted(&self) -> PathBuf {
        self.folder.path().join("trust.d")
    }

    /// A trusted key's file.
    pub fn public(&self, name: &str) -> PathBuf {
        self.trusted().join(format!("{name}.pub"))
    }

    /// A secret key's file.
    pub fn secret(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.key"))
    }

    /// What `minisign -S` writes.
    pub fn sign(&self, name: &str, file: &[u8], more: &[&str]) -> Vec<u8> {
        let (signed, signature) = (self.folder.path().join("module.wasm"), self.folder.path().join("signature"));
        fs::write(&signed, file).unwrap();
        let secret = self.secret(name);
        let mut arguments = vec!["-S", "-s", path(&secret), "-m", path(&signed), "-x", path(&signature)];
        arguments.extend(more);
        minisign(&arguments);
        fs::read(signature).unwrap()
    }

    /// The keys, of which nothing is odd.
    pub fn trust(&self) -> Trust {
        let (trust, problems) = Trust::load(&self.trusted());
        assert!(problems.is_empty(), "{problems}");
        trust
    }
}

fn minisign(arguments: &[&str]) {
    let output = Command::new("minisign")
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("minisign: {error}; `cargo xtask setup` installs it"));
    assert!(output.status.success(), "minisign {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
