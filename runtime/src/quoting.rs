//! Texts that may be anything, as whoever copies a remedy needs them.

/// As one word of a shell's.
pub fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// As one entry of a list of YAML's, in quotes if it needs them.
pub fn yaml(text: &str) -> String {
    let goes_on = |c: char| c.is_ascii_alphanumeric() || " -._~*%=@/:".contains(c);
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(goes_on)
        && !text.contains(": ")
        && !text.ends_with([':', ' ']);
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_needs_no_quotes_has_none() {
        for text in ["GET http://a.example:1/x%20y", "acme.", "10.0.0.0/8", "fd00::1", "cpu"] {
            assert_eq!(yaml(text), text);
        }
        assert_eq!(yaml("GET http://h/a,PUT http://h/b"), "'GET http://h/a,PUT http://h/b'");
        assert_eq!(yaml("http://h/x';id;'"), "'http://h/x'';id;'''");
        assert_eq!(shell("http=GET http://h/x';id;'"), r"'http=GET http://h/x'\'';id;'\'''");
    }

    #[test]
    fn a_shell_reads_one_word() {
        for text in ["http=GET http://h/x';id;'", "$(id)", "'", "''", "a b", r"\\", "!!"] {
            let output = Command::new("sh").arg("-c").arg(format!("printf %s {}", shell(text))).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }

    proptest! {
        #[test]
        fn yaml_reads_one_entry(text in "[ -~]{1,12}") {
            let read: Vec<serde_json::Value> = serde_yaml::from_str(&format!("[{}]", yaml(&text))).unwrap();
            prop_assert_eq!(read.len(), 1);
            if let Some(read) = read[0].as_str() {
                prop_assert_eq!(read, text);
            }
        }
    }
}
