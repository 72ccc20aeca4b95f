//! Why a request came to nothing: for the module's author, without what is none of a module's business.

use std::net::IpAddr;
use std::time::Duration;

use super::limits::{REDIRECTS, REQUEST_HEAD_BYTES};
use super::request::Method;
use crate::quoting;

/// Why there is no answer. What [`Display`](std::fmt::Display) says may be shown to the module: no addresses, no other
/// grants and no secrets are in it. `Debug` and [`Refused::for_operator`] are for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nobody granted it.
    #[error(
        "{method} {url}{} is not granted; `grants: {{http: [{}]}}` (`--grant {}`) would allow it",
        redirect(*redirected), quoting::yaml(grant), quoting::shell(&format!("http={grant}"))
    )]
    Denied {
        /// What was asked.
        method: Method,
        /// Of what, without the query.
        url: String,
        /// The least that would have to be granted.
        grant: String,
        /// Whether a server led there.
        redirected: bool,
    },
    /// The name leads to where modules do not go.
    #[error(
        "{host} has an address that is not public, so no connection is made; if it is meant, the operator has to \
         grant the address too (`grants.addresses`, `--grant address`)"
    )]
    NotPublic {
        /// The host of the URL.
        host: String,
        /// The address.
        address: IpAddr,
        /// What it leads to.
        kind: &'static str,
    },
    /// A secret would go to where it does not belong.
    #[error("the secret {name} is not granted for {origin}; `grants.secrets.{name}.origins` says for which it is")]
    SecretDenied {
        /// The secret.
        name: String,
        /// Where it would have gone.
        origin: String,
    },
    /// There is no such secret.
    #[error("header {header}: there is no secret {name}; `grants.secrets` has to name it, or --secret {name}=@FILE")]
    UnknownSecret {
        /// Where it was to be filled in.
        header: String,
        /// The secret.
        name: String,
    },
    /// The name has no address.
    #[error("{host} has no address, or it cannot be looked up now")]
    Unresolved {
        /// The name.
        host: String,
    },
    /// Nobody is there.
    #[error("{host} cannot be connected to at port {port}: {problem}")]
    Unreachable {
        /// The host of the URL.
        host: String,
        /// The port.
        port: u16,
        /// Why.
        problem: &'static str,
    },
    /// The server is not who it has to be, or cannot encrypt.
    #[error("{host} cannot be trusted: {problem}")]
    Tls {
        /// The host of the URL.
        host: String,
        /// Why.
        problem: &'static str,
    },
    /// The time is up.
    #[error(
        "{host} took too long, {stage}: the requests of a call have {within:?} together; the operator can grant more \
         (`grants.requests.time`)"
    )]
    Timeout {
        /// The host of the URL.
        host: String,
        /// The time that a request has.
        within: Duration,
        /// What it was doing then.
        stage: Stage,
    },
    /// Something is longer than it may be.
    #[error("{what} is longer than {limit} bytes{}", remedy(*grantable))]
    TooLarge {
        /// What.
        what: &'static str,
        /// How long it may be.
        limit: usize,
        /// Whether more can be granted.
        grantable: bool,
    },
    /// It asks too often.
    #[error("there were more than {per_minute} requests a minute; the next one is possible in {again_in:?}")]
    RateLimited {
        /// How many there may be.
        per_minute: u32,
        /// When there may be another one.
        again_in: Duration,
    },
    /// What the module asked is no request.
    #[error("{place}: {problem}")]
    Malformed {
        /// The part of the request.
        place: String,
        /// What is wrong with it, and what to write.
        problem: String,
    },
    /// Servers led it around.
    #[error("{host} redirects once more after {REDIRECTS} redirects")]
    TooManyRedirects {
        /// The host that did last.
        host: String,
    },
    /// Only a poll makes requests.
    #[error("no requests can be made now; make them in poll")]
    NotNow,
    /// There is not enough fuel left for it, or for its answer. The call ends with this.
    #[error("a request to {host} costs more fuel than is left; the operator can grant more (`fuel_base`)")]
    OutOfFuel {
        /// The host of the URL.
        host: String,
    },
    /// What came is no answer.
    #[error("the answer of {host} cannot be used: {problem}")]
    BadAnswer {
        /// The host of the URL.
        host: String,
        /// Why.
        problem: String,
    },
}

/// What a request is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Looking up the name.
    Lookup,
    /// Connecting.
    Connect,
    /// Shaking hands by TLS.
    Handshake,
    /// Sending, and waiting for the head of the answer.
    Head,
    /// Reading the body of the answer.
    Body,
}

// === impl Refused ===

impl Refused {
    /// The word for modules, logs and metrics. The words are a closed set and never change.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Denied { .. } | Self::NotPublic { .. } | Self::SecretDenied { .. } | Self::NotNow => "denied",
            Self::UnknownSecret { .. } => "unknown-secret",
            Self::Unresolved { .. } => "unresolved",
            Self::Unreachable { .. } => "unreachable",
            Self::Tls { .. } => "tls",
            Self::Timeout { .. } => "timeout",
            Self::TooLarge { .. } => "too-large",
            Self::RateLimited { .. } => "rate-limited",
            Self::Malformed { .. } => "malformed",
            Self::TooManyRedirects { .. } => "too-many-redirects",
            Self::OutOfFuel { .. } => "out-of-fuel",
            Self::BadAnswer { .. } => "bad-answer",
        }
    }

    /// The same with what only the operator may know.
    pub fn for_operator(&self) -> String {
        match self {
            Self::NotPublic { address, kind, .. } => format!("{self} ({address}: {kind})"),
            _ => self.to_string(),
        }
    }

    pub(super) fn head_too_large() -> Self {
        Self::TooLarge { what: "the head of the request", limit: REQUEST_HEAD_BYTES, grantable: false }
    }

    pub(super) fn malformed(place: impl Into<String>, problem: impl ToString) -> Self {
        Self::Malformed { place: place.into(), problem: problem.to_string() }
    }
}

fn redirect(redirected: bool) -> &'static str {
    if redirected { ", where a redirect leads," } else { "" }
}

fn remedy(grantable: bool) -> &'static str {
    if grantable { "; the operator can grant more (`grants.requests.body`)" } else { "" }
}

// === impl Stage ===

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Lookup => "looking up its name",
            Self::Connect => "connecting",
            Self::Handshake => "shaking hands by TLS",
            Self::Head => "waiting for the head of its answer",
            Self::Body => "reading the body of its answer",
        })
    }
}
