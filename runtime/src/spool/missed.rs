//! Samples that were measured and that the spool could not take, or did not keep for whom they were for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::log::Counts;
use super::record::Kind;

/// Why samples were not kept, a closed set: these are label values of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Why {
    /// The disk was full, and nothing was left that could go.
    DiskFull,
    /// The disk failed.
    DiskFailed,
    /// The slot is larger than the whole spool.
    TooLarge,
    /// The output that they waited for is not served any more.
    Removed,
}

/// Numbers of samples by publisher, cause, and what they are counted by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed(BTreeMap<String, BTreeMap<Why, BTreeMap<String, u64>>>);

/// Publishers of which is known what they lost when they went. What more of them lost is one sum.
const FORMER: usize = 32;
/// What that sum is called. No publisher is called so.
const OTHERS: &str = "(others)";

// === impl Why ===

impl Why {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::DiskFull, Self::DiskFailed, Self::TooLarge, Self::Removed];

    /// As a label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DiskFull => "disk-full",
            Self::DiskFailed => "disk-failed",
            Self::TooLarge => "too-large",
            Self::Removed => "removed",
        }
    }
}

// === impl Missed ===

impl Missed {
    /// Counts samples that a publisher will not get.
    pub fn add(&mut self, publisher: &str, why: Why, counts: &Counts) {
        let of_cause = self.0.entry(publisher.to_owned()).or_default().entry(why).or_default();
        for (key, number) in counts.iter() {
            let count = of_cause.entry(key.as_str().to_owned()).or_default();
            *count = count.saturating_add(*number);
        }
    }

    /// Whether nothing was missed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Closes the books of a publisher that is not served any more, but for what it loses by that.
    pub fn close(&mut self, publisher: &str, waiting: &Counts) {
        let before = self.0.remove(publisher).and_then(|mut causes| causes.remove(&Why::Removed));
        if let Some(before) = before {
            self.0.entry(publisher.to_owned()).or_default().insert(Why::Removed, before);
        }
        let mut lost = Counts::new();
        for (key, number) in waiting.iter().filter(|(key, _)| Kind::of(key).is_for(publisher)) {
            lost.add(key.clone(), *number);
        }
        lost.add(Kind::unknown().key(), waiting.unread());
        if lost.samples() > 0 {
            self.add(publisher, Why::Removed, &lost);
        }
    }

    /// What publishers lost that are none of these, when they went.
    pub fn former<'a>(&'a self, publishers: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
        self.0.keys().map(String::as_str).filter(|name| !publishers.contains(name))
    }

    /// Keeps few of those apart that are none of these publishers: the rest, those that lost least, are summed up.
    pub fn bound(&mut self, publishers: &[String]) {
        let publishers: Vec<&str> = publishers.iter().map(String::as_str).collect();
        let samples = |name: &str| self.of(name).fold(0_u64, |sum, (_, _, samples)| sum.saturating_add(samples));
        let former = self.former(&publishers).filter(|name| *name != OTHERS);
        let mut former: Vec<(u64, String)> = former.map(|name| (samples(name), name.to_owned())).collect();
        former.sort_unstable();
        for (_, name) in former.iter().rev().skip(FORMER) {
            for (why, counts) in self.0.remove(name).unwrap_or_default() {
                let of_cause = self.0.entry(OTHERS.to_owned()).or_default().entry(why).or_default();
                for (key, number) in counts {
                    let count = of_cause.entry(key).or_default();
                    *count = count.saturating_add(number);
                }
            }
        }
    }

    /// What a publisher will not get: cause, key and number.
    pub fn of(&self, publisher: &str) -> impl Iterator<Item = (Why, &str, u64)> {
        let causes = self.0.get(publisher).into_iter().flatten();
        causes.flat_map(|(why, counts)| counts.iter().map(|(key, number)| (*why, key.as_str(), *number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Route;

    fn counts(samples: u64) -> Counts {
        let kind =
            Kind { module: "cpu".into(), tenant: "operator".into(), route: Route::default(), meter: "cpu".into() };
        [(kind.key(), samples)].into_iter().collect()
    }

    fn lost(missed: &Missed, publisher: &str) -> Vec<(Why, u64)> {
        missed.of(publisher).map(|(why, _, samples)| (why, samples)).collect()
    }

    #[test]
    fn what_publishers_lose_when_they_go_stays_and_nothing_else_does() {
        let mut missed = Missed::default();
        missed.add("a", Why::DiskFull, &counts(5));
        missed.close("a", &counts(3));
        assert_eq!(lost(&missed, "a"), [(Why::Removed, 3)]);
        // It came again and went again.
        missed.add("a", Why::DiskFull, &counts(5));
        missed.close("a", &counts(4));
        assert_eq!(lost(&missed, "a"), [(Why::Removed, 7)]);
        // What waits is for others, or nothing.
        missed.close("pipeline:udp://a:1", &counts(4));
        missed.add("b", Why::TooLarge, &counts(1));
        missed.close("b", &Counts::new());
        assert_eq!(missed.former(&["b"]).collect::<Vec<_>>(), ["a"]);
        // Of which only the number survived.
        missed.close("c", &Counts::unknown(2));
        assert_eq!(lost(&missed, "c"), [(Why::Removed, 2)]);
    }

    #[test]
    fn of_many_that_went_the_least_are_one_sum() {
        let mut missed = Missed::default();
        let names: Vec<String> = (0..FORMER as u64 + 9).map(|number| format!("file:{number}")).collect();
        for (number, name) in (1..).zip(&names) {
            missed.close(name, &counts(number));
        }
        // One of them is there.
        let there = &names[..1];
        missed.bound(there);
        missed.bound(there);
        assert_eq!(lost(&missed, OTHERS), [(Why::Removed, (2..=9).sum())]);
        assert_eq!(lost(&missed, &names[0]), [(Why::Removed, 1)]);
        assert_eq!(missed.former(&[&names[0]]).count(), FORMER + 1);
    }
}
