//! What is wrong with the configuration, where, and what to write instead.

use std::fmt;
use std::path::Path;

use super::secret::hide_login;

/// One thing that is wrong, or that may not be what was meant.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// Whether anything can run in spite of it.
    pub severity: Severity,
    /// The file; `None` if it is about none.
    pub file: Option<String>,
    /// The line, from 1; `None` if the file could not be read at all.
    pub line: Option<u64>,
    /// The column in characters, from 1.
    pub column: Option<u64>,
    /// The key with its path, such as `sandbox.memory` or `sources[0].interval`.
    pub key: Option<String>,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to do about it, without a full stop.
    pub remedy: String,
}

/// Whether anything can run in spite of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing starts, or the old configuration stays.
    Error,
    /// It runs, perhaps not as meant.
    Warning,
}

/// Where something stands in a file; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column in characters.
    pub column: u64,
}

/// All that was found in one or more files, in the order of their lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Problems {
    #[serde(skip)]
    file: Option<String>,
    found: Vec<Problem>,
}

// === impl Problem ===

impl Problem {
    /// Where it is, what, and what to do, without a full stop.
    pub fn sentence(&self) -> String {
        format!("{}{}. {}", self.place(), self.message, self.remedy)
    }

    /// To be followed by what is wrong there.
    fn place(&self) -> String {
        let Some(file) = &self.file else { return String::new() };
        let numbers = [self.line, self.column].into_iter().flatten().map(|number| format!("{number}:"));
        format!("{file}:{} ", numbers.collect::<String>())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}: {}. {}", self.place(), self.severity, self.message, self.remedy)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

// === impl Problems ===

impl Problems {
    /// An empty list whose problems will be about this file.
    pub fn of(file: Option<&Path>) -> Self {
        Self { file: file.map(|path| path.display().to_string()), found: Vec::new() }
    }

    /// Adds an error.
    pub fn error(&mut self, place: Option<Place>, key: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.add(Severity::Error, place, key, message.into(), remedy.into());
    }

    /// Adds a warning.
    pub fn warning(&mut self, place: Option<Place>, key: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.add(Severity::Warning, place, key, message.into(), remedy.into());
    }

    /// Adds a problem of this severity; an empty key means none.
    pub fn add(&mut self, severity: Severity, place: Option<Place>, key: &str, message: String, remedy: String) {
        self.found.push(Problem {
            severity,
            file: self.file.clone(),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            key: (!key.is_empty()).then(|| hide_login(key).into_owned()),
            // What was taken for a path or a name may be a URL that stands in the wrong place.
            message: message.split(' ').map(hide_login).collect::<Vec<_>>().join(" "),
            remedy,
        });
    }

    /// Takes over another file's problems.
    pub fn extend(&mut self, other: Problems) {
        self.found.extend(other.found);
    }

    /// Puts them in the order of the file's lines.
    pub fn sort(&mut self) {
        self.found.sort_by_key(|problem| (problem.line, problem.column));
    }

    /// Whether anything forbids to start.
    pub fn has_errors(&self) -> bool {
        self.found.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// One by one.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.found.iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One line for each.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.iter().enumerate() {
            f.write_str(if number == 0 { "" } else { "\n" })?;
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// A name or value as a message quotes it.
pub fn quoted(text: &str) -> String {
    format!("`{}`", shown(text))
}

/// A name or value on one line, not longer than one, and without what may be a login.
pub(super) fn shown(text: &str) -> String {
    let text = hide_login(text);
    const SHOWN: usize = 60; // characters; the line number says the rest
    let shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    let more = if text.chars().nth(SHOWN).is_some() { "..." } else { "" };
    // A quotation mark needs no escape between back-ticks.
    format!("{}{more}", shown.replace("\\\"", "\"").replace("\\'", "'"))
}
