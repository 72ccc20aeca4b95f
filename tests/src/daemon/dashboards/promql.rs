//! Which metrics and labels an expression of Prometheus' names. Whether it is one, Prometheus says.

use std::collections::BTreeSet;

/// Words that are no metrics, though no bracket and no grouping follows.
const WORDS: [&str; 13] = [
    "and",
    "bool",
    "by",
    "group_left",
    "group_right",
    "ignoring",
    "inf",
    "nan",
    "offset",
    "on",
    "or",
    "unless",
    "without",
];
/// Words behind which labels stand in brackets.
const GROUPING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// What an expression names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Expression {
    /// Metrics, each with the labels by which its series are chosen.
    pub selectors: Vec<(String, BTreeSet<String>)>,
    /// Labels by which it puts series together.
    pub grouped: BTreeSet<String>,
}

// === impl Expression ===

impl Expression {
    pub fn read(text: &str) -> Self {
        let mut read = Self::default();
        let tokens = tokens(text);
        let mut place = 0;
        while let Some(token) = tokens.get(place) {
            let next = tokens.get(place + 1).copied();
            place += 1;
            if !is_name(token) {
                continue;
            }
            if GROUPING.contains(token) && next == Some("(") {
                let (inside, after) = up_to(&tokens, place + 1, ")");
                read.grouped.extend(inside.iter().filter(|token| is_name(token)).map(|&label| label.to_owned()));
                place = after;
            } else if !WORDS.contains(token) && !next.is_some_and(|next| next == "(" || GROUPING.contains(&next)) {
                let mut labels = BTreeSet::new();
                if next == Some("{") {
                    let (inside, after) = up_to(&tokens, place + 1, "}");
                    labels.extend(inside.iter().filter(|token| is_name(token)).map(|&label| label.to_owned()));
                    place = after;
                }
                read.selectors.push(((*token).to_owned(), labels));
            }
        }
        read
    }
}

/// What stands before a bracket, and what comes after it.
fn up_to<'a>(tokens: &'a [&'a str], from: usize, bracket: &str) -> (&'a [&'a str], usize) {
    let end = tokens[from..].iter().position(|token| *token == bracket).map_or(tokens.len(), |length| from + length);
    (&tokens[from..end], end + 1)
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Names, numbers with their units, texts, and single characters.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || "_:.".contains(c);
        let length = match first {
            '"' | '\'' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
            first if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            first => first.len_utf8(),
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

#[test]
fn names_are_found() {
    let read = Expression::read(
        "sum by (job, a) (rate(x_total{b=\"c{d}\", e!~'f'}[5m])) / on (job) group_left(g) r:x:rate5m offset 1h > bool 0 \
         unless absent(up) and time() - y > 4 * 3600",
    );
    let labels = |all: &[&str]| all.iter().map(|&label| label.to_owned()).collect::<BTreeSet<_>>();
    let selector = |name: &str, all: &[&str]| (name.to_owned(), labels(all));
    assert_eq!(
        read.selectors,
        [selector("x_total", &["b", "e"]), selector("r:x:rate5m", &[]), selector("up", &[]), selector("y", &[])]
    );
    assert_eq!(read.grouped, labels(&["a", "g", "job"]));
}
