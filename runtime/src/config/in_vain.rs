//! What sources name in vain: meters that nobody gives.

use std::collections::BTreeMap;
use std::path::Path;

use super::ceilometer::{is_given_elsewhere, module_of};
use super::matching::{Glob, MeterFilter};
use super::yaml::closest;
use crate::sandbox::names::built_in;

/// What is given, as far as it is known.
#[derive(Debug, Default)]
pub struct Given<'a> {
    /// Meters that come, or may.
    pub meters: Vec<&'a str>,
    /// Meters of modules that are on, which nothing measures.
    pub unmeasured: Vec<&'a str>,
    /// The file that says what is measured.
    pub polling: Option<&'a Path>,
    /// Built-in modules that are off.
    pub off: Vec<&'static str>,
    /// What names of others that may come as well begin with. None of them is one of a built-in pollster's meters.
    pub others: Vec<&'a str>,
}

/// What is to be said of a source.
#[derive(Debug, PartialEq, Eq)]
pub struct InVain {
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to do, without a full stop.
    pub remedy: String,
}

/// Why what is named does not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// The module that gives it is off.
    Off(&'static str),
    /// A module would give it, and nothing measures it.
    Unmeasured,
    /// Nobody has it.
    Nobody,
    /// Other agents of Ceilometer's give it, whose files may be the same.
    Elsewhere,
}

/// As many are listed.
const LISTED: usize = 10;

const SEE: &str = "See wasmeter module list for the meters that there are";

// === impl Given ===

impl Given<'_> {
    /// What a source names in vain. `who` is the source, and `whose` says what is given: "of any module".
    pub fn in_vain(&self, who: &str, whose: &str, meters: &MeterFilter) -> Vec<InVain> {
        let (mut named, mut takes) = (BTreeMap::<Why, Vec<&str>>::new(), false);
        for (pattern, glob) in meters.allowed() {
            match self.why_not(Some(glob), |name| glob.matches(name) && meters.matches(name)) {
                Some(why) => named.entry(why).or_default().push(pattern),
                None => takes = true,
            }
        }
        if meters.allowed().next().is_none() {
            match self.why_not(None, |name| meters.matches(name)) {
                Some(why) => named.entry(why).or_default().push("what it takes"),
                None => takes = true,
            }
        }
        if !takes && named.keys().all(|why| matches!(why, Why::Nobody | Why::Elsewhere)) {
            let patterns: Vec<&str> = named.into_values().flatten().collect();
            let message = format!("{who} matches no meter {whose}");
            return vec![InVain { message, remedy: self.meant(&patterns) }];
        }
        let said = |(why, patterns): (Why, Vec<&str>)| {
            let list = listed(&patterns);
            let (message, remedy) = match why {
                Why::Off(module) => (
                    format!("{who}: the module {module}, which is off, gives {list}"),
                    format!("Turn it on in wasmeter.yaml: `modules: {{{module}: {{enabled: true}}}}`"),
                ),
                Why::Unmeasured => (
                    format!("{who}: nothing measures {list}"),
                    format!("Add what is wanted to the `meters` of a source in {}", self.polling_file()),
                ),
                Why::Nobody => (format!("{who}: nothing gives {list}"), self.meant(&patterns)),
                Why::Elsewhere => return None,
            };
            Some(InVain { message, remedy })
        };
        named.into_iter().filter_map(said).collect()
    }

    /// Why nothing comes that is meant, if that is sure.
    fn why_not(&self, glob: Option<&Glob>, is_meant: impl Fn(&str) -> bool) -> Option<Why> {
        let any = |names: &[&str]| names.iter().any(|name| is_meant(name));
        let may_be_others = match glob {
            Some(glob) => !built_in::has(glob.text()) && self.others.iter().any(|beginning| glob.may_begin(beginning)),
            None => !self.others.is_empty(),
        };
        if any(&self.meters) || may_be_others {
            return None;
        }
        Some(match glob {
            _ if any(&self.unmeasured) => Why::Unmeasured,
            Some(glob) => match module_of(glob, &self.off) {
                Some(module) => Why::Off(module),
                None if is_given_elsewhere(glob) => Why::Elsewhere,
                None => Why::Nobody,
            },
            None => Why::Nobody,
        })
    }

    fn polling_file(&self) -> String {
        self.polling.map_or_else(|| "polling.yaml".to_owned(), |file| file.display().to_string())
    }

    fn meant(&self, patterns: &[&str]) -> String {
        let known: Vec<&str> = self.meters.iter().chain(&self.unmeasured).copied().collect();
        match patterns.iter().find_map(|pattern| closest(pattern, &known)) {
            Some(meant) => format!("Did you mean `{meant}`? {SEE}"),
            None => SEE.to_owned(),
        }
    }
}

/// The first of many, and how many more there are.
pub fn listed(names: &[&str]) -> String {
    let first = names.iter().take(LISTED).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(given: &Given<'_>, patterns: &[&str]) -> Vec<String> {
        let meters = MeterFilter::new(patterns.iter().map(|pattern| (*pattern).to_owned()).collect()).unwrap();
        given.in_vain("source a", "of any", &meters).into_iter().map(|InVain { message, .. }| message).collect()
    }

    fn given<'a>() -> Given<'a> {
        let meters = vec!["memory", "disk.device.read.bytes", "acme.load"];
        let (unmeasured, off) = (vec!["cpu", "vcpus"], vec!["mitaka", "deep", "power"]);
        Given { meters, unmeasured, off, polling: Some(Path::new("pipeline.yaml")), others: Vec::new() }
    }

    #[test]
    fn each_entry_that_is_in_vain_is_named_with_the_reason() {
        for (patterns, messages) in [
            (&["*"][..], &[][..]),
            (&["!cpu"], &[]),
            (&["disk.*", "acme.*", "memory"], &[]),
            (&["cpu"], &["source a: nothing measures cpu"]),
            (&["memory", "*cpu*"], &["source a: nothing measures *cpu*"]),
            (&["!memory", "!acme.*", "!disk.*"], &["source a: nothing measures what it takes"]),
            (
                &["cpuu", "disk.read.bytes", "memory", "disk.usage"],
                &[
                    "source a: the module mitaka, which is off, gives disk.read.bytes, disk.usage",
                    "source a: nothing gives cpuu",
                ],
            ),
            (&["cpu.*"], &["source a: the module deep, which is off, gives cpu.*"]),
            (&["memory", "power.*"], &["source a: the module power, which is off, gives power.*"]),
            (&["memory", "perf.*"], &["source a: nothing gives perf.*"]),
            (&["cpuu", "volume.size"], &["source a matches no meter of any"]),
            (&["memory", "volume.size"], &[]),
        ] {
            assert_eq!(said(&given(), patterns), messages, "{patterns:?}");
        }
        let meters = MeterFilter::new(vec!["cpuu".to_owned()]).unwrap();
        let remedy = given().in_vain("source a", "of any", &meters).remove(0).remedy;
        assert!(remedy.starts_with("Did you mean `cpu`? See "), "{remedy}");
        let meters = MeterFilter::new(vec!["cpu".to_owned(), "memory".to_owned()]).unwrap();
        let remedy = given().in_vain("source a", "of any", &meters).remove(0).remedy;
        assert_eq!(remedy, "Add what is wanted to the `meters` of a source in pipeline.yaml");
    }

    #[test]
    fn what_others_may_give_is_not_in_vain() {
        let given = Given { others: vec!["acme.", "cpu"], ..given() };
        for patterns in [&["acme.x"][..], &["acme.*"], &["a*"], &["?cme.x"], &["cpuu"], &["cpu.*"], &["!memory"]] {
            assert_eq!(said(&given, patterns), [""; 0], "{patterns:?}");
        }
        for (patterns, message) in [
            (["cpu", "other"], "source a: nothing measures cpu"),
            (["memory", "other.*"], "source a: nothing gives other.*"),
            (["memory", "acme"], "source a: nothing gives acme"),
            (["memory", "perf.*"], "source a: nothing gives perf.*"),
        ] {
            assert!(said(&given, &patterns).contains(&message.to_owned()), "{patterns:?}");
        }
    }
}
