//! What both sides show Prometheus, series by series.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::compare::fits;
use crate::known::rule;

/// A page, read.
#[derive(Debug, Default, PartialEq)]
pub struct Page {
    /// Every series with its value.
    pub series: BTreeMap<Series, f64>,
    /// The type of each metric.
    pub types: BTreeMap<String, String>,
}

/// A series: its name and its labels. Their order means nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    name: String,
    labels: BTreeMap<String, String>,
}

/// What came of a comparison.
#[derive(Debug, Default)]
pub struct Exported {
    /// Series that are the same on both sides.
    pub equal: usize,
    /// Metrics that are gauges for both.
    pub gauges: usize,
    /// Cumulative meters, of which wasmeter does not say that they are gauges: the one difference that is explained in
    /// docs/compatibility.md.
    pub untyped: usize,
    /// What nobody explains.
    pub differences: Vec<String>,
}

/// The page at an address.
pub fn scrape(address: &str) -> Result<String, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    if head.split(' ').nth(1) != Some("200") {
        return Err(format!("{address} answers: {head}").into());
    }
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") { joined(body) } else { Ok(body.to_owned()) }
}

/// A body out of its pieces.
fn joined(mut rest: &str) -> Result<String, Box<dyn Error>> {
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n").ok_or("a piece without its size")?;
        let size = usize::from_str_radix(size, 16)?;
        if size == 0 {
            return Ok(body);
        }
        let (piece, after) = after.split_at_checked(size).ok_or("a piece that is cut")?;
        body.push_str(piece);
        rest = after.strip_prefix("\r\n").ok_or("a piece without an end")?;
    }
}

// === impl Page ===

impl Page {
    /// Reads a page. Only Ceilometer's series count.
    pub fn parse(text: &str) -> Result<Self, Box<dyn Error>> {
        let mut page = Self::default();
        // Values may have other ends of lines in them.
        for line in text.split('\n') {
            if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
                page.types.insert(name.to_owned(), kind.to_owned());
            } else if line.starts_with("ceilometer_") {
                let (series, value) = Series::parse(line).ok_or_else(|| format!("no series: {line}"))?;
                if page.series.insert(series, value).is_some() {
                    return Err(format!("twice: {line}").into());
                }
            }
        }
        page.types.retain(|name, _| name.starts_with("ceilometer_"));
        Ok(page)
    }
}

// === impl Series ===

impl Series {
    /// Reads a line `name{label="value",...} number`.
    fn parse(line: &str) -> Option<(Self, f64)> {
        let (name, mut rest) = line.split_once('{')?;
        let mut labels = BTreeMap::new();
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            let (mut value, mut letters) = (String::new(), after.char_indices());
            let end = loop {
                match letters.next()? {
                    (at, '"') => break at,
                    (_, '\\') => match letters.next()?.1 {
                        'n' => value.push('\n'),
                        letter => value.push(letter),
                    },
                    (_, letter) => value.push(letter),
                }
            };
            labels.insert(label.to_owned(), value);
            rest = after.get(end + 1..)?;
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
        let number = rest.strip_prefix("} ")?.parse().ok()?;
        Some((Self { name: name.to_owned(), labels }, number))
    }

    /// The meter that it is of.
    fn meter(&self) -> &str {
        self.labels.get("counter").map_or("", String::as_str)
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.name, self.labels)
    }
}

// === impl Exported ===

impl Exported {
    /// Compares what wasmeter showed before and after with what Ceilometer showed.
    pub fn compare(before: &Page, theirs: &Page, after: &Page) -> Self {
        let mut exported = Self::default();
        let all: BTreeSet<&Series> = before.series.keys().chain(theirs.series.keys()).collect();
        for series in all {
            match [before, theirs, after].map(|page| page.series.get(series).map(|value| Value::from(*value))) {
                [Some(before), Some(theirs), Some(after)] => {
                    if fits(rule(series.meter()), &before, &theirs, &after) {
                        exported.equal += 1;
                    } else {
                        let values = format!("wasmeter {before} before, {after} after; Ceilometer {theirs}");
                        exported.differences.push(format!("{series}: {values}"));
                    }
                }
                [_, None, _] => exported.differences.push(format!("{series}: Ceilometer does not have it")),
                _ => exported.differences.push(format!("{series}: wasmeter does not have it")),
            }
        }
        for (name, theirs) in &theirs.types {
            match (before.types.get(name).map(String::as_str), theirs.as_str()) {
                (Some("gauge"), "gauge") => exported.gauges += 1,
                (Some("untyped"), "gauge") => exported.untyped += 1,
                (ours, theirs) => exported.differences.push(format!("the type of {name}: {ours:?}, {theirs:?}")),
            }
        }
        exported
    }

    /// Whether there is something, and nothing that has no reason.
    pub fn is_fine(&self) -> bool {
        self.equal > 0 && self.gauges > 0 && self.untyped > 0 && self.differences.is_empty()
    }
}

impl fmt::Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { equal, gauges, untyped, differences } = self;
        writeln!(f, "Series for Prometheus: {equal} are the same on both sides.")?;
        writeln!(f, "  {gauges} metrics are gauges for both.")?;
        let reason = "Prometheus' check of metrics takes no counters of these names";
        writeln!(f, "  {untyped} metrics of cumulative meters are untyped, and gauges for Ceilometer ({reason}).")?;
        differences.iter().try_for_each(|difference| writeln!(f, "  DIFFERENT: {difference}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEIRS: &str = "# HELP ceilometer_cpu \n# TYPE ceilometer_cpu gauge\n\
        ceilometer_cpu{counter=\"cpu\",name=\"a\\\"\\\\\\n,}\",unit=\"ns\"} 5.0\n\
        # TYPE ceilometer_vcpus gauge\nceilometer_vcpus{counter=\"vcpus\"} 1.0\n";
    const OURS: &str = "# TYPE ceilometer_cpu untyped\nceilometer_cpu{unit=\"ns\",counter=\"cpu\",\
        name=\"a\\\"\\\\\\n,}\"} 5\n# TYPE ceilometer_vcpus gauge\nceilometer_vcpus{counter=\"vcpus\"} 1\n\
        # TYPE wasmeter_x gauge\nwasmeter_x 1\n";

    fn compared(before: &str, after: &str) -> Exported {
        let [before, theirs, after] = [before, THEIRS, after].map(|text| Page::parse(text).unwrap());
        Exported::compare(&before, &theirs, &after)
    }

    #[test]
    fn the_same_in_another_order() {
        let same = compared(OURS, OURS);
        assert!(same.is_fine() && same.equal == 2 && same.untyped == 1, "{same}");
        assert!(compared(&OURS.replace("} 5\n", "} 4\n"), &OURS.replace("} 5\n", "} 6\n")).is_fine());
    }

    #[test]
    fn whatever_differs_is_told() {
        for (from, to) in [
            ("} 5\n", "} 6\n"),
            ("name=", "nam="),
            ("vcpus\"", "vcpu\""),
            ("gauge\nceilometer_vcpus", "counter\nceilometer_vcpus"),
            ("ceilometer_vcpus{counter=\"vcpus\"} 1\n", ""),
        ] {
            let other = OURS.replace(from, to);
            assert!(!compared(&other, &other).is_fine(), "{to}");
        }
        assert!(Page::parse("ceilometer_a{b=\"c\"} 1\nceilometer_a{b=\"c\"} 2\n").is_err());
        assert!(Page::parse("ceilometer_a{b=\"c} 1\n").is_err());
    }
}
