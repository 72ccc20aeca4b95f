//! Where samples go and what they carry, and where the daemon's own log goes.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::read::Reading;
use crate::config::file;
use crate::config::problem::{Place, Severity};
use crate::config::size::ByteSize;
use crate::config::yaml::{Node, Section};

/// Where samples go.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum Output {
    /// Into a file, one JSON text a line.
    File(FileOutput),
}

/// A file that is put aside when it is full.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FileOutput {
    /// The file.
    #[serde(serialize_with = "file::show")]
    pub file: PathBuf,
    /// The size at which it is put aside.
    pub max_size: ByteSize,
    /// How many are kept aside.
    pub keep: usize,
    /// Where it is configured.
    #[serde(skip)]
    pub place: Option<Place>,
}

/// Which of a guest's own metadata becomes a sample's user metadata; Ceilometer's options of nearly the same names.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Metadata {
    /// Beginnings of keys; what follows is the name in the sample.
    pub reserved_namespaces: Vec<String>,
    /// Whole keys.
    pub reserved_keys: Vec<String>,
    /// The longest value in characters; what is longer is cut.
    pub reserved_length: usize,
}

/// The daemon's own log.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

const MOST_OUTPUTS: usize = 100;
const MOST_KEYS: usize = 1000;
const MAX_SIZE: RangeInclusive<ByteSize> = ByteSize::new(1 << 10)..=ByteSize::new(1 << 40);
const KEEP: RangeInclusive<u64> = 0..=1000;
const RESERVED_LENGTH: RangeInclusive<u64> = 1..=65_536;

// === impl Output ===

impl Output {
    pub(super) fn read(reading: &mut Reading<'_, '_>) -> Vec<Self> {
        let root = reading.root();
        let mut outputs = Vec::new();
        for (path, node) in root.list("outputs", MOST_OUTPUTS, reading.problems).unwrap_or_default() {
            let known = ["file", "max_size", "keep"];
            let Some(section) = Section::of(node, path, &known, Severity::Error, reading.problems) else { continue };
            outputs.extend(FileOutput::read(&section, reading).map(Self::File));
        }
        outputs
    }
}

// === impl FileOutput ===

impl FileOutput {
    fn read(section: &Section<'_>, reading: &mut Reading<'_, '_>) -> Option<Self> {
        let remedy = "Add `file: ` with the path of a file to write";
        let file = section.required("file", reading.problems, remedy, |node| node.text().map(str::to_owned));
        let max_size = section.read("max_size", reading.problems, |node| ByteSize::read(node, &MAX_SIZE));
        let keep = section.read("keep", reading.problems, |node| node.integer(&KEEP));
        Some(Self {
            file: reading.path(&file?),
            max_size: max_size.unwrap_or(ByteSize::mebibytes(10)),
            keep: keep.and_then(|number| usize::try_from(number).ok()).unwrap_or(5),
            place: section.place,
        })
    }
}

// === impl Metadata ===

impl Metadata {
    pub(super) fn read(reading: &mut Reading<'_, '_>) -> Self {
        let known = ["reserved_namespaces", "reserved_keys", "reserved_length"];
        let section = reading.section("metadata", &known);
        let mut texts = |key: &str| {
            let texts = section.texts(key, MOST_KEYS, reading.problems).unwrap_or_default();
            section.get(key).map(|_| texts.into_iter().map(|(_, text)| text).collect())
        };
        let namespaces = texts("reserved_namespaces");
        let keys = texts("reserved_keys");
        let length = section.read("reserved_length", reading.problems, |node| node.integer(&RESERVED_LENGTH));
        let default = Self::default();
        Self {
            reserved_namespaces: namespaces.unwrap_or(default.reserved_namespaces),
            reserved_keys: keys.unwrap_or(default.reserved_keys),
            reserved_length: length.and_then(|number| usize::try_from(number).ok()).unwrap_or(default.reserved_length),
        }
    }
}

impl Default for Metadata {
    fn default() -> Self {
        Self { reserved_namespaces: vec!["metering.".to_owned()], reserved_keys: Vec::new(), reserved_length: 256 }
    }
}

// === impl Log ===

impl Log {
    pub(super) fn read(reading: &mut Reading<'_, '_>) -> Self {
        let section = reading.section("log", &["format"]);
        let format = section.read("format", reading.problems, |node| match Node::text(node)? {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err(node.refuse("not a format", "Write text or json")),
        });
        Self { format: format.unwrap_or(LogFormat::Text) }
    }
}
