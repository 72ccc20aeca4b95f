//! Signatures, as minisign writes them.
//!
//! The library that checks them is lenient about what is around the signed parts. Here every byte has its place: of a
//! signature that is accepted, nothing but the text of the untrusted comment can be other than it was.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};

use super::Untrusted;
use super::key::{COMMENT, Key, KeyId};

/// Bytes of the largest signature: minisign's longest comments are 1 KiB and 8 KiB.
pub(super) const LARGEST: usize = 10 << 10;

const TRUSTED_COMMENT: &str = "trusted comment: ";
const LINES: u64 = 4;

/// A signature that is in form.
pub(super) struct Signature {
    pub key_id: KeyId,
    pub whole: minisign_verify::Signature,
    /// The signature of the file, and of this one with the trusted comment.
    of_file: [u8; 64],
    of_all: [u8; 64],
}

// === impl Signature ===

impl Signature {
    /// A signature from its file.
    pub fn parse(file: &[u8]) -> Result<Self, Untrusted> {
        if file.len() > LARGEST {
            return Err(Untrusted::TooLarge);
        }
        let text = str::from_utf8(file).map_err(|error| {
            let before = file.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count();
            damaged(u64::try_from(line).unwrap_or(0) + 1, "is not UTF-8")
        })?;
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in (1..).zip(&lines) {
            // A signature is shown to people, and a terminal would do what it says.
            if line.contains(|c: char| c.is_control() && c != '\t') {
                return Err(damaged(number, "has control characters in it"));
            }
        }
        let mut lines = (1..).zip(lines);
        let mut next = || lines.next().ok_or(damaged(LINES, "is missing; it has four"));
        let ((_, untrusted), (_, first), (_, trusted), (_, second)) = (next()?, next()?, next()?, next()?);
        if let Some((number, _)) = lines.next() {
            return Err(damaged(number, "is too many; it has four"));
        }
        if !untrusted.starts_with(COMMENT) {
            return Err(damaged(1, "does not begin with \"untrusted comment: \""));
        }
        let first: [u8; 74] = decode(2, first)?;
        if !trusted.starts_with(TRUSTED_COMMENT) {
            return Err(damaged(3, "does not begin with \"trusted comment: \""));
        }
        let of_all: [u8; 64] = decode(LINES, second)?;
        let kind = first.first_chunk::<2>();
        if !matches!(kind, Some(b"ED" | b"Ed")) {
            return Err(damaged(2, "is a signature of another kind than minisign's"));
        }
        let (Some((_, rest)), Ok(whole)) = (first.split_first_chunk::<2>(), minisign_verify::Signature::decode(text))
        else {
            return Err(damaged(2, "is no signature"));
        };
        let (Some(id), Some(of_file)) = (rest.first_chunk(), rest.last_chunk()) else {
            return Err(damaged(2, "is no signature"));
        };
        Ok(Self { key_id: KeyId::from_bytes(*id), whole, of_file: *of_file, of_all })
    }

    /// Whether the signature and its trusted comment belong together, whatever the file. This only tells why
    /// something is refused.
    pub fn is_whole(&self, key: &Key) -> bool {
        let signed = [&self.of_file[..], self.whole.trusted_comment().as_bytes()].concat();
        UnparsedPublicKey::new(&ED25519, &key.bytes).verify(&signed, &self.of_all).is_ok()
    }
}

fn decode<const N: usize>(line: u64, text: &str) -> Result<[u8; N], Untrusted> {
    let bytes = BASE64_STANDARD.decode(text).map_err(|_| damaged(line, "is not Base64"))?;
    bytes.try_into().map_err(|_| damaged(line, "is not as long as a signature"))
}

fn damaged(line: u64, what: &'static str) -> Untrusted {
    Untrusted::Damaged { line, what }
}
