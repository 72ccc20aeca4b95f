//! `--config`: what a module is told, wherever it runs.

use std::io::{self, Read};
use std::path::Path;
use std::sync::OnceLock;

use super::usage;
use crate::cli::{Exit, print};
use crate::config::Problems;
use crate::config::daemon::ModuleConfig;
use crate::files;

/// What a module is told.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Told {
    /// What the module is told: a YAML or JSON file, - for standard input, or what such a file may say, if it begins
    /// with {, [ or a quotation mark. A text is handed over as it is, anything else as JSON.
    #[arg(id = "told", long = "config", value_name = "FILE")]
    from: Option<String>,
}

/// Why there is nothing to tell.
#[derive(Debug)]
enum Untold {
    /// It cannot be read.
    Unreadable(String),
    /// It is not what modules are told.
    Wrong(Problems),
}

/// Much more than any module is told. Such a file is another one.
const LARGEST: u64 = 1 << 20;
/// What begins so is YAML, and no file's name.
const INLINE: [char; 4] = ['{', '[', '"', '\''];

/// Standard input can be read once, and `module watch` tells each build what it says.
static INPUT: OnceLock<Result<Vec<u8>, String>> = OnceLock::new();

// === impl Told ===

impl Told {
    /// The text that the module is handed; nothing is an empty one. What is wrong with it is said.
    pub fn text(&self) -> Result<String, Exit> {
        let Some(from) = &self.from else { return Ok(String::new()) };
        read(from).map_err(|untold| match untold {
            Untold::Unreadable(why) => usage(why),
            Untold::Wrong(problems) => {
                print::problems(&problems);
                Exit::Usage
            }
        })
    }

    /// Whether nothing is said of it.
    pub fn is_nothing(&self) -> bool {
        self.from.is_none()
    }
}

fn read(from: &str) -> Result<String, Untold> {
    let (what, bytes) = match from {
        "-" => ("standard input", INPUT.get_or_init(|| input().map_err(|error| error.to_string())).clone()),
        inline if inline.starts_with(INLINE) => ("--config", Ok(inline.as_bytes().to_vec())),
        path => (path, files::read(Path::new(path), LARGEST).map_err(|error| error.to_string())),
    };
    let bytes = bytes.map_err(|error| {
        let remedy = "Name a YAML or JSON file, - for standard input, or write {key: value}, or a text in quotes";
        Untold::Unreadable(format!("the configuration {what} cannot be read: {error}. {remedy}"))
    })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Untold::Unreadable(format!("{what} is not UTF-8 text. Save it as UTF-8")))?;
    parse(what, &text)
}

fn input() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 {
        ..=LARGEST => Ok(bytes),
        _ => Err(io::Error::other(format!("it is larger than {LARGEST} bytes"))),
    }
}

fn parse(what: &str, text: &str) -> Result<String, Untold> {
    let mut problems = Problems::of(Some(Path::new(what)));
    match ModuleConfig::parse(text, &mut problems) {
        Some(config) if !problems.has_errors() => Ok(config.text()),
        _ => Err(Untold::Wrong(problems)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(untold: &Untold) -> String {
        match untold {
            Untold::Unreadable(why) => why.clone(),
            Untold::Wrong(problems) => problems.to_string(),
        }
    }

    /// As in the operator's files.
    #[test]
    fn a_text_stays_and_all_else_becomes_json() {
        for (text, told) in [
            ("", ""),
            ("# nothing", ""),
            ("just words", "just words"),
            ("'5'", "5"),
            ("|\n  [section]\n  key = value\n", "[section]\nkey = value\n"),
            ("threshold: 3\nnames: [a, b]\n", r#"{"threshold":3,"names":["a","b"]}"#),
            (r#"{"threshold": 3}"#, r#"{"threshold":3}"#),
            ("[1, 2]", "[1,2]"),
        ] {
            assert_eq!(parse("config.yaml", text).unwrap(), told, "{text}");
        }
        for (text, why) in [
            ("a: 1\na: 2\n", "config.yaml:2:1: error: the key"),
            ("{a: [", "config.yaml:1:"),
            ("a:\n- 18446744073709551616\n", "config.yaml:2:3: error: `a[0]` is a whole number of more than 64 bits"),
        ] {
            let said = said(&parse("config.yaml", text).unwrap_err());
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn what_is_no_files_name_is_the_configuration() {
        for (inline, told) in [
            ("{threshold: 3}", r#"{"threshold":3}"#),
            ("[1, 2]", "[1,2]"),
            ("\"run: loop\"", "run: loop"),
            ("'loop'", "loop"),
        ] {
            assert_eq!(read(inline).unwrap(), told);
        }
        let said = said(&read("{a: 1, a: 2}").unwrap_err());
        assert!(said.contains("--config:1:"), "{said}");
        assert_eq!(Told::default().text(), Ok(String::new()));
    }

    #[test]
    fn what_is_no_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        for (from, why) in [
            (path("nowhere"), "cannot be read: No such file"),
            (path(""), "directory"),
            (String::new(), "cannot be read: No such file"),
        ] {
            let said = said(&read(&from).unwrap_err());
            assert!(said.contains(why) && said.contains("or write {key: value}"), "{said}");
        }
        std::fs::write(path("words"), "just words\n").unwrap();
        assert_eq!(read(&path("words")).unwrap(), "just words");
        std::fs::write(path("binary"), b"\xff").unwrap();
        assert!(said(&read(&path("binary")).unwrap_err()).contains("is not UTF-8 text"));
        std::fs::write(path("huge"), vec![b' '; 2 << 20]).unwrap();
        assert!(said(&read(&path("huge")).unwrap_err()).contains("it is larger than 1048576 bytes"));
    }
}
