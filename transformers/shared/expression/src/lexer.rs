//! The words of an expression.

use std::rc::Rc;

use num_bigint::BigInt;

use crate::error::{Fault, Result, Span};
use crate::number;
use crate::value::Value;

/// A word.
#[derive(Debug, Clone)]
pub enum Word<'a> {
    Constant(Value),
    Name(&'a str),
    /// The name in `$(...)`.
    Meter(&'a str),
    Sign(&'static str),
    End,
}

/// Reads word by word.
#[derive(Debug, Clone)]
pub struct Lexer<'a> {
    source: &'a str,
    at: usize,
}

/// Signs, the longer of two that begin alike first.
const SIGNS: [&str; 30] = [
    "**", "//", "<<", ">>", "<=", ">=", "==", "!=", ":=", "<>", "+", "-", "*", "/", "%", "(", ")", "[", "]", "{", "}",
    "<", ">", "&", "|", "^", "~", ",", ".", ":",
];

// === impl Lexer ===

impl<'a> Lexer<'a> {
    pub fn new(source: &'a str) -> Self {
        Self { source, at: 0 }
    }

    /// The next word.
    pub fn next(&mut self) -> Result<(Word<'a>, Span)> {
        self.skip(|c| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c'));
        let from = self.at;
        let rest = self.rest();
        let word = match rest.chars().next() {
            None => Word::End,
            Some('$') => self.meter()?,
            Some('\'' | '"') => self.text()?,
            Some('0'..='9') => self.number()?,
            Some('.') if rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit) => self.number()?,
            Some(c) if c == '_' || c.is_alphabetic() => {
                self.skip(|c| c == '_' || c.is_alphanumeric());
                match self.since(from) {
                    "True" => Word::Constant(Value::Bool(true)),
                    "False" => Word::Constant(Value::Bool(false)),
                    "None" => Word::Constant(Value::None),
                    "u" | "U" if self.rest().starts_with(['\'', '"']) => self.text()?,
                    name => Word::Name(name),
                }
            }
            Some(c) => match SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
                Some(sign) => {
                    self.at += sign.len();
                    Word::Sign(sign)
                }
                None => {
                    self.at += c.len_utf8();
                    return Err(self.fault(from, format!("{c:?} has no meaning in an expression")));
                }
            },
        };
        Ok((word, Span::new(from, self.at)))
    }

    fn rest(&self) -> &'a str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn since(&self, from: usize) -> &'a str {
        self.source.get(from..self.at).unwrap_or_default()
    }

    fn skip(&mut self, of: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !of(c)).unwrap_or(rest.len());
    }

    fn fault(&self, from: usize, what: impl Into<String>) -> Box<Fault> {
        Fault::new(Span::new(from, self.at), what)
    }

    /// `$(name)`.
    fn meter(&mut self) -> Result<Word<'a>> {
        let from = self.at;
        self.at += 1;
        let unclosed = "a meter is written $(its.name)";
        let Some(rest) = self.rest().strip_prefix('(') else { return Err(self.fault(from, unclosed)) };
        let length = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(length);
        self.at += 1 + length;
        if name.is_empty() || !behind.starts_with(')') {
            return Err(self.fault(from, unclosed));
        }
        self.at += 1;
        Ok(Word::Meter(name))
    }

    fn text(&mut self) -> Result<Word<'a>> {
        let from = self.at;
        let mut characters = self.rest().chars();
        let quote = characters.next();
        let mut text = String::new();
        loop {
            let next = match characters.next() {
                next if next == quote => break,
                Some('\\') => characters.next().and_then(unescaped),
                Some('\n') => None,
                next => next,
            };
            let Some(next) = next else {
                self.at = self.source.len() - characters.as_str().len();
                let what =
                    "a text begins that does not end in its line, or has an escape other than \\\\ \\' \\\" \\n \\t";
                return Err(self.fault(from, what));
            };
            text.push(next);
        }
        self.at = self.source.len() - characters.as_str().len();
        Ok(Word::Constant(Value::text(&text)))
    }

    fn number(&mut self) -> Result<Word<'a>> {
        let from = self.at;
        let rest = self.rest();
        for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
            if rest.get(..2).is_some_and(|start| start.eq_ignore_ascii_case(prefix)) {
                self.at += 2;
                self.skip(|c| c.is_ascii_alphanumeric() || c == '_');
                return self.whole(from, 2, radix);
            }
        }
        self.skip(is_digit);
        let mut real = false;
        if self.rest().starts_with('.') {
            real = true;
            self.at += 1;
            self.skip(is_digit);
        }
        if let Some(exponent) = self.rest().strip_prefix(['e', 'E']) {
            let signed = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if signed.starts_with(|c: char| c.is_ascii_digit()) {
                real = true;
                self.at += 1 + exponent.len() - signed.len();
                self.skip(is_digit);
            }
        }
        if self.rest().starts_with(|c: char| c == '_' || c.is_alphanumeric()) {
            self.skip(|c| c == '_' || c.is_alphanumeric());
            return Err(self.fault(from, "this is no number; write it without letters behind it"));
        }
        if !real {
            return self.whole(from, 0, 10);
        }
        let plain = plain_digits(self.since(from)).and_then(|text| text.parse().ok());
        plain.map(|value| Word::Constant(Value::Float(value))).ok_or_else(|| self.fault(from, "this is no number"))
    }

    fn whole(&self, from: usize, prefix: usize, radix: u32) -> Result<Word<'a>> {
        let digits = self.source.get(from + prefix..self.at).unwrap_or_default();
        // Behind a prefix, an underscore may come first.
        let digits = if prefix > 0 { digits.strip_prefix('_').unwrap_or(digits) } else { digits };
        let plain = plain_digits(digits).filter(|digits| !digits.is_empty());
        if prefix == 0 && digits.starts_with('0') && digits.bytes().any(|digit| !matches!(digit, b'0' | b'_')) {
            return Err(self.fault(from, "a whole number does not begin with 0; for octal ones write 0o"));
        }
        let value = plain.and_then(|plain| match i64::from_str_radix(&plain, radix) {
            Ok(small) => Some(Value::Int(small)),
            Err(_) => BigInt::parse_bytes(plain.as_bytes(), radix).map(|big| Value::Big(Rc::new(big))),
        });
        match value {
            Some(Value::Big(big)) if big.bits() > number::BITS => Err(self.fault(from, number::TOO_LARGE)),
            // What did not parse as a small one for another reason than its size is none that is normal.
            Some(Value::Big(big)) => Ok(Word::Constant(number::whole(big.as_ref().clone()))),
            Some(value) => Ok(Word::Constant(value)),
            None => Err(self.fault(from, "this is no number")),
        }
    }
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || c == '_'
}

/// Digits without the underscores between them; `None` if one stands elsewhere.
pub fn plain_digits(text: &str) -> Option<String> {
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    let misplaced = |(at, byte): (usize, &u8)| {
        *byte == b'_' && !(is_digit(at.checked_sub(1).and_then(|at| bytes.get(at))) && is_digit(bytes.get(at + 1)))
    };
    (!bytes.iter().enumerate().any(misplaced)).then(|| text.replace('_', ""))
}

/// The character that an escape stands for.
fn unescaped(escape: char) -> Option<char> {
    match escape {
        '\\' | '\'' | '"' => Some(escape),
        'n' => Some('\n'),
        't' => Some('\t'),
        _ => None,
    }
}
