//! What a deployment's module may do: names of meters, requests, secrets for them, clocks, random numbers, what is read
//! for it how often.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;

use crate::config::problem::{Problems, Severity, quoted};
use crate::config::size::ByteSize;
use crate::config::yaml::{Kind, Node, Section};
use crate::config::{Secret, duration};
use crate::modules::deployment::bounds::{
    BEGINNINGS, BODY, INTERVAL, MOST_NAMES, MOST_ORIGINS, PER_MINUTE, TIME, groups, is_beginning, is_group,
};
use crate::modules::deployment::{Grants, RequestLimits, SecretSource};
use crate::modules::granting::{MOST_ADDRESSES, MOST_SECRETS, MOST_URLS};
use crate::sandbox::host::http::secrets::is_name;
use crate::sandbox::host::http::url::Origin;
use crate::sandbox::host::http::{AddressGrant, Grant};

/// Where secrets are written.
#[derive(Debug, Clone, Copy)]
pub(super) enum SecretsIn<'a> {
    /// In files, whose paths begin at this folder.
    Files(&'a Path),
    /// Where they are named, as they are no secrets.
    Place,
}

const KEYS: [&str; 9] =
    ["names", "http", "addresses", "secrets", "requests", "clock", "random", "groups", "shortest_interval"];

/// What the key `grants` of this section grants, if it is there.
pub(super) fn read(section: &Section<'_>, secrets_in: SecretsIn<'_>, problems: &mut Problems) -> Option<Grants> {
    let section = Section::of(section.get("grants")?, section.key("grants"), &KEYS, Severity::Error, problems)?;
    let names = section.texts("names", MOST_NAMES, problems).unwrap_or_default();
    for (place, name) in &names {
        if !is_beginning(name) {
            let message = format!("{} is no beginning of names", quoted(name));
            problems.error(*place, &section.key("names"), message, format!("Write {BEGINNINGS}"));
        }
    }
    let named = section.texts("groups", MOST_NAMES, problems).unwrap_or_default();
    for (place, group) in &named {
        if !is_group(group) {
            let message = format!("{} is no group of statistics", quoted(group));
            problems.error(*place, &section.key("groups"), message, format!("Write some of {}", groups()));
        }
    }
    let (secrets, secret_origins) = secrets(&section, secrets_in, problems);
    Some(Grants {
        names: names.into_iter().map(|(_, name)| name).collect(),
        http: texts::<Grant>(&section, "http", MOST_URLS, problems),
        addresses: texts::<AddressGrant>(&section, "addresses", MOST_ADDRESSES, problems),
        secrets,
        secret_origins,
        requests: requests(&section, problems),
        clock: section.read("clock", problems, Node::boolean).unwrap_or_default(),
        random: section.read("random", problems, Node::boolean).unwrap_or_default(),
        groups: named.into_iter().map(|(_, group)| group).collect(),
        shortest_interval: section.read("shortest_interval", problems, |node| node.integer(&INTERVAL)),
    })
}

/// Texts each of which is a `T`. What is wrong is not repeated: a password may be in it.
fn texts<T: FromStr<Err: Display>>(
    section: &Section<'_>,
    key: &str,
    most: usize,
    problems: &mut Problems,
) -> Vec<String> {
    let mut good = Vec::new();
    for (number, (place, text)) in section.texts(key, most, problems).unwrap_or_default().into_iter().enumerate() {
        match text.parse::<T>() {
            Ok(_) => good.push(text),
            Err(error) => {
                let path = format!("{}[{number}]", section.key(key));
                let remedy = match key {
                    "addresses" => "Write an address or a small network",
                    "origins" => "Write it such as https://metrics.example:9100",
                    _ => "Write methods and the beginning of a URL, such as `GET https://metrics.example:9100/metrics`",
                };
                problems.error(place, &path, format!("{} cannot be used: {error}", quoted(&path)), remedy);
            }
        }
    }
    good
}

type Secrets = (BTreeMap<String, SecretSource>, BTreeMap<String, Vec<String>>);

fn secrets(section: &Section<'_>, secrets_in: SecretsIn<'_>, problems: &mut Problems) -> Secrets {
    let (key, form, remedy) = match secrets_in {
        SecretsIn::Files(_) => {
            ("file", "Write `NAME: {file: PATH}` for each secret", "Name the file that the secret is in")
        }
        SecretsIn::Place => ("text", "Write `NAME: {text: TEXT}` for each secret", "Write a text for this case"),
    };
    let (mut secrets, mut origins) = Secrets::default();
    let entries = section.read("secrets", problems, |node| match &node.kind {
        Kind::Map(entries) if entries.len() <= MOST_SECRETS => Ok(entries),
        Kind::Map(_) => Err(node.refuse("too many secrets", format!("Write at most {MOST_SECRETS}"))),
        _ => Err(node.refuse("not a mapping", form)),
    });
    for entry in entries.into_iter().flatten() {
        let path = format!("{}.{}", section.key("secrets"), entry.key);
        if !is_name(&entry.key) {
            let message = format!("{} is no name for a secret", quoted(&entry.key));
            problems.error(entry.place, &path, message, "Write letters, digits, ., - and _, at most 64");
        }
        let Some(secret) = Section::of(&entry.value, path, &[key, "origins"], Severity::Error, problems) else {
            continue;
        };
        let Some(text) = secret.required(key, problems, remedy, Node::text) else { continue };
        if secret.get("origins").is_some() {
            origins.insert(entry.key.clone(), texts::<Origin>(&secret, "origins", MOST_ORIGINS, problems));
        }
        let source = match secrets_in {
            SecretsIn::Files(folder) => SecretSource::File(folder.join(text).to_string_lossy().into_owned()),
            SecretsIn::Place => SecretSource::Text(Secret::new(text)),
        };
        secrets.insert(entry.key.clone(), source);
    }
    (secrets, origins)
}

fn requests(section: &Section<'_>, problems: &mut Problems) -> RequestLimits {
    let Some(node) = section.get("requests") else { return RequestLimits::default() };
    let known = ["body", "time", "per_minute"];
    let Some(section) = Section::of(node, section.key("requests"), &known, Severity::Error, problems) else {
        return RequestLimits::default();
    };
    let time = section.read("time", problems, |node| duration::read(node, &TIME));
    let per_minute = section.read("per_minute", problems, |node| node.integer(&PER_MINUTE));
    RequestLimits {
        body: section.read("body", problems, |node| ByteSize::read(node, &BODY)).map(ByteSize::bytes),
        time: time.and_then(|time| u64::try_from(time.as_millis()).ok()),
        per_minute: per_minute.and_then(|number| u32::try_from(number).ok()),
    }
}
