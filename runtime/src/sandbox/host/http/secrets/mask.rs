//! Finding secrets in what servers say, however they spell them.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::SHORTEST;

/// Searches for all forms of all secrets at once, whatever the case of their letters. The time for it grows with the
/// text alone, whoever wrote it.
#[derive(Default)]
pub(super) struct Mask {
    search: Option<AhoCorasick>,
    /// For each pattern of the search, what else belongs to it.
    edges: Vec<Edges>,
    /// The most that a pattern may take, escaped and with its edges.
    longest: usize,
}

/// Whether the character before or behind a match holds bits of a secret too, as in Base64.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Edges {
    before: bool,
    after: bool,
}

/// How a text may be escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// It is not.
    Plain,
    /// `%2F`, in URLs.
    Percent,
    /// The same with `+` for a space, in forms.
    Form,
    /// `\/`, `\x2f` and `\u002f`, in JSON and sources.
    Backslash,
    /// `&#47;`, `&#x2f;` and `&amp;`, in HTML and XML.
    Entity,
}

/// A text without its escapes.
struct Plain<'a> {
    text: Cow<'a, [u8]>,
    /// Where the distance between the two texts changes: a position in this one and the one in the other.
    steps: Vec<(usize, usize)>,
}

/// What stands in the place of a secret.
const HIDDEN: &[u8] = b"***";

/// Such as `&#x0000002f;`.
const LONGEST_ESCAPE: usize = 12;

const SPELLINGS: [Spelling; 5] =
    [Spelling::Plain, Spelling::Percent, Spelling::Form, Spelling::Backslash, Spelling::Entity];

// === impl Mask ===

impl Mask {
    /// A search for these secrets.
    pub(super) fn new<'a>(secrets: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut patterns: Vec<(Vec<u8>, Edges)> = Vec::new();
        for secret in secrets {
            for pattern in forms(secret) {
                if !patterns.contains(&pattern) {
                    patterns.push(pattern);
                }
            }
        }
        if patterns.is_empty() {
            return Ok(Self::default());
        }
        let longest = patterns.iter().map(|(pattern, _)| pattern.len() + 2).max().unwrap_or(0) * LONGEST_ESCAPE;
        let (patterns, edges): (Vec<_>, Vec<_>) = patterns.into_iter().unzip();
        let search = AhoCorasick::builder()
            // Others are faster to search and take seconds to make of long secrets.
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .build(patterns)
            .map_err(|error| error.to_string())?;
        Ok(Self { search: Some(search), edges, longest })
    }

    /// A text without secrets, if there are any in it.
    pub(super) fn mask(&self, text: &[u8]) -> Option<Vec<u8>> {
        hide(text, SPELLINGS.iter().flat_map(|spelling| self.find(text, *spelling)).collect())
    }

    /// The same for long texts: others run in between.
    pub(super) async fn mask_slowly(&self, text: &[u8], window: usize) -> Option<Vec<u8>> {
        let (mut found, mut start) = (Vec::new(), 0);
        // What begins in a window ends in it, or in what is added to it.
        let window = window.max(self.longest);
        while let Some(rest) = text.get(start..).filter(|rest| !rest.is_empty()) {
            let part = rest.get(..window + self.longest).unwrap_or(rest);
            for spelling in SPELLINGS {
                found.extend(self.find(part, spelling).into_iter().map(|at| start + at.start..start + at.end));
                tokio::task::yield_now().await;
            }
            start += window;
        }
        hide(text, found)
    }

    /// Where secrets are in this spelling.
    fn find(&self, text: &[u8], spelling: Spelling) -> Vec<Range<usize>> {
        let Some(search) = &self.search else { return Vec::new() };
        let Some(plain) = spelling.undo(text) else { return Vec::new() };
        let mut found: Vec<Range<usize>> = Vec::new();
        for at in search.find_overlapping_iter(plain.text.as_ref()) {
            let edges = self.edges.get(at.pattern().as_usize()).copied().unwrap_or_default();
            let start = at.start().saturating_sub(edges.before.into());
            let end = (at.end() + usize::from(edges.after)).min(plain.text.len());
            let mut range = plain.origin(start)..plain.origin(end).min(text.len());
            // Secrets in secrets are found one by one, and kept as one.
            while let Some(last) = found.pop_if(|last| last.end >= range.start) {
                range = last.start.min(range.start)..last.end.max(range.end);
            }
            found.push(range);
        }
        found
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Forms in which a secret may come back, before they are escaped.
fn forms(secret: &str) -> Vec<(Vec<u8>, Edges)> {
    let mut texts = vec![secret.as_bytes().to_vec()];
    // `Bearer abc` may come back as `abc`.
    texts.extend(secret.split(' ').map(|word| word.as_bytes().to_vec()));
    // What basic authentication sends is read by servers, and shown as they read it.
    for word in secret.split(' ') {
        texts.extend([&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD].iter().flat_map(|it| it.decode(word)));
    }
    let mut forms = Vec::new();
    for text in texts.iter().filter(|text| text.len() >= SHORTEST) {
        forms.push((text.clone(), Edges::default()));
        forms.push((text.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect(), Edges::default()));
        for offset in 0..3 {
            forms.extend([&STANDARD_NO_PAD, &URL_SAFE_NO_PAD].iter().flat_map(|engine| base64(engine, text, offset)));
        }
    }
    forms
}

/// What Base64 makes of a text that begins so many bytes behind a multiple of three, without the characters that its
/// neighbours have a part in.
fn base64(engine: &GeneralPurpose, text: &[u8], offset: usize) -> Option<(Vec<u8>, Edges)> {
    let padded: Vec<u8> = std::iter::repeat_n(0, offset).chain(text.iter().copied()).collect();
    let (first, last) = ((8 * offset).div_ceil(6), 8 * padded.len() / 6);
    let edges = Edges { before: offset > 0, after: !padded.len().is_multiple_of(3) };
    let encoded = engine.encode(padded).into_bytes();
    encoded.get(first..last).map(|own| (own.to_vec(), edges))
}

/// The text with these parts of it hidden.
fn hide(text: &[u8], mut found: Vec<Range<usize>>) -> Option<Vec<u8>> {
    if found.is_empty() {
        return None;
    }
    found.sort_unstable_by_key(|range| range.start);
    let (mut hidden, mut done, mut covered) = (Vec::with_capacity(text.len()), 0, None);
    for range in found {
        if covered.is_none_or(|end| range.start > end) {
            hidden.extend_from_slice(text.get(done..range.start).unwrap_or_default());
            hidden.extend_from_slice(HIDDEN);
        }
        done = done.max(range.end);
        covered = Some(done);
    }
    hidden.extend_from_slice(text.get(done..).unwrap_or_default());
    Some(hidden)
}

// === impl Spelling ===

impl Spelling {
    /// The text without its escapes, if it has any.
    fn undo(self, text: &[u8]) -> Option<Plain<'_>> {
        if self == Self::Plain {
            return Some(Plain { text: text.into(), steps: Vec::new() });
        }
        let (mut plain, mut steps, mut at, mut escaped) = (Vec::new(), Vec::new(), 0, false);
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            // Up to the next one nothing changes.
            let same = rest.iter().position(|byte| self.begins(*byte)).unwrap_or(rest.len());
            let (same, rest) = rest.split_at(same);
            plain.extend_from_slice(same);
            at += same.len();
            let Some(first) = rest.first() else { break };
            let escape = self.escape(rest);
            escaped |= escape.is_some();
            let (byte, length) = escape.unwrap_or((*first, 1));
            plain.push(byte);
            at += length;
            if length != 1 {
                steps.push((plain.len(), at));
            }
        }
        escaped.then(|| Plain { text: plain.into(), steps })
    }

    fn begins(self, byte: u8) -> bool {
        match self {
            Self::Plain => false,
            Self::Percent => byte == b'%',
            Self::Form => byte == b'%' || byte == b'+',
            Self::Backslash => byte == b'\\',
            Self::Entity => byte == b'&',
        }
    }

    /// What an escape stands for, and how long it is. Secrets are ASCII, so nothing else is undone.
    fn escape(self, text: &[u8]) -> Option<(u8, usize)> {
        match (self, text) {
            (Self::Form, [b'+', ..]) => Some((b' ', 1)),
            (Self::Percent | Self::Form, [b'%', digits @ ..]) => Some((hexadecimal(digits.get(..2)?)?, 3)),
            (Self::Backslash, [b'\\', b'u' | b'U', digits @ ..]) => Some((hexadecimal(digits.get(..4)?)?, 6)),
            (Self::Backslash, [b'\\', b'x' | b'X', digits @ ..]) => Some((hexadecimal(digits.get(..2)?)?, 4)),
            (Self::Backslash, [b'\\', byte, ..]) if !byte.is_ascii_alphanumeric() => Some((*byte, 2)),
            (Self::Entity, [b'&', name @ ..]) => {
                let end = name.iter().take(LONGEST_ESCAPE - 1).position(|byte| *byte == b';')?;
                let byte = match name.get(..end)? {
                    b"amp" => b'&',
                    b"lt" => b'<',
                    b"gt" => b'>',
                    b"quot" => b'"',
                    b"apos" => b'\'',
                    [b'#', b'x' | b'X', digits @ ..] => hexadecimal(digits)?,
                    [b'#', digits @ ..] => std::str::from_utf8(digits).ok()?.parse().ok()?,
                    _ => return None,
                };
                Some((byte, end + 2))
            }
            _ => None,
        }
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u32::from_str_radix(text, 16).ok().and_then(|value| u8::try_from(value).ok())
}

// === impl Plain ===

impl Plain<'_> {
    /// Where in the escaped text a position is.
    fn origin(&self, at: usize) -> usize {
        let behind = self.steps.partition_point(|(plain, _)| *plain <= at);
        match behind.checked_sub(1).and_then(|last| self.steps.get(last)) {
            Some((plain, escaped)) => escaped + (at - plain),
            None => at,
        }
    }
}

#[cfg(test)]
mod tests;
