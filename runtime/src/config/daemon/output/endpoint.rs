//! Where a server is, out of a URL such as `https://user:password@host:port/path?query`.
//!
//! Nothing of a wrong URL is repeated: a part of a password may stand anywhere in it. What is shown of a right one is
//! scheme, host and port; paths and queries can hold tokens.

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::config::Secret;

/// A server, and what is asked of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether the connection is encrypted.
    pub secure: bool,
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Path and query, as they stand in a request.
    pub target: Secret,
    /// Who we are.
    pub login: Option<Login>,
}

/// Name and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: Secret,
    /// The password.
    pub password: Secret,
}

/// Why a URL is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadEndpoint {
    /// Another scheme, or none.
    #[error("it does not begin with http:// or https://")]
    Scheme,
    /// A name or password with a character that ends it.
    #[error(
        "there is an `@` behind the host: write `/`, `?` and `#` in a password as `%2F`, `%3F` and `%23`, and `@` in a path as `%40`"
    )]
    Unencoded,
    /// No host.
    #[error("it names no host, or a bracket is not closed")]
    Host,
    /// A port that is none.
    #[error("its port is not a number from 1 to 65535; in a password, `:` is written as `%3A`")]
    Port,
    /// What is not UTF-8 once it is decoded.
    #[error("its name or password is not UTF-8 after decoding its `%`")]
    Encoding,
    /// What no request can have.
    #[error("its path or query has characters that must be percent-encoded, such as blanks")]
    Target,
}

/// What no path or query can have as it is. Python's requests encodes the same.
const ENCODED: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\').add(b'^').add(b'`').add(b'{').add(b'|').add(b'}');

// === impl Endpoint ===

impl Endpoint {
    /// Reads a URL.
    pub fn parse(url: &str) -> Result<Self, BadEndpoint> {
        let (scheme, rest) = url.split_once("://").ok_or(BadEndpoint::Scheme)?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(BadEndpoint::Scheme),
        };
        let (place, after) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let after = after.split('#').next().unwrap_or_default();
        Self::of(secure, place, after)
    }

    /// A server at `user:password@host:port` and what stands behind that.
    pub(super) fn of(secure: bool, place: &str, after: &str) -> Result<Self, BadEndpoint> {
        let path = after.split('?').next().unwrap_or_default();
        if path.contains('@') && !place.contains('@') {
            return Err(BadEndpoint::Unencoded);
        }
        let (login, address) = match place.rsplit_once('@') {
            Some((login, address)) => (Some(Login::parse(login)?), address),
            None => (None, place),
        };
        let (host, port) = address_of(address, if secure { 443 } else { 80 })?;
        let target = if after.starts_with('/') { after.to_owned() } else { format!("/{after}") };
        if !target.bytes().all(|byte| byte.is_ascii_graphic()) || target.parse::<hyper::Uri>().is_err() {
            return Err(BadEndpoint::Target);
        }
        Ok(Self { secure, host, port, target: Secret::new(target), login })
    }

    /// Whether another one is the same, however its host is spelt.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let host = other.host.clone();
        self.host.eq_ignore_ascii_case(&host) && Self { host, ..self.clone() } == *other
    }

    /// Has a query, as somebody wrote it, be asked besides.
    pub(super) fn ask(&mut self, query: &str) {
        if !query.is_empty() {
            self.target = Secret::new(format!("{}?{}", self.target.expose(), encoded(query)));
        }
    }

    /// Host and port as a request names them.
    pub fn authority(&self) -> String {
        authority(&self.host, self.port)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.secure { "https" } else { "http" }, self.authority())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is known to whoever may see the configuration: not who we are, and not what is asked.
impl serde::Serialize for Endpoint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let login = if self.login.is_some() { "***:***@" } else { "" };
        let scheme = if self.secure { "https" } else { "http" };
        let more = if self.target.expose() == "/" { "/" } else { "/***" };
        serializer.serialize_str(&format!("{scheme}://{login}{}{more}", self.authority()))
    }
}

// === impl Login ===

impl Login {
    fn parse(text: &str) -> Result<Self, BadEndpoint> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        let decode = |text: &str| match percent_decode_str(text).decode_utf8() {
            Ok(text) => Ok(Secret::new(text)),
            Err(_) => Err(BadEndpoint::Encoding),
        };
        Ok(Self { user: decode(user)?, password: decode(password)? })
    }
}

/// A path or a query as a request can have it. What is encoded already stays.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// A name and a port. An address of IPv6 stands in brackets.
pub(super) fn address_of(text: &str, default: u16) -> Result<(String, u16), BadEndpoint> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (name, after) = rest.split_once(']').ok_or(BadEndpoint::Host)?;
            match after.strip_prefix(':') {
                Some(port) => (name, Some(port)),
                None if after.is_empty() => (name, None),
                None => return Err(BadEndpoint::Port),
            }
        }
        None if text.matches(':').count() > 1 && text.parse::<std::net::Ipv6Addr>().is_ok() => (text, None),
        None => text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port))),
    };
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) || name.contains(['[', ']', '@', '%']) {
        return Err(BadEndpoint::Host);
    }
    let port = match port {
        None => default,
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().unwrap_or(0),
        Some(_) => 0,
    };
    if port == 0 { Err(BadEndpoint::Port) } else { Ok((name.to_owned(), port)) }
}

/// A host and a port as they stand in a URL.
pub(super) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_their_secrets_are_not_shown() {
        let url = "https://me:p%40ss%2F@example.org:8443/a/b?token=hush&x=a@b#c";
        let endpoint = Endpoint::parse(url).unwrap();
        assert!(endpoint.secure);
        assert_eq!((endpoint.host.as_str(), endpoint.port), ("example.org", 8443));
        assert_eq!(endpoint.target.expose(), "/a/b?token=hush&x=a@b");
        let login = endpoint.login.clone().unwrap();
        assert_eq!((login.user.expose(), login.password.expose()), ("me", "p@ss/"));
        let shown = [format!("{endpoint}"), format!("{endpoint:?}"), serde_json::to_string(&endpoint).unwrap()];
        assert_eq!(
            shown,
            ["https://example.org:8443", "https://example.org:8443", "\"https://***:***@example.org:8443/***\""]
        );
        for (url, host, port, target) in [
            ("http://h", "h", 80, "/"),
            ("HTTPS://h?x=1", "h", 443, "/?x=1"),
            ("http://[::1]:8080/", "::1", 8080, "/"),
            ("http://::1/x", "::1", 80, "/x"),
        ] {
            let endpoint = Endpoint::parse(url).unwrap();
            assert_eq!((endpoint.host.as_str(), endpoint.port, endpoint.target.expose()), (host, port, target));
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_repeating_it() {
        for (url, error) in [
            ("hunter2", BadEndpoint::Scheme),
            ("ftp://h", BadEndpoint::Scheme),
            ("http://me:12/hunter2@h", BadEndpoint::Unencoded),
            ("http://me:hunter2@", BadEndpoint::Host),
            ("http://", BadEndpoint::Host),
            ("http://[::1", BadEndpoint::Host),
            ("http://h:hunter2", BadEndpoint::Port),
            ("http://h:0", BadEndpoint::Port),
            ("http://h:99999", BadEndpoint::Port),
            ("http://me:%ff@h", BadEndpoint::Encoding),
            ("http://h/hunter2 x", BadEndpoint::Target),
        ] {
            assert_eq!(Endpoint::parse(url), Err(error), "{url}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
