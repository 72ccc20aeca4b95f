//! What holds of every deployment, whoever wrote its file.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::bounds::{
    BEGINNINGS, BODY, INTERVAL, MOST_NAMES, MOST_ORIGINS, PER_MINUTE, TIME, groups, is_beginning, is_group,
};
use super::{Deployment, Grants, RequestLimits, SecretSource, VERSIONS, Version};
use crate::config::daemon::CallLimits;
use crate::config::{ByteSize, duration};
use crate::modules::deploying::written::Written;
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

/// What is wrong with a deployment, without a full stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}{what}")]
pub struct Invalid {
    /// The key of a deployment's file with which it begins, if it is about one.
    key: &'static str,
    what: String,
}

fn refuse<T>(what: impl Into<String>) -> Result<T, Invalid> {
    refuse_key("", what)
}

fn refuse_key<T>(key: &'static str, what: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid { key, what: what.into() })
}

fn fits(what: &str, text: &str, most: usize) -> Result<(), Invalid> {
    match text.len() {
        length if length > most => refuse(format!("{what} has {length} bytes, and at most {most} are kept")),
        _ => Ok(()),
    }
}

fn within<T: PartialOrd + Display>(
    key: &'static str,
    value: Option<T>,
    range: &RangeInclusive<T>,
) -> Result<(), Invalid> {
    match value.filter(|value| !range.contains(value)) {
        Some(value) => refuse_key(key, format!(": {value} is not within {} to {}", range.start(), range.end())),
        None => Ok(()),
    }
}

fn entries<'a>(what: &str, texts: impl ExactSizeIterator<Item = &'a str>) -> Result<(), Invalid> {
    at_most(ENTRIES, what, texts.len())?;
    for text in texts {
        fits(&format!("one of the {what}"), text, ENTRY_BYTES)?;
    }
    Ok(())
}

fn at_most(most: usize, what: &str, count: usize) -> Result<(), Invalid> {
    match count {
        count if count > most => refuse(format!("there are {count} {what}, and at most {most} are kept")),
        _ => Ok(()),
    }
}

// === impl Invalid ===

impl Invalid {
    /// The same in the words of the place where it is written.
    pub fn words(&self, written: Written) -> String {
        format!("{}{}", written.key(self.key).unwrap_or(self.key), self.what)
    }
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
        self.life.check(&numbers).or_else(refuse)?;
        if let Some(paused) = &self.paused {
            fits("who paused it", &paused.by, NOTE_BYTES)?;
        }
        self.versions.iter().try_for_each(|version| {
            version.check().or_else(|invalid| refuse(format!("version {}: {invalid}", version.number)))
        })
    }
}

impl Version {
    /// The same of one version.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.size > FILE_BYTES as u64 {
            return refuse(format!("the module has {} bytes, and at most {FILE_BYTES} are kept", self.size));
        }
        within("interval", Some(self.interval), &INTERVAL)?;
        fits("the configuration", self.config.expose(), CONFIG_BYTES)?;
        entries("meters", self.meters.iter().map(String::as_str))?;
        if let Some(signature) = &self.signature {
            fits("the signature", &signature.text, SIGNATURE_BYTES)?;
            fits("the name of the signature's key", &signature.key, NOTE_BYTES)?;
        }
        fits("who deployed it", &self.by, NOTE_BYTES)?;
        let limits = self.limits.over(CallLimits::default()).check();
        limits.or_else(|(key, bounds)| refuse_key(key, format!(" is out of bounds: it can be {bounds}")))?;
        self.grants.check()
    }
}

impl Grants {
    /// The same of what is granted.
    pub fn check(&self) -> Result<(), Invalid> {
        entries("names granted", self.names.iter().map(String::as_str))?;
        entries("requests granted", self.http.iter().map(String::as_str))?;
        entries("addresses granted", self.addresses.iter().map(String::as_str))?;
        entries("groups granted", self.groups.iter().map(String::as_str))?;
        entries("names of secrets", self.secrets.keys().map(String::as_str))?;
        at_most(MOST_NAMES, "names granted", self.names.len())?;
        at_most(MOST_NAMES, "groups granted", self.groups.len())?;
        if let Some(name) = self.names.iter().find(|name| !is_beginning(name)) {
            return refuse_key("grants.names", format!(": {name:?} is no beginning of names; write {BEGINNINGS}"));
        }
        if let Some(group) = self.groups.iter().find(|group| !is_group(group)) {
            let known = groups();
            let what = format!(": {group:?} is no group of statistics; write some of {known}");
            return refuse_key("grants.groups", what);
        }
        within("grants.shortest_interval", self.shortest_interval, &INTERVAL)?;
        self.requests.check()?;
        for origins in self.secret_origins.values() {
            at_most(MOST_ORIGINS, "origins of a secret", origins.len())?;
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

impl RequestLimits {
    fn check(&self) -> Result<(), Invalid> {
        let Self { body, time, per_minute } = *self;
        within("grants.requests.body", body.map(ByteSize::new), &BODY)?;
        if let Some(time) = time.map(Duration::from_millis).filter(|time| !TIME.contains(time)) {
            let [time, least, most] = [time, *TIME.start(), *TIME.end()].map(duration::show);
            return refuse_key("grants.requests.time", format!(": {time} is not within {least} to {most}"));
        }
        within("grants.requests.per_minute", per_minute.map(u64::from), &PER_MINUTE)
    }
}
