//! The lines of a file, as oslo.config reads them.
//!
//! They look like those of other INI files and are not: a value ends at an empty line or at one that does not begin
//! with a blank, a `#` behind a value is part of it, and an indented comment continues the value above it.

use super::value::{trim, trim_end, trim_start};
use crate::config::problem::{Place, Problems, quoted};
use crate::config::secret::Secret;

/// More lines are no configuration; the sample of all options has 3,000.
const MOST_LINES: u64 = 100_000;
/// Whoever sees so many problems knows enough.
const MOST_PROBLEMS: usize = 100;

/// An option and its value. Any may be a secret, so none is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    /// The section as it is written.
    pub(super) section: String,
    /// The option.
    pub(super) key: String,
    /// The value; lines that continue it stand on lines of their own.
    pub(super) value: Secret,
    /// The line that it begins on, from 1.
    pub(super) line: u64,
}

/// What the next line may continue.
enum Above {
    Nothing,
    Assignment {
        section: String,
        key: String,
        value: String,
        line: u64,
    },
    /// A line that has been complained of.
    Mistake,
}

struct Parser<'p> {
    section: Option<String>,
    above: Above,
    assignments: Vec<Assignment>,
    problems: &'p mut Problems,
}

/// All assignments in their order. What is no such file for oslo.config is an error.
pub(super) fn parse(text: &str, problems: &mut Problems) -> Vec<Assignment> {
    let mut parser = Parser { section: None, above: Above::Nothing, assignments: Vec::new(), problems };
    // As Python reads a text: three ways to end a line.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    for (line, number) in text.split('\n').zip(1..) {
        if parser.problems.iter().len() >= MOST_PROBLEMS || number > MOST_LINES {
            let message = "the file has too many lines, or too many that are wrong, to go on";
            parser.problems.error(place(number), "", message, "Name Ceilometer's configuration");
            break;
        }
        parser.line(trim_end(line), number);
    }
    parser.finish();
    parser.assignments
}

fn place(line: u64) -> Option<Place> {
    Some(Place { line, column: 1 })
}

// === impl Parser ===

impl Parser<'_> {
    fn line(&mut self, line: &str, number: u64) {
        if line.is_empty() {
            return self.finish();
        }
        if line.starts_with([' ', '\t']) {
            match &mut self.above {
                Above::Assignment { value, .. } => {
                    value.push('\n');
                    value.push_str(trim_start(line));
                }
                Above::Mistake => {}
                Above::Nothing => {
                    let message = "a line that begins with a blank continues a value, and there is none above it";
                    self.wrong(number, message, "Remove the blanks at its beginning");
                }
            }
            return;
        }
        self.finish();
        if line.starts_with('[') {
            self.begin(line, number);
        } else if !line.starts_with(['#', ';']) {
            self.assign(line, number);
        }
    }

    fn begin(&mut self, line: &str, number: u64) {
        match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some("") => self.wrong(number, "a section has no name", "Write one, such as [DEFAULT]"),
            Some(name) => self.section = Some(name.to_owned()),
            None => {
                self.wrong(number, "a section's name ends with `]`, and with nothing behind it", "Write [name] alone");
                // What follows is not to be complained of.
                self.section.get_or_insert_default();
            }
        }
    }

    fn assign(&mut self, line: &str, number: u64) {
        let Some((key, value)) = line.split_once([':', '=']) else {
            let remedy = "Write `option = value`, or # before a comment";
            return self.wrong(number, "the line is neither a section nor an option", remedy);
        };
        let (key, value) = (trim(key), unquoted(trim(value)));
        let Some(section) = &self.section else {
            let message = format!("{} stands in no section", quoted(key));
            return self.wrong(number, &message, "Write [DEFAULT] or another section above it");
        };
        if key.is_empty() {
            return self.wrong(number, "an option has no name", "Write `option = value`");
        }
        let (section, key, value) = (section.clone(), key.to_owned(), value.to_owned());
        self.above = Above::Assignment { section, key, value, line: number };
    }

    fn finish(&mut self) {
        if let Above::Assignment { section, key, value, line } = std::mem::replace(&mut self.above, Above::Nothing) {
            self.assignments.push(Assignment { section, key, value: Secret::new(value), line });
        }
    }

    fn wrong(&mut self, line: u64, message: &str, remedy: &str) {
        self.problems.error(place(line), "", message, remedy);
        self.above = Above::Mistake;
    }
}

/// Without the quotes around it. A quotation mark alone is both of them.
fn unquoted(value: &str) -> &str {
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) if value.ends_with(quote) => {
            value.get(1..value.len().saturating_sub(1)).unwrap_or_default()
        }
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String, String, u64)> {
        let mut problems = Problems::default();
        let assignments = parse(text, &mut problems);
        assert!(problems.is_empty(), "{problems}");
        let of = |found: Assignment| (found.section, found.key, found.value.expose().to_owned(), found.line);
        assignments.into_iter().map(of).collect()
    }

    fn values(text: &str) -> Vec<String> {
        read(&format!("[DEFAULT]\n{text}")).into_iter().map(|(_, _, value, _)| value).collect()
    }

    #[test]
    fn options_have_sections_and_lines() {
        let text = "; c\n[DEFAULT]\na=1\n\n# c\nb : 2\n[ Other ]\nc d = e = f\n[DEFAULT]\nurl: amqp://x\nx=a:b\n";
        let found = read(text);
        let expected = [
            ("DEFAULT", "a", "1", 3),
            ("DEFAULT", "b", "2", 6),
            (" Other ", "c d", "e = f", 8),
            ("DEFAULT", "url", "amqp://x", 10),
            ("DEFAULT", "x", "a:b", 11),
        ];
        let of = |(section, key, value, line): (&str, &str, &str, u64)| {
            (section.to_owned(), key.to_owned(), value.to_owned(), line)
        };
        assert_eq!(found, expected.map(of));
    }

    #[test]
    fn values_are_what_oslo_makes_of_them() {
        for (text, expected) in [
            ("a = \"x y\"", "x y"),
            ("a = 'x", "'x"),
            ("a = \"x'", "\"x'"),
            ("a = \"", ""),
            ("a = ''", ""),
            ("a = \" x \"", " x "),
            ("a = 'x' 'y'", "x' 'y"),
            ("a = x # y", "x # y"),
            ("a = x\n  y\n\t# z\n", "x\ny\n# z"),
            ("a =\n  y", "\ny"),
            ("a = 'x\n  y'", "'x\ny'"),
            ("a = x\r\n b\r c", "x\nb\nc"),
            ("a =\u{1f}x\u{a0}\u{85}", "x"),
            ("a=", ""),
        ] {
            assert_eq!(values(text), [expected], "{text:?}");
        }
        assert_eq!(values("a = 1\n\n\n#  b\n[x]\nc = 2"), ["1", "2"]);
    }

    #[test]
    fn mistakes_are_told_with_their_lines_and_never_with_their_text() {
        for (text, line, words) in [
            ("a = 1", 1, "`a` stands in no section"),
            ("[DEFAULT]\nhunter2", 2, "neither a section nor an option"),
            ("[DEFAULT]\n\n hunter2", 3, "there is none above it"),
            ("[DEFAULT]\na = b\n# c\n hunter2", 4, "there is none above it"),
            ("[DEFAULT] # hunter2", 1, "ends with `]`"),
            ("[]\na = 1", 1, "a section has no name"),
            ("[DEFAULT]\n= hunter2\n  hunter2", 2, "an option has no name"),
            ("\u{feff}[DEFAULT]", 1, "neither a section nor an option"),
        ] {
            let mut problems = Problems::of(None);
            parse(text, &mut problems);
            let said = problems.to_string();
            let problem = problems.iter().next().unwrap();
            assert_eq!(problem.line, Some(line), "{text:?}: {said}");
            assert!(said.contains(words) && !said.contains("hunter2"), "{text:?}: {said}");
        }
    }

    #[test]
    fn no_file_is_too_long_to_be_refused() {
        for (text, most) in [("\n".repeat(1_000_000), 1), ("x\n".repeat(500_000), MOST_PROBLEMS + 1)] {
            let mut problems = Problems::default();
            parse(&text, &mut problems);
            assert_eq!(problems.iter().len(), most);
        }
    }
}
