//! Who may ask, by HTTP's basic authentication.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use sha2::{Digest, Sha256};

use super::{Reply, StatusCode, header, line};

/// Those who may ask, by the digests of what they have to say. With nobody in it, everybody may.
#[derive(Clone, Default)]
pub struct Users(Vec<[u8; 32]>);

// === impl Users ===

impl Users {
    /// Users with these names and passwords.
    pub fn of<'a>(users: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let said = users.into_iter().map(|(name, password)| STANDARD.encode(format!("{name}:{password}")));
        Self(said.map(|said| digest(said.as_bytes())).collect())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether everybody may ask.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether who asks is one of them. How long that takes says nothing about whom it is like.
    pub fn admit(&self, headers: &HeaderMap) -> bool {
        if self.is_empty() {
            return true;
        }
        let Some(said) = headers.get(header::AUTHORIZATION).and_then(|said| credentials(said.as_bytes())) else {
            return false;
        };
        let said = digest(said);
        self.0.iter().fold(false, |found, known| found | same(known, &said))
    }

    /// The answer to who is not.
    pub fn refusal() -> Reply {
        let mut reply = line(StatusCode::UNAUTHORIZED, "Name and password are needed.");
        let challenge = header::HeaderValue::from_static("Basic realm=\"wasmeter\", charset=\"UTF-8\"");
        reply.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        reply
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} users", self.0.len())
    }
}

/// What follows the name of the scheme, which may be written in any case.
fn credentials(said: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = said.split_at_checked(b"basic ".len())?;
    scheme.eq_ignore_ascii_case(b"basic ").then(|| rest.trim_ascii())
}

fn digest(said: &[u8]) -> [u8; 32] {
    Sha256::digest(said).into()
}

/// Looks at all of both, however they begin.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    std::hint::black_box(a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(users: &Users, said: Option<&str>) -> bool {
        let headers = said.map(|said| (header::AUTHORIZATION, said.parse().unwrap()));
        users.admit(&headers.into_iter().collect())
    }

    #[test]
    fn only_users_are_admitted() {
        let users = Users::of([("ann", "s3cret:ü"), ("bob", "other")]);
        for (said, admitted) in [
            (Some("Basic YW5uOnMzY3JldDrDvA=="), true),
            (Some("bAsIc  YW5uOnMzY3JldDrDvA== "), true),
            (Some("Basic Ym9iOm90aGVy"), true),
            (Some("Basic Ym9iOm90aGVyIQ=="), false),
            (Some("Basic YW5uOm90aGVy"), false),
            (Some("Bearer Ym9iOm90aGVy"), false),
            (Some("Basic"), false),
            (Some("Basic "), false),
            (Some(""), false),
            (None, false),
        ] {
            assert_eq!(admits(&users, said), admitted, "{said:?}");
        }
        assert!(admits(&Users::default(), None));
        assert_eq!(format!("{users:?}"), "2 users");
    }
}
