//! What a module may ask, and where a redirect leads it.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{StatusCode, http};

use super::limits::{REQUEST_BODY_BYTES, REQUEST_HEAD_BYTES, REQUEST_HEADERS};
use super::refused::Refused;
use super::secrets::{Secrets, Template};
use super::url::Url;

/// What a module asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is to be done.
    pub method: Method,
    /// An absolute URL.
    pub url: String,
    /// Names and values. `{{secret:NAME}}` in a value stands for a secret.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Vec<u8>,
    /// Whether redirects are followed. Otherwise they are answers like any other.
    pub follow: bool,
}

/// What a module is answered. The host has taken out secrets and what concerns the connection alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Such as 200. Any status is an answer.
    pub status: u16,
    /// Names in lower case, and values; a name may come several times.
    pub headers: Vec<(String, String)>,
    /// What came, not decoded.
    pub body: Vec<u8>,
}

/// Methods that can be granted. TRACE would show secrets, CONNECT would lead anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Reads.
    Get,
    /// Reads headers.
    Head,
    /// Does anything.
    Post,
    /// Replaces.
    Put,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
    /// Asks what is possible.
    Options,
}

/// A text that is no method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no method that can be granted; write GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS")]
pub struct UnknownMethod;

/// A request that was checked, on its way or on its next one after a redirect.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) url: Url,
    headers: Vec<(HeaderName, Template)>,
    body: Bytes,
    pub(super) follow: bool,
    /// Whether a server led there.
    pub(super) redirected: bool,
}

/// Headers that speak of the connection, which is the host's. Each begins with a name in lower case, or is one.
const OF_THE_CONNECTION: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Headers with which proxies say for whom they ask. A module asks for nobody else.
const OF_PROXIES: [&str; 4] = ["forwarded", "via", "x-forwarded-", "x-real-ip"];
/// Headers by which some servers take a request for one of another method or path, which may not be granted.
const OF_ANOTHER: [&str; 5] =
    ["x-http-method", "x-http-method-override", "x-method-override", "x-original-url", "x-rewrite-url"];
/// Headers that go along when a redirect leads to another origin. Any other may be a credential.
const HARMLESS: [HeaderName; 4] = [header::ACCEPT, header::ACCEPT_LANGUAGE, header::CONTENT_TYPE, header::USER_AGENT];
/// What servers are told if the module says nothing else.
const USER_AGENT: &str = concat!("wasmeter/", env!("CARGO_PKG_VERSION"));

// === impl Method ===

impl Method {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Get, Self::Head, Self::Post, Self::Put, Self::Patch, Self::Delete, Self::Options];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }

    /// What a request becomes that is redirected with this status.
    fn redirected(self, status: StatusCode) -> Self {
        match (status, self) {
            (StatusCode::SEE_OTHER, Self::Head) => Self::Head,
            (StatusCode::SEE_OTHER, _) => Self::Get,
            // Not what was meant once, but what everybody does.
            (StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND, Self::Post) => Self::Get,
            _ => self,
        }
    }

    fn to_http(self) -> http::Method {
        match self {
            Self::Get => http::Method::GET,
            Self::Head => http::Method::HEAD,
            Self::Post => http::Method::POST,
            Self::Put => http::Method::PUT,
            Self::Patch => http::Method::PATCH,
            Self::Delete => http::Method::DELETE,
            Self::Options => http::Method::OPTIONS,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(text: &str) -> Result<Self, UnknownMethod> {
        Self::ALL.into_iter().find(|method| method.word() == text).ok_or(UnknownMethod)
    }
}

// === impl Outgoing ===

impl Outgoing {
    /// Checks all that can be checked without asking anybody.
    pub(super) fn new(request: Request, secrets: &Secrets) -> Result<Self, Refused> {
        let Request { method, url, headers, body, follow } = request;
        let url = Url::parse(&url).map_err(|error| Refused::malformed("url", error))?;
        if body.len() > REQUEST_BODY_BYTES {
            let what = "the body of the request";
            return Err(Refused::TooLarge { what, limit: REQUEST_BODY_BYTES, grantable: false });
        }
        if headers.len() > REQUEST_HEADERS {
            let problem = format!("there are {} of them, and may be {REQUEST_HEADERS}", headers.len());
            return Err(Refused::malformed("headers", problem));
        }
        // Before anything is copied.
        let bytes = headers.iter().map(|(name, value)| name.len() + value.len()).fold(0, usize::saturating_add);
        if bytes > REQUEST_HEAD_BYTES {
            return Err(Refused::head_too_large());
        }
        let headers = headers.iter().map(|(name, value)| {
            let name = header_name(name, secrets)?;
            let value =
                Template::parse(value).map_err(|problem| Refused::malformed(format!("header {name}"), problem))?;
            Ok((name, value))
        });
        let headers = headers.collect::<Result<_, Refused>>()?;
        Ok(Self { method, url, headers, body: body.into(), follow, redirected: false })
    }

    /// How long its body is.
    pub(super) fn body_bytes(&self) -> usize {
        self.body.len()
    }

    /// The request as it goes over the wire, with secrets that belong to whom it goes.
    pub(super) fn to_http(&self, secrets: &Secrets) -> Result<http::Request<Bytes>, Refused> {
        let origin = self.url.origin();
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 4);
        let fixed = |value: &str| HeaderValue::from_str(value).map_err(|error| Refused::malformed("url", error));
        headers.insert(header::HOST, fixed(&origin.authority())?);
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        for (name, template) in &self.headers {
            let value = secrets.fill(name, template, origin)?;
            if name == header::USER_AGENT {
                headers.insert(name, value);
            } else {
                headers.append(name, value);
            }
        }
        // Secrets cannot be found in what is compressed.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        let target = self.url.target();
        let head = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
        let head = head.sum::<usize>() + self.method.word().len() + target.len() + "  HTTP/1.1\r\n\r\n".len();
        if head > REQUEST_HEAD_BYTES {
            return Err(Refused::head_too_large());
        }
        let mut request = http::Request::new(self.body.clone());
        *request.method_mut() = self.method.to_http();
        *request.uri_mut() = target.parse().map_err(|error| Refused::malformed("url", error))?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Where an answer leads, if it leads anywhere that the request may follow.
    pub(super) fn location<'a>(&self, answer: &'a http::response::Parts) -> Option<&'a HeaderValue> {
        let redirects = matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308);
        let location = (self.follow && redirects).then(|| answer.headers.get(header::LOCATION)).flatten();
        location.filter(|location| !self.would_hand_over_its_body(answer.status, location))
    }

    /// Whether somebody else would be sent what is sent to this one. That may be a credential, such as a login; and
    /// without it the request would not be what was asked.
    fn would_hand_over_its_body(&self, status: StatusCode, location: &HeaderValue) -> bool {
        let keeps = !self.body.is_empty() && self.method.redirected(status) == self.method;
        let to = || self.url.join(location.to_str().ok()?).ok();
        keeps && to().is_some_and(|url| url.origin() != self.url.origin())
    }

    /// The request that follows a redirect.
    pub(super) fn redirect(self, status: StatusCode, location: &HeaderValue) -> Result<Self, Refused> {
        let bad = |problem: String| Refused::BadAnswer { host: self.url.origin().host().to_string(), problem };
        let text = location.to_str().map_err(|_| bad("it redirects to what is not ASCII".to_owned()))?;
        let url = self.url.join(text).map_err(|error| bad(format!("it redirects to what is no URL, {error}")))?;
        let method = self.method.redirected(status);
        let (mut headers, mut body) = (self.headers, self.body);
        if url.origin() != self.url.origin() {
            headers.retain(|(name, value)| HARMLESS.contains(name) && !value.has_secrets());
        }
        if method != self.method {
            headers.retain(|(name, _)| !name.as_str().starts_with("content-"));
            body = Bytes::new();
        }
        Ok(Self { method, url, headers, body, follow: self.follow, redirected: true })
    }
}

/// A name that a module may set.
fn header_name(name: &str, secrets: &Secrets) -> Result<HeaderName, Refused> {
    let parsed = HeaderName::from_bytes(name.as_bytes());
    let parsed = parsed.map_err(|_| Refused::malformed("headers", format!("{name:?} is no name of a header")))?;
    let listed = |list: &[&str]| {
        list.iter().any(|listed| match listed.strip_suffix('-') {
            Some(_) => parsed.as_str().starts_with(listed),
            None => parsed.as_str() == *listed,
        })
    };
    let problem = if listed(&OF_THE_CONNECTION) {
        "the host writes it; leave it out"
    } else if listed(&OF_PROXIES) {
        "a module asks for nobody but itself; leave it out"
    } else if listed(&OF_ANOTHER) {
        "some servers take the request for another one by it; ask that one"
    } else if parsed == header::ACCEPT_ENCODING {
        "answers are not decoded; leave it out"
    } else if !secrets.is_empty() && (parsed == header::RANGE || parsed == header::IF_RANGE) {
        "a deployment with secrets gets whole answers, as pieces of one cannot be searched for them; leave it out"
    } else {
        return Ok(parsed);
    };
    Err(Refused::malformed(format!("header {parsed}"), problem))
}

// === impl Response ===

impl Response {
    /// The headers of an answer that are the module's.
    pub(super) fn headers(answer: &HeaderMap, secrets: &Secrets) -> Vec<(String, String)> {
        let of_the_connection = |name: &HeaderName| {
            let name = name.as_str();
            ["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"].contains(&name)
                || name.starts_with("proxy-")
        };
        let kept = answer.iter().filter(|(name, _)| !of_the_connection(name));
        let shown = kept.map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (secrets.mask_text(name.as_str()), secrets.mask_text(&value))
        });
        shown.collect()
    }
}
