//! Transport URLs as oslo.messaging reads them: `rabbit://user:pass@h1:5672,user:pass@h2:5672/vhost?ssl=1`.
//!
//! What stands in an error or a warning is never taken from before the first `/`: a password with a character that
//! should have been encoded can end up anywhere there.

mod options;

use std::fmt;

use percent_encoding::percent_decode_str;

pub use self::options::{Login, Options, Quorum};
pub use crate::config::Secret;

/// Where RabbitMQ listens. With TLS, too: oslo.messaging knows no other default.
pub const PORT: u16 = 5672;
/// Whose password nobody changes, and from whom RabbitMQ takes connections from its own machine only.
const GUEST: &str = "guest";

/// Brokers, and how to talk to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportUrl {
    /// The brokers, in the order given. At least one.
    pub hosts: Vec<Host>,
    /// The virtual host.
    pub vhost: String,
    /// Options of the driver, with those of the URL.
    pub options: Options,
    /// What was accepted, but has no effect or an unexpected one.
    pub warnings: Vec<Warning>,
}

/// A broker and its credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// A name or an address, without brackets.
    pub name: String,
    /// The port.
    pub port: u16,
    /// The user.
    pub user: Secret,
    /// The password.
    pub password: Secret,
}

/// Why a URL is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// There is no `://`.
    #[error("the transport URL has no scheme: it begins with `rabbit://`")]
    NoScheme,
    /// A driver that there is not here.
    #[error("the transport URL's scheme is not `rabbit`: this daemon talks to RabbitMQ only")]
    Scheme,
    /// A password with a character that ends it.
    #[error("the transport URL's credentials contain `{0}`: write it as `%{code:02X}`", code = u32::from(*.0))]
    Unencoded(char),
    /// A port that is no number.
    #[error(
        "host {host} of the transport URL has a port that is not from 1 to 65535; if that is part of a password, \
         write `,`, `:`, `/` and `@` in it as `%2C`, `%3A`, `%2F` and `%40`"
    )]
    Port {
        /// Which host, counted from one.
        host: usize,
    },
    /// A host without a name.
    #[error("host {host} of the transport URL has no name, or a bracket in it is not closed")]
    Name {
        /// Which host, counted from one.
        host: usize,
    },
    /// A text that is not UTF-8 once it is decoded.
    #[error("the {0} of the transport URL is not UTF-8 after decoding its `%`: check these")]
    Encoding(&'static str),
    /// A value of another type.
    #[error("option `{name}` is not {expected}")]
    Value {
        /// The option.
        name: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// Options that exclude each other.
    #[error("options `{0}` and `{1}` exclude each other: leave out one")]
    Both(&'static str, &'static str),
}

/// Something about a URL that deserves a line in the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// An option that oslo.messaging does not have either.
    #[error("option `{0}` is unknown and has no effect")]
    Unknown(String),
    /// An option that is not supported.
    #[error("option `{0}` has no effect: {1}")]
    NoEffect(&'static str, &'static str),
    /// Some hosts have credentials, and others do not.
    #[error("some hosts of the transport URL have no credentials: `guest` is used for them")]
    MixedCredentials,
}

// === impl Warning ===

impl Warning {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "Correct its name, or remove it",
            Self::NoEffect(..) => "Remove it",
            Self::MixedCredentials => "Write user:password@ before each host",
        }
    }
}

// === impl TransportUrl ===

impl TransportUrl {
    /// Reads a URL. Its options override `base`, which comes from the configuration.
    pub fn parse(text: &str, base: Options) -> Result<Self, BadUrl> {
        let (scheme, rest) = text.trim().split_once("://").ok_or(BadUrl::NoScheme)?;
        if !["rabbit", "kombu"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return Err(BadUrl::Scheme);
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (place, after) = rest.split_at(end);
        // Whoever writes a password as it is gets told, and not a connection to somewhere else.
        if let Some(odd) = after.chars().next().filter(|_| !place.contains('@') && after.contains('@')) {
            return Err(BadUrl::Unencoded(odd));
        }
        let (path, query) = match after.split_once('#').map_or(after, |(before, _)| before).split_once('?') {
            Some((path, query)) => (path, query),
            None => (after.split_once('#').map_or(after, |(before, _)| before), ""),
        };
        let vhost = decode(path.strip_prefix('/').unwrap_or(path), "virtual host")?;
        let vhost = if vhost.is_empty() { "/".to_owned() } else { vhost };
        let mut warnings = Vec::new();
        let hosts = hosts_of(place, &mut warnings)?;
        let options = base.overridden(query, &mut warnings)?;
        Ok(Self { hosts, vhost, options, warnings })
    }

    /// The URL with its credentials, for tests of the way there and back.
    #[cfg(test)]
    fn exposed(&self) -> String {
        use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let host = |host: &Host| {
            let (user, password) = (encode(host.user.expose()), encode(host.password.expose()));
            format!("{user}:{password}@{}", Address(host))
        };
        let hosts: Vec<_> = self.hosts.iter().map(host).collect();
        format!("rabbit://{}/{}?{}", hosts.join(","), encode(&self.vhost), self.options.query())
    }
}

/// The URL without credentials and options.
impl fmt::Display for TransportUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rabbit://")?;
        for (i, host) in self.hosts.iter().enumerate() {
            write!(f, "{}***:***@{}", if i > 0 { "," } else { "" }, Address(host))?;
        }
        write!(f, "/{}", self.vhost.escape_debug())
    }
}

/// A host as it stands in a URL and in the log.
struct Address<'a>(&'a Host);

impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Host { name, port, .. } = self.0;
        if name.contains(':') { write!(f, "[{name}]:{port}") } else { write!(f, "{}:{port}", name.escape_debug()) }
    }
}

fn hosts_of(place: &str, warnings: &mut Vec<Warning>) -> Result<Vec<Host>, BadUrl> {
    let mut hosts = Vec::new();
    let mut with_credentials = 0;
    for (i, part) in place.split(',').filter(|part| !part.is_empty()).enumerate() {
        let (credentials, address) = match part.rsplit_once('@') {
            Some((credentials, address)) => (credentials, address),
            None => ("", part),
        };
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let (user, password) = (decode(user, "user name")?, decode(password, "password")?);
        with_credentials += usize::from(!user.is_empty() && !password.is_empty());
        let guest = |text: String| Secret::new(if text.is_empty() { GUEST.to_owned() } else { text });
        let (name, port) = address_of(address, i + 1)?;
        hosts.push(Host { name, port, user: guest(user), password: guest(password) });
    }
    if hosts.is_empty() {
        let guest = Secret::new(GUEST);
        hosts.push(Host { name: "localhost".to_owned(), port: PORT, user: guest.clone(), password: guest });
    } else if (1..hosts.len()).contains(&with_credentials) {
        warnings.push(Warning::MixedCredentials);
    }
    Ok(hosts)
}

/// A name and a port. An address of IPv6 needs brackets only if a port follows.
fn address_of(text: &str, host: usize) -> Result<(String, u16), BadUrl> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (name, after) = rest.split_once(']').ok_or(BadUrl::Name { host })?;
            match after.strip_prefix(':') {
                Some(port) => (name, Some(port)),
                None if after.is_empty() => (name, None),
                None => return Err(BadUrl::Port { host }),
            }
        }
        None if text.matches(':').count() > 1 => (text, None),
        None => text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port))),
    };
    if name.is_empty() || name.contains(['[', ']']) {
        return Err(BadUrl::Name { host });
    }
    let is_number = |port: &&str| port.bytes().all(|b| b.is_ascii_digit());
    let port = match port {
        None => PORT,
        Some(port) => Some(port).filter(is_number).and_then(|port| port.parse().ok()).ok_or(BadUrl::Port { host })?,
    };
    if port == 0 { Err(BadUrl::Port { host }) } else { Ok((name.to_owned(), port)) }
}

fn decode(text: &str, what: &'static str) -> Result<String, BadUrl> {
    percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| BadUrl::Encoding(what))
}

// === impl Host ===

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Address(self).fmt(f)
    }
}

#[cfg(test)]
mod tests;
