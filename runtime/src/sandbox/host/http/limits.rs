//! Bounds on a request and its answer.

use std::time::Duration;

use crate::sandbox::engine::ASKING_SLOTS;

/// What a deployment's requests may use. The operator sets these; ceilings hold whatever is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Limits {
    /// The longest body of an answer in bytes, at most [`BODY_CEILING`].
    pub body: usize,
    /// How long a request may take with all of its redirects, at most [`DEADLINE_CEILING`].
    pub deadline: Duration,
}

/// Bytes of a URL. The shortest limit among usual servers.
pub const URL_BYTES: usize = 8 << 10;
/// Bytes of a request's head, from its first line to the end of its headers, secrets filled in.
pub const REQUEST_HEAD_BYTES: usize = 16 << 10;
/// Headers of a request that the module may set.
pub const REQUEST_HEADERS: usize = 64;
/// Bytes of a request's body.
pub const REQUEST_BODY_BYTES: usize = 1 << 20;
/// Bytes of an answer's head.
pub const ANSWER_HEAD_BYTES: usize = 32 << 10;
/// Headers of an answer.
pub const ANSWER_HEADERS: usize = 100;
/// Bytes of an answer's body that any deployment can be granted.
pub const BODY_CEILING: usize = 8 << 20;
/// How long any deployment's requests may take.
pub const DEADLINE_CEILING: Duration = Duration::from_secs(60);
/// Redirects that are followed.
pub const REDIRECTS: usize = 5;
/// Addresses of a name that are tried. Names with more are meant to spread their clients.
pub const ADDRESSES_TRIED: usize = 4;
/// Names that are looked up at once for all deployments: a thread each, which sleeps. Each deployment has one, so that
/// nobody waits for somebody else's names: a look-up that takes too long goes on when its request has ended.
pub const LOOKUPS: usize = ASKING_SLOTS as usize;
/// The least that a server is allowed to send around a body: heads, interim answers, its certificates.
pub const WIRE_BASE: u64 = 256 << 10;
/// What a body may grow by on the wire, which chunks of one byte each need.
pub const WIRE_FACTOR: u64 = 8;

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self { body: 1 << 20, deadline: Duration::from_secs(5) }
    }
}

impl Limits {
    /// What holds, whatever was set.
    #[must_use]
    pub fn within_ceilings(self) -> Self {
        Self { body: self.body.min(BODY_CEILING), deadline: self.deadline.min(DEADLINE_CEILING) }
    }

    /// What may come over the wire for one answer.
    pub(super) fn wire(&self) -> u64 {
        WIRE_BASE.saturating_add(WIRE_FACTOR.saturating_mul(self.body as u64))
    }
}
