//! What was expected and what came, line by line.

use std::collections::BTreeMap;

use serde_json::Value;

/// Something that is not as it was expected.
#[derive(Debug, PartialEq)]
pub enum Difference {
    /// It did not come.
    Missing(Value),
    /// It was not expected.
    Unexpected(Value),
    /// It came, and says something else.
    Changed {
        /// What came.
        came: Value,
        /// Keys with what was expected of them.
        expected: Vec<(String, Value)>,
    },
}

/// Which line it is: the slot, the meter or the failure, the resource, and which one of several.
type Key = (u64, String, String, usize);

/// Reals that differ by less than this part of them are the same: the last digits of a quotient are nobody's meaning.
const ROUNDING: f64 = 1e-9;

/// Compares by slot, meter and resource. A key that an expected line does not have is not compared.
pub fn compare(expected: &[Value], came: &[Value]) -> Vec<Difference> {
    let (expected, mut came) = (by_key(expected), by_key(came));
    let mut differences: Vec<(Key, Difference)> = Vec::new();
    for (key, line) in expected {
        match came.remove(&key) {
            None => differences.push((key, Difference::Missing(line.clone()))),
            Some(found) => {
                let entries = line.as_object().into_iter().flatten();
                let is_same = |name: &str, value| found.get(name).is_some_and(|found| same(found, value));
                let changed = entries.filter(|(name, value)| !is_same(name, value));
                let changed: Vec<_> = changed.map(|(name, value)| (name.clone(), value.clone())).collect();
                if !changed.is_empty() {
                    differences.push((key, Difference::Changed { came: found.clone(), expected: changed }));
                }
            }
        }
    }
    differences.extend(came.into_iter().map(|(key, line)| (key, Difference::Unexpected(line.clone()))));
    differences.sort_by(|(a, _), (b, _)| a.cmp(b));
    differences.into_iter().map(|(_, difference)| difference).collect()
}

/// Whether two values are the same, but for the rounding of real numbers.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() && b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
            (a - b).abs() <= ROUNDING * a.abs().max(b.abs())
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        _ => a == b,
    }
}

fn by_key(lines: &[Value]) -> BTreeMap<Key, &Value> {
    let mut keyed = BTreeMap::new();
    for line in lines {
        let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let name = if line.get("failed").is_some() { format!("failed {}", text("failed")) } else { text("meter") };
        let mut key = (line.get("slot").and_then(Value::as_u64).unwrap_or_default(), name, text("resource"), 0);
        while keyed.contains_key(&key) {
            key.3 += 1;
        }
        keyed.insert(key, line);
    }
    keyed
}

// === impl Difference ===

impl Difference {
    /// Whether it is a failure that was not expected.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Unexpected(line) if line.get("failed").is_some())
    }

    /// A line or more for people.
    pub fn text(&self) -> String {
        match self {
            Self::Missing(line) => format!("  - {line}\n"),
            Self::Unexpected(line) => format!("  + {line}\n"),
            Self::Changed { came, expected } => {
                let text = |key: &str| came.get(key).and_then(Value::as_str).unwrap_or_default();
                let slot = came.get("slot").and_then(Value::as_u64).unwrap_or_default();
                let what = if came.get("failed").is_some() { "failed" } else { "meter" };
                let mut out = format!("  ~ slot {slot}  {}  {}  {}\n", text(what), text("guest"), text("resource"));
                for (key, value) in expected {
                    let now = came.get(key).map_or_else(|| "nothing".to_owned(), Value::to_string);
                    out.push_str(&format!("      {key}: expected {value}, and {now} came\n"));
                }
                out
            }
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        match self {
            Self::Missing(line) => serde_json::json!({ "missing": line }),
            Self::Unexpected(line) => serde_json::json!({ "unexpected": line }),
            Self::Changed { came, expected } => {
                let expected: serde_json::Map<String, Value> = expected.iter().cloned().collect();
                serde_json::json!({ "changed": came, "expected": expected })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lines;
    use super::*;

    fn parse(text: &str) -> Vec<Value> {
        lines::parse(&text.lines().map(str::to_owned).collect::<Vec<_>>())
    }

    fn differences(expected: &str, came: &str) -> Vec<Difference> {
        compare(&parse(expected), &parse(came))
    }

    const ONE: &str = r#"{"slot": 1, "meter": "a", "unit": "B", "resource": "x", "volume": 1}"#;
    const TWO: &str = r#"{"slot": 1, "meter": "a", "unit": "B", "resource": "y", "volume": 2}"#;

    #[test]
    fn order_does_not_matter_and_what_is_left_out_is_not_compared() {
        assert_eq!(differences(&format!("{TWO}\n{ONE}"), &format!("{ONE}\n{TWO}")), []);
        assert_eq!(differences(r#"{"slot": 1, "meter": "a", "resource": "x"}"#, ONE), []);
        assert_eq!(differences("", ""), []);
    }

    #[test]
    fn what_differs_is_told_apart() {
        let one = || parse(ONE).remove(0);
        assert_eq!(differences(ONE, ""), [Difference::Missing(one())]);
        assert_eq!(differences("", ONE), [Difference::Unexpected(one())]);
        let changed = differences(&ONE.replace("\"volume\": 1", "\"volume\": 7"), ONE);
        let expected = vec![("volume".to_owned(), 7.into())];
        assert_eq!(changed, [Difference::Changed { came: one(), expected }]);
        assert!(changed[0].text().contains("volume: expected 7, and 1 came"), "{}", changed[0].text());
        // Reals are rounded.
        let real = |volume: &str| ONE.replace("\"volume\": 1", &format!("\"volume\": {volume}"));
        assert_eq!(differences(&real("200.0"), &real("199.99999999999997")), []);
        assert_eq!(differences(&real("0.0"), &real("-0.0")), []);
        assert_eq!(differences(&real("1000000000.0"), &real("1000000002.0")).len(), 1);
        assert_eq!(differences(&real("0.0"), &real("1e-300")).len(), 1);
        let noted = |note: &str| ONE.replace("\"unit\"", &format!("\"notes\": {{\"x\": {note}}}, \"unit\""));
        assert_eq!(differences(&noted("0.3"), &noted("0.30000000000000004")), []);
        assert_eq!(differences(&noted("0.3"), &noted("0.4")).len(), 1);
        // A real is not a count, and a key that did not come is none.
        assert_eq!(differences(&ONE.replace("\"volume\": 1", "\"volume\": 1.0"), ONE).len(), 1);
        assert_eq!(differences(&ONE.replace("\"unit\"", "\"notes\": {}, \"unit\""), ONE).len(), 1);
    }

    proptest! {
        /// Whatever the lines are, they are as they are, in any order.
        #[test]
        fn lines_do_not_differ_from_themselves(
            lines in prop::collection::vec((0_u64..3, "[ab]", "[xy]", any::<i8>()), 0..20), from in 0_usize..20,
        ) {
            let line = |(slot, meter, resource, volume): &(u64, String, String, i8)| {
                serde_json::json!({ "slot": slot, "meter": meter, "resource": resource, "volume": volume })
            };
            let all: Vec<Value> = lines.iter().map(line).collect();
            prop_assert_eq!(compare(&all, &all), []);
            prop_assert_eq!(compare(&[], &all).len(), all.len());
            prop_assert_eq!(compare(&all, &[]).len(), all.len());
            let without: Vec<Value> = all.iter().enumerate().filter(|(at, _)| *at != from).map(|(_, l)| l.clone()).collect();
            prop_assert_eq!(compare(&all, &without).is_empty(), from >= all.len());
        }
    }

    #[test]
    fn the_same_sample_may_come_twice() {
        assert_eq!(differences(&format!("{ONE}\n{ONE}"), &format!("{ONE}\n{ONE}")), []);
        assert_eq!(differences(ONE, &format!("{ONE}\n{ONE}")).len(), 1);
    }
}
