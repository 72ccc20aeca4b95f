//! Public keys, as minisign writes them.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use minisign_verify::PublicKey;

/// What every file of minisign's begins with.
pub(super) const COMMENT: &str = "untrusted comment: ";
/// Bytes of a public key, of which the last are the key itself.
const KEY_BYTES: usize = 42;
/// Bytes of a secret key.
const SECRET_BYTES: usize = 158;
/// The longest name of a key.
const NAME_BYTES: usize = 64;

/// What a key calls itself: eight bytes that were drawn when it was made, written as minisign writes them, which is
/// without zeros in front.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(u64);

/// A key that is trusted.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub name: Arc<str>,
    pub id: KeyId,
    pub public: PublicKey,
    /// The key itself, in which `public` lets nobody look.
    pub bytes: [u8; 32],
}

/// Why a file is no public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoKey {
    pub line: u64,
    pub message: &'static str,
    pub remedy: &'static str,
}

/// Whether a key can be called so: it is written in configurations and logs.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    !name.is_empty() && name.len() <= NAME_BYTES && !name.starts_with('.') && name.bytes().all(plain)
}

// === impl KeyId ===

impl KeyId {
    /// As it stands in keys and signatures.
    pub(super) fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_le_bytes(bytes))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}", self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for KeyId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

// === impl Key ===

impl Key {
    /// A key from its file.
    pub fn parse(name: &str, file: &[u8]) -> Result<Self, NoKey> {
        let text = str::from_utf8(file).map_err(|_| NoKey::of(1, "it is no text"))?;
        let mut lines = text.lines();
        let comment = lines.next().ok_or(NoKey::of(1, "it is empty"))?;
        if !comment.starts_with(COMMENT) {
            return Err(NoKey::of(1, "its first line does not begin with \"untrusted comment: \""));
        }
        let line = lines.next().ok_or(NoKey::of(2, "it ends before the key"))?;
        let bytes = BASE64_STANDARD.decode(line).map_err(|_| NoKey::of(2, "its second line is not Base64"))?;
        if bytes.len() == SECRET_BYTES {
            return Err(NoKey {
                line: 2,
                message: "it is a secret key",
                remedy: "Take it away from here and put the public key in its place; whoever could read it can sign, \
                         so make a new pair if that was anybody but its owner",
            });
        }
        let bytes = <[u8; KEY_BYTES]>::try_from(bytes).map_err(|_| NoKey::of(2, "it is not as long as a key"))?;
        let [b'E', b'd', rest @ ..] = bytes else { return Err(NoKey::of(2, "it is a key of another kind")) };
        if lines.next().is_some() {
            return Err(NoKey::of(3, "it goes on after the key; a file has one key"));
        }
        let (Some((id, key)), Ok(public)) = (rest.split_first_chunk(), PublicKey::from_base64(line)) else {
            return Err(NoKey::of(2, "it is no key"));
        };
        let bytes = <[u8; 32]>::try_from(key).map_err(|_| NoKey::of(2, "it is no key"))?;
        Ok(Self { name: name.into(), id: KeyId::from_bytes(*id), public, bytes })
    }
}

// === impl NoKey ===

impl NoKey {
    fn of(line: u64, message: &'static str) -> Self {
        let remedy = "Put the public key there as minisign -G wrote it: a line of comment and one of Base64";
        Self { line, message, remedy }
    }
}
