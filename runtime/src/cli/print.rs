//! Printing: to standard output, whose reader may go away at any time, and what failed to standard error. Names that
//! tenants chose and words of the hypervisor command no terminal.

use std::fmt::Display;
use std::io::{self, Write};

use super::Exit;
use crate::json;

/// Prints a text. Whoever reads may have seen enough, which is no failure.
pub fn text(text: &str) -> Result<(), Exit> {
    match try_text(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            self::error(format_args!("cannot print: {error}"));
            Err(Exit::Failed)
        }
        _ => Ok(()),
    }
}

/// Prints a text, and says so if that is not possible.
pub fn try_text(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Prints JSON for programs, which people look at, too.
pub fn json(value: &serde_json::Value) -> Result<(), Exit> {
    text(&json_text(value))
}

/// JSON as it is printed.
pub fn json_text(value: &serde_json::Value) -> String {
    format!("{}\n", json::without_controls(&format!("{value:#}")))
}

/// Says what failed.
pub fn error(error: impl Display) {
    eprintln!("error: {}", plain(&error.to_string()));
}

/// Says what is wrong with a configuration, a line each.
pub fn problems(problems: impl Display) {
    eprintln!("{}", plain(&problems.to_string()));
}

/// Says something beside what is printed.
pub fn note(words: impl Display) {
    eprintln!("{}", plain(&words.to_string()));
}

/// A text on one line, whatever is in it.
pub fn line(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// The lines of a text, each behind so many blanks, so that none passes for one of ours.
pub fn indented(text: &str, blanks: usize) -> String {
    let room = " ".repeat(blanks);
    text.lines().map(|text| format!("{room}{}\n", line(text))).collect()
}

/// A text that is shown as it is; lines stay lines.
pub fn plain(text: &str) -> String {
    text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}")
}
