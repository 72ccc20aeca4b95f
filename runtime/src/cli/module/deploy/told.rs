//! `--config`: what a module is told, out of a file, from standard input or written inline.

use std::io::{self, Read};
use std::path::Path;

use crate::config::Problems;
use crate::config::daemon::ModuleConfig;
use crate::files;

/// Much more than any module is told. Such a file is another one.
const LARGEST: u64 = 1 << 20;
/// What begins so is no file's name.
const INLINE: [char; 2] = ['{', '['];

/// The text that the module is handed; in words why there is none.
pub fn read(from: &str) -> Result<String, String> {
    let (what, bytes) = match from {
        "-" => {
            let mut bytes = Vec::new();
            let read = io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes).and_then(|_| fitting(bytes));
            ("standard input", read)
        }
        inline if inline.starts_with(INLINE) => ("--config", Ok(inline.as_bytes().to_vec())),
        path => (path, files::read(Path::new(path), LARGEST)),
    };
    let bytes = bytes.map_err(|error| {
        let remedy = "Name a YAML or JSON file, - for standard input, or write {key: value}";
        format!("the configuration {what} cannot be read: {error}. {remedy}")
    })?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{what} is not UTF-8 text. Save it as UTF-8"))?;
    parse(what, &text)
}

fn fitting(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    match bytes.len() as u64 {
        ..=LARGEST => Ok(bytes),
        _ => Err(io::Error::other(format!("it is larger than {LARGEST} bytes"))),
    }
}

fn parse(what: &str, text: &str) -> Result<String, String> {
    let mut problems = Problems::of(Some(Path::new(what)));
    match ModuleConfig::parse(text, &mut problems) {
        Some(config) if !problems.has_errors() => Ok(config.text()),
        _ => Err(problems.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As in the operator's files.
    #[test]
    fn a_text_stays_and_all_else_becomes_json() {
        for (text, told) in [
            ("", ""),
            ("# nothing", ""),
            ("just words", "just words"),
            ("'5'", "5"),
            ("threshold: 3\nnames: [a, b]\n", r#"{"threshold":3,"names":["a","b"]}"#),
            (r#"{"threshold": 3}"#, r#"{"threshold":3}"#),
            ("[1, 2]", "[1,2]"),
        ] {
            assert_eq!(parse("config.yaml", text), Ok(told.to_owned()), "{text}");
        }
        assert_eq!(read("{threshold: 3}"), Ok(r#"{"threshold":3}"#.to_owned()));
        for (text, why) in [("a: 1\na: 2\n", "config.yaml:2:1: error: the key"), ("{a: [", "config.yaml:1:")] {
            let said = parse("config.yaml", text).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn what_is_no_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        for (from, why) in [(path("nowhere"), "cannot be read: No such file"), (path(""), "directory")] {
            let said = read(&from).unwrap_err();
            assert!(said.contains(why) && said.contains("or write {key: value}"), "{said}");
        }
        std::fs::write(path("binary"), b"\xff").unwrap();
        assert!(read(&path("binary")).unwrap_err().contains("is not UTF-8 text"));
        std::fs::write(path("huge"), vec![b' '; 2 << 20]).unwrap();
        assert!(read(&path("huge")).unwrap_err().contains("it is larger than 1048576 bytes"));
    }
}
