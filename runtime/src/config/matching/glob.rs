//! One pattern, as Python's `fnmatch` reads it on a POSIX machine.

use std::str::FromStr;

/// A pattern for names: `*` any text, `?` any character, `[a-z]` one of these, `[!a-z]` one but these. Upper and lower
/// case differ, and the whole name must fit.
///
/// It is read while it is matched: an automaton for it would take a thousand times as much memory as its text, and
/// aliases make many patterns of a small file.
#[derive(Debug, Clone)]
pub struct Glob {
    /// The pattern with stars that stand beside each other made one, and `[[]` for a bracket that nothing closes: so
    /// that nothing is looked for twice while a name is matched.
    pub(super) text: Box<str>,
    /// Whether it is a name and nothing else, as most are.
    is_name: bool,
}

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGlob {
    /// Longer than any name.
    #[error("A pattern is longer than {LONGEST} characters")]
    TooLong,
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
        let text = plain(pattern).into_boxed_str();
        Ok(Self { is_name: !text.contains(['*', '?', '[']), text })
    }

    /// The pattern, or one that fits the same names.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the whole name fits.
    pub fn matches(&self, name: &str) -> bool {
        if self.is_name { *self.text == *name } else { fits(&self.text, name) }
    }

    /// Whether names that begin so may fit. It says so of some of which none does.
    pub fn may_begin(&self, beginning: &str) -> bool {
        let head = self.text.split(['*', '?', '[']).next().unwrap_or_default();
        head.starts_with(beginning) || (!self.is_name && beginning.starts_with(head))
    }

    /// How many bytes of the pattern may be compared again at each character of a name, at most: what stands behind
    /// the first star. All of it is compared once beside that.
    pub fn width(&self) -> usize {
        self.text.split_once('*').map_or(0, |(_, behind)| behind.len())
    }
}

impl FromStr for Glob {
    type Err = InvalidGlob;

    fn from_str(pattern: &str) -> Result<Self, InvalidGlob> {
        Self::new(pattern)
    }
}

/// The same pattern with each star alone and each set closed.
fn plain(pattern: &str) -> String {
    let (mut plain, mut rest) = (String::with_capacity(pattern.len()), pattern);
    while let Some(letter) = rest.chars().next() {
        let behind = rest.strip_prefix(letter).unwrap_or_default();
        rest = match (letter, split_set(behind)) {
            ('[', Some((set, behind))) => {
                plain.extend(["[", set, "]"]);
                behind
            }
            ('[', None) => {
                plain.push_str("[[]");
                behind
            }
            ('*', _) => {
                plain.push('*');
                behind.trim_start_matches('*')
            }
            _ => {
                plain.push(letter);
                behind
            }
        };
    }
    plain
}

/// What stands up to the closing bracket, and what stands behind it. A bracket right at the beginning closes nothing.
fn split_set(text: &str) -> Option<(&str, &str)> {
    let start = text.strip_prefix('!').unwrap_or(text);
    let start = start.strip_prefix(']').unwrap_or(start);
    let (_, behind) = start.split_once(']')?;
    let length = text.len() - behind.len() - 1;
    Some((text.get(..length)?, behind))
}

/// A star first stands for nothing, and for a character more whenever what is behind it does not fit. Only the last
/// star that was met need grow: what an earlier one left over fits whatever that one leaves.
fn fits(mut pattern: &str, mut name: &str) -> bool {
    let mut star: Option<(&str, &str)> = None;
    loop {
        if let Some(behind) = pattern.strip_prefix('*') {
            star = Some((behind, name));
            pattern = behind;
            continue;
        }
        let mut letters = name.chars();
        let Some(letter) = letters.next() else { return pattern.is_empty() };
        if let Some(behind) = one(pattern, letter) {
            (pattern, name) = (behind, letters.as_str());
            continue;
        }
        // What is behind the last star of all may be empty, and then it fits any rest.
        let Some((behind, from)) = star.as_mut() else { return false };
        if behind.is_empty() {
            return true;
        }
        let mut shorter = from.chars();
        shorter.next();
        *from = shorter.as_str();
        (pattern, name) = (*behind, *from);
    }
}

/// The pattern behind what stands for one character, if it may stand for this one.
fn one(pattern: &str, letter: char) -> Option<&str> {
    let mut rest = pattern.chars();
    match rest.next()? {
        '?' => Some(rest.as_str()),
        '[' => {
            let (set, behind) = split_set(rest.as_str())?;
            let (negated, members) = set.strip_prefix('!').map_or((false, set), |members| (true, members));
            (has(members, letter) != negated).then_some(behind)
        }
        other => (other == letter).then_some(rest.as_str()),
    }
}

/// Whether a set has a letter. A range that runs backwards has no members.
fn has(members: &str, letter: char) -> bool {
    let mut members = members.chars();
    while let Some(from) = members.next() {
        let mut ahead = members.clone();
        let to = ahead.next().filter(|&dash| dash == '-').and_then(|_| ahead.next());
        if to.is_some() {
            members = ahead;
        }
        if (from..=to.unwrap_or(from)).contains(&letter) {
            return true;
        }
    }
    false
}
