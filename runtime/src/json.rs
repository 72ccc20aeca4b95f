//! JSON as Python's `json.dumps` writes it: `", "` and `": "` between things, and nothing beyond ASCII. What leaves
//! this daemon is compared with Ceilometer byte for byte, and signed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;

use crate::terminal;

/// Appends a text with its quotes.
pub fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    append(out, format_args!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
}

/// JSON in which characters that a terminal obeys, or does not show, stand as escapes, too. Those of ASCII are escaped
/// already, and these stand in texts only.
pub fn without_odd(json: &str) -> Cow<'_, str> {
    let is_odd = |c: char| c >= '\u{7f}' && terminal::is_odd(c);
    if !json.contains(is_odd) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        match is_odd(c) {
            true => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    append(&mut out, format_args!("\\u{unit:04x}"));
                }
            }
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Appends a text, or `null`.
pub fn optional(out: &mut String, text: Option<&str>) {
    match text {
        Some(text) => string(out, text),
        None => out.push_str("null"),
    }
}

/// Appends what stands before a text, its key above all, and the text, or `null`.
pub fn entry(out: &mut String, before: &str, text: Option<&str>) {
    out.push_str(before);
    optional(out, text);
}

/// Appends a finite real number as Python's `repr` does: the shortest digits that read back the same, and always
/// recognisable as a real.
pub fn real(out: &mut String, value: f64) {
    let shortest = format!("{value:e}");
    let (digits, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        append(out, format_args!("{value:?}"));
        return;
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    append(out, format_args!("{digits}e{sign}{:02}", exponent.unsigned_abs()));
}

/// Appends any value.
pub fn value(out: &mut String, value: &serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(n), _, _) => append(out, format_args!("{n}")),
            (_, Some(n), _) => append(out, format_args!("{n}")),
            (_, _, n) => real(out, n.unwrap_or_default()),
        },
        Value::String(text) => string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                self::value(out, item);
            }
            out.push(']');
        }
        Value::Object(entries) => {
            out.push('{');
            for (i, (key, entry)) in entries.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                string(out, key);
                out.push_str(": ");
                self::value(out, entry);
            }
            out.push('}');
        }
    }
}

/// Appends formatted text. Writing to a `String` cannot fail.
pub fn append(out: &mut String, text: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok());
}

/// As in Python's mappings: each key once, where it stood first, with the value that it had last.
pub fn last_of_each<T>(pairs: impl IntoIterator<Item = (String, T)>) -> Vec<(String, T)> {
    let (mut all, mut places): (Vec<(String, T)>, HashMap<String, usize>) = (Vec::new(), HashMap::new());
    for (key, value) in pairs {
        match places.get(&key).and_then(|place| all.get_mut(*place)) {
            Some((_, known)) => *known = value,
            None => {
                places.insert(key.clone(), all.len());
                all.push((key, value));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `json.dumps` of CPython 3.11 prints.
    #[test]
    fn reals_as_python_prints_them() {
        for (number, text) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (53.125, "53.125"),
            (-0.0, "-0.0"),
            (1e16, "1e+16"),
            (1e15, "1000000000000000.0"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (1.2345678901234568e17, "1.2345678901234568e+17"),
            (1.5e300, "1.5e+300"),
            (5e-324, "5e-324"),
        ] {
            let mut out = String::new();
            real(&mut out, number);
            assert_eq!(out, text);
        }
    }

    #[test]
    fn texts_are_ascii() {
        let mut out = String::new();
        string(&mut out, "a\"b\\\u{7f}\u{e9}\u{1f600}\n\u{1}");
        assert_eq!(out, r#""a\"b\\\u007f\u00e9\ud83d\ude00\n\u0001""#);
        let odd = serde_json::json!({"a\u{9b}": "\u{7f}\u{1b}\u{80}\u{a0}\u{e9}"}).to_string();
        assert_eq!(without_odd(&odd), "{\"a\\u009b\":\"\\u007f\\u001b\\u0080\u{a0}\u{e9}\"}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&without_odd(&odd)).unwrap().to_string(), odd);
        let mut out = String::new();
        value(&mut out, &serde_json::json!({"k": [1, -2, 1.5, null, true], "e": {}}));
        assert_eq!(out, r#"{"k": [1, -2, 1.5, null, true], "e": {}}"#);
    }
}
