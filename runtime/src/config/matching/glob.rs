//! One pattern, as Python's `fnmatch` reads it on a POSIX machine.

use std::fmt::Write;
use std::iter::Peekable;
use std::str::FromStr;

use regex::Regex;

/// A pattern for names: `*` any text, `?` any character, `[a-z]` one of these, `[!a-z]` one but these. Upper and lower
/// case differ, and the whole name must fit.
#[derive(Debug, Clone)]
pub struct Glob(Matcher);

/// Most patterns are plain names, of which a source may have thousands; these need no automaton.
#[derive(Debug, Clone)]
enum Matcher {
    Name(String),
    Pattern(Regex),
}

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGlob {
    /// Longer than any name.
    #[error("A pattern is longer than {LONGEST} characters")]
    TooLong,
    /// The automaton for it would be too large.
    #[error("A pattern is too complex")]
    TooComplex,
}

/// The longest pattern in characters; what it is matched with are names of meters.
const LONGEST: usize = 255;

// === impl Glob ===

impl Glob {
    /// The pattern.
    pub fn new(pattern: &str) -> Result<Self, InvalidGlob> {
        if pattern.chars().nth(LONGEST).is_some() {
            return Err(InvalidGlob::TooLong);
        }
        if !pattern.contains(['*', '?', '[']) {
            return Ok(Self(Matcher::Name(pattern.to_owned())));
        }
        let regex = Regex::new(&translate(pattern)).map_err(|_| InvalidGlob::TooComplex)?;
        Ok(Self(Matcher::Pattern(regex)))
    }

    /// Whether the whole name fits.
    pub fn matches(&self, name: &str) -> bool {
        match &self.0 {
            Matcher::Name(own) => own == name,
            Matcher::Pattern(regex) => regex.is_match(name),
        }
    }
}

impl FromStr for Glob {
    type Err = InvalidGlob;

    fn from_str(pattern: &str) -> Result<Self, InvalidGlob> {
        Self::new(pattern)
    }
}

fn translate(pattern: &str) -> String {
    let mut regex = String::from(r"(?s)\A");
    let mut rest = pattern.chars();
    while let Some(letter) = rest.next() {
        match letter {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '[' => match split_set(rest.as_str()) {
                Some((set, after)) => {
                    push_set(&mut regex, set);
                    rest = after.chars();
                }
                None => push_char(&mut regex, '['),
            },
            other => push_char(&mut regex, other),
        }
    }
    regex.push_str(r"\z");
    regex
}

/// What stands up to the closing bracket, and what stands behind it. A bracket right at the beginning closes nothing.
fn split_set(text: &str) -> Option<(&str, &str)> {
    let start = text.strip_prefix('!').unwrap_or(text);
    let start = start.strip_prefix(']').unwrap_or(start);
    let (tail, after) = start.split_once(']')?;
    let length = text.len() - after.len() - 1;
    debug_assert!(text.get(..length).is_some_and(|set| set.ends_with(tail)));
    Some((text.get(..length)?, after))
}

fn push_set(regex: &mut String, set: &str) {
    let (negated, members) = set.strip_prefix('!').map_or((false, set), |rest| (true, rest));
    let mut class = String::new();
    let mut members = members.chars().peekable();
    while let Some(from) = members.next() {
        match range_end(&mut members) {
            // A range that runs backwards has no members.
            Some(to) if to < from => {}
            Some(to) => {
                push_char(&mut class, from);
                class.push('-');
                push_char(&mut class, to);
            }
            None => push_char(&mut class, from),
        }
    }
    regex.push_str(match (negated, class.is_empty()) {
        (false, false) => "[",
        (true, false) => "[^",
        (false, true) => r"[^\s\S",
        (true, true) => r"[\s\S",
    });
    regex.push_str(&class);
    regex.push(']');
}

/// The end of a range if `-` and one more member come next, which are taken.
fn range_end(members: &mut Peekable<std::str::Chars<'_>>) -> Option<char> {
    let mut ahead = members.clone();
    let end = ahead.next().filter(|&dash| dash == '-').and_then(|_| ahead.next())?;
    *members = ahead;
    Some(end)
}

/// By number, so that nothing has a meaning of its own.
fn push_char(regex: &mut String, letter: char) {
    let _ = write!(regex, r"\x{{{:x}}}", u32::from(letter));
}
