//! How `ceilometer.conf` is read: odd files, and what oslo.config and `wasmeter import` make of them; and which options
//! there are.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Says what oslo.config makes of files.
const READ: &str = include_str!("conf.py");
/// The options that `wasmeter import` knows.
const KNOWN: &str = include_str!("../../runtime/src/config/ceilometer/known.txt");
/// How many files are compared.
const FILES: u32 = 400;
/// Differences that are told; the first few tell what is wrong.
const TOLD: usize = 10;

/// The options that are compared, and where they are in our configuration.
const OPTIONS: [(&str, &str); 10] = [
    ("DEFAULT.libvirt_uri", "/hypervisor"),
    ("DEFAULT.control_exchange", "/outputs/0/notifier/exchange"),
    ("DEFAULT.reserved_metadata_namespace", "/metadata/reserved_namespaces"),
    ("DEFAULT.reserved_metadata_keys", "/metadata/reserved_keys"),
    ("DEFAULT.reserved_metadata_length", "/metadata/reserved_length"),
    ("compute.report_stopped_instance_metrics", "/guests/report_stopped"),
    ("polling.batch_size", "/outputs/0/notifier/batch_size"),
    ("oslo_messaging_rabbit.ssl_key_file", "/outputs/0/notifier/options/ssl_key_file"),
    ("oslo_messaging_rabbit.kombu_reconnect_delay", "/outputs/0/notifier/options/kombu_reconnect_delay"),
    ("oslo_messaging_rabbit.amqp_durable_queues", "/outputs/0/notifier/options/amqp_durable_queues"),
];

/// What was compared.
#[derive(Debug, Default)]
pub struct Compared {
    /// Options that there are.
    options: u32,
    files: u32,
    /// Files that neither can parse.
    unreadable: u32,
    /// Options that neither can read, and those of which both read the same.
    refused: u32,
    same: u32,
    differences: Vec<String>,
}

type Values = &'static [&'static str];

const BETWEEN: [&str; 6] = ["=", " = ", ":", " : ", " =", "\t=\u{a0}"];
/// Lines behind an option.
const BEHIND: [&str; 7] = ["", "# c", "; c", "  # c", "\t,more", "  more  ", " \u{1f}"];
/// Lines that are wrong, or mean nothing.
const ODD: [&str; 9] = ["word", "[x", "[]", "[polling] # c", "= x", ":", "[x]y]", "\u{feff}x = y", "key = "];
const TEXTS: Values = &[
    "a",
    "a b",
    "'a'",
    "\"a",
    "\"",
    "''",
    "\" a \"",
    "a # b",
    "$control_exchange",
    "${libvirt_type}x",
    "$$x",
    "\\$x",
    "a$",
    "${",
    "$1",
    "${control_exchange",
    "$nothing",
    "$polling.batch_size",
    "$DEFAULT.control_exchange",
    "$polling.enable_notifications-",
    "$libvirt_type.",
    "${polling}",
    "x=y:z",
    "\u{e9}\u{20ac}\u{1f600}",
    "\u{a0}a\u{1f}",
    "",
    "a,b",
    "${service_credentials.cafile}|",
    "$oslo_messaging_rabbit.kombu_reconnect_delay",
    "a\\",
    "$libvirt_uri",
    "a\\$$b",
    "\\\\$x $$$",
    "${compute.report_stopped_instance_metrics}",
    "$batch_size",
    "$LIBVIRT_TYPE",
    "$ssl_key_file",
];
const LISTS: Values = &[
    "",
    "a",
    "a,b",
    " a , b ,",
    ",",
    ",,",
    "a,,b",
    "'a,b'",
    "\"a,b",
    "'a','b'",
    "$control_exchange,b",
    "metering.",
    "a, b c,\u{3000}d",
    "$nothing,x",
];
const INTEGERS: Values = &[
    "7",
    "-1",
    " 12 ",
    "1_000",
    "+3",
    "0x1",
    "1.5",
    "seven",
    "$rpc_response_timeout",
    "0",
    "50",
    "256",
    "'8'",
    "1__0",
    "",
    "\" 9 \"",
    "007",
    "${libvirt_type}",
];
const BOOLEANS: Values =
    &["true", "FALSE", "on", "Off", "1", "0", "yes", "nO", "2", "maybe", "'true'", "$debug", "", "' true'"];
const REALS: Values = &["0.5", "1", "1.0", " 2", "1e0", "2_0e-1", "0x1", "x", ".5", "4.", "+1.5", "_1", "", "1_.5"];

/// Sections as they are written, and options in them.
const SECTIONS: [(&str, &[(&str, Values)]); 7] = [
    (
        "[DEFAULT]",
        &[
            ("libvirt_uri", TEXTS),
            ("control_exchange", TEXTS),
            ("reserved_metadata_namespace", LISTS),
            ("reserved_metadata_keys", LISTS),
            ("reserved_metadata_length", INTEGERS),
        ],
    ),
    ("[DEFAULT]", &[("libvirt_uri", TEXTS), ("control_exchange", TEXTS)]),
    ("[default]", &[("libvirt_uri", TEXTS), ("nothing", TEXTS)]),
    ("[compute]", &[("report_stopped_instance_metrics", BOOLEANS)]),
    ("[polling]", &[("batch_size", INTEGERS)]),
    ("[POLLING]", &[("batch_size", INTEGERS)]),
    (
        "[oslo_messaging_rabbit]",
        &[("ssl_key_file", TEXTS), ("kombu_reconnect_delay", REALS), ("amqp_durable_queues", BOOLEANS)],
    ),
];

/// Numbers that look drawn, and are the same in each run.
struct Drawn(u64);

/// Compares what both make of odd files.
pub fn compare(python: &Path, daemon: &Path, folder: &Path) -> Result<Compared, Box<dyn Error>> {
    let mut drawn = Drawn(0x5eed);
    for number in 0..FILES {
        let folder = folder.join(format!("{number:04}"));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("ceilometer.conf"), drawn.file())?;
        fs::write(folder.join("polling.yaml"), "sources: [{name: a, interval: 60, meters: [cpu]}]\n")?;
    }
    let read = Command::new(python).args(["-c", READ]).arg(folder).env("PYTHONUTF8", "1").output()?;
    if !read.status.success() {
        return Err(String::from_utf8_lossy(&read.stderr).into());
    }
    let mut compared = Compared::default();
    let printed = String::from_utf8(read.stdout)?;
    let (known, read) = printed.split_once('\n').ok_or("oslo.config says nothing")?;
    compared.known(&serde_json::from_str(known)?);
    for line in read.lines() {
        let theirs: Value = serde_json::from_str(line)?;
        let name = theirs.get("name").and_then(Value::as_str).unwrap_or_default();
        let ours = Command::new(daemon).arg("import").arg(folder.join(name)).arg("--json").output()?;
        let ours = serde_json::from_slice(&ours.stdout)?;
        compared.add(&fs::read_to_string(folder.join(name).join("ceilometer.conf"))?, &theirs, &ours);
    }
    if compared.files != FILES {
        return Err(format!("oslo.config has read {} of {FILES} files", compared.files).into());
    }
    Ok(compared)
}

// === impl Compared ===

impl Compared {
    /// Whether both read the same, and there was something of everything.
    pub fn is_fine(&self) -> bool {
        self.differences.is_empty()
            && [self.options, self.unreadable, self.refused, self.same].iter().all(|number| *number > 0)
    }

    /// Compares the options that there are, and their types.
    fn known(&mut self, theirs: &BTreeMap<String, String>) {
        let mut section = "";
        let mut ours = BTreeMap::new();
        for line in KNOWN.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split([' ', '|']).filter(|word| !word.contains('.'));
            match (line.strip_prefix('['), words.next(), words.next()) {
                (Some(name), ..) => section = name.trim_end_matches(']'),
                (None, Some(name), Some(kind)) => {
                    ours.insert(format!("{section}.{name}"), kind.to_owned());
                }
                _ => {}
            }
        }
        for name in theirs.keys().chain(ours.keys()).collect::<BTreeSet<_>>() {
            let (theirs, ours) = (theirs.get(name), ours.get(name));
            if theirs == ours {
                self.options += 1;
            } else {
                self.differences.push(format!("{name}: Ceilometer has {theirs:?}, known.txt {ours:?}"));
            }
        }
    }

    fn add(&mut self, text: &str, theirs: &Value, ours: &Value) {
        self.files += 1;
        let problems = || ours.get("problems").and_then(Value::as_array).into_iter().flatten();
        let errors =
            || problems().filter(|problem| problem.get("severity").is_some_and(|severity| severity == "error"));
        let keys: Vec<String> = errors().filter_map(|error| error.get("key")?.as_str().map(normal)).collect();
        let is_unreadable = errors().any(|error| error.get("key").is_none_or(Value::is_null));
        let options = theirs.get("options").filter(|options| !options.is_null());
        match (options, is_unreadable) {
            (None, true) => self.unreadable += 1,
            (None, false) => self.differs(text, "oslo.config cannot parse it"),
            (Some(_), true) => self.differs(text, "wasmeter cannot parse it"),
            (Some(options), false) => {
                for (name, pointer) in OPTIONS {
                    let theirs = options.get(name).unwrap_or(&Value::Null);
                    let is_refused = keys.iter().any(|key| *key == normal(name));
                    match (theirs.get("error"), is_refused) {
                        (Some(_), true) => self.refused += 1,
                        (Some(error), false) => self.differs(text, &format!("{name}: oslo.config says {error}")),
                        (None, true) => self.differs(text, &format!("{name}: wasmeter refuses it")),
                        // With an error elsewhere there are no values.
                        (None, false) => {
                            let Some(config) = ours.get("config").filter(|config| !config.is_null()) else { continue };
                            let (expected, ours) = (expected(name, theirs), config.pointer(pointer));
                            if is_same(&expected, ours.unwrap_or(&Value::Null)) {
                                self.same += u32::from(!theirs.is_null());
                            } else {
                                self.differs(text, &format!("{name}: oslo.config has {expected}, wasmeter {ours:?}"));
                            }
                        }
                    }
                }
            }
        }
    }

    fn differs(&mut self, text: &str, how: &str) {
        self.differences.push(format!("{how}, in {text:?}"));
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { options, files, unreadable, refused, same, differences } = self;
        write!(
            f,
            "ceilometer.conf: {options} options are known; {files} files, {unreadable} of them refused as a whole, as are {refused} options"
        )?;
        write!(f, " in others; {same} values are the same, {} differ", differences.len())?;
        differences.iter().take(TOLD).try_for_each(|difference| write!(f, "\n  {difference}"))
    }
}

/// A key without regard to how its section is written.
fn normal(key: &str) -> String {
    match key.split_once('.') {
        Some(("DEFAULT", _)) | None => key.to_owned(),
        Some((section, name)) => format!("{}.{name}", section.to_lowercase()),
    }
}

/// What the value is here.
fn expected(name: &str, theirs: &Value) -> Value {
    match name {
        "DEFAULT.libvirt_uri" if theirs.is_null() => "qemu:///system".into(),
        "DEFAULT.reserved_metadata_length" => theirs.as_i64().map(|length| length.clamp(1, 65_536)).into(),
        "polling.batch_size" => theirs.as_i64().map(|size| size.max(1)).into(),
        _ => match theirs {
            // An empty beginning would mean every key.
            Value::Array(entries) => entries.iter().filter(|entry| *entry != "").cloned().collect(),
            other => other.clone(),
        },
    }
}

/// Whole numbers may be written as reals.
fn is_same(one: &Value, other: &Value) -> bool {
    one == other || one.as_f64().is_some_and(|one| other.as_f64() == Some(one))
}

// === impl Drawn ===

impl Drawn {
    /// A number below this one: splitmix64.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = self.0;
        drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        drawn ^= drawn >> 31;
        usize::try_from(drawn >> 33).unwrap_or_default() % bound.max(1)
    }

    fn one_of(&mut self, texts: &[&'static str]) -> &'static str {
        texts.get(self.below(texts.len())).copied().unwrap_or_default()
    }

    /// A file, most of whose lines are right.
    fn file(&mut self) -> String {
        let end = if self.below(8) == 0 { "\r\n" } else { "\n" };
        let mut lines = String::new();
        for _ in 0..=self.below(5) {
            let (section, options) = SECTIONS.get(self.below(SECTIONS.len())).copied().unwrap_or_default();
            lines.extend([section, end]);
            for _ in 0..self.below(4) {
                let (name, values) = options.get(self.below(options.len())).copied().unwrap_or_default();
                lines.extend([name, self.one_of(&BETWEEN), self.one_of(values), end]);
                if self.below(6) == 0 {
                    lines.extend([self.one_of(&BEHIND), end]);
                }
            }
            if self.below(25) == 0 {
                lines.extend([self.one_of(&ODD), end]);
            }
        }
        lines
    }
}
