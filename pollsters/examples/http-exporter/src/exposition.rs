//! What an application says to Prometheus: lines of `name{label="value"} number`.

use std::collections::BTreeMap;

use crate::config::Series;

/// The lines that somebody asked for.
#[derive(Debug, Default, PartialEq)]
pub struct Exposition {
    /// Name, labels and value.
    lines: Vec<(String, BTreeMap<String, String>, f64)>,
}

impl Exposition {
    /// Reads what a server said, as far as it is of these series. Lines that cannot be read are left out, as are those
    /// whose value is no number.
    pub fn read(text: &str, wanted: &[Series]) -> Self {
        let is_wanted = |name: &str| wanted.iter().any(|series| series.series == name);
        let lines = text.lines().filter_map(|line| {
            let (name, rest) = named(line.trim_start())?;
            if !is_wanted(name) {
                return None;
            }
            let (labels, rest) = labels(rest.trim_start())?;
            let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
            value.is_finite().then(|| (name.to_owned(), labels, value))
        });
        Self { lines: lines.collect() }
    }

    /// The sum of all that match; none if nothing does.
    pub fn sum(&self, series: &Series) -> Option<f64> {
        let matches = |name: &str, labels: &BTreeMap<String, String>| {
            name == series.series && series.labels.iter().all(|(key, value)| labels.get(key) == Some(value))
        };
        let matching = self.lines.iter().filter(|(name, labels, _)| matches(name, labels));
        let sum = matching.map(|(.., value)| *value).reduce(|sum, value| sum + value)?;
        sum.is_finite().then_some(sum)
    }
}

/// The name at the beginning of a line, and the rest of it.
fn named(line: &str) -> Option<(&str, &str)> {
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    (!name.is_empty()).then_some((name, rest))
}

/// Labels between braces, if there are any, and what is behind them.
fn labels(text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    let Some(mut rest) = text.strip_prefix('{') else { return Some((labels, text)) };
    loop {
        rest = rest.trim_start();
        if let Some(behind) = rest.strip_prefix('}') {
            return Some((labels, behind));
        }
        let (name, behind) = named(rest)?;
        let (value, behind) = quoted(behind.trim_start().strip_prefix('=')?.trim_start())?;
        labels.insert(name.to_owned(), value);
        rest = behind.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

/// A text between quotes, and what is behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let inside = text.strip_prefix('"')?;
    let (mut value, mut letters) = (String::new(), inside.char_indices());
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, inside.get(at + 1..)?)),
            '\\' => value.push(match letters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}
