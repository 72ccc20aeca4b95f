//! Signatures as the real Ceilometer checks them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "tests")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use wasmeter::publish::notifier::signature::{Canonical, Fields, METADATA, Signer};
use wasmeter_peer::python;
use wasmeter_rig::or_say;

/// Checks lines of JSON, and each once more with an entry that nobody signed.
const CHECK: &str = r#"
import json, sys
from ceilometer.publisher.utils import verify_signature
seen = rejected = forged = 0
for line in sys.stdin:
    sample = json.loads(line)
    seen += 1
    if not verify_signature(sample, "s\u00e9cret"):
        rejected += 1
        print("rejected", line[:400], file=sys.stderr)
    sample["forged"] = 1
    forged += verify_signature(sample, "s\u00e9cret")
print(seen, rejected, forged)
"#;

/// Random JSON, written in as many ways as JSON has.
struct Random(u64);

// === impl Random ===

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn character(&mut self) -> char {
        let range = match self.below(8) {
            0 => 0..0x20,
            1 => 0x7f..0x100,
            2 => 0x100..0xD800,
            3 => 0xE000..0x1_0000,
            4 => 0x1_0000..0x11_0000,
            5 => return ['"', '\'', '\\', ':', ',', '{'][self.below(6) as usize],
            _ => 0x20..0x7f,
        };
        char::from_u32(range.start + self.below(u64::from(range.end - range.start)) as u32).unwrap()
    }

    fn string(&mut self, longest: u64) -> String {
        let mut out = String::from("\"");
        for _ in 0..self.below(longest + 1) {
            let c = self.character();
            if c < ' ' || matches!(c, '"' | '\\') || self.below(2) == 0 {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| write!(out, "\\u{unit:04x}").unwrap());
            } else {
                out.push(c);
            }
        }
        out + "\""
    }

    fn number(&mut self) -> String {
        let bits = f64::from_bits(self.next());
        match self.below(9) {
            0 => self.next().to_string(),
            1 => (self.next() as i64).to_string(),
            2 => format!("-1{}", "0123456789".repeat(self.below(30) as usize)),
            3 if bits.is_finite() => format!("{bits:e}"),
            4 if bits.is_finite() => format!("{bits:?}"),
            5 => ["-0", "0", "-0.0", "1E400", "-1e400", "NaN", "Infinity", "-Infinity", "1e16", "9007199254740993.0"]
                [self.below(10) as usize]
                .to_owned(),
            6 => format!("{}.{:03}", self.below(1_000_000), self.below(1000)),
            7 => format!("{:e}", 10f64.powi(self.below(40) as i32 - 20) * (self.below(9) + 1) as f64),
            _ => self.below(100).to_string(),
        }
    }

    fn value(&mut self, depth: u64) -> String {
        match self.below(if depth == 0 { 5 } else { 8 }) {
            0 => "null".to_owned(),
            1 => ["true", "false"][self.below(2) as usize].to_owned(),
            2 => self.number(),
            3 | 4 => self.string(12),
            5 => {
                let items: Vec<_> = (0..self.below(4)).map(|_| self.value(depth - 1)).collect();
                format!("[{}]", items.join(","))
            }
            6 => self.object(depth - 1, 4),
            _ => {
                let mut inner = self.value(0);
                for _ in 0..self.below(60) {
                    inner = if self.below(2) == 0 { format!("[{inner}]") } else { format!("{{\"k\":{inner}}}") };
                }
                inner
            }
        }
    }

    fn object(&mut self, depth: u64, most: u64) -> String {
        let entries: Vec<_> =
            (0..self.below(most + 1)).map(|_| format!("{} : {}", self.string(3), self.value(depth))).collect();
        format!("{{{}}}", entries.join(" , "))
    }
}

/// A sample has at least one entry.
fn some_object(random: &mut Random) -> String {
    loop {
        let object = random.object(5, 8);
        if object != "{}" {
            return object;
        }
    }
}

#[test]
fn ceilometer_rejects_none_of_10_000() {
    let python = python(Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap());
    let Some(python) = or_say(python) else { return };
    let mut random = Random(27);
    let mut signer = Signer::new("s\u{e9}cret");
    let mut lines = String::new();
    for i in 0..10_000 {
        if i % 2 == 0 {
            let whole = some_object(&mut random);
            let signature = signer.sign_json(&whole).unwrap();
            let body = whole.strip_suffix('}').unwrap();
            writeln!(lines, "{body}, \"message_signature\": \"{signature}\"}}").unwrap();
            continue;
        }
        let metadata = random.object(5, 12);
        let notes = random.object(3, 2);
        let inside = |object: &str| object[1..object.len() - 1].to_owned();
        let merged = [inside(&metadata), inside(&notes)].into_iter().filter(|part| !part.is_empty());
        let merged = merged.collect::<Vec<_>>().join(", ");
        let (name, unit) = (random.string(20), random.string(5));
        let [name_text, unit_text]: [String; 2] = [&name, &unit].map(|json| serde_json::from_str(json).unwrap());
        let fields = Fields {
            source: "openstack",
            name: &name_text,
            kind: "gauge",
            unit: &unit_text,
            volume: "null",
            user_id: None,
            user_name: None,
            project_id: Some("p"),
            project_name: None,
            resource_id: "r",
            timestamp: "t",
            metadata: &Canonical::under(METADATA, &metadata).unwrap(),
            notes: &Canonical::under(METADATA, &notes).unwrap(),
            message_id: "m",
            monotonic_time: "12.5",
        };
        let signature = signer.sign(&fields);
        writeln!(
            lines,
            "{{\"source\": \"openstack\", \"counter_name\": {name}, \"counter_type\": \"gauge\", \
             \"counter_unit\": {unit}, \"counter_volume\": null, \"user_id\": null, \"user_name\": null, \
             \"project_id\": \"p\", \"project_name\": null, \"resource_id\": \"r\", \"timestamp\": \"t\", \
             \"resource_metadata\": {{{merged}}}, \"message_id\": \"m\", \"monotonic_time\": 12.5, \
             \"message_signature\": \"{signature}\"}}"
        )
        .unwrap();
    }
    let mut child = Command::new(python)
        .args(["-c", CHECK])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "10000 0 0");
}
