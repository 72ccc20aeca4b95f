//! What is wrong with an expression, and where.

use std::fmt;

/// What is wrong with an expression, or with what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    what: String,
    /// The characters that it is about, if there are any.
    excerpt: String,
    /// Where they begin, counted from one.
    column: usize,
}

/// From which byte to which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    pub from: u16,
    pub to: u16,
}

/// An error that does not know its expression.
#[derive(Debug)]
pub struct Fault {
    pub at: Span,
    pub what: String,
}

/// What comes of a step.
pub type Result<T> = std::result::Result<T, Box<Fault>>;

/// The longest excerpt, in characters.
const EXCERPT: usize = 60;

// === impl Error ===

impl Error {
    /// Without a place in the expression.
    pub(crate) fn of_all(what: impl Into<String>) -> Self {
        Self { what: what.into(), excerpt: String::new(), column: 1 }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, excerpt, column } = self;
        match excerpt.as_str() {
            "" => write!(f, "{what}, at column {column}"),
            _ => write!(f, "{what}, at column {column}: `{excerpt}`"),
        }
    }
}

// === impl Span ===

impl Span {
    /// From byte to byte. An expression is short enough for both.
    pub fn new(from: usize, to: usize) -> Self {
        Self { from: u16::try_from(from).unwrap_or(u16::MAX), to: u16::try_from(to).unwrap_or(u16::MAX) }
    }

    /// From the beginning of one to the end of another.
    pub fn to(self, end: Self) -> Self {
        Self { from: self.from, to: end.to }
    }

    /// The error, in its expression.
    pub fn error(self, source: &str, what: impl Into<String>) -> Error {
        let before = source.get(..self.from.into()).unwrap_or(source);
        let excerpt = source.get(self.from.into()..self.to.into()).unwrap_or_default();
        let short: String = excerpt.chars().take(EXCERPT).collect();
        let excerpt = if short.len() < excerpt.len() { format!("{short}...") } else { short };
        Error { what: what.into(), excerpt, column: before.chars().count() + 1 }
    }
}

// === impl Fault ===

impl Fault {
    pub fn new(at: Span, what: impl Into<String>) -> Box<Self> {
        Box::new(Self { at, what: what.into() })
    }

    pub fn within(self, source: &str) -> Error {
        self.at.error(source, self.what)
    }
}
