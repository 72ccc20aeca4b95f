//! Ceilometer's `message_signature`: HMAC-SHA256 over a sample's names and values.
//!
//! A consumer checks it after decoding the JSON, so it follows from what Python sees there, not from the JSON's text.
//! What many samples share is put into its signed form once ([`Canonical`]); a [`Signer`] adds what is a sample's own.

mod canonical;
mod tree;

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

pub use self::canonical::Canonical;
pub use self::tree::{DEPTH, Entries, NotJson, Tree};

/// The name under which samples carry metadata.
pub const METADATA: &str = "resource_metadata";

/// Signs samples with a secret. Without a secret, signatures are empty, as Ceilometer's are.
#[derive(Clone)]
pub struct Signer {
    /// The state of HMAC after the secret, which is the same for each sample.
    keyed: Option<Hmac<Sha256>>,
    text: String,
}

/// What a sample says, but for its signature. Numbers are as in JSON.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    /// `source`
    pub source: &'a str,
    /// `counter_name`
    pub name: &'a str,
    /// `counter_type`
    pub kind: &'a str,
    /// `counter_unit`
    pub unit: &'a str,
    /// `counter_volume`: a number, or `null`.
    pub volume: &'a str,
    /// `user_id`
    pub user_id: Option<&'a str>,
    /// `user_name`
    pub user_name: Option<&'a str>,
    /// `project_id`
    pub project_id: Option<&'a str>,
    /// `project_name`
    pub project_name: Option<&'a str>,
    /// `resource_id`
    pub resource_id: &'a str,
    /// `timestamp`
    pub timestamp: &'a str,
    /// `resource_metadata`, as far as samples share it.
    pub metadata: &'a Canonical,
    /// `resource_metadata`: entries of this sample alone.
    pub notes: &'a Canonical,
    /// `message_id`
    pub message_id: &'a str,
    /// `monotonic_time`: a number, or `null`.
    pub monotonic_time: &'a str,
}

/// A signature: 64 hexadecimal digits, or nothing without a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    digits: [u8; 64],
    length: usize,
}

// === impl Signer ===

impl Signer {
    /// A signer with a secret (`telemetry_secret`).
    pub fn new(secret: &str) -> Self {
        let keyed = Some(secret).filter(|secret| !secret.is_empty());
        // Keys of any length are accepted.
        let keyed = keyed.and_then(|secret| Hmac::new_from_slice(secret.as_bytes()).ok());
        Self { keyed, text: String::new() }
    }

    /// Signs a sample by its parts.
    pub fn sign(&mut self, fields: &Fields<'_>) -> Signature {
        if self.keyed.is_none() {
            return Signature::EMPTY;
        }
        let mut out = std::mem::take(&mut self.text);
        out.clear();
        let mut pair = |name: &str, value: &str| {
            out.push_str(name);
            out.push_str(value);
        };
        // In the order of the names.
        pair("counter_name", fields.name);
        pair("counter_type", fields.kind);
        pair("counter_unit", fields.unit);
        pair("counter_volume", number(fields.volume));
        pair("message_id", fields.message_id);
        pair("monotonic_time", number(fields.monotonic_time));
        pair("project_id", fields.project_id.unwrap_or(NONE));
        pair("project_name", fields.project_name.unwrap_or(NONE));
        pair("resource_id", fields.resource_id);
        fields.metadata.write(fields.notes, &mut out);
        let mut pair = |name: &str, value: &str| {
            out.push_str(name);
            out.push_str(value);
        };
        pair("source", fields.source);
        pair("timestamp", fields.timestamp);
        pair("user_id", fields.user_id.unwrap_or(NONE));
        pair("user_name", fields.user_name.unwrap_or(NONE));
        self.text = out;
        self.digest()
    }

    /// Signs any JSON object. A signature that it has already does not count.
    pub fn sign_json(&mut self, sample: &str) -> Result<Signature, NotJson> {
        let Tree::Object(entries) = Tree::read(sample)? else {
            return Err(NotJson { at: 0, what: "expected an object" });
        };
        Ok(self.sign_tree(&entries))
    }

    /// Signs a JSON object that was read.
    pub fn sign_tree(&mut self, entries: &Entries<'_>) -> Signature {
        self.text.clear();
        canonical::sample(&mut self.text, entries);
        self.digest()
    }

    fn digest(&self) -> Signature {
        let Some(keyed) = &self.keyed else { return Signature::EMPTY };
        let mut mac = keyed.clone();
        mac.update(self.text.as_bytes());
        Signature::of(&mac.finalize().into_bytes())
    }
}

/// Neither the secret nor what was signed.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("signs", &self.keyed.is_some()).finish_non_exhaustive()
    }
}

/// How Python writes that there is nothing.
const NONE: &str = "None";

/// A number that this daemon wrote into JSON is written as Python would write it.
fn number(json: &str) -> &str {
    if json == "null" { NONE } else { json }
}

// === impl Signature ===

impl Signature {
    /// What samples carry that are not signed.
    pub const EMPTY: Self = Self { digits: [0; 64], length: 0 };

    fn of(digest: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 64];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(digest) {
            let halves = [byte >> 4, byte & 15];
            for (digit, half) in pair.iter_mut().zip(halves) {
                *digit = DIGITS.get(usize::from(half)).copied().unwrap_or_default();
            }
        }
        Self { digits, length: 64 }
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        let digits = self.digits.get(..self.length).unwrap_or_default();
        std::str::from_utf8(digits).unwrap_or_default()
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
