//! A deployment as the bytes of its file: a line about the file, and the deployment.
//!
//! The first line says how the rest is written and holds a digest of it, so that a file which is half there, or in
//! which a bit has changed, is never taken for a deployment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::Secret;
use crate::digest::Digest;
use crate::modules::deployment::{Deployment, SecretSource, Version};

/// The largest file of a deployment: ten versions with the longest configurations fit as a rule, and most take 10 KiB.
pub const RECORD_BYTES: u64 = 1 << 20;
/// What versions leave of it for what becomes of them, such as pauses and trials.
const LIFE_BYTES: u64 = 8 << 10;
/// How files are written today. With a word that an earlier daemon does not know, such as a new cause of failures, this
/// is another one: that daemon would take the file for damaged.
const FORMAT: u64 = 1;

/// What a file was found to be.
#[derive(Debug)]
pub enum Found {
    /// A deployment that keeps all rules.
    Deployment(Box<Deployment>),
    /// Whole, and written by a later version of the daemon.
    Foreign(u64),
    /// None of these.
    Damaged(String),
}

/// What the first line says. A later format may add to it.
#[derive(Serialize, Deserialize)]
struct Head {
    format: u64,
    digest: Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<D> {
    deployment: D,
    /// What deployments do not show, for each version.
    hidden: Vec<Hidden>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hidden {
    config: String,
    secrets: BTreeMap<String, String>,
}

/// The bytes of a deployment's file.
pub fn encode(deployment: &Deployment) -> serde_json::Result<Vec<u8>> {
    let hidden = deployment.versions.iter().map(|version| Hidden::of(version)).collect();
    framed(serde_json::to_vec(&Body { deployment, hidden })?)
}

/// Whether the versions of a deployment fit into its file, with whatever becomes of them.
pub fn has_room(deployment: &Deployment) -> bool {
    let bytes = encode(deployment).map_or(u64::MAX, |bytes| bytes.len() as u64);
    bytes.saturating_add(LIFE_BYTES) <= RECORD_BYTES
}

/// With the first line that says that this is whole.
pub fn framed(body: Vec<u8>) -> serde_json::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(&Head { format: FORMAT, digest: digest(FORMAT, &body) })?;
    bytes.push(b'\n');
    bytes.extend(body);
    bytes.push(b'\n');
    Ok(bytes)
}

/// What the bytes of a file are.
pub fn decode(bytes: &[u8]) -> Found {
    try_decode(bytes).unwrap_or_else(Found::Damaged)
}

fn try_decode(bytes: &[u8]) -> Result<Found, String> {
    let not_whole = || "it is not what was written".to_owned();
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(not_whole)?;
    let (head, rest) = bytes.split_at_checked(end).ok_or_else(not_whole)?;
    let body = rest.strip_prefix(b"\n").and_then(|rest| rest.strip_suffix(b"\n")).ok_or_else(not_whole)?;
    let head: Head = serde_json::from_slice(head).map_err(|_| not_whole())?;
    if head.digest != digest(head.format, body) {
        return Err(not_whole());
    }
    if head.format != FORMAT {
        return Ok(Found::Foreign(head.format));
    }
    let body: Body<Deployment> = serde_json::from_slice(body).map_err(|error| {
        // Its words would quote what is hidden.
        format!("it is no deployment (line 2, column {})", error.column())
    })?;
    let mut deployment = body.deployment;
    if body.hidden.len() != deployment.versions.len() {
        return Err("it does not say what each version is told".to_owned());
    }
    for (version, hidden) in deployment.versions.iter_mut().zip(body.hidden) {
        hidden.restore(Arc::make_mut(version))?;
    }
    deployment.check().map_err(|invalid| invalid.to_string())?;
    Ok(Found::Deployment(Box::new(deployment)))
}

/// Over the format too: a bit of it that changed is no later version.
fn digest(format: u64, body: &[u8]) -> Digest {
    Digest::of_parts(&[&format.to_le_bytes(), body])
}

/// Every digest of a module that bytes hold, whatever else they are.
pub fn mentioned(bytes: &[u8]) -> BTreeSet<Digest> {
    let words = bytes.split(|byte| !byte.is_ascii_alphanumeric()).filter(|word| word.len() == Digest::LETTERS);
    words.filter_map(|word| std::str::from_utf8(word).ok()?.parse().ok()).collect()
}

// === impl Hidden ===

impl Hidden {
    fn of(version: &Version) -> Self {
        let secrets = version.grants.secrets.iter().filter_map(|(name, source)| match source {
            SecretSource::Text(text) => Some((name.clone(), text.expose().to_owned())),
            SecretSource::File(_) => None,
        });
        Self { config: version.config.expose().to_owned(), secrets: secrets.collect() }
    }

    fn restore(mut self, version: &mut Version) -> Result<(), String> {
        version.config = Secret::new(self.config);
        for (name, source) in &mut version.grants.secrets {
            if let SecretSource::Text(text) = source {
                let hidden = self.secrets.remove(name).ok_or("a secret is missing")?;
                *text = Secret::new(hidden);
            }
        }
        if self.secrets.is_empty() { Ok(()) } else { Err("a secret belongs to no version".to_owned()) }
    }
}
