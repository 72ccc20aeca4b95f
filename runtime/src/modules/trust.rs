//! Whom modules come from: minisign keys that the operator trusts, and signatures that are made with them.
//!
//! A key is a file `NAME.pub` in a folder, as `minisign -G` writes it. Its name is what the policy and the audit log
//! call it; the id inside of it is what a signature names it by.
//!
//! Only signatures of the file's hash are accepted (`ED`, what minisign makes since 0.10), not the older ones of the
//! file itself (`Ed`). An old one can be made of a new one that somebody else has: whoever changes one letter has a
//! right signature of another file, the hash. That file is no module, but "what was signed is what you see" is the
//! only thing that a signature is for. minisign itself will drop them, too.
//!
//! The untrusted comment of a signature is not signed. It is not shown, and may be anything.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use minisign_verify::Error;

pub use error::{Refused, Untrusted};
pub use key::KeyId;
pub use policy::{Policy, Rule, Signatures};

use key::Key;
use signature::Signature;

mod error;
mod key;
mod load;
mod policy;
mod signature;

/// The keys that the operator trusts.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Where they are, for whoever has to put one there; empty if there is no such folder.
    folder: PathBuf,
    /// By name; no two have the same id.
    keys: Vec<Key>,
}

/// Who signed a file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Verified {
    /// The key's name here.
    pub key_name: Arc<str>,
    /// What the key calls itself.
    pub key_id: KeyId,
    /// What was signed along with the file: as a rule when it was signed, and what it was called.
    pub trusted_comment: String,
}

// === impl Trust ===

impl Trust {
    /// Whether a file is what one of the keys signed. The signature is a file of minisign's, as it is.
    pub fn verify(&self, file: &[u8], signature: &[u8]) -> Result<Verified, Untrusted> {
        let signature = self.parse(signature)?;
        let key = self.key_of(&signature)?;
        match key.public.verify(file, &signature.whole, false) {
            Ok(()) => Ok(Verified {
                key_name: Arc::clone(&key.name),
                key_id: key.id,
                trusted_comment: signature.whole.trusted_comment().to_owned(),
            }),
            Err(Error::UnexpectedAlgorithm) => Err(Untrusted::Legacy),
            Err(_) if signature.is_whole(key) => Err(Untrusted::OtherFile { key_name: Arc::clone(&key.name) }),
            Err(_) => Err(Untrusted::Changed { key_name: Arc::clone(&key.name) }),
        }
    }

    /// The name of the key that a signature names. It says nothing of a file: that was verified with it before.
    pub fn signer(&self, signature: &[u8]) -> Result<&Arc<str>, Untrusted> {
        self.key_of(&self.parse(signature)?).map(|key| &key.name)
    }

    fn parse(&self, signature: &[u8]) -> Result<Signature, Untrusted> {
        match self.folder.as_os_str().is_empty() {
            true => Err(Untrusted::NoFolder),
            false => Signature::parse(signature),
        }
    }

    fn key_of(&self, signature: &Signature) -> Result<&Key, Untrusted> {
        let key = self.keys.iter().find(|key| key.id == signature.key_id);
        key.ok_or_else(|| Untrusted::UnknownKey { key_id: signature.key_id, folder: self.folder.clone() })
    }

    /// Where the keys are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The names of the keys, and what they call themselves.
    pub fn keys(&self) -> impl Iterator<Item = (&Arc<str>, KeyId)> {
        self.keys.iter().map(|key| (&key.name, key.id))
    }

    /// Whether there is a key of this name.
    pub fn has(&self, name: &str) -> bool {
        self.keys.iter().any(|key| &*key.name == name)
    }
}

#[cfg(test)]
mod tests;
