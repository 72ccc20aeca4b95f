//! What Prometheus would make of `wasmeter once --format prometheus`.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::program::{Folder, samples_in, text};

/// A series: its metric and its labels.
type Series = (String, BTreeMap<String, String>);

/// Reads a line `metric{label="value",...} number`.
fn parse(line: &str) -> Option<(Series, f64)> {
    let (metric, mut rest) = line.split_once('{')?;
    let mut labels = BTreeMap::new();
    while !rest.starts_with('}') {
        let (label, after) = rest.split_once("=\"")?;
        let mut chars = after.char_indices();
        let mut value = String::new();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at + 1,
                (_, '\\') => value.push(match chars.next()?.1 {
                    'n' => '\n',
                    c @ ('"' | '\\') => c,
                    _ => return None,
                }),
                (_, c) => value.push(c),
            }
        };
        is_name(label).then_some(())?;
        labels.insert(label.to_owned(), value).is_none().then_some(())?;
        rest = after[end..].strip_prefix(',').unwrap_or(&after[end..]);
    }
    let number = rest.strip_prefix("} ")?.parse().ok()?;
    is_name(metric).then(|| ((metric.to_owned(), labels), number))
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[test]
fn it_can_be_read_whatever_guests_are_called() {
    let folder = Folder::measuring("sim://?domains=60&calm=true", "");
    let page = folder.run("once --format prometheus").is(0).stdout;
    let (mut types, mut series) = (BTreeMap::new(), BTreeSet::new());
    let mut metric = "";
    for line in page.lines().filter(|line| !line.starts_with("# HELP ")) {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            let (name, kind) = declared.split_once(' ').unwrap();
            assert!(types.insert(name, kind).is_none(), "{name} comes twice");
            assert!(["untyped", "gauge"].contains(&kind), "{line}");
            metric = name;
            continue;
        }
        let ((name, labels), number) = parse(line).unwrap_or_else(|| panic!("{line}"));
        assert_eq!(name, metric, "{line}");
        assert!(number.is_finite() && labels.contains_key("resource"), "{line}");
        assert!(series.insert((name, labels)), "{line} comes twice");
    }
    assert_eq!((types["ceilometer_cpu"], types["ceilometer_memory_usage"]), ("untyped", "gauge"));

    // The same guests, by names that are read back.
    let samples = samples_in(&folder.run("once --format json").is(0).stdout);
    let names: BTreeSet<&str> =
        samples.iter().map(|sample| text(&sample["resource_metadata"], "display_name")).collect();
    let of_guest = |name: &str| names.iter().any(|guest| name.strip_prefix(guest).is_some_and(|n| n.starts_with(':')));
    assert!(series.iter().all(|(_, labels)| of_guest(&labels["resource_name"])), "{series:?}");
    let read: BTreeSet<&str> =
        series.iter().map(|(_, labels)| labels["resource_name"].rsplit_once(':').unwrap().0).collect();
    assert_eq!(read, names);
    assert!(names.iter().any(|name| name.contains('"')), "no odd name: {names:?}");
    assert_eq!(series.len(), samples.len());
}
