//! Which modules there are and what they are told.

use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

use super::read::Reading;
use super::sandbox::{CallLimits, LIMIT_KEYS};
use crate::config::file;
use crate::config::matching::{FEWER_PATTERNS, MOST_PATTERNS, MeterFilter};
use crate::config::parameters::Parameters;
use crate::config::problem::{Place, Problems, Severity, quoted};
use crate::config::secret;
use crate::config::yaml::{self, Kind, Node, Refusal, Section};

/// What is said about one module.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ModuleEntry {
    /// Its name: a built-in module's, or the operator's choice for a file.
    pub name: String,
    /// Whether it runs.
    pub enabled: bool,
    /// Its file; `None` for a built-in module.
    #[serde(serialize_with = "file::show_optional")]
    pub file: Option<PathBuf>,
    /// What it is told.
    pub config: ModuleConfig,
    /// What one call of it may use.
    #[serde(flatten)]
    pub limits: CallLimits,
    /// Where its name stands.
    #[serde(skip)]
    pub place: Option<Place>,
}

/// One transformer in the chain.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Transform {
    /// The meters that it is handed.
    pub meters: MeterFilter,
    /// The module that does it.
    pub module: String,
    /// What it is told.
    pub config: Parameters,
    /// Where it stands.
    #[serde(skip)]
    pub place: Option<Place>,
}

/// What a module is told: any YAML. Secrets in it are shown to nobody but the module.
#[derive(Clone, Default, PartialEq)]
pub struct ModuleConfig(Value);

const KEYS: [&str; 3] = ["enabled", "file", "config"];
const MOST_MODULES: usize = 1000;
const MOST_TRANSFORMS: usize = 1000;

/// The longest name of a module; it becomes a label and a file's name.
const LONGEST_NAME: usize = 64;

/// What the file says about modules; `limits` are those of modules that set none.
pub(super) fn entries(reading: &mut Reading<'_, '_>, limits: &CallLimits) -> Vec<ModuleEntry> {
    let known = [&KEYS[..], &LIMIT_KEYS].concat();
    let root = reading.root();
    let modules = root.read("modules", reading.problems, |node| match &node.kind {
        Kind::Map(modules) if modules.len() <= MOST_MODULES => Ok(modules),
        Kind::Map(_) => Err(node.refuse("too many modules", format!("Write at most {MOST_MODULES}"))),
        _ => Err(node.refuse("not a mapping", "Write `name: {...}` for each module")),
    });
    let mut entries = Vec::new();
    for module in modules.into_iter().flatten() {
        let (name, path) = (&module.key, format!("modules.{}", module.key));
        if !is_module_name(name) {
            let message = format!("{} is no name for a module", quoted(name));
            let remedy = "Write small letters, digits, - and _, at most 64, beginning with a letter";
            reading.problems.error(module.place, &path, message, remedy);
        }
        let Some(section) = Section::of(&module.value, path, &known, Severity::Error, reading.problems) else {
            continue;
        };
        let path = section.read("file", reading.problems, Node::text);
        entries.push(ModuleEntry {
            name: name.clone(),
            enabled: section.read("enabled", reading.problems, Node::boolean).unwrap_or(true),
            file: path.map(|path| reading.path(path)),
            config: ModuleConfig::of(&section, reading.problems),
            limits: limits.overridden(&section, reading.problems),
            place: module.place,
        });
    }
    entries
}

/// The chain of transformers.
pub(super) fn transforms(reading: &mut Reading<'_, '_>) -> Vec<Transform> {
    let root = reading.root();
    let (mut transforms, mut patterns) = (Vec::new(), 0);
    for (path, node) in root.list("transform", MOST_TRANSFORMS, reading.problems).unwrap_or_default() {
        let known = ["meters", "module", "config"];
        let Some(section) = Section::of(node, &path, &known, Severity::Error, reading.problems) else { continue };
        let module = section.required("module", reading.problems, "Name the module that transforms", module_name);
        let meters = section.meters("meters", &quoted(&path), MOST_PATTERNS, reading.problems);
        let before = patterns;
        patterns += meters.as_ref().map_or(0, |meters| meters.patterns().len());
        if patterns > MOST_PATTERNS {
            if before <= MOST_PATTERNS {
                let message = format!("with {} there are more than {MOST_PATTERNS} meters", quoted(&path));
                reading.problems.error(node.place, &section.key("meters"), message, FEWER_PATTERNS);
            }
            continue;
        }
        if let (Some(module), Some(meters)) = (module, meters) {
            let config = section.get("config");
            let config = config.map(|node| Parameters::at(&section.key("config"), node, reading.problems));
            let config = config.unwrap_or_default();
            transforms.push(Transform { meters, module, config, place: node.place });
        }
    }
    transforms
}

fn module_name(node: &Node) -> Result<String, Refusal> {
    match node.text()? {
        name if is_module_name(name) => Ok(name.to_owned()),
        _ => Err(node.refuse("not a module's name", "Name the module that transforms")),
    }
}

pub(crate) fn is_module_name(name: &str) -> bool {
    let allowed = |letter: u8| matches!(letter, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    name.len() <= LONGEST_NAME && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(allowed)
}

/// Reports whole numbers of which a module would get the first digits only.
fn report_rounded(path: &str, node: &Node, problems: &mut Problems) {
    match &node.kind {
        _ if node.rounded => {
            let subject = if path.is_empty() { "the file".to_owned() } else { quoted(path) };
            let message = format!("{subject} is a whole number of more than 64 bits, which would be rounded");
            let remedy = "Put it in quotes, so that it is handed over as a text, or write a real number such as 1.5e20";
            problems.error(node.place, path, message, remedy);
        }
        Kind::List(entries) => {
            let numbered = entries.iter().enumerate();
            numbered.for_each(|(number, entry)| report_rounded(&format!("{path}[{number}]"), entry, problems));
        }
        Kind::Map(entries) => {
            let dot = if path.is_empty() { "" } else { "." };
            for entry in entries {
                report_rounded(&format!("{path}{dot}{}", entry.key), &entry.value, problems);
            }
        }
        _ => {}
    }
}

// === impl ModuleConfig ===

impl ModuleConfig {
    /// What a section has as `config`.
    pub(super) fn of(section: &Section<'_>, problems: &mut Problems) -> Self {
        section.get("config").map(|node| Self::at(&section.key("config"), node, problems)).unwrap_or_default()
    }

    /// The value of this path. What would not be handed over as it is written is reported.
    pub(in crate::config) fn at(path: &str, node: &Node, problems: &mut Problems) -> Self {
        report_rounded(path, node, problems);
        Self(node.json())
    }

    /// Out of a text of its own, which is YAML or JSON.
    pub fn parse(text: &str, problems: &mut Problems) -> Option<Self> {
        yaml::parse(text, problems).map(|node| Self::at("", &node, problems))
    }

    /// The value; null if nothing is configured.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// The text that the module is handed: a text as it is, nothing as an empty text, and all else as JSON.
    pub fn text(&self) -> String {
        match &self.0 {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

impl From<Value> for ModuleConfig {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

impl fmt::Debug for ModuleConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        secret::hide(&self.0).fmt(f)
    }
}

impl serde::Serialize for ModuleConfig {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        secret::hide(&self.0).serialize(serializer)
    }
}
