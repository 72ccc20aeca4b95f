//! What a deployment's module may do beyond measuring: requests, secrets for them, clocks, random numbers.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;

use crate::config::duration;
use crate::config::problem::{Problems, Severity, quoted};
use crate::config::size::ByteSize;
use crate::config::yaml::{Kind, Node, Section};
use crate::modules::deployment::bounds::{BODY, MOST_ORIGINS, PER_MINUTE, TIME};
use crate::modules::deployment::{Grants, RequestLimits, SecretSource};
use crate::modules::granting::{MOST_ADDRESSES, MOST_SECRETS, MOST_URLS};
use crate::sandbox::host::http::secrets::is_name;
use crate::sandbox::host::http::url::Origin;
use crate::sandbox::host::http::{AddressGrant, Grant};

/// The keys that are read here.
pub(super) const KEYS: [&str; 6] = ["http", "addresses", "secrets", "requests", "clock", "random"];

/// What this section grants of these; paths begin at `folder`.
pub(super) fn read(section: &Section<'_>, folder: &Path, problems: &mut Problems) -> Grants {
    let (secrets, secret_origins) = secrets(section, folder, problems);
    Grants {
        http: texts::<Grant>(section, "http", MOST_URLS, problems),
        addresses: texts::<AddressGrant>(section, "addresses", MOST_ADDRESSES, problems),
        secrets,
        secret_origins,
        requests: requests(section, problems),
        clock: section.read("clock", problems, Node::boolean).unwrap_or_default(),
        random: section.read("random", problems, Node::boolean).unwrap_or_default(),
        ..Grants::default()
    }
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

fn secrets(section: &Section<'_>, folder: &Path, problems: &mut Problems) -> Secrets {
    let (mut secrets, mut origins) = Secrets::default();
    let entries = section.read("secrets", problems, |node| match &node.kind {
        Kind::Map(entries) if entries.len() <= MOST_SECRETS => Ok(entries),
        Kind::Map(_) => Err(node.refuse("too many secrets", format!("Write at most {MOST_SECRETS}"))),
        _ => Err(node.refuse("not a mapping", "Write `NAME: {file: PATH}` for each secret")),
    });
    for entry in entries.into_iter().flatten() {
        let path = format!("{}.{}", section.key("secrets"), entry.key);
        if !is_name(&entry.key) {
            let message = format!("{} is no name for a secret", quoted(&entry.key));
            problems.error(entry.place, &path, message, "Write letters, digits, ., - and _, at most 64");
        }
        let Some(secret) = Section::of(&entry.value, path, &["file", "origins"], Severity::Error, problems) else {
            continue;
        };
        let file = secret.required("file", problems, "Name the file that the secret is in", Node::text);
        let Some(file) = file.map(|file| folder.join(file)) else { continue };
        if secret.get("origins").is_some() {
            origins.insert(entry.key.clone(), texts::<Origin>(&secret, "origins", MOST_ORIGINS, problems));
        }
        secrets.insert(entry.key.clone(), SecretSource::File(file.to_string_lossy().into_owned()));
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
