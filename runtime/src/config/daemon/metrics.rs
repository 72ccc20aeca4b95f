//! Where Prometheus finds metrics, and who may see them.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::read::Reading;
use crate::config::file;
use crate::config::problem::{Place, Severity, quoted};
use crate::config::yaml::{Kind, Node, Refusal, Section};

/// Where Prometheus finds metrics, and who may see them.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Metrics {
    /// The addresses that are listened on; without any, nobody is served.
    pub listen: Vec<Listen>,
    /// How it is encrypted, if it is.
    pub tls: Option<TlsFiles>,
    /// Who may see them; with nobody named, everybody may.
    #[serde(serialize_with = "by_name")]
    pub users: Vec<User>,
}

/// An address that is listened on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(into = "SocketAddr")]
pub struct Listen {
    /// The address with its port.
    pub address: SocketAddr,
    /// Where it is configured.
    pub place: Option<Place>,
}

/// The files of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TlsFiles {
    /// The certificate, and behind it those that vouch for it.
    #[serde(serialize_with = "file::show")]
    pub certificate: PathBuf,
    /// Its key.
    #[serde(serialize_with = "file::show")]
    pub key: PathBuf,
    /// Where they are configured.
    #[serde(skip)]
    pub place: Option<Place>,
}

/// Somebody who may see metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Their name.
    pub name: String,
    /// Their password.
    pub password: Password,
    /// Where they are configured.
    pub place: Option<Place>,
}

/// A password. It is not shown.
#[derive(Clone, PartialEq, Eq, serde::Serialize)]
#[serde(into = "Shown")]
pub enum Password {
    /// As it is.
    Text(String),
    /// What the first line of a file says.
    File(PathBuf),
}

/// A password as others may see it.
#[derive(serde::Serialize)]
struct Shown {
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "file::show_optional")]
    password_file: Option<PathBuf>,
}

const KEYS: [&str; 3] = ["listen", "tls", "users"];
const MOST_ADDRESSES: usize = 100;
const MOST_USERS: usize = 1000;
/// Where Ceilometer's exporter listens by default.
const PORT: u16 = 9101;

// === impl Metrics ===

impl Metrics {
    pub(super) fn read(reading: &mut Reading<'_, '_>) -> Self {
        // A section without anything in it is one, too.
        let Some(entry) = reading.root().entry("metrics") else { return Self::default() };
        let section = reading.section("metrics", &KEYS);
        let (listen, tls) = (Listen::read(&section, reading), TlsFiles::read(&section, reading));
        let users = User::read(&section, reading);
        let listen = listen.unwrap_or_else(|| vec![Listen::by_default(entry.place)]);
        let metrics = Self { listen, tls, users };
        metrics.doubts(&section, reading);
        metrics
    }

    /// Says what may not be meant.
    fn doubts(&self, section: &Section<'_>, reading: &mut Reading<'_, '_>) {
        let mut warn = |place: Option<Place>, key: &str, message: String, remedy: &str| {
            reading.problems.add(Severity::Warning, place, &section.key(key), message, remedy.to_owned());
        };
        if let Some(Node { kind: Kind::List(addresses), place, .. }) = section.get("listen")
            && addresses.is_empty()
        {
            let message = "`metrics.listen` is empty: nobody is served".to_owned();
            warn(*place, "listen", message, "Remove it to listen on 127.0.0.1:9101, or remove `metrics`");
        }
        let Some(Listen { address, place }) = self.listen.iter().find(|listen| !listen.address.ip().is_loopback())
        else {
            return;
        };
        if section.get("tls").is_none() {
            let message = format!("{address} can be reached from elsewhere, and what is sent there is not encrypted");
            warn(*place, "listen", message, "Add `tls: {certificate: ..., key: ...}`, or write 127.0.0.1");
        }
        if section.get("users").is_none() {
            let message = format!("{address} can be reached from elsewhere, and everybody there may see all guests");
            warn(*place, "listen", message, "Add `users: {name: {password_file: ...}}`, or write 127.0.0.1");
        }
    }
}

// === impl Listen ===

impl Listen {
    /// On this machine alone.
    fn by_default(place: Option<Place>) -> Self {
        Self { address: (Ipv4Addr::LOCALHOST, PORT).into(), place }
    }

    /// One text, or a list of them; `None` if nothing is said.
    fn read(section: &Section<'_>, reading: &mut Reading<'_, '_>) -> Option<Vec<Self>> {
        let texts = match section.get("listen") {
            Some(Node { kind: Kind::List(_), .. }) => section.texts("listen", MOST_ADDRESSES, reading.problems),
            Some(_) => {
                let text = section.read("listen", reading.problems, |node| Ok((node.place, node.text()?.to_owned())));
                text.map(|text| vec![text])
            }
            None => return None,
        };
        let mut all: Vec<Self> = Vec::new();
        for (place, text) in texts.unwrap_or_default() {
            let key = section.key("listen");
            match text.parse() {
                Ok(address) if all.iter().any(|other| other.address == address) => {
                    let message = format!("{address} is listened on twice");
                    reading.problems.error(place, &key, message, "Remove one of the two");
                }
                Ok(address) => all.push(Self { address, place }),
                Err(_) => {
                    let message = format!("`{key}` is {}: no address with a port", quoted(&text));
                    let remedy = "Write numbers, such as 127.0.0.1:9101 or '[::1]:9101'";
                    reading.problems.error(place, &key, message, remedy);
                }
            }
        }
        Some(all)
    }
}

impl From<Listen> for SocketAddr {
    fn from(listen: Listen) -> Self {
        listen.address
    }
}

// === impl TlsFiles ===

impl TlsFiles {
    fn read(section: &Section<'_>, reading: &mut Reading<'_, '_>) -> Option<Self> {
        let node = section.get("tls")?;
        let known = ["certificate", "key"];
        let inner = Section::of(node, section.key("tls"), &known, Severity::Error, reading.problems)?;
        let [certificate, key] = known.map(|key| {
            let remedy = format!("Add `{key}: ` with the path of a file in PEM");
            inner.required(key, reading.problems, &remedy, |node| node.text().map(str::to_owned))
        });
        Some(Self { certificate: reading.path(&certificate?), key: reading.path(&key?), place: node.place })
    }
}

// === impl User ===

impl User {
    fn read(section: &Section<'_>, reading: &mut Reading<'_, '_>) -> Vec<Self> {
        let users = section.read("users", reading.problems, |node| match &node.kind {
            Kind::Map(users) if users.is_empty() => Err(node.refuse("nobody", "Name somebody, or remove it")),
            Kind::Map(users) if users.len() <= MOST_USERS => Ok(users),
            Kind::Map(_) => Err(node.refuse("too many users", format!("Write at most {MOST_USERS}"))),
            _ => Err(node.refuse("not a mapping", "Write `name: {password_file: ...}` for each user")),
        });
        let mut all = Vec::new();
        for user in users.into_iter().flatten() {
            let path = format!("{}.{}", section.key("users"), user.key);
            if user.key.is_empty() || user.key.contains(|c: char| c == ':' || c.is_control()) {
                let message = format!("{} is no name for a user", quoted(&user.key));
                reading.problems.error(user.place, &path, message, "Write one without colons");
            }
            if !matches!(user.value.kind, Kind::Map(_) | Kind::Null) {
                // It may be the password, which is not repeated.
                let remedy = "Write `password: ` before it, in braces or on a line of its own";
                reading.problems.error(user.place, &path, format!("{} is not a mapping", quoted(&path)), remedy);
                continue;
            }
            let known = ["password", "password_file"];
            let inner = Section::of(&user.value, path.clone(), &known, Severity::Error, reading.problems);
            let Some(inner) = inner else { continue };
            let text = inner.read("password", reading.problems, password);
            let file = inner.read("password_file", reading.problems, |node| node.text().map(str::to_owned));
            let password = match (known.map(|key| inner.get(key).is_some()), text, file) {
                ([true, false], text, _) => text.map(Password::Text),
                ([false, true], _, file) => file.map(|file| Password::File(reading.path(&file))),
                _ => {
                    let message = format!("{} needs one password", quoted(&path));
                    let remedy = "Add either `password: ` or `password_file: `";
                    reading.problems.error(user.place, &path, message, remedy);
                    None
                }
            };
            all.extend(password.map(|password| Self { name: user.key.clone(), password, place: user.place }));
        }
        all
    }
}

fn password(node: &Node) -> Result<String, Refusal> {
    match node.text()? {
        text if text.contains(char::is_control) => Err(node.refuse("no password", "Write it on one line")),
        text => Ok(text.to_owned()),
    }
}

fn by_name<S: serde::Serializer>(users: &[User], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(users.iter().map(|user| (&user.name, &user.password)))
}

// === impl Password ===

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("***"),
            Self::File(path) => path.fmt(f),
        }
    }
}

impl From<Password> for Shown {
    fn from(password: Password) -> Self {
        match password {
            Password::Text(_) => Self { password: Some("***"), password_file: None },
            Password::File(path) => Self { password: None, password_file: Some(path) },
        }
    }
}
