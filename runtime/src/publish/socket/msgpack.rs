//! Samples in MessagePack, with texts and bytes told apart (`use_bin_type`), as Ceilometer writes them.

use crate::json;
use crate::publish::notifier::signature::{Signer, Tree};
use crate::publish::sample::Sample;

/// Writes signed samples.
#[derive(Debug)]
pub struct Packer {
    signer: Signer,
    /// Who sends them, if they are to say so.
    publisher: Option<String>,
    text: String,
}

/// Under what the signature stands.
const SIGNATURE: &str = "message_signature";

// === impl Packer ===

impl Packer {
    /// Signs with this secret.
    pub fn new(secret: &str, publisher: Option<&str>) -> Self {
        Self { signer: Signer::new(secret), publisher: publisher.map(str::to_owned), text: String::new() }
    }

    /// Appends a sample.
    pub fn pack(&mut self, out: &mut Vec<u8>, sample: &Sample<'_>) {
        self.text.clear();
        write(&mut self.text, sample, self.publisher.as_deref());
        // What a receiver reads is what is signed, to the last digit.
        let Ok(Tree::Object(entries)) = Tree::read(&self.text) else { return };
        let signature = self.signer.sign_tree(&entries);
        map(out, entries.len() + 1);
        for (key, value) in &entries {
            text(out, key);
            self::value(out, value);
        }
        text(out, SIGNATURE);
        text(out, signature.as_str());
    }
}

/// Appends a sample's JSON, without a signature.
fn write(out: &mut String, sample: &Sample<'_>, publisher: Option<&str>) {
    json::entry(out, "{\"source\": ", Some(sample.source));
    json::entry(out, ", \"counter_name\": ", Some(sample.name));
    json::entry(out, ", \"counter_type\": ", Some(sample.kind));
    json::entry(out, ", \"counter_unit\": ", Some(sample.unit));
    out.push_str(", \"counter_volume\": ");
    sample.write_middle(out);
    json::entry(out, ", \"message_id\": ", Some(sample.message_id));
    out.push_str(", \"monotonic_time\": ");
    out.push_str(sample.monotonic_time);
    if publisher.is_some() {
        json::entry(out, ", \"publisher_id\": ", publisher);
    }
    out.push('}');
}

/// Appends any value in its shortest form, which is also Python's.
fn value(out: &mut Vec<u8>, value: &Tree<'_>) {
    match value {
        Tree::Null => out.push(0xc0),
        Tree::Bool(false) => out.push(0xc2),
        Tree::Bool(true) => out.push(0xc3),
        Tree::Integer(digits) => match (digits.parse(), digits.parse()) {
            (Ok(number), _) => unsigned(out, number),
            (_, Ok(number)) => negative(out, number),
            // MessagePack has no larger ones.
            _ => real(out, digits.parse().unwrap_or_default()),
        },
        Tree::Real(number) => real(out, *number),
        Tree::Text(text) => self::text(out, text),
        Tree::List(items) => {
            length(out, items.len(), (0x90, 15), &[(0xdc, 2), (0xdd, 4)]);
            items.iter().for_each(|item| self::value(out, item));
        }
        Tree::Object(entries) => {
            map(out, entries.len());
            for (key, entry) in entries {
                text(out, key);
                self::value(out, entry);
            }
        }
    }
}

fn map(out: &mut Vec<u8>, entries: usize) {
    length(out, entries, (0x80, 15), &[(0xde, 2), (0xdf, 4)]);
}

fn text(out: &mut Vec<u8>, text: &str) {
    length(out, text.len(), (0xa0, 31), &[(0xd9, 1), (0xda, 2), (0xdb, 4)]);
    out.extend(text.as_bytes());
}

fn real(out: &mut Vec<u8>, number: f64) {
    out.push(0xcb);
    out.extend(number.to_be_bytes());
}

fn unsigned(out: &mut Vec<u8>, number: u64) {
    length_of(out, number, (0x00, 127), &[(0xcc, 1), (0xcd, 2), (0xce, 4), (0xcf, 8)]);
}

fn negative(out: &mut Vec<u8>, number: i64) {
    let bytes = number.to_be_bytes();
    let (tag, width) = match number {
        -32..=-1 => (None, 1),
        -128..=-33 => (Some(0xd0), 1),
        -32_768..=-129 => (Some(0xd1), 2),
        -2_147_483_648..=-32_769 => (Some(0xd2), 4),
        _ => (Some(0xd3), 8),
    };
    out.extend(tag);
    out.extend(bytes.iter().skip(bytes.len() - width));
}

fn length(out: &mut Vec<u8>, number: usize, short: (u8, u64), long: &[(u8, usize)]) {
    length_of(out, number as u64, short, long);
}

/// Appends a number: with its tag in one byte if it is at most so much, or behind the first tag that has room for it.
fn length_of(out: &mut Vec<u8>, number: u64, (tag, most): (u8, u64), long: &[(u8, usize)]) {
    let bytes = number.to_be_bytes();
    if number <= most {
        out.extend(bytes.last().map(|last| tag | last));
        return;
    }
    let zeros = usize::try_from(number.leading_zeros() / 8).unwrap_or(0);
    if let Some((tag, width)) = long.iter().find(|(_, width)| bytes.len() - width <= zeros) {
        out.push(*tag);
        out.extend(bytes.iter().skip(bytes.len() - width));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(json: &str) -> Vec<u8> {
        let mut out = Vec::new();
        value(&mut out, &Tree::read(json).unwrap());
        out
    }

    /// What `msgpack.dumps(..., use_bin_type=True)` of Python's msgpack gives.
    #[test]
    fn values_as_python_packs_them() {
        for (json, bytes) in [
            ("null", &b"\xc0"[..]),
            ("[true, false]", b"\x92\xc3\xc2"),
            ("127", b"\x7f"),
            ("128", b"\xcc\x80"),
            ("256", b"\xcd\x01\x00"),
            ("65536", b"\xce\x00\x01\x00\x00"),
            ("4294967296", b"\xcf\x00\x00\x00\x01\x00\x00\x00\x00"),
            ("18446744073709551615", b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
            ("-1", b"\xff"),
            ("-32", b"\xe0"),
            ("-33", b"\xd0\xdf"),
            ("-128", b"\xd0\x80"),
            ("-129", b"\xd1\xff\x7f"),
            ("-32769", b"\xd2\xff\xff\x7f\xff"),
            ("-2147483649", b"\xd3\xff\xff\xff\xff\x7f\xff\xff\xff"),
            ("18446744073709551616", b"\xcb\x43\xf0\x00\x00\x00\x00\x00\x00"),
            ("0.30000000000000004", b"\xcb\x3f\xd3\x33\x33\x33\x33\x33\x34"),
            ("1.0", b"\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00"),
            ("\"\\u00e9\"", b"\xa2\xc3\xa9"),
            ("{\"a\": {}}", b"\x81\xa1a\x80"),
        ] {
            assert_eq!(packed(json), bytes, "{json}");
        }
        let long = |count: usize| packed(&format!("\"{}\"", "x".repeat(count)));
        assert_eq!([31, 32, 255, 256].map(|count| long(count)[0]), [0xbf, 0xd9, 0xd9, 0xda]);
        assert_eq!(&long(65_536)[..5], b"\xdb\x00\x01\x00\x00");
        let list = |count: usize| packed(&format!("[{}]", vec!["1"; count].join(",")));
        assert_eq!(&list(15)[..2], b"\x9f\x01");
        assert_eq!(&list(16)[..4], b"\xdc\x00\x10\x01");
        assert_eq!(&list(65_536)[..5], b"\xdd\x00\x01\x00\x00");
        let map = |count: usize| {
            let entries: Vec<String> = (0..count).map(|n| format!("\"{n:05}\": 1")).collect();
            packed(&format!("{{{}}}", entries.join(",")))
        };
        assert_eq!([map(15)[0], map(16)[0], map(65_536)[0]], [0x8f, 0xde, 0xdf]);
    }
}
