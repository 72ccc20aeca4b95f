//! Where samples go and what they carry, and where the daemon's own log goes.

mod endpoint;
mod notifier;
mod server;
mod socket;
mod url;

use std::ops::RangeInclusive;
use std::path::PathBuf;

pub use self::endpoint::{BadEndpoint, Endpoint, Login};
pub use self::notifier::{Broker, Format, NotifierOutput};
pub use self::server::{HttpOutput, OpenTelemetryOutput, Protocol, Server, TlsOptions};
pub use self::socket::SocketOutput;
pub use self::url::{Advice, FromUrl, UrlDefaults};
use super::read::Reading;
use crate::config::file;
use crate::config::problem::{Place, Severity, quoted};
use crate::config::size::ByteSize;
use crate::config::yaml::{Node, Section};
use crate::pipeline::route::OF_PIPELINES;

/// Where samples go.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum Output {
    /// Into a file, one JSON text a line.
    File(FileOutput),
    /// Into RabbitMQ's queues.
    Notifier {
        /// Which, and how.
        notifier: Box<NotifierOutput>,
    },
    /// To a server, as lists in JSON.
    Http {
        /// Which, and how.
        http: Box<HttpOutput>,
    },
    /// To a receiver of OpenTelemetry's protocol.
    OpenTelemetry {
        /// Which, and how.
        opentelemetry: Box<OpenTelemetryOutput>,
    },
    /// Each as a datagram.
    Udp {
        /// Where to.
        udp: SocketOutput,
    },
    /// One after the other into a connection.
    Tcp {
        /// Where to.
        tcp: SocketOutput,
    },
    /// Nowhere, but counted: to try everything before it.
    Test {
        /// What it is called.
        test: String,
    },
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
    /// What it is called.
    pub name: String,
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

/// What outputs there are, by the key under which each stands.
const KINDS: [&str; 7] = ["file", "notifier", "http", "opentelemetry", "udp", "tcp", "test"];
const MOST_OUTPUTS: usize = 100;
const MOST_KEYS: usize = 1000;
const LONGEST_NAME: usize = 100;
const MAX_SIZE: RangeInclusive<ByteSize> = ByteSize::new(1 << 10)..=ByteSize::new(1 << 40);
/// Each of them is renamed when another one is put aside.
const MOST_KEPT: usize = 1000;
const KEEP: RangeInclusive<u64> = 0..=MOST_KEPT as u64;
const RESERVED_LENGTH: RangeInclusive<u64> = 1..=65_536;

// === impl Output ===

impl Output {
    /// What it is called: where its progress is kept, and by what people know it.
    pub fn name(&self) -> &str {
        match self {
            Self::File(file) => &file.name,
            Self::Notifier { notifier } => &notifier.name,
            Self::Http { http } => &http.name,
            Self::OpenTelemetry { opentelemetry } => &opentelemetry.name,
            Self::Udp { udp: socket } | Self::Tcp { tcp: socket } => &socket.name,
            Self::Test { test } => test,
        }
    }

    /// Where it is configured.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::File(file) => file.place,
            Self::Notifier { notifier } => notifier.place,
            Self::Http { http } => http.place,
            Self::OpenTelemetry { opentelemetry } => opentelemetry.place,
            Self::Udp { udp: socket } | Self::Tcp { tcp: socket } => socket.place,
            Self::Test { .. } => None,
        }
    }

    /// Reads all of a host.
    pub(super) fn read(reading: &mut Reading<'_, '_>, host: &str) -> Vec<Self> {
        let root = reading.root();
        let mut outputs: Vec<Self> = Vec::new();
        for (path, node) in root.list("outputs", MOST_OUTPUTS, reading.problems).unwrap_or_default() {
            let known = [KINDS.as_slice(), &["name", "max_size", "keep"]].concat();
            let Some(section) = Section::of(node, &path, &known, Severity::Error, reading.problems) else { continue };
            let Some(output) = Self::one(&section, host, reading) else { continue };
            let is_taken = |file: &PathBuf| outputs.iter().any(|other| other.file().as_ref() == Some(file));
            if let Some(file) = output.file().filter(is_taken) {
                let message = format!("{} is the file of two outputs", file.display());
                reading.problems.error(section.place, &path, message, "Give each output a file of its own");
                continue;
            }
            if outputs.iter().any(|other| other.name() == output.name()) {
                let message = format!("two outputs are called {}", quoted(output.name()));
                reading.problems.error(section.place, &path, message, "Give one of them another `name`");
                continue;
            }
            outputs.push(output);
        }
        outputs
    }

    /// The file that it writes, however its folder is spelt. A link in its own place is not followed.
    pub(in crate::config) fn file(&self) -> Option<PathBuf> {
        let Self::File(FileOutput { file, .. }) = self else { return None };
        let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
        let folder = file.parent().and_then(|folder| folder.canonicalize().ok());
        Some(folder.zip(file.file_name()).map(|(folder, name)| folder.join(name)).unwrap_or(file))
    }

    /// Whether it leads to where another one leads, however that is spelt.
    pub(in crate::config) fn leads_where(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Http { http: one }, Self::Http { http: other }) => one.server.url.is_like(&other.server.url),
            (Self::OpenTelemetry { opentelemetry: one }, Self::OpenTelemetry { opentelemetry: other }) => {
                one.protocol == other.protocol && one.server.url.is_like(&other.server.url)
            }
            (Self::Udp { udp: one }, Self::Udp { udp: other }) | (Self::Tcp { tcp: one }, Self::Tcp { tcp: other }) => {
                one.port == other.port && one.host.eq_ignore_ascii_case(&other.host)
            }
            _ => false,
        }
    }

    fn one(section: &Section<'_>, host: &str, reading: &mut Reading<'_, '_>) -> Option<Self> {
        let name = section.read("name", reading.problems, |node| match node.text()? {
            name if name.len() > LONGEST_NAME || name.contains(char::is_control) => {
                Err(node.refuse("not a name", "Write at most 100 letters"))
            }
            name if name.starts_with(OF_PIPELINES) => {
                Err(node.refuse("a publisher's of pipelines", "Begin it in another way"))
            }
            name => Ok(name.to_owned()),
        });
        let said: Vec<&str> = KINDS.into_iter().filter(|kind| section.entry(kind).is_some()).collect();
        let [kind] = *said.as_slice() else {
            let path = section.key("file");
            let message = if said.is_empty() { "an output has no kind" } else { "an output is of one kind" };
            let remedy = "Write one of file: PATH, notifier: {url: ...}, http: {url: ...}, opentelemetry: {url: ...}, \
                          udp: {host: ...}, tcp: {host: ...} and test: true";
            reading.problems.error(section.place, &path, message, remedy);
            return None;
        };
        match kind {
            "file" => FileOutput::read(section, name, reading).map(Self::File),
            "notifier" => {
                let node = section.get(kind).unwrap_or(&Node::NULL);
                let notifier = NotifierOutput::read(node, &section.key(kind), name, host, reading)?;
                Some(Self::Notifier { notifier: Box::new(notifier) })
            }
            "http" => {
                let http = HttpOutput::read(section, name, reading)?;
                Some(Self::Http { http: Box::new(http) })
            }
            "opentelemetry" => {
                let opentelemetry = OpenTelemetryOutput::read(section, name, reading)?;
                Some(Self::OpenTelemetry { opentelemetry: Box::new(opentelemetry) })
            }
            "udp" => Some(Self::Udp { udp: SocketOutput::read(section, kind, name, host, reading)? }),
            "tcp" => Some(Self::Tcp { tcp: SocketOutput::read(section, kind, name, host, reading)? }),
            _ => {
                section.read(kind, reading.problems, |node| match node.boolean()? {
                    true => Ok(()),
                    false => Err(node.refuse("no output", "Write true, or remove the entry")),
                })?;
                Some(Self::Test { test: name.unwrap_or_else(|| kind.to_owned()) })
            }
        }
    }
}

// === impl FileOutput ===

impl FileOutput {
    /// A file that grows as it will.
    pub fn unbounded(path: PathBuf) -> Self {
        let name = named(&path.display().to_string());
        Self { file: path, max_size: ByteSize::new(u64::MAX), keep: 0, name, place: None }
    }

    fn read(section: &Section<'_>, name: Option<String>, reading: &mut Reading<'_, '_>) -> Option<Self> {
        let file = section.read("file", reading.problems, |node| node.text().map(str::to_owned));
        let max_size = section.read("max_size", reading.problems, |node| ByteSize::read(node, &MAX_SIZE));
        let keep = section.read("keep", reading.problems, |node| node.integer(&KEEP));
        let file = file?;
        Some(Self {
            name: name.unwrap_or_else(|| named(&file)),
            file: reading.path(&file),
            max_size: max_size.unwrap_or(ByteSize::mebibytes(10)),
            keep: keep.and_then(|number| usize::try_from(number).ok()).unwrap_or(5),
            place: section.place,
        })
    }
}

fn named(path: &str) -> String {
    named_of("file", path)
}

/// A name for an output that has none: its kind, and where it goes.
fn named_of(kind: &str, to: &str) -> String {
    let start = to.len().saturating_sub(LONGEST_NAME - kind.len() - 1);
    let start = (start..to.len()).find(|start| to.is_char_boundary(*start)).unwrap_or(0);
    format!("{kind}:{}", to.get(start..).unwrap_or_default())
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
