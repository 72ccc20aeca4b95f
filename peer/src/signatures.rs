//! Ceilometer's own check of signatures.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Failed;

/// Prints how many samples it was given and how many it rejects, and what these say.
const CHECK: &str = r#"
import json, sys
from ceilometer.publisher.utils import verify_signature
seen = rejected = 0
for line in sys.stdin:
    sample = json.loads(line)
    seen += 1
    if not sample.get("message_signature") or not verify_signature(sample, sys.argv[1]):
        rejected += 1
        print("rejected:", line[:400], file=sys.stderr)
print(seen, rejected)
"#;

/// How many samples, lines of JSON, Ceilometer is given and how many of them it rejects. These are told on standard
/// error.
///
/// # Errors
///
/// If Python fails.
pub fn rejected(python: &Path, secret: &str, samples: &str) -> Result<(usize, usize), Failed> {
    const WHAT: &str = "Ceilometer cannot check signatures";
    let mut child = Command::new(python)
        .args(["-c", CHECK, secret])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Failed::io(WHAT))?;
    // It prints nothing there before it has read everything. Dropped, so that it sees the end.
    if let Some(mut input) = child.stdin.take() {
        input.write_all(samples.as_bytes()).map_err(Failed::io(WHAT))?;
    }
    let output = child.wait_with_output().map_err(Failed::io(WHAT))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut numbers = printed.split_whitespace().map_while(|number| number.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(seen), Some(rejected)) if output.status.success() => Ok((seen, rejected)),
        _ => Err(Failed::Ended { what: "Ceilometer's check of signatures", log: printed }),
    }
}
