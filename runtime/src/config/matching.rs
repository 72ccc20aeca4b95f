//! Which meters a source or a command means: the patterns of Ceilometer, which are those of Python's `fnmatch`.

mod glob;

pub use self::glob::{Glob, InvalidGlob};

/// The most patterns of all sources and transforms together. Each is compared with each meter's name when the work of
/// a slot is planned, and aliases make many of a small file.
pub const MOST_PATTERNS: usize = 10_000;

/// What to do about more.
pub(super) const FEWER_PATTERNS: &str = "Write fewer, with * where meters share a beginning, or in fewer sources";

/// The patterns of a source: `cpu`, `disk.*`, or all but `!network.*`.
#[derive(Debug, Clone)]
pub struct MeterFilter {
    patterns: Vec<String>,
    denied: Vec<Glob>,
    allowed: Vec<Glob>,
}

/// Why patterns do not go together; `at` counts them from 0. The words are Ceilometer's where it has any.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFilter {
    /// There is none.
    #[error("No meters specified")]
    None,
    /// Some begin with `!` and some name what they want.
    #[error("Both included and excluded meters specified")]
    Mixed {
        /// The first that differs from those before it.
        at: usize,
    },
    /// `*` stands beside names.
    #[error("Included meters specified with wildcard")]
    Wildcard {
        /// The `*`.
        at: usize,
    },
    /// One is empty.
    #[error("Empty meter name")]
    Empty {
        /// That one.
        at: usize,
    },
    /// One is no pattern.
    #[error("{source}")]
    Glob {
        /// That one.
        at: usize,
        /// Why not.
        source: InvalidGlob,
    },
}

// === impl MeterFilter ===

impl MeterFilter {
    /// A filter of these patterns, if they go together.
    pub fn new(patterns: Vec<String>) -> Result<Self, InvalidFilter> {
        check(&patterns)?;
        let (mut denied, mut allowed) = (Vec::new(), Vec::new());
        for (at, pattern) in patterns.iter().enumerate() {
            let (list, pattern) = match pattern.strip_prefix('!') {
                Some(rest) => (&mut denied, rest),
                None => (&mut allowed, pattern.as_str()),
            };
            list.push(Glob::new(pattern).map_err(|source| InvalidFilter::Glob { at, source })?);
        }
        Ok(Self { patterns, denied, allowed })
    }

    /// Whether a meter is meant. What is denied stays denied; where everything is a denial, the rest is meant.
    pub fn matches(&self, name: &str) -> bool {
        let any = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(name));
        !any(&self.denied) && (self.allowed.is_empty() || any(&self.allowed))
    }

    /// Each pattern of what is meant, as written and as it is compared; none where all but what is denied is meant.
    pub fn allowed(&self) -> impl Iterator<Item = (&str, &Glob)> {
        let written = self.patterns.iter().map(String::as_str).filter(|pattern| !pattern.starts_with('!'));
        written.zip(&self.allowed)
    }

    /// The patterns as written.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }
}

impl serde::Serialize for MeterFilter {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.patterns.serialize(serializer)
    }
}

/// Ceilometer's rules. They look at first characters only: `*.bytes` counts as neither included nor excluded.
fn check(patterns: &[String]) -> Result<(), InvalidFilter> {
    if patterns.is_empty() {
        return Err(InvalidFilter::None);
    }
    if let Some(at) = patterns.iter().position(String::is_empty) {
        return Err(InvalidFilter::Empty { at });
    }
    let excluded = patterns.iter().position(|pattern| pattern.starts_with('!'));
    let included = patterns.iter().position(|pattern| !pattern.starts_with(['!', '*']));
    let wildcard = patterns.iter().position(|pattern| pattern == "*");
    match (excluded, included, wildcard) {
        (Some(excluded), Some(included), _) => Err(InvalidFilter::Mixed { at: excluded.max(included) }),
        (_, Some(_), Some(at)) => Err(InvalidFilter::Wildcard { at }),
        _ => Ok(()),
    }
}

// === impl InvalidFilter ===

impl InvalidFilter {
    /// The pattern at fault, counted from 0.
    pub fn at(&self) -> Option<usize> {
        match self {
            Self::None => None,
            Self::Mixed { at } | Self::Wildcard { at } | Self::Empty { at } | Self::Glob { at, .. } => Some(*at),
        }
    }

    /// What to write instead.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::None => "Name some, or write [\"*\"] for all",
            Self::Mixed { .. } => "Either name the meters that you want, or name with `!` those that you do not want",
            Self::Wildcard { .. } => "Remove `*`, or the meters beside it, which it includes",
            Self::Empty { .. } => "Name a meter or remove the entry",
            Self::Glob { .. } => "Write a shorter pattern",
        }
    }
}

#[cfg(test)]
mod tests;
