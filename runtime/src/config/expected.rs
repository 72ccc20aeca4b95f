//! What a module is expected to give: a line of JSON for each sample or failure.

use std::path::Path;

use serde_json::Value;

use super::pipeline::case;
use super::problem::{Place, Problems, Severity};
use super::yaml::{Node, Section};

/// The lines of a text, each an object; lines without anything are none.
pub fn read(text: &str, path: &Path) -> Result<Vec<Value>, Problems> {
    let mut problems = Problems::of(Some(path));
    // Some editors put a mark of the encoding before everything else.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let place = Place { line: number, column: 1 };
        match serde_json::from_str::<Value>(line) {
            Ok(value) => {
                check(&Node::of_json(&value, Some(place)), &mut problems);
                lines.push(value);
            }
            Err(error) => {
                let column = u64::try_from(error.column()).unwrap_or(1);
                let message = format!("this is no JSON: {}", without_place(&error));
                let remedy = "Write one object on each line, such as {\"slot\": 1, \"meter\": NAME, \"resource\": ID}";
                problems.error(Some(Place { column, ..place }), "", message, remedy);
            }
        }
    }
    if problems.has_errors() { Err(problems) } else { Ok(lines) }
}

/// Whether it says of which sample or failure it speaks, and nothing that neither has.
fn check(node: &Node, problems: &mut Problems) {
    const REMEDY: &str = "Write the number of its slot, from 1 on";
    let has = |key: &str| node.json().get(key).is_some();
    if has("failed") {
        let known = ["slot", "failed", "resources", "detail"];
        let Some(section) = Section::of(node, "", &known, Severity::Error, problems) else { return };
        // In slot 0 the module is asked what it gives.
        section.required("slot", problems, REMEDY, |node| node.integer(&(0..=*case::SLOTS.end())));
        section.required("failed", problems, "Write a cause, such as module-error", Node::text);
        return;
    }
    if case::output(node, "", None, problems).is_some() && !has("slot") {
        problems.error(node.place, "slot", "`slot` is missing", REMEDY);
    }
}

/// What is wrong, without the line and the column, which are said before.
fn without_place(error: &serde_json::Error) -> String {
    let said = error.to_string();
    said.rsplit_once(" at line ").map_or(&*said, |(what, _)| what).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_is_read_as_it_is_written() {
        let sample = r#"{"slot":1,"meter":"a","resource":"x","volume":-0.0,"notes":{"n":1}}"#;
        let failure = r#"{"slot": 0, "failed": "module-error", "resources": 0, "detail": "no"}"#;
        let text = format!("\u{feff}{sample}\n\n{failure}\n");
        let read = read(&text, Path::new("expected.jsonl")).unwrap();
        let said: Vec<String> = read.iter().map(Value::to_string).collect();
        assert_eq!((said.len(), &*said[0], &read[1]["failed"]), (2, sample, &"module-error".into()));
    }

    #[test]
    fn what_can_match_nothing_is_named_with_its_line() {
        for (text, words) in [
            (
                r#"{"slot": 2, "metre": "a", "resource": "x"}"#,
                "expected.jsonl:2:1: error: unknown key `metre`. Did you mean `meter`?",
            ),
            (r#"{"slot": 2, "meter": "a"}"#, "expected.jsonl:2:1: error: `resource` is missing. Write the id of its"),
            (r#"{"meter": "a", "resource": "x"}"#, "expected.jsonl:2:1: error: `slot` is missing. Write the number"),
            (r#"{"slot": 0, "meter": "a", "resource": "x"}"#, "error: `slot` is `0`: out of bounds"),
            (r#"{"slot": 1, "meter": "a", "resource": "x", "volume": "1"}"#, "error: `volume` is `1`: not a number"),
            (r#"{"slot": 1, "failed": "trap", "why": 1}"#, "error: unknown key `why`. Remove it; known keys are slot,"),
            (r#"{"failed": "trap"}"#, "error: `slot` is missing"),
            ("[1]", "expected.jsonl:2:1: error: the file is a list: not a mapping. Write `key: value`"),
            ("{\"slot\": 1", "expected.jsonl:2:10: error: this is no JSON: EOF while parsing an object. Write one"),
        ] {
            let whole = format!("{{\"slot\": 1, \"meter\": \"a\", \"resource\": \"x\"}}\n{text}\n");
            let said = read(&whole, Path::new("expected.jsonl")).unwrap_err().to_string();
            assert!(said.contains(words), "{said}");
        }
    }
}
