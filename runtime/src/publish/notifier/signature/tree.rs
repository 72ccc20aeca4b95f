//! JSON that was read but not copied: texts without escapes and whole numbers of any size stay where they stood.
//!
//! What Python's `json.loads` accepts is accepted, for a signature says what Python will see: the last of equal keys
//! counts, and so do `NaN` and `Infinity`.

use std::borrow::Cow;

/// How deep values may nest. Python's own reader gives up at about a thousand; what modules may report nests less.
pub const DEPTH: usize = 256;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number without fraction or exponent: its digits.
    Integer(&'a str),
    /// Any other number.
    Real(f64),
    /// A text.
    Text(Cow<'a, str>),
    /// A list.
    List(Vec<Tree<'a>>),
    /// An object: sorted by key, each key once.
    Object(Entries<'a>),
}

/// Keys and values, in order of the keys.
pub type Entries<'a> = Vec<(Cow<'a, str>, Tree<'a>)>;

/// Why a text is no JSON, or none that has a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: {what}")]
pub struct NotJson {
    /// Where reading stopped.
    pub at: usize,
    /// What was missing.
    pub what: &'static str,
}

/// A position in a text.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

// === impl Tree ===

impl<'a> Tree<'a> {
    /// Reads a whole text.
    pub fn read(text: &'a str) -> Result<Self, NotJson> {
        let mut reader = Reader { text, at: 0 };
        let tree = reader.value(0)?;
        reader.space();
        if reader.at < text.len() { Err(reader.error("nothing else may follow")) } else { Ok(tree) }
    }
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn error(&self, what: &'static str) -> NotJson {
        NotJson { at: self.at, what }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Goes past a byte, if it is the next one.
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Tree<'a>, NotJson> {
        self.space();
        match self.peek() {
            _ if depth > DEPTH => Err(self.error("this nests too deep")),
            Some(b'"') => Ok(Tree::Text(self.string()?)),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            _ => self.word(),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Tree<'a>, NotJson> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.eat(b']') {
            return Ok(Tree::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space();
            if self.eat(b']') {
                return Ok(Tree::List(items));
            }
            if !self.eat(b',') {
                return Err(self.error("expected `,` or `]`"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Tree<'a>, NotJson> {
        self.at += 1;
        let mut entries = Entries::new();
        self.space();
        if self.eat(b'}') {
            return Ok(Tree::Object(entries));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.error("expected a key"));
            }
            let key = self.string()?;
            self.space();
            if !self.eat(b':') {
                return Err(self.error("expected `:`"));
            }
            entries.push((key, self.value(depth + 1)?));
            self.space();
            if self.eat(b'}') {
                break;
            }
            if !self.eat(b',') {
                return Err(self.error("expected `,` or `}`"));
            }
        }
        // Of equal keys the last one counts. Sorting keeps their order, and so does reversing it twice.
        entries.reverse();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        entries.dedup_by(|later, earlier| later.0 == earlier.0);
        Ok(Tree::Object(entries))
    }

    /// Numbers and the words of the language.
    fn word(&mut self) -> Result<Tree<'a>, NotJson> {
        let rest = self.rest();
        let is_word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        let length = rest.bytes().position(|b| !is_word(b)).unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or_default();
        let tree = match word {
            "null" => Tree::Null,
            "true" => Tree::Bool(true),
            "false" => Tree::Bool(false),
            "NaN" => Tree::Real(f64::NAN),
            "Infinity" => Tree::Real(f64::INFINITY),
            "-Infinity" => Tree::Real(f64::NEG_INFINITY),
            number => number_of(number).ok_or_else(|| self.error("expected a value"))?,
        };
        self.at += length;
        Ok(tree)
    }

    fn string(&mut self) -> Result<Cow<'a, str>, NotJson> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = self.rest();
            let Some(length) = rest.bytes().position(|b| matches!(b, b'"' | b'\\') || b < b' ') else {
                return Err(self.error("a text does not end"));
            };
            let plain = rest.get(..length).unwrap_or_default();
            self.at += length;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    if out.is_empty() {
                        return Ok(Cow::Borrowed(plain));
                    }
                    out.push_str(plain);
                    return Ok(Cow::Owned(out));
                }
                Some(b'\\') => {
                    out.push_str(plain);
                    out.push(self.escape()?);
                }
                _ => return Err(self.error("a control character stands in a text")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, NotJson> {
        self.at += 1;
        let kind = self.peek();
        self.at += 1;
        Ok(match kind {
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let mut units = [self.unit()?, 0];
                let mut used = 1;
                if (0xD800..0xDC00).contains(&units[0]) && self.rest().starts_with("\\u") {
                    self.at += 2;
                    units[1] = self.unit()?;
                    used = 2;
                }
                let decoded = char::decode_utf16(units.into_iter().take(used)).next();
                // Python has texts with half a character in them, but neither encodes nor signs them.
                decoded.and_then(Result::ok).ok_or_else(|| self.error("half a character has no signature"))?
            }
            _ => return Err(self.error("unknown escape")),
        })
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Result<u16, NotJson> {
        let digits = self.rest().get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        let unit = unit.ok_or_else(|| self.error("expected four hexadecimal digits"))?;
        self.at += 4;
        Ok(unit)
    }
}

/// A number by JSON's grammar, which is stricter than Rust's.
fn number_of(text: &str) -> Option<Tree<'_>> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    if !digits(whole) || (whole.len() > 1 && whole.starts_with('0')) || !fraction.is_none_or(digits) {
        return None;
    }
    if !exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))) {
        return None;
    }
    if fraction.is_none() && exponent.is_none() {
        // Python's whole numbers have no negative zero.
        return Some(Tree::Integer(if unsigned == "0" { "0" } else { text }));
    }
    text.parse().ok().map(Tree::Real)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_json_is_refused() {
        let deep = "[".repeat(DEPTH + 2);
        for text in [
            "",
            "nul",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "0x10",
            "\"",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\u+123\"",
            "\"\n\"",
            "[1,]",
            "{\"a\" 1}",
            "{1: 2}",
            "{\"a\": 1,}",
            "1 2",
            "inf",
            "--1",
            "1e1.5",
            &deep,
        ] {
            assert!(Tree::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_last_of_equal_keys_counts() {
        let tree = Tree::read(r#"{"b": 1, "a": 0, "b": {"x": 1}, "b": 3, "\u0061": -0}"#).unwrap();
        let entry = |key, digits| (Cow::Borrowed(key), Tree::Integer(digits));
        assert_eq!(tree, Tree::Object(vec![entry("a", "0"), entry("b", "3")]));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}", odd in "[\\[\\]{}\",:0-9eE.\\\\u+-]{0,40}") {
            let _ = Tree::read(&text);
            let accepted = Tree::read(&odd).is_ok();
            prop_assert!(accepted || serde_json::from_str::<serde_json::Value>(&odd).is_err(), "{odd}");
        }
    }
}
