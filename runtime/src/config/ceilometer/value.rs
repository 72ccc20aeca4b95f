//! Texts as values of oslo.config's types.

use std::borrow::Cow;

use crate::config::named;

/// What Python's `str.strip` removes.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Without blanks around it.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(is_blank)
}

/// Without blanks before it.
pub(super) fn trim_start(text: &str) -> &str {
    text.trim_start_matches(is_blank)
}

/// Without blanks behind it.
pub(super) fn trim_end(text: &str) -> &str {
    text.trim_end_matches(is_blank)
}

/// `BoolOpt`. Blanks are not trimmed.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "1" | "on" | "yes" => Some(true),
        "false" | "0" | "off" | "no" => Some(false),
        _ => None,
    }
}

/// `IntOpt`.
pub(super) fn integer(text: &str) -> Option<i64> {
    named::number(trim(text)).and_then(|number| i64::try_from(number).ok())
}

/// `FloatOpt`, if it is finite.
pub(super) fn real(text: &str) -> Option<f64> {
    let text = trim(text);
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let parts: Vec<&str> = text.split('_').collect();
    let grouped = parts.windows(2).all(|pair| {
        let [left, right] = pair else { return false };
        is_digit(left.chars().last()) && is_digit(right.chars().next())
    });
    let digits = if parts.len() > 1 { Cow::Owned(parts.concat()) } else { Cow::Borrowed(text) };
    digits.parse().ok().filter(|number: &f64| grouped && number.is_finite())
}

/// `ListOpt`. Quotes mean nothing: only those around the whole value have been removed before.
pub(super) fn list(text: &str) -> Vec<String> {
    match trim(text).trim_end_matches(',') {
        "" => Vec::new(),
        text => text.split(',').map(|entry| trim(entry).to_owned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_are_pythons() {
        assert!(is_blank('\u{1c}') && is_blank('\u{3000}') && !is_blank('\u{200b}'));
    }

    #[test]
    fn booleans() {
        for text in ["true", "YES", "On", "1"] {
            assert_eq!(boolean(text), Some(true), "{text}");
        }
        for text in ["False", "no", "OFF", "0"] {
            assert_eq!(boolean(text), Some(false), "{text}");
        }
        for text in ["", "t", "true ", "2", "none"] {
            assert_eq!(boolean(text), None, "{text}");
        }
    }

    #[test]
    fn numbers() {
        for (text, number) in [("7", Some(7)), (" -1_0 ", Some(-10)), ("+0", Some(0)), ("0x1", None), ("", None)] {
            assert_eq!(integer(text), number, "{text}");
        }
        for (text, number) in [
            ("1", Some(1.0)),
            (" 1_0.5e-1 ", Some(1.05)),
            ("_1", None),
            ("1_", None),
            ("1__0", None),
            ("1_.0", None),
            ("inf", None),
            ("nan", None),
            ("", None),
        ] {
            assert_eq!(real(text), number, "{text}");
        }
    }

    #[test]
    fn lists() {
        for (text, entries) in [
            ("", &[][..]),
            (" , ", &[]),
            ("a", &["a"]),
            ("a, 'b,c' ,,d,,", &["a", "'b", "c'", "", "d"]),
            ("a\nb,c", &["a\nb", "c"]),
        ] {
            assert_eq!(list(text), entries, "{text:?}");
        }
    }
}
