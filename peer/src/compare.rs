//! Both sides' samples, set against each other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::known::{KNOWN, Known, Rule, rule};
use crate::sample::{Key, Sample};
use crate::wire;

/// How a value's path is called.
const VOLUME: &str = "counter_volume";
/// What stands for the order of a sample's keys.
const ORDER: &str = "the order of keys";
/// What stands for a sample's bytes, where they alone differ.
const BYTES: &str = "the bytes";
/// What stands for how often a sample comes.
const COUNT: &str = "how many there are";

/// What came of a comparison.
#[derive(Debug)]
pub struct Comparison {
    /// By meter.
    pub meters: BTreeMap<String, Counts>,
    /// What nobody explains.
    pub differences: Vec<Difference>,
    /// What is known to differ, and how often it does.
    pub known: Vec<(&'static Known, usize)>,
}

/// The samples of one meter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// The same but for what is known.
    pub equal: usize,
    /// On both sides, and not the same.
    pub different: usize,
    /// wasmeter's alone.
    pub only_ours: usize,
    /// Ceilometer's alone.
    pub only_theirs: usize,
}

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// In which sample.
    pub key: Key,
    /// Where in it; empty if one side does not have the sample at all.
    pub path: String,
    /// What wasmeter says there, if anything.
    pub ours: Option<String>,
    /// What Ceilometer says there, if anything.
    pub theirs: Option<String>,
}

// === impl Comparison ===

impl Default for Comparison {
    fn default() -> Self {
        Self::knowing(KNOWN)
    }
}

impl Comparison {
    fn knowing(known: &'static [Known]) -> Self {
        let known = known.iter().map(|known| (known, 0)).collect();
        Self { meters: BTreeMap::new(), differences: Vec::new(), known }
    }

    /// Compares what wasmeter measured before and after with what Ceilometer measured.
    pub fn add(&mut self, before: &[Sample], theirs: &[Sample], after: &[Sample]) {
        let [before, theirs, after] = [before, theirs, after].map(by_key);
        let keys: BTreeSet<&Key> = before.keys().chain(theirs.keys()).chain(after.keys()).copied().collect();
        for key in keys {
            self.compare(key, [&before, &theirs, &after].map(|side| side.get(key).map_or(&[][..], Vec::as_slice)));
        }
    }

    /// Whether there is nothing that has no reason, and no reason without what it is for.
    pub fn is_fine(&self) -> bool {
        self.differences.is_empty() && !self.meters.is_empty() && self.known.iter().all(|(_, times)| *times > 0)
    }

    fn compare(&mut self, key: &Key, [before, theirs, after]: [&[Sample]; 3]) {
        let counts = self.meters.entry(key.meter.clone()).or_default();
        let difference =
            |path: &str, ours, theirs| Difference { key: key.clone(), path: path.to_owned(), ours, theirs };
        let there = Some("there".to_owned());
        let found = match (before, theirs, after) {
            ([before], [theirs], [after]) => differences(before, theirs, after),
            ([], _, []) => {
                counts.only_theirs += 1;
                self.differences.push(difference("", None, there));
                return;
            }
            (_, [], _) => {
                counts.only_ours += 1;
                self.differences.push(difference("", there, None));
                return;
            }
            _ => {
                let ours = format!("{} before, {} after", before.len(), after.len());
                vec![(COUNT.to_owned(), Some(ours), Some(theirs.len().to_string()))]
            }
        };
        let mut unknown = false;
        for (path, ours, theirs) in found {
            let difference = difference(&path, ours, theirs);
            match self.known.iter_mut().find(|(known, _)| (known.is)(&difference)) {
                Some((_, times)) => *times += 1,
                None => {
                    unknown = true;
                    self.differences.push(difference);
                }
            }
        }
        if unknown {
            counts.different += 1;
        } else {
            counts.equal += 1;
        }
    }
}

fn by_key(samples: &[Sample]) -> BTreeMap<&Key, Vec<Sample>> {
    let mut by_key: BTreeMap<&Key, Vec<Sample>> = BTreeMap::new();
    for sample in samples {
        by_key.entry(&sample.key).or_default().push(sample.clone());
    }
    by_key
}

/// A path, what wasmeter says there and what Ceilometer says there.
type Found = (String, Option<String>, Option<String>);

fn differences(before: &Sample, theirs: &Sample, after: &Sample) -> Vec<Found> {
    let mut found = Vec::new();
    if !fits(rule(&theirs.key.meter), &before.volume, &theirs.volume, &after.volume) {
        let ours = if before.volume == after.volume {
            before.volume.to_string()
        } else {
            format!("{} before, {} after", before.volume, after.volume)
        };
        found.push((VOLUME.to_owned(), Some(ours), Some(theirs.volume.to_string())));
    }
    let [first, second] = [before, theirs].map(|sample| {
        sample.fields.iter().map(|(path, value)| (path.as_str(), value)).collect::<BTreeMap<&str, &Value>>() //
    });
    let paths: BTreeSet<&str> = first.keys().chain(second.keys()).copied().collect();
    for path in paths {
        let (ours, theirs) = (first.get(path), second.get(path));
        if ours != theirs {
            found.push((path.to_owned(), ours.map(ToString::to_string), theirs.map(ToString::to_string)));
        }
    }
    // Of what both have, so that a missing key is not told twice.
    let order = |sample: &Sample, other: &BTreeMap<&str, &Value>| {
        let common = sample.fields.iter().map(|(path, _)| path.as_str()).filter(|path| other.contains_key(path));
        common.collect::<Vec<_>>().join(" ")
    };
    let (our_order, their_order) = (order(before, &second), order(theirs, &first));
    if our_order != their_order {
        found.push((ORDER.to_owned(), Some(our_order), Some(their_order)));
    }
    // A value that moves was compared by its rule.
    let moves = before.volume != after.volume || rule(&before.key.meter) != Rule::Between;
    let (ours, theirs) = (wire::masked_sample(&before.text, moves), wire::masked_sample(&theirs.text, moves));
    if found.is_empty() && ours != theirs {
        found.push((BYTES.to_owned(), Some(ours), Some(theirs)));
    }
    found
}

/// Whether Ceilometer's value goes together with those that wasmeter had before and after.
pub fn fits(rule: Rule, before: &Value, theirs: &Value, after: &Value) -> bool {
    let within = |margin: f64| {
        let (Some(before), Some(theirs), Some(after)) = (before.as_f64(), theirs.as_f64(), after.as_f64()) else {
            return false;
        };
        before.min(after) - margin <= theirs && theirs <= before.max(after) + margin
    };
    match rule {
        Rule::Between if before == after => theirs == before,
        Rule::Between => before.is_f64() == theirs.is_f64() && within(0.0),
        Rule::Near(margin) => before.is_f64() == theirs.is_f64() && within(margin),
        Rule::Present => theirs.is_number(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample(meter: &str, volume: Value, fields: &[(&str, Value)]) -> Sample {
        let key =
            Key { meter: meter.to_owned(), resource: "r".to_owned(), guest: "g".to_owned(), name: "n".to_owned() };
        let fields = fields.iter().map(|(path, value)| ((*path).to_owned(), value.clone())).collect();
        Sample { key, volume, fields, text: String::new() }
    }

    fn all(before: &[Sample], theirs: &[Sample], after: &[Sample]) -> Comparison {
        let mut comparison = Comparison::default();
        comparison.add(before, theirs, after);
        comparison
    }

    fn compared(before: &[Sample], theirs: &[Sample], after: &[Sample]) -> (Counts, Vec<String>) {
        let comparison = all(before, theirs, after);
        let counts = comparison.meters.values().next().copied().unwrap_or_default();
        (counts, comparison.differences.into_iter().map(|difference| difference.path).collect())
    }

    #[test]
    fn values() {
        for (meter, values, fits) in [
            ("cpu", [json!(5), json!(5), json!(5)], true),
            ("cpu", [json!(5), json!(6), json!(5)], false),
            ("cpu", [json!(5), json!(5.0), json!(5)], false),
            ("cpu", [json!(5), json!(6), json!(7)], true),
            ("cpu", [json!(5), json!(8), json!(7)], false),
            ("memory.resident", [json!(50.0), json!(51.5), json!(50.0)], true),
            ("memory.resident", [json!(50.0), json!(53.5), json!(50.0)], false),
            ("network.incoming.bytes.delta", [json!(0), json!(100), json!(0)], true),
        ] {
            let [before, theirs, after] = values.map(|volume| [sample(meter, volume, &[])]);
            assert_eq!(compared(&before, &theirs, &after).1.is_empty(), fits, "{before:?} {theirs:?} {after:?}");
        }
    }

    #[test]
    fn fields_and_their_order() {
        let ours = [sample("cpu", json!(1), &[("a", json!(1)), ("b", json!("x")), ("d", json!(null))])];
        let theirs = [sample("cpu", json!(1), &[("b", json!("y")), ("a", json!(1)), ("c", json!({}))])];
        let (counts, differences) = compared(&ours, &theirs, &ours);
        assert_eq!(differences, ["b", "c", "d", ORDER]);
        assert_eq!(counts, Counts { different: 1, ..Counts::default() });
    }

    const UNSIGNED: &[Known] = &[Known {
        what: "wasmeter does not sign",
        reason: "a test",
        is: |difference| difference.path == "message_signature" && difference.ours.is_none(),
    }];

    #[test]
    fn what_is_known_must_occur() {
        let ours = [sample("cpu", json!(1), &[])];
        let theirs = [sample("cpu", json!(1), &[("message_signature", json!(true))])];
        for (known, theirs, is_fine) in
            [(UNSIGNED, &theirs, true), (UNSIGNED, &ours, false), (&[], &theirs, false), (&[], &ours, true)]
        {
            let mut comparison = Comparison::knowing(known);
            comparison.add(&ours, theirs, &ours);
            assert_eq!(comparison.is_fine(), is_fine, "{comparison:?}");
        }
    }

    #[test]
    fn bytes_count_but_for_ids_times_and_what_moves() {
        let with = |volume: Value, text: &str| [Sample { text: text.to_owned(), ..sample("cpu", volume, &[]) }];
        let [ours, spaced, other] = [
            r#"{"counter_volume": 5, "timestamp": "1"}"#,
            r#"{"counter_volume":5, "timestamp": "1"}"#,
            r#"{"counter_volume": 6, "timestamp": "2"}"#,
        ];
        let one = with(json!(5), ours);
        assert_eq!(compared(&one, &with(json!(5), spaced), &one).1, [BYTES]);
        assert_eq!(compared(&one, &with(json!(5), other), &one).1, [BYTES]);
        assert!(compared(&one, &with(json!(6), other), &with(json!(7), ours)).1.is_empty());
    }

    #[test]
    fn samples_of_one_side() {
        let one = [sample("cpu", json!(1), &[])];
        let two = [one.clone(), one.clone()].concat();
        assert_eq!(compared(&one, &[], &one).0, Counts { only_ours: 1, ..Counts::default() });
        assert_eq!(compared(&[], &one, &[]).0, Counts { only_theirs: 1, ..Counts::default() });
        assert_eq!(compared(&one, &one, &[]).1, [COUNT]);
        assert_eq!(compared(&one, &two, &one).1, [COUNT]);
    }
}
