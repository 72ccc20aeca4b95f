//! Printing: to standard output, whose reader may go away at any time, and what failed to standard error. Whatever is
//! printed for people is made fit for a terminal here.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

use super::Exit;
use crate::json;
pub use crate::terminal::{line, plain};

/// Prints a text. Whoever reads may have seen enough, which is no failure.
pub fn text(text: &str) -> Result<(), Exit> {
    as_it_is(&plain(text))
}

/// Prints what is ours to its last letter.
pub fn as_it_is(text: &str) -> Result<(), Exit> {
    match try_text(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            self::error(format_args!("cannot print: {error}"));
            Err(Exit::Failed)
        }
        _ => Ok(()),
    }
}

/// Prints a text as it is, and says so if that is not possible.
pub fn try_text(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Prints JSON for programs, which people look at, too.
pub fn json(value: &serde_json::Value) -> Result<(), Exit> {
    text(&json_text(value))
}

/// Prints what was asked for: as JSON if a program asked, or else as people read it.
pub fn asked<T: Serialize>(it: &T, as_json: bool, words: impl FnOnce(&T) -> String) -> Result<(), Exit> {
    if as_json { text(&as_json_text(it)?) } else { text(&words(it)) }
}

/// The JSON of what a program asked for, or says why there is none.
fn as_json_text<T: Serialize>(it: &T) -> Result<String, Exit> {
    serde_json::to_value(it).map(|value| json_text(&value)).map_err(|error| {
        self::error(format_args!("this cannot be said as JSON: {error}. Ask for words"));
        Exit::Failed
    })
}

/// JSON as it is printed.
pub fn json_text(value: &serde_json::Value) -> String {
    format!("{}\n", json::without_odd(&format!("{value:#}")))
}

/// Says what failed.
pub fn error(error: impl Display) {
    note(format_args!("error: {error}"));
}

/// Says what is wrong with a configuration, a line each.
pub fn problems(problems: impl Display) {
    note(problems);
}

/// Says something beside what is printed. Where nobody reads it, nothing can be said.
pub fn note(words: impl Display) {
    let _ = writeln!(io::stderr(), "{}", plain(&words.to_string()));
}

/// The lines of a text, each behind so many blanks, so that none passes for one of ours.
pub fn indented(text: &str, blanks: usize) -> String {
    let room = " ".repeat(blanks);
    text.lines().map(|text| format!("{room}{}\n", line(text))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_cannot_be_said_as_json_is_no_null() {
        let odd = BTreeMap::from([((1, 2), 3)]);
        assert_eq!(asked(&odd, true, |_| String::new()), Err(Exit::Failed));
        assert_eq!(asked(&odd, false, |_| String::new()), Ok(()));
    }
}
