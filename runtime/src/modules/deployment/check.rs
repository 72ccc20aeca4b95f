//! What holds of every deployment, whoever wrote its file.

use super::{Deployment, Grants, SecretSource, VERSIONS, Version};
use crate::config::daemon::CallLimits;
use crate::sandbox::limits::FILE_BYTES;

/// What a module is told: some hundred endpoints fit.
const CONFIG_BYTES: usize = 64 << 10;
/// Meters, grants of a kind, secrets.
const ENTRIES: usize = 1_000;
/// A name, a URL, a path, a secret: each one of a list.
const ENTRY_BYTES: usize = 4 << 10;
/// A signature's file: four lines.
const SIGNATURE_BYTES: usize = 4 << 10;
/// Who, why, and which version.
const NOTE_BYTES: usize = 1 << 10;
/// A day.
const LONGEST_INTERVAL: u64 = 86_400; // seconds

/// What is wrong with a deployment, without a full stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

fn refuse<T>(what: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid(what.into()))
}

fn fits(what: &str, text: &str, most: usize) -> Result<(), Invalid> {
    match text.len() {
        length if length > most => refuse(format!("{what} has {length} bytes, and at most {most} are kept")),
        _ => Ok(()),
    }
}

fn entries<'a>(what: &str, texts: impl ExactSizeIterator<Item = &'a str>) -> Result<(), Invalid> {
    if texts.len() > ENTRIES {
        return refuse(format!("there are {} {what}, and at most {ENTRIES} are kept", texts.len()));
    }
    for text in texts {
        fits(&format!("one of the {what}"), text, ENTRY_BYTES)?;
    }
    Ok(())
}

// === impl Deployment ===

impl Deployment {
    /// Whether everything that it refers to is there, and everything is within bounds.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.versions.is_empty() || self.versions.len() > VERSIONS {
            return refuse(format!("it has {} versions, and 1 to {VERSIONS} are kept", self.versions.len()));
        }
        let numbers: Vec<u64> = self.versions.iter().map(|version| version.number).collect();
        if numbers.first() == Some(&0) || !numbers.is_sorted_by(|one, next| one < next) {
            return refuse("the numbers of its versions do not rise from 1");
        }
        self.life.check(&numbers).map_err(Invalid)?;
        if let Some(paused) = &self.paused {
            fits("who paused it", &paused.by, NOTE_BYTES)?;
        }
        let wrong = |number, Invalid(what)| Invalid(format!("version {number}: {what}"));
        self.versions.iter().try_for_each(|version| version.check().map_err(|invalid| wrong(version.number, invalid)))
    }
}

impl Version {
    /// The same of one version.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.size > FILE_BYTES as u64 {
            return refuse(format!("the module has {} bytes, and at most {FILE_BYTES} are kept", self.size));
        }
        if self.interval == 0 || self.interval > LONGEST_INTERVAL {
            return refuse(format!("an interval of {} s is not within 1 to {LONGEST_INTERVAL}", self.interval));
        }
        fits("the configuration", self.config.expose(), CONFIG_BYTES)?;
        entries("meters", self.meters.iter().map(String::as_str))?;
        if let Some(signature) = &self.signature {
            fits("the signature", &signature.text, SIGNATURE_BYTES)?;
            fits("the name of the signature's key", &signature.key, NOTE_BYTES)?;
        }
        fits("who deployed it", &self.by, NOTE_BYTES)?;
        self.limits.over(CallLimits::default()).check().map_err(Invalid)?;
        self.grants.check()
    }
}

impl Grants {
    fn check(&self) -> Result<(), Invalid> {
        entries("names granted", self.names.iter().map(String::as_str))?;
        entries("requests granted", self.http.iter().map(String::as_str))?;
        entries("addresses granted", self.addresses.iter().map(String::as_str))?;
        entries("groups granted", self.groups.iter().map(String::as_str))?;
        entries("names of secrets", self.secrets.keys().map(String::as_str))?;
        for origins in self.secret_origins.values() {
            entries("origins of a secret", origins.iter().map(String::as_str))?;
        }
        entries("secrets with origins", self.secret_origins.keys().map(String::as_str))?;
        let place = |source: &'_ SecretSource| match source {
            SecretSource::File(path) => path.len(),
            SecretSource::Text(text) => text.expose().len(),
        };
        match self.secrets.iter().find(|(_, source)| place(source) > ENTRY_BYTES) {
            Some((name, _)) => refuse(format!("the secret {name:?} has more than {ENTRY_BYTES} bytes")),
            None => Ok(()),
        }
    }
}
