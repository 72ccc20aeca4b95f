//! Odd files like `pipeline.yaml`, as the real Ceilometer reads them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "tests")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use wasmeter::config::Pipelines;
use wasmeter_peer::python;
use wasmeter_rig::or_say;

/// Says of each file of a folder what its pipelines are and which of some meters they take, or why there are none.
const READ: &str = r#"
import json, logging, os, sys
logging.disable(logging.CRITICAL)
from oslo_config import cfg
from ceilometer.pipeline import base, sample
conf = cfg.ConfigOpts()
conf.register_opts(base.OPTS)
conf([], project="ceilometer", default_config_files=[], default_config_dirs=[])
folder, meters = sys.argv[1], sys.argv[2].split(",")
for name in sorted(os.listdir(folder)):
    conf.set_override("pipeline_cfg_file", os.path.join(folder, name))
    try:
        pipelines = sample.SamplePipelineManager(conf).pipelines
        taken = [[p.name, [m for m in meters if p.source.support_meter(m)]] for p in pipelines]
        print(json.dumps({"pipelines": taken}))
    except base.PipelineException as error:
        print(json.dumps({"refused": error.msg}))
    except Exception as error:
        print(json.dumps({"crashed": type(error).__name__}))
"#;

const FILES: usize = 3000;

const METERS: [&str; 6] = ["cpu", "cpus", "disk.read.bytes", "disk.write.bytes", "memory", ""];

/// What is refused here and not there: what it would do there is nothing that anybody means.
const STRICTER: [&str; 7] = [
    "should be a list",
    "the name must be a text",
    "Required field name not specified",
    "not a text",
    "a sink must be a text",
    "not a list",
    "not a mapping",
];

/// Numbers that look drawn, and are the same in each run.
struct Drawn(u64);

// === impl Drawn ===

impl Drawn {
    /// A number below this one: splitmix64.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = self.0;
        drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        drawn ^= drawn >> 31;
        (drawn >> 33) as usize % bound
    }

    fn one_of(&mut self, texts: &[&'static str]) -> &'static str {
        texts[self.below(texts.len())]
    }

    /// A list of some of these, or now and then something else.
    fn list(&mut self, of: &[&'static str]) -> String {
        if self.below(25) == 0 {
            return self.one_of(&["", "~", "[]", "{}", "a", "{a: 1}", "true", "0", "7", "''"]).to_owned();
        }
        // From one on, so that none comes twice but where that is drawn.
        let (from, often) = (self.below(of.len()), self.below(15) == 0);
        let entries: Vec<_> = (0..=self.below(3)).map(|n| of[(from + if often { 0 } else { n }) % of.len()]).collect();
        format!("[{}]", entries.join(", "))
    }

    /// A file, most of whose entries are right.
    fn file(&mut self) -> String {
        const NAMES: [&str; 7] = ["a", "b", "c", "d", "\"a:b\"", "\"b:c\"", "e"];
        const ODD: [&str; 5] = ["", "~", "\"\"", "[a]", "{}"];
        const PATTERNS: [&[&str]; 4] = [
            &["cpu", "disk.*", "\"disk.*.bytes\"", "\"[a-d]*\"", "\"?pu\"", "memory", "\"[!c]*\"", "\"*.bytes\""],
            &["\"!cpu\"", "\"!disk.*\"", "\"!*\"", "\"!?pu\"", "\"![d]*\"", "\"*\"", "\"*.bytes\""],
            &["\"*\""],
            &["cpu", "\"*\"", "\"!cpu\"", "\"disk.*\""],
        ];
        const BARE: [&str; 4] = ["\"\"", "5", "~", "[cpu]"];
        let mut text = String::new();
        for (list, least, most) in [("sinks", 3, 4), ("sources", 1, 3)] {
            if self.below(40) == 0 {
                continue;
            }
            if self.below(40) == 0 {
                writeln!(text, "{list}: {}", self.one_of(&["[]", "", "cpu", "{a: 1}", "7"])).unwrap();
                continue;
            }
            writeln!(text, "{list}:").unwrap();
            for own in NAMES.into_iter().take(least + self.below(most - least + 1)) {
                if self.below(60) == 0 {
                    writeln!(text, "  - {}", self.one_of(&["", "cpu", "[]"])).unwrap();
                    continue;
                }
                let name = match self.below(20) {
                    0 => self.one_of(&ODD),
                    1 => self.one_of(&NAMES),
                    _ => own,
                };
                let mut keys = Vec::new();
                if self.below(40) > 0 {
                    keys.push(format!("name: {name}"));
                }
                if list == "sinks" {
                    if self.below(40) > 0 {
                        keys.push(format!("publishers: {}", self.list(&["test", "test://", "\"test://?a=b\""])));
                    }
                } else {
                    if self.below(40) > 0 {
                        let odd = if self.below(30) == 0 { &BARE[..] } else { PATTERNS[self.below(4)] };
                        keys.push(format!("meters: {}", self.list(odd)));
                    }
                    if self.below(40) > 0 {
                        let odd = if self.below(30) == 0 { &ODD[2..4] } else { &NAMES[..3 + self.below(9) / 8] };
                        keys.push(format!("sinks: {}", self.list(odd)));
                    }
                }
                if self.below(30) == 0 {
                    keys.push("nothing: [1]".to_owned());
                }
                writeln!(text, "  - {{{}}}", keys.join(", ")).unwrap();
            }
        }
        text
    }
}

/// What both make of a file; in words what is different.
fn compare(text: &str, theirs: &Value) -> Result<&'static str, String> {
    let ours = Pipelines::parse(text, Path::new("pipeline.yaml"), 0, false).map(|(pipelines, _)| pipelines);
    let errors = |problems: &wasmeter::config::Problems| {
        let errors = problems.iter().filter(|problem| problem.severity == wasmeter::config::Severity::Error);
        errors.map(|problem| problem.message.clone()).collect::<Vec<_>>()
    };
    if let Some(pipelines) = theirs.get("pipelines") {
        return match ours {
            Ok(ours) => {
                let mut matcher = ours.matcher();
                let taken: Vec<(String, Vec<&str>)> = (ours.pipelines.iter().enumerate())
                    .map(|(number, pipeline)| {
                        let meters =
                            METERS.into_iter().filter(|meter| matcher.takers(meter).pipelines.contains(&number));
                        (pipeline.name.clone(), meters.collect())
                    })
                    .collect();
                let ours = serde_json::to_value(taken).unwrap();
                if ours == *pipelines { Ok("the same") } else { Err(format!("{ours} instead of {pipelines}")) }
            }
            Err(problems) => {
                let stricter = |message: &String| STRICTER.iter().any(|words| message.contains(words));
                let errors = errors(&problems);
                if errors.iter().any(stricter) { Ok("stricter") } else { Err(format!("refused: {errors:?}")) }
            }
        };
    }
    match (theirs["refused"].as_str(), ours) {
        (_, Ok(_)) => Err(format!("accepted, and there {theirs}")),
        (None, Err(_)) => Ok("crashed"),
        (Some(theirs), Err(problems)) => {
            // A name that is none has no counterpart in ours.
            let errors = errors(&problems);
            let says = errors.iter().any(|message| message.contains(theirs));
            let stricter = errors.iter().any(|message| STRICTER.iter().any(|words| message.contains(words)));
            if says {
                Ok("refused in the same words")
            } else if stricter {
                Ok("stricter")
            } else {
                Err(format!("{errors:?} instead of {theirs}"))
            }
        }
    }
}

#[test]
fn odd_files_are_read_as_ceilometer_reads_them() {
    let python = python(Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap());
    let Some(python) = or_say(python) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut drawn = Drawn(0x5eed);
    let mut files: Vec<String> = (0..FILES).map(|_| drawn.file()).collect();
    for own in ["mitaka", "today"] {
        let path = format!("{}/../runtime/src/config/pipeline/tests/{own}.yaml", env!("CARGO_MANIFEST_DIR"));
        files.push(fs::read_to_string(path).unwrap().replace("gnocchi", "test"));
    }
    for (number, text) in files.iter().enumerate() {
        fs::write(folder.path().join(format!("{number:05}.yaml")), text).unwrap();
    }
    let output = Command::new(python)
        .args(["-c", READ])
        .arg(folder.path())
        .arg(METERS.join(","))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUTF8", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    assert_eq!(lines.lines().count(), files.len());
    let mut counts = std::collections::BTreeMap::new();
    let mut wrong = Vec::new();
    for (text, line) in files.iter().zip(lines.lines()) {
        match compare(text, &serde_json::from_str(line).unwrap()) {
            Ok(how) => *counts.entry(how).or_insert(0) += 1,
            Err(difference) => wrong.push(format!("{difference}\n{text}")),
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong[..wrong.len().min(5)].join("\n"));
    for (how, least) in [("the same", 400), ("refused in the same words", 500), ("crashed", 20)] {
        assert!(counts.get(how).is_some_and(|count| *count >= least), "{counts:?}");
    }
    println!("{counts:?}");
}
