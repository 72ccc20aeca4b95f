//! Why a signature is not accepted, and what to do about it.

use std::path::PathBuf;
use std::sync::Arc;

use super::KeyId;
use super::signature::LARGEST;

/// Why a signature says nothing about a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// It is no signature any more, or never was.
    #[error("line {line} of the signature {what}")]
    Damaged {
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// It is longer than any signature.
    #[error("the signature has more than {LARGEST} bytes, so it is none")]
    TooLarge,
    /// It is of the kind that signs the file itself.
    #[error("the signature is of minisign's legacy kind, which is not accepted")]
    Legacy,
    /// Nobody is trusted.
    #[error("it is signed, and `trust` of the configuration names no folder of keys to hold that against")]
    NoFolder,
    /// Nobody said that the key is to be trusted.
    #[error("it is signed with the key {key_id}, which is none of those in {}", folder.display())]
    UnknownKey {
        /// What the key calls itself.
        key_id: KeyId,
        /// Where keys are looked for.
        folder: PathBuf,
    },
    /// The signature is in order, and of other bytes.
    #[error("the file is not what was signed with {key_name}: it was changed, or the signature is another file's")]
    OtherFile {
        /// The key's name here.
        key_name: Arc<str>,
    },
    /// The signature and its trusted comment do not belong together, whatever the file.
    #[error("the signature or its trusted comment is not what was made with {key_name}: it was changed afterwards")]
    Changed {
        /// The key's name here.
        key_name: Arc<str>,
    },
}

/// Why a tenant may not deploy a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It has no signature and needs one.
    #[error("modules of {tenant} have to be signed, and this one is not")]
    Unsigned {
        /// Whose module it would be.
        tenant: String,
        /// Which keys may sign it; `None` if any may.
        keys: Option<Vec<Arc<str>>>,
    },
    /// It has a signature, and the signature is not accepted.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// Its signature is right, but not the one that was asked for.
    #[error("it is signed with {key_name}, which may not sign for {tenant}")]
    NotTheirKey {
        /// Whose module it would be.
        tenant: String,
        /// The key's name here.
        key_name: Arc<str>,
        /// Which keys may.
        keys: Vec<Arc<str>>,
    },
}

// === impl Untrusted ===

impl Untrusted {
    /// What to do about it, without a full stop.
    pub fn remedy(&self) -> String {
        match self {
            Self::Damaged { .. } | Self::TooLarge => {
                "Give the file that minisign -S wrote, as a rule FILE.wasm.minisig, as it is".to_owned()
            }
            Self::NoFolder => "Write `trust`, or leave the signature out (--unsigned)".to_owned(),
            Self::Legacy => "Have it signed again with minisign -SH".to_owned(),
            Self::UnknownKey { folder, .. } => format!(
                "If it is to be trusted, get its public key from whoever signed, and put it there as {}",
                folder.join("NAME.pub").display()
            ),
            Self::OtherFile { .. } => "Get the file and its signature again, or have this file signed".to_owned(),
            Self::Changed { .. } => "Get the signature again from whoever signed".to_owned(),
        }
    }
}

// === impl Refused ===

impl Refused {
    /// What to do about it, without a full stop.
    pub fn remedy(&self) -> String {
        match self {
            Self::Untrusted(untrusted) => untrusted.remedy(),
            Self::Unsigned { keys, .. } => format!(
                "Have it signed with minisign -SH and {}, and give the signature along with it",
                keys.as_deref().map_or_else(|| "a trusted key".to_owned(), one_of)
            ),
            Self::NotTheirKey { tenant, key_name, keys } => {
                format!("Have it signed with {}, or add {key_name} to the keys of {tenant} in the policy", one_of(keys))
            }
        }
    }
}

fn one_of(keys: &[Arc<str>]) -> String {
    match keys {
        [] => "a key that the policy allows, of which there is none".to_owned(),
        keys => keys.join(" or "),
    }
}
