//! A case of `wasmeter module test`: what a module is tried on, and what it may take.

mod answers;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::grants::{self, SecretsIn};
use super::modules::ModuleConfig;
use super::sandbox::{CallLimits, LIMIT_KEYS};
use crate::config::matching::{MOST_PATTERNS, MeterFilter};
use crate::config::problem::{Problems, Severity};
use crate::config::yaml::{self, Node, Section};
use crate::config::{duration, file};
use crate::modules::deployment::Grants;
use crate::sandbox::host::http::Answers;

/// A case as it is written.
#[derive(Debug)]
pub struct Fixture {
    /// The host, with the paths of recordings from where the program runs.
    pub host: String,
    /// How many slots; `None` for as many as were recorded, or one.
    pub slots: Option<u32>,
    /// The time from slot to slot of a simulated host.
    pub interval: Duration,
    /// What the module is told.
    pub config: ModuleConfig,
    /// Meters of pollsters that a transformer is handed.
    pub meters: Option<MeterFilter>,
    /// A file of samples that a transformer is handed instead.
    pub inputs: Option<PathBuf>,
    /// The most fuel that a slot may take.
    pub fuel: Option<u64>,
    /// What a call may use.
    pub limits: CallLimits,
    /// What the module may do as a deployment's; `None` for one that is the operator's.
    pub grants: Option<Grants>,
    /// What its requests are answered.
    pub answers: Arc<Answers>,
}

const KEYS: [&str; 9] = ["host", "slots", "interval", "config", "meters", "inputs", "fuel", "grants", "answers"];
/// More slots than a case needs, and fewer than take long.
const SLOTS: RangeInclusive<u64> = 1..=10_000;
const INTERVAL: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(86_400);
const FUEL: RangeInclusive<u64> = 1..=1_000_000_000_000_000;
/// What recordings begin with.
const RECORDING: &str = "recording:";

// === impl Fixture ===

impl Fixture {
    /// Reads a case; `limits` are those of calls if it sets none.
    pub fn read(path: &Path, limits: &CallLimits) -> Result<Self, Problems> {
        let mut problems = Problems::of(Some(path));
        let fixture = one(path, limits, &mut problems);
        match fixture {
            Some(fixture) if !problems.has_errors() => Ok(fixture),
            _ => Err(problems),
        }
    }
}

fn one(path: &Path, limits: &CallLimits, problems: &mut Problems) -> Option<Fixture> {
    let text = file::read(path).map_err(|error| problems.error(None, "", format!("the file {error}"), error.remedy()));
    let tree = yaml::parse(&text.ok()?, problems)?;
    let known = [&KEYS[..], &LIMIT_KEYS].concat();
    let section = Section::of(&tree, "", &known, Severity::Error, problems)?;
    let remedy = "Write recording:FILE with a file of `wasmeter record`, or sim://?calm=true";
    let host = section.required("host", problems, remedy, Node::text);
    let beside = |name: &str| path.parent().unwrap_or(Path::new("")).join(name);
    let host = host.map(|host| match host.strip_prefix(RECORDING) {
        Some(file) if !file.is_empty() => format!("{RECORDING}{}", beside(file).display()),
        _ => host.to_owned(),
    });
    let slots = section.read("slots", problems, |node| node.integer(&SLOTS));
    let interval = section.read("interval", problems, |node| duration::read(node, &INTERVAL));
    let meters = section.get("meters").and_then(|_| section.meters("meters", "the case", MOST_PATTERNS, problems));
    let inputs = section.read("inputs", problems, Node::text).map(beside);
    if let (Some(entry), Some(_)) = (section.entry("inputs"), &meters) {
        let message = "`meters` and `inputs` are both given";
        problems.error(entry.place, "inputs", message, "Keep one: what pollsters measure, or what is written");
    }
    let fuel = section.read("fuel", problems, |node| node.integer(&FUEL));
    let grants = grants::read(&section, SecretsIn::Place, problems);
    let answers = answers::read(&section, beside, problems);
    if let (Some(entry), None) = (section.entry("answers"), section.get("grants")) {
        let remedy = "Grant what is requested, such as `grants: {http: [GET https://metrics.example:9100/metrics]}`";
        problems.error(entry.place, "answers", "`answers` without `grants`: nothing may be requested", remedy);
    }
    Some(Fixture {
        host: host?,
        slots: slots.and_then(|slots| u32::try_from(slots).ok()),
        interval: interval.unwrap_or(Duration::from_secs(10)),
        config: ModuleConfig::of(&section, problems),
        meters,
        inputs,
        fuel,
        limits: limits.overridden(&section, problems),
        grants,
        answers: Arc::new(answers),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Fixture, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("case.yaml");
        std::fs::write(&path, text).unwrap();
        Fixture::read(&path, &CallLimits::default()).map_err(|problems| problems.to_string())
    }

    #[test]
    fn files_are_beside_the_case() {
        let case = read("host: recording:../host.jsonl\ninputs: a.jsonl\nconfig: {a: 1}\n").unwrap();
        assert!(case.host.starts_with("recording:/") && case.host.ends_with("/../host.jsonl"), "{}", case.host);
        assert!(case.inputs.unwrap().is_absolute());
        assert_eq!((case.config.text().as_str(), case.slots, case.interval.as_secs()), (r#"{"a":1}"#, None, 10));
    }

    #[test]
    fn mistakes_are_named_with_their_lines() {
        for (text, words) in [
            ("", "`host` is missing"),
            ("host: sim://\nslot: 3\n", ":2:1: error: unknown key `slot`. Did you mean `slots`?"),
            ("host: sim://\nslots: 0\n", ":2:8: error: `slots` is `0`"),
            ("host: sim://\nmeters: [cpu]\ninputs: x\n", ":3:1: error: `meters` and `inputs` are both given"),
            ("host: sim://\nfuel: much\n", ":2:7: error: `fuel`"),
            ("host: sim://\ninterval: 10\n", "no unit"),
            ("host: sim://\ngrants: {secrets: {a: {file: b}}}\n", "unknown key `file`"),
            ("host: sim://\ngrants: {names: [a]}\n", ":2:18: error: `a` is no beginning of names"),
            ("host: sim://\nanswers: [{url: 'http://a/'}]\n", ":2:1: error: `answers` without `grants`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
