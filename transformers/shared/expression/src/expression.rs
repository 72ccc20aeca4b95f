//! An expression that was read.

use std::fmt;

use crate::error::{Error, Span};
use crate::parser::Parser;
use crate::tree::Node;
use crate::value::Value;

/// An expression that was read.
#[derive(Debug)]
pub struct Expression {
    source: String,
    root: Node,
    paths: Vec<Path>,
}

/// What an expression asks for: `resource_metadata.cpu_number`, `$(cpu).unit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// What it begins with.
    pub root: Root,
    /// The names behind that, none or more.
    pub keys: Vec<String>,
    pub(crate) at: Span,
}

/// What a path begins with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Root {
    /// A name.
    Name(String),
    /// The name of a meter, in `$(...)`.
    Meter(String),
}

/// What is known of a value before there is a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// A number, or nothing.
    Number,
    /// A text, or nothing.
    Text,
    /// Anything.
    Anything,
}

/// The longest expression in bytes.
const LONGEST: usize = 4_096;

// === impl Expression ===

impl Expression {
    /// Reads an expression. One that fails for every sample is refused.
    pub fn parse(source: &str) -> Result<Self, Error> {
        let read = Self::read(source)?;
        read.root.fault(&[]).map_err(|fault| fault.within(source))?;
        Ok(read)
    }

    /// Whether a number can come out of it where samples say this under the paths.
    pub fn check_number(&self, says: impl Fn(&Path) -> Says) -> Result<(), Error> {
        let slots: Vec<Says> = self.paths.iter().map(says).collect();
        self.root.fault_as_number(&slots).map_err(|fault| fault.within(&self.source))
    }

    /// Reads an expression, whatever comes of it.
    pub(crate) fn read(source: &str) -> Result<Self, Error> {
        if source.len() > LONGEST {
            return Err(Error::of_all(format!("it has {} bytes and may have {LONGEST}", source.len())));
        }
        let mut parser = Parser::new(source);
        let root = parser.parse().map_err(|fault| fault.within(source))?;
        Ok(Self { source: source.to_owned(), root, paths: parser.into_paths() })
    }

    /// What it asks for, each once.
    pub fn paths(&self) -> &[Path] {
        &self.paths
    }

    /// Evaluates it; entry i of `values` stands under path i.
    #[inline]
    pub fn evaluate(&self, values: &[Value]) -> Result<Value, Error> {
        self.root.evaluate(values).map_err(|fault| fault.within(&self.source))
    }

    /// An error that points at a path.
    pub fn refuse(&self, path: &Path, what: impl Into<String>) -> Error {
        path.at.error(&self.source, what)
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }
}

// === impl Path ===

impl Path {
    /// The names of what a sample has: all but the meter.
    pub fn names(&self) -> Vec<String> {
        let first = match &self.root {
            Root::Name(name) => Some(name),
            Root::Meter(_) => None,
        };
        first.into_iter().chain(&self.keys).cloned().collect()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.root {
            Root::Name(name) => f.write_str(name)?,
            Root::Meter(name) => write!(f, "$({name})")?,
        }
        self.keys.iter().try_for_each(|key| write!(f, ".{key}"))
    }
}
