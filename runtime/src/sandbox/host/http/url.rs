//! URLs as requests and grants name them. They are taken as they stand: what one program reads in one way and the next
//! one in another, is refused and not repaired.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::limits::URL_BYTES;

/// A URL that a request can be about. It has no user, no fragment and no dot segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    origin: Origin,
    path: String,
    query: Option<String>,
}

/// Who is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: Scheme,
    host: Host,
    port: u16,
}

/// How.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Not encrypted.
    Http,
    /// Encrypted.
    Https,
}

/// Where.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name in lower case.
    Name(String),
    /// An address.
    Address(IpAddr),
}

/// What is wrong with a URL, and where. The URL itself is not repeated: a password may be in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("character {at}: {problem}")]
pub struct InvalidUrl {
    /// The position of the first character that is wrong, from one.
    pub at: usize,
    /// What is wrong with it, and what to write.
    pub problem: &'static str,
}

/// Characters beside letters and digits that stand for themselves in a path or query.
const PLAIN: &[u8] = b"-._~!$&'()*+,;=:@/?%";

/// The longest name of DNS.
const NAME_BYTES: usize = 253;
/// The longest part of one.
const LABEL_BYTES: usize = 63;

// === impl Url ===

impl Url {
    /// Reads an absolute URL.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        if text.len() > URL_BYTES {
            return Err(wrong(URL_BYTES, "the URL goes on after 8192 bytes"));
        }
        characters(text)?;
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(wrong(0, "a URL begins with http:// or https://"));
        };
        let scheme = Scheme::parse(scheme).ok_or(wrong(0, "a URL begins with http:// or https://"))?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let start = text.len() - rest.len() - authority.len();
        let origin = Origin::parse(scheme, authority, start)?;
        let start = start + end;
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        check_path(path, start)?;
        if let Some(query) = query {
            check_query(query, start + path.len() + 1)?;
        }
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self { origin, path: path.to_owned(), query: query.map(str::to_owned) })
    }

    /// Where a redirect from here leads. A fragment is for whoever shows pages, and is dropped; anything else is read
    /// as strictly as any URL.
    pub fn join(&self, location: &str) -> Result<Self, InvalidUrl> {
        let location = location.split_once('#').map_or(location, |(location, _)| location);
        if has_scheme(location) {
            return Self::parse(location);
        }
        let Origin { scheme, .. } = self.origin;
        if location.starts_with("//") {
            return Self::parse(&format!("{scheme}:{location}"));
        }
        let base = match location.bytes().next() {
            Some(b'/') => "",
            None => return Ok(self.clone()),
            Some(b'?') => &self.path,
            Some(_) => self.path.rsplit_once('/').map_or("", |(folder, _)| folder),
        };
        let between = if location.starts_with(['/', '?']) { "" } else { "/" };
        Self::parse(&format!("{}{base}{between}{location}", self.origin))
    }

    /// Who is asked.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The path, at least a slash.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query without its question mark.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// The path and the query, as the first line of a request has them.
    pub fn target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// All but the query, in which things stand that are not for everybody.
    pub fn without_query(&self) -> String {
        format!("{}{}", self.origin, self.path)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.target())
    }
}

fn wrong(at: usize, problem: &'static str) -> InvalidUrl {
    InvalidUrl { at: at + 1, problem }
}

/// No character that has no place in any URL.
fn characters(text: &str) -> Result<(), InvalidUrl> {
    for (at, byte) in text.bytes().enumerate() {
        let problem = match byte {
            _ if byte.is_ascii_alphanumeric() || PLAIN.contains(&byte) || b"[]".contains(&byte) => continue,
            b'\\' => "a backslash is a slash for some and none for others; write /",
            b'#' => "a fragment is never sent; leave it out",
            0x80.. => "only ASCII; write names as xn--... and other text percent-encoded",
            b' ' => "a space; write %20",
            _ if byte.is_ascii_control() => "a control character",
            _ => "this character has to be percent-encoded",
        };
        return Err(wrong(at, problem));
    }
    Ok(())
}

/// No path that leads elsewhere for a server that decodes it once more, cuts parameters off, or resolves its dots.
fn check_path(path: &str, start: usize) -> Result<(), InvalidUrl> {
    let mut at = start;
    for segment in path.split('/') {
        let bare = segment.split_once(';').map_or(segment, |(bare, _)| bare);
        if bare == "." || bare == ".." {
            return Err(wrong(at, "a dot segment; write the path that is meant"));
        }
        at += segment.len() + 1;
    }
    if let Some(at) = path.find(['[', ']']) {
        return Err(wrong(start + at, "this character has to be percent-encoded"));
    }
    for (at, byte) in encoded(path, start)? {
        let problem = match byte {
            b'.' => "an encoded dot; write it as it is",
            b'/' | b'\\' => "an encoded slash or backslash is a separator for some and none for others",
            b';' => "an encoded semicolon begins parameters for some and not for others; write ;",
            b'%' => "an encoded percent sign hides what it is encoded for",
            _ if byte.is_ascii_control() => "an encoded control character",
            _ => continue,
        };
        return Err(wrong(at, problem));
    }
    Ok(())
}

/// A query is between the module and the server, as long as it is one.
fn check_query(query: &str, start: usize) -> Result<(), InvalidUrl> {
    if let Some(at) = query.find(['[', ']']) {
        return Err(wrong(start + at, "this character has to be percent-encoded"));
    }
    encoded(query, start).map(drop)
}

/// What is percent-encoded, with its positions.
fn encoded(text: &str, start: usize) -> Result<Vec<(usize, u8)>, InvalidUrl> {
    let positions = text.match_indices('%').map(|(at, _)| {
        let digits = text.get(at + 1..at + 3).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        byte.map(|byte| (start + at, byte))
            .ok_or(wrong(start + at, "two hexadecimal digits follow %; write %25 for it"))
    });
    positions.collect()
}

/// Whether a reference names a scheme, whichever.
fn has_scheme(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

// === impl Origin ===

impl Origin {
    fn parse(scheme: Scheme, authority: &str, start: usize) -> Result<Self, InvalidUrl> {
        if authority.contains('@') {
            return Err(wrong(start, "no user and no password in a URL; put a secret into a header"));
        }
        let (host, port) = if authority.starts_with('[') {
            let (host, port) = authority.split_once(']').ok_or(wrong(start, "a closing bracket is missing"))?;
            match port.strip_prefix(':') {
                None if !port.is_empty() => return Err(wrong(start + host.len() + 1, "a port follows a colon")),
                port => (authority.get(..=host.len()).unwrap_or_default(), port),
            }
        } else {
            match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            }
        };
        let at = start + host.len() + 1;
        let port = port.map_or(Some(scheme.port()), number).ok_or(wrong(at, "a port is a number from 1 to 65535"))?;
        Ok(Self { scheme, host: Host::parse(host, start)?, port })
    }

    /// How.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Where.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// At which port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the header `Host` says.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.port() { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority())
    }
}

impl std::str::FromStr for Origin {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let url = Url::parse(text)?;
        if url.path != "/" || url.query.is_some() {
            let authority = text.find("://").map_or(0, |at| at + 3);
            let at = text.get(authority..).and_then(|rest| rest.find(['/', '?'])).map_or(0, |at| authority + at);
            return Err(wrong(at, "an origin is a scheme, a host and a port, without a path"));
        }
        Ok(url.origin)
    }
}

/// A number that is written in one way only.
fn number(digits: &str) -> Option<u16> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    plain.then(|| digits.parse().ok()).flatten()
}

// === impl Scheme ===

impl Scheme {
    fn parse(text: &str) -> Option<Self> {
        [Self::Http, Self::Https].into_iter().find(|scheme| text.eq_ignore_ascii_case(scheme.word()))
    }

    fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

// === impl Host ===

impl Host {
    fn parse(text: &str, start: usize) -> Result<Self, InvalidUrl> {
        if let Some(inner) = text.strip_prefix('[') {
            let address: Option<Ipv6Addr> = inner.strip_suffix(']').and_then(|inner| inner.parse().ok());
            let address = address.ok_or(wrong(start, "between brackets stands an IPv6 address without a zone"))?;
            return Ok(Self::Address(address.into()));
        }
        if text.is_empty() {
            return Err(wrong(start, "a host is missing"));
        }
        if text.len() > NAME_BYTES {
            return Err(wrong(start, "a name has at most 253 characters"));
        }
        let mut at = start;
        for label in text.split('.') {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            if let Some(odd) = label.bytes().position(|byte| !plain(byte)) {
                return Err(wrong(at + odd, "a host has letters, digits, hyphens and dots"));
            }
            if label.is_empty() || label.len() > LABEL_BYTES || label.starts_with('-') || label.ends_with('-') {
                let problem = "between the dots of a name stand 1 to 63 characters, without a hyphen at either end";
                return Err(wrong(at, problem));
            }
            at += label.len() + 1;
        }
        let last = text.rsplit('.').next().unwrap_or_default();
        let hexadecimal = last.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("0x"));
        if hexadecimal || last.bytes().all(|byte| byte.is_ascii_digit()) {
            // Resolvers take 0x7f.1 and 2130706433 for addresses.
            let address: Option<Ipv4Addr> = text.parse().ok();
            let address =
                address.ok_or(wrong(start, "an IPv4 address is four decimal numbers without leading zeros"))?;
            return Ok(Self::Address(address.into()));
        }
        Ok(Self::Name(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

#[cfg(test)]
mod tests;
