//! A case of `wasmeter pipeline test`: samples that go into pipelines, and what comes out of their sinks.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Number, Value};

use super::Pipelines;
use crate::config::matching::{MOST_PATTERNS, MeterFilter};
use crate::config::problem::{Place, Problems, Severity, quoted, shown};
use crate::config::yaml::{self, Kind, Node, Refusal, Section, report};
use crate::config::{duration, file};
use crate::contract;
use crate::discovery::label::OWN_KEYS;
use crate::sandbox::check;
use crate::sandbox::limits::{NOTE_BYTES, NOTES};

/// A case as it is written.
#[derive(Debug)]
pub struct Case {
    /// The file of pipelines that is tried; `None` for the configured one.
    pub pipeline: Option<PathBuf>,
    /// The host whose resources samples are of, with the paths of recordings from where the program runs.
    pub host: String,
    /// How many slots; `None` for as many as have samples, were recorded, or one.
    pub slots: Option<u32>,
    /// The time from slot to slot.
    pub interval: Duration,
    /// What goes in.
    pub given: Given,
    /// What comes out of each sink that is compared, in the order of the file.
    pub expected: Vec<Expected>,
}

/// What goes into pipelines.
#[derive(Debug)]
pub enum Given {
    /// What pollsters measure of the host, of these meters.
    Measured(MeterFilter),
    /// Samples as they are written.
    Written(Vec<Input>),
}

/// A sample that goes in.
#[derive(Debug, Clone)]
pub struct Input {
    /// The slot that it is of, from 1.
    pub slot: u32,
    /// Its meter.
    pub meter: contract::Meter,
    /// The id of its resource.
    pub resource: String,
    /// Its volume.
    pub volume: Number,
    /// Metadata of this sample alone, numbers and texts.
    pub notes: Map<String, Value>,
    /// When it was read, from the first slot on; `None` for the time of its slot.
    pub at: Option<Duration>,
    /// Where it stands.
    pub place: Option<Place>,
}

/// What comes out of a sink.
#[derive(Debug)]
pub struct Expected {
    /// The sink.
    pub sink: String,
    /// Samples, each an object as `wasmeter module test` has it in `expected.jsonl`: a key that is left out is not
    /// compared.
    pub samples: Vec<Value>,
    /// Where it stands.
    pub place: Option<Place>,
}

const KEYS: [&str; 7] = ["pipeline", "host", "slots", "interval", "meters", "in", "out"];

/// Guests that run, and always the same.
const HOST: &str = "sim://?domains=3&calm=true";
/// What recordings begin with.
const RECORDING: &str = "recording:";

/// More than a case needs, and less than takes long.
pub(in crate::config) const SLOTS: RangeInclusive<u64> = 1..=10_000;
const INTERVAL: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(86_400);
/// As long as all slots can take, in seconds.
const AT: RangeInclusive<f64> = 0.0..=864_000_000.0;
const MOST_SAMPLES: usize = 10_000;
const MOST_SINKS: usize = 1000;

// === impl Case ===

impl Case {
    /// Reads a case, whose folder relative paths begin at.
    pub fn read(path: &Path) -> Result<Self, Problems> {
        let mut problems = Problems::of(Some(path));
        match file::read(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) => {
                problems.error(None, "", format!("the file {error}"), error.remedy());
                Err(problems)
            }
        }
    }

    /// The same of a text.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Problems> {
        let mut problems = Problems::of(Some(path));
        let case = one(text, path, &mut problems);
        problems.sort();
        match case {
            Some(case) if !problems.has_errors() => Ok(case),
            _ => Err(problems),
        }
    }

    /// Reports sinks that there are not, or that cannot be run here, and meters that go nowhere.
    pub fn check(&self, file: &Path, pipelines: &Pipelines) -> Problems {
        let mut problems = Problems::of(Some(file));
        if let Given::Written(inputs) = &self.given {
            untaken(inputs, pipelines, &mut problems);
        }
        for expected in &self.expected {
            let key = format!("out.{}", expected.sink);
            let Some(sink) = pipelines.sinks.iter().find(|sink| sink.name == expected.sink) else {
                let message = format!("there is no sink {}", quoted(&expected.sink));
                let names: Vec<&str> = pipelines.sinks.iter().take(5).map(|sink| sink.name.as_str()).collect();
                let remedy = format!("Write one of the pipelines', such as {}", names.join(", "));
                problems.error(expected.place, &key, message, remedy);
                continue;
            };
            if let Some(deployed) = sink.transformers.iter().find(|transformer| transformer.deployment().is_some()) {
                let message = format!("{} of the sink runs where it is deployed only", shown(&deployed.name));
                let remedy = "Leave it out in another pipeline.yaml, and test its module with wasmeter module test";
                problems.error(expected.place, &key, message, remedy);
            }
        }
        problems
    }
}

/// Says which meters no source takes.
fn untaken(inputs: &[Input], pipelines: &Pipelines, problems: &mut Problems) {
    let (mut matcher, mut told) = (pipelines.matcher(), HashSet::new());
    for (number, Input { meter, place, .. }) in inputs.iter().enumerate() {
        if matcher.takers(&meter.name).pipelines.is_empty() && told.insert(&meter.name) {
            let message = format!("no source of the pipelines takes {}", quoted(&meter.name));
            let remedy = "Name a meter that one takes, unless the case is about what none does";
            problems.warning(*place, &format!("in[{number}].meter"), message, remedy);
        }
    }
}

fn one(text: &str, path: &Path, problems: &mut Problems) -> Option<Case> {
    let tree = yaml::parse(text, problems)?;
    if tree.entry("sinks").is_some() {
        let remedy = "Name it in a case, as `pipeline: FILE` beside `in` and `out`, and test that";
        problems.error(tree.place, "", "this is a pipeline, not a case", remedy);
        return None;
    }
    let section = Section::of(&tree, "", &KEYS, Severity::Error, problems)?;
    let beside = |name: &str| path.parent().unwrap_or(Path::new("")).join(name);
    let pipeline = section.read("pipeline", problems, Node::text).map(beside);
    let host = section.read("host", problems, Node::text).unwrap_or(HOST);
    let host = match host.strip_prefix(RECORDING) {
        Some(file) if !file.is_empty() => format!("{RECORDING}{}", beside(file).display()),
        _ => host.to_owned(),
    };
    let slots = section.read("slots", problems, |node| node.integer(&SLOTS));
    let interval = section.read("interval", problems, |node| duration::read(node, &INTERVAL));
    let given = given(&section, slots, problems);
    let expected = expected(&section, slots, problems);
    Some(Case {
        pipeline,
        host,
        slots: slots.and_then(|slots| u32::try_from(slots).ok()),
        interval: interval.unwrap_or(Duration::from_secs(10)),
        given: given?,
        expected: expected?,
    })
}

fn given(section: &Section<'_>, slots: Option<u64>, problems: &mut Problems) -> Option<Given> {
    match (section.entry("in"), section.entry("meters")) {
        (Some(entry), Some(_)) => {
            let message = "`meters` and `in` are both given";
            problems.error(entry.place, "in", message, "Keep one: what pollsters measure, or what is written");
            None
        }
        (None, None) => {
            let remedy = "Write `in:` with samples, or `meters: [...]` with what pollsters measure of the host";
            problems.error(section.place, "in", "nothing goes in", remedy);
            None
        }
        (None, Some(_)) => section.meters("meters", "the case", MOST_PATTERNS, problems).map(Given::Measured),
        (Some(_), None) => {
            let nodes = section.list("in", MOST_SAMPLES, problems)?;
            // All are read before any is missed.
            let inputs: Vec<_> = nodes.iter().map(|(path, node)| Input::read(node, path, slots, problems)).collect();
            inputs.into_iter().collect::<Option<_>>().map(Given::Written)
        }
    }
}

fn expected(section: &Section<'_>, slots: Option<u64>, problems: &mut Problems) -> Option<Vec<Expected>> {
    const REMEDY: &str = "Write `out:` and below it `SINK: [...]`, with the samples that come out of it";
    let sinks = section.required("out", problems, REMEDY, |node| match &node.kind {
        Kind::Map(sinks) if (1..=MOST_SINKS).contains(&sinks.len()) => Ok(sinks),
        Kind::Map(_) => Err(node.refuse("not a sink, or too many", REMEDY)),
        _ => Err(node.refuse("not a mapping", REMEDY)),
    })?;
    let mut all = Some(Vec::new());
    let mut left = MOST_SAMPLES;
    for entry in sinks {
        let path = format!("out.{}", entry.key);
        match samples(&entry.value, &path, slots, &mut left, problems) {
            Ok(samples) => {
                let (sink, place) = (entry.key.clone(), entry.place);
                all.iter_mut()
                    .for_each(|all| all.push(Expected { sink: sink.clone(), samples: samples.clone(), place }));
            }
            Err(refusal) => {
                refusal.into_iter().for_each(|refusal| report(&path, refusal, problems));
                all = None;
            }
        }
    }
    all
}

/// The samples of a sink; null is none. What is wrong with single ones is reported here.
fn samples(
    node: &Node,
    path: &str,
    slots: Option<u64>,
    left: &mut usize,
    problems: &mut Problems,
) -> Result<Vec<Value>, Option<Refusal>> {
    let nodes = match &node.kind {
        Kind::Null => &[][..],
        Kind::List(nodes) if nodes.len() <= *left => nodes,
        Kind::List(_) => return Err(Some(node.refuse("too long", "Write at most 10000 samples in all"))),
        _ => return Err(Some(node.refuse("not a list", "Write `- ` before each sample, or [] for none"))),
    };
    *left -= nodes.len();
    let output = |(at, node)| output(node, &format!("{path}[{at}]"), slots, problems);
    let samples: Vec<_> = nodes.iter().enumerate().map(output).collect();
    samples.into_iter().collect::<Option<_>>().ok_or(None)
}

// === impl Input ===

impl Input {
    fn read(node: &Node, path: &str, slots: Option<u64>, problems: &mut Problems) -> Option<Self> {
        let known = ["slot", "at", "meter", "type", "unit", "resource", "volume", "notes"];
        let section = Section::of(node, path, &known, Severity::Error, problems)?;
        let slot = slot(&section, slots, problems);
        let at = section.get("at").map(|_| section.read("at", problems, seconds));
        let name = section.required("meter", problems, "Name the meter", Node::text);
        let kind = section.required("type", problems, "Write gauge, cumulative or delta", kind);
        let unit = match section.get("unit") {
            Some(_) => section.read("unit", problems, |node| match &node.kind {
                Kind::Text(unit) => Ok(unit.as_str()),
                _ => Err(node.refuse("not a text", "Put it in quotes")),
            }),
            None => Some(""),
        };
        let resource = section.required("resource", problems, "Write the id of a resource of the host", Node::text);
        let volume = section.required("volume", problems, "Write a number", |node| match number(node)? {
            volume
                if kind == Some(contract::Kind::Cumulative) && volume.as_f64().is_some_and(|volume| volume < 0.0) =>
            {
                Err(node.refuse("no counter: those are never negative", "Write what it counted, or type: gauge"))
            }
            volume => Ok(volume),
        });
        let notes = match section.get("notes") {
            Some(_) => section.read("notes", problems, notes),
            None => Some(Map::new()),
        };
        let meter = contract::Meter { name: name?.to_owned(), kind: kind?, unit: unit?.to_owned() };
        if let Err(reason) = check::meter(&meter) {
            let remedy = "Write it as pollsters give it; `wasmeter module list` shows what they give";
            problems.error(node.place, &section.key("meter"), reason, remedy);
            return None;
        }
        let (slot, resource) = (u32::try_from(slot?).ok()?, resource?.to_owned());
        let at = at.map_or(Some(None), |at| at.map(Some))?;
        Some(Self { slot, meter, resource, volume: volume?, notes: notes?, at, place: node.place })
    }
}

/// The slot that a sample is of, among as many as the case has.
fn slot(section: &Section<'_>, slots: Option<u64>, problems: &mut Problems) -> Option<u64> {
    if section.get("slot").is_none() {
        return Some(1);
    }
    section.read("slot", problems, |node| match (node.integer(&SLOTS)?, slots) {
        (slot, Some(slots)) if slot > slots => {
            let remedy = format!("Write `slots: {slot}`, or remove `slots` for as many as samples are of");
            Err(node.refuse(format!("beyond `slots: {slots}`"), remedy))
        }
        (slot, _) => Ok(slot),
    })
}

fn seconds(node: &Node) -> Result<Duration, Refusal> {
    let seconds = number(node)?.as_f64().filter(|seconds| AT.contains(seconds));
    let seconds = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| node.refuse("out of bounds", "Write seconds from the first slot on, from 0 up"))
}

/// What a pollster may say of a sample beside what the host knows.
fn notes(node: &Node) -> Result<Map<String, Value>, Refusal> {
    const REMEDY: &str = "Write such as {cpu_number: 4}";
    let Kind::Map(entries) = &node.kind else { return Err(node.refuse("not a mapping", REMEDY)) };
    if entries.len() > NOTES {
        return Err(node.refuse(format!("more than {NOTES} entries"), "Write fewer"));
    }
    let mut notes = Map::new();
    for entry in entries {
        check::short_text("a key", &entry.key).map_err(|reason| node.refuse(reason, REMEDY))?;
        if OWN_KEYS.contains(&&*entry.key) {
            let remedy = "Leave it out, or name another `host`, whose it is";
            return Err(node.refuse(format!("{} is the host's to say", quoted(&entry.key)), remedy));
        }
        match entry.value.json() {
            Value::String(text) if text.len() > NOTE_BYTES => {
                return Err(entry.value.refuse("too long", format!("Write at most {NOTE_BYTES} bytes")));
            }
            value @ (Value::Number(_) | Value::String(_)) => notes.insert(entry.key.clone(), value),
            _ => {
                let reason = format!("{} is neither a number nor a text", quoted(&entry.key));
                return Err(Refusal { place: entry.value.place, ..node.refuse(reason, REMEDY) });
            }
        };
    }
    Ok(notes)
}

fn kind(node: &Node) -> Result<contract::Kind, Refusal> {
    match node.text()? {
        "gauge" => Ok(contract::Kind::Gauge),
        "cumulative" => Ok(contract::Kind::Cumulative),
        "delta" => Ok(contract::Kind::Delta),
        _ => Err(node.refuse("not a type of meter", "Write gauge, cumulative or delta")),
    }
}

fn number(node: &Node) -> Result<Number, Refusal> {
    match node.json() {
        Value::Number(number) => Ok(number),
        _ => Err(node.refuse("not a number", "Write a number")),
    }
}

/// A sample that comes out.
pub(in crate::config) fn output(node: &Node, path: &str, slots: Option<u64>, problems: &mut Problems) -> Option<Value> {
    let known = ["slot", "meter", "type", "unit", "resource", "volume", "guest", "notes"];
    let section = Section::of(node, path, &known, Severity::Error, problems)?;
    let mut sample: Map<String, Value> =
        known.iter().filter_map(|key| Some(((*key).to_owned(), section.get(key)?.json()))).collect();
    section.required("meter", problems, "Name the meter", Node::text)?;
    section.required("resource", problems, "Write the id of its resource", Node::text)?;
    if section.get("type").is_some() {
        section.read("type", problems, kind)?;
    }
    if section.get("volume").is_some() {
        section.read("volume", problems, number)?;
    }
    sample.insert("slot".to_owned(), slot(&section, slots, problems)?.into());
    Some(Value::Object(sample))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Result<Case, String> {
        Case::parse(text, Path::new("/cases/case.yaml")).map_err(|problems| problems.to_string())
    }

    #[test]
    fn samples_go_in_and_come_out() {
        let case = parse(
            "pipeline: ../pipeline.yaml\nhost: recording:host.jsonl\ninterval: 60s\nin:\n  - {meter: cpu, type: \
             cumulative, unit: ns, resource: a, volume: 0}\n  - {slot: 2, meter: cpu, type: cumulative, resource: a, \
             volume: 1.5, at: 2.5, notes: {cpu_number: 4, x: z}}\nout:\n  cpu_sink:\n    - {slot: 2, meter: cpu_util, resource: a, volume: 50.0}\n    - \
             {meter: cpu_util, resource: b}\n  none:\n",
        );
        let case = case.unwrap();
        assert_eq!(case.pipeline, Some(PathBuf::from("/cases/../pipeline.yaml")));
        assert_eq!((case.host.as_str(), case.interval.as_secs()), ("recording:/cases/host.jsonl", 60));
        let Given::Written(inputs) = case.given else { panic!("{case:?}") };
        let read = |Input { slot, meter, volume, .. }: &Input| {
            format!("{slot} {} {} {:?} {volume}", meter.name, meter.kind.word(), meter.unit)
        };
        let read: Vec<String> = inputs.iter().map(read).collect();
        assert_eq!(read, [r#"1 cpu cumulative "ns" 0"#, r#"2 cpu cumulative "" 1.5"#]);
        assert_eq!(inputs[1].place.unwrap().line, 6);
        assert_eq!((inputs[0].at, inputs[1].at), (None, Some(Duration::from_millis(2500))));
        assert_eq!(serde_json::to_value(&inputs[1].notes).unwrap(), json!({"cpu_number": 4, "x": "z"}));
        let expected: Vec<_> = case.expected.iter().map(|of| (of.sink.as_str(), of.samples.as_slice())).collect();
        let samples = [
            json!({"slot": 2, "meter": "cpu_util", "resource": "a", "volume": 50.0}),
            json!({"slot": 1, "meter": "cpu_util", "resource": "b"}),
        ];
        assert_eq!(expected, [("cpu_sink", &samples[..]), ("none", &[])]);
    }

    #[test]
    fn what_pollsters_measure_may_go_in() {
        let case = parse("meters: [cpu]\nout: {x: []}\n").unwrap();
        assert!(matches!(&case.given, Given::Measured(meters) if meters.matches("cpu")), "{case:?}");
        assert_eq!((case.host.as_str(), case.slots, case.interval.as_secs()), (HOST, None, 10));
        let pipelines = "sources: []\nsinks: [{name: k, publishers: [test]}]\n";
        let (pipelines, _) = Pipelines::parse(pipelines, Path::new("p.yaml"), 0, false).unwrap();
        let said = case.check(Path::new("case.yaml"), &pipelines).to_string();
        assert_eq!(said, "case.yaml:2:7: error: there is no sink `x`. Write one of the pipelines', such as k");
    }

    #[test]
    fn what_no_source_takes_is_named_once() {
        let case = parse(
            "in:\n  - {meter: cpu, type: gauge, resource: a, volume: 1}\n  - {meter: cpuu, type: gauge, resource: a, \
             volume: 1}\n  - {meter: cpuu, type: gauge, resource: b, volume: 1}\nout: {k: []}\n",
        );
        let pipelines = "sources: [{name: s, meters: [cpu], sinks: [k]}]\nsinks: [{name: k, publishers: [test]}]\n";
        let (pipelines, _) = Pipelines::parse(pipelines, Path::new("p.yaml"), 0, false).unwrap();
        let problems = case.unwrap().check(Path::new("case.yaml"), &pipelines);
        assert!(!problems.has_errors());
        assert_eq!(
            problems.to_string(),
            "case.yaml:3:5: warning: no source of the pipelines takes `cpuu`. Name a meter that one takes, unless the \
             case is about what none does"
        );
    }

    #[test]
    fn mistakes_are_named_with_their_lines() {
        for (text, words) in [
            ("", ":1:1: error: nothing goes in. Write `in:` with samples, or `meters: [...]`"),
            ("in: []\n", ":1:1: error: `out` is missing. Write `out:` and below it `SINK: [...]`"),
            ("in: []\nout: {}\n", ":2:6: error: `out` is a mapping: not a sink, or too many"),
            ("in: []\nout: [a]\n", ":2:6: error: `out` is a list: not a mapping"),
            ("in: []\nmeters: [cpu]\nout: {x: }\n", ":1:1: error: `meters` and `in` are both given"),
            ("in: []\nout: {x: 1}\n", ":2:10: error: `out.x` is `1`: not a list"),
            (
                "sources: []\nsinks: []\n",
                ":1:1: error: this is a pipeline, not a case. Name it in a case, as `pipeline: FILE` beside",
            ),
            ("in: []\nouts: {x: }\n", ":2:1: error: unknown key `outs`. Did you mean `out`?"),
            (
                "in:\n  - {meter: cpu}\nout: {x: }\n",
                ":2:5: error: `in[0].type` is missing. Write gauge, cumulative or delta",
            ),
            (
                "in:\n  - {meter: cpu, type: level, resource: a, volume: 1}\nout: {x: }\n",
                ":2:24: error: `in[0].type` is `level`: not a type of meter",
            ),
            (
                "in:\n  - {meter: cpu, type: gauge, resource: a, volume: much}\nout: {x: }\n",
                ":2:52: error: `in[0].volume` is `much`: not a number",
            ),
            (
                "in:\n  - {meter: cpu, type: cumulative, resource: a, volume: -1}\nout: {x: }\n",
                ":2:57: error: `in[0].volume` is `-1`: no counter: those are never negative",
            ),
            (
                "in:\n  - {meter: CPU x, type: gauge, resource: a, volume: 1}\nout: {x: }\n",
                ":2:5: error: the name of a meter is made of visible ASCII characters, and \"CPU x\" has ' '",
            ),
            (
                "in:\n  - {meter: cpu, type: gauge, resource: a, volume: 1, guest: b}\nout: {x: }\n",
                ":2:55: error: unknown key `guest`. Remove it; known keys are slot, at,",
            ),
            (
                "in:\n  - {meter: cpu, type: gauge, resource: a, volume: 1, at: -1}\nout: {x: }\n",
                ":2:59: error: `in[0].at` is `-1`: out of bounds",
            ),
            (
                "in:\n  - {meter: cpu, type: gauge, resource: a, volume: 1, notes: {status: x}}\nout: {x: }\n",
                "error: `in[0].notes` is a mapping: `status` is the host's to say",
            ),
            (
                "in:\n  - {meter: cpu, type: gauge, resource: a, volume: 1, notes: {n: []}}\nout: {x: }\n",
                ":2:66: error: `in[0].notes` is a mapping: `n` is neither a number nor a text",
            ),
            (
                "in:\n  - {slot: 0, meter: cpu, type: gauge, resource: a, volume: 1}\nout: {x: }\n",
                ":2:12: error: `in[0].slot` is `0`: out of bounds",
            ),
            (
                "slots: 1\nin:\n  - {slot: 3, meter: cpu, type: gauge, resource: a, volume: 1}\nout: {x: }\n",
                ":3:12: error: `in[0].slot` is `3`: beyond `slots: 1`. Write `slots: 3`, or remove `slots`",
            ),
            (
                "slots: 2\nin: []\nout: {x: [{slot: 3, meter: cpu, resource: a}]}\n",
                ":3:18: error: `out.x[0].slot` is `3`: beyond `slots: 2`. Write",
            ),
            ("in: []\nout:\n  x:\n    - {meter: cpu}\n", ":4:7: error: `out.x[0].resource` is missing"),
            (
                "in: []\nout:\n  x:\n    - {meter: a, resource: b, volume: c}\n",
                ":4:39: error: `out.x[0].volume` is `c`",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn nothing_like_a_case_panics(
            text in "(in|out|meters|slots|interval|host|volume|slot|[\\[\\]{}:,\\-\"'*&!|>%#?~<a0-9. \\n]){0,60}",
        ) {
            if let Err(problems) = Case::parse(&text, Path::new("case.yaml")) {
                prop_assert!(problems.has_errors());
                prop_assert!(problems.iter().all(|problem| problem.line.is_some() && !problem.remedy.is_empty()));
            }
        }
    }
}
