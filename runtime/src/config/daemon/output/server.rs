//! Servers that samples are posted to.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};

use super::endpoint::{BadEndpoint, Endpoint};
use super::named_of;
use super::notifier::{hidden, told};
use crate::config::Secret;
use crate::config::daemon::read::Reading;
use crate::config::problem::{Place, Severity, quoted};
use crate::config::yaml::{Kind, Node, Section};
use crate::config::{duration, file};

/// Lists of samples in JSON.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct HttpOutput {
    /// What it is called.
    pub name: String,
    /// Where to.
    #[serde(flatten)]
    pub server: Server,
    /// Samples in a request.
    pub batch_size: usize,
    /// Where it is configured.
    #[serde(skip)]
    pub place: Option<Place>,
}

/// Metrics of OpenTelemetry.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct OpenTelemetryOutput {
    /// What it is called.
    pub name: String,
    /// Where to.
    #[serde(flatten)]
    pub server: Server,
    /// How.
    pub protocol: Protocol,
    /// Data points in a request.
    pub batch_size: usize,
    /// Where it is configured.
    #[serde(skip)]
    pub place: Option<Place>,
}

/// How OpenTelemetry's protocol is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// As protobuf in requests of HTTP.
    Http,
    /// By gRPC.
    Grpc,
}

/// A server, and how it is talked to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Server {
    /// Where it is.
    pub url: Endpoint,
    /// How long a request may take.
    #[serde(serialize_with = "duration::serialize")]
    pub timeout: Duration,
    /// Who it has to be.
    #[serde(flatten)]
    pub tls: TlsOptions,
    /// What every request has besides, such as a token.
    #[serde(serialize_with = "names")]
    pub headers: Vec<(String, Secret)>,
}

/// Who a server has to be, and who we are.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TlsOptions {
    /// Whether it is looked who the server is.
    pub verify: bool,
    /// Whose certificates are believed, a file or a folder of files; the system's authorities if there is none.
    #[serde(serialize_with = "file::show_optional")]
    pub ca_file: Option<PathBuf>,
    /// Our certificate.
    #[serde(serialize_with = "file::show_optional")]
    pub cert_file: Option<PathBuf>,
    /// Its key; in the same file if there is none.
    #[serde(serialize_with = "file::show_optional")]
    pub key_file: Option<PathBuf>,
    /// What the options are called that name these, where they are written.
    #[serde(skip)]
    pub options: [&'static str; 3],
}

const KEYS: [&str; 10] =
    ["url", "url_file", "timeout", "batch_size", "verify", "ca_file", "cert_file", "key_file", "headers", "protocol"];
const FILES: [&str; 3] = ["ca_file", "cert_file", "key_file"];
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(600);
const BATCH: RangeInclusive<u64> = 1..=100_000;
const MOST_HEADERS: usize = 100;
/// What requests have anyway; another one would make them unreadable.
const OUR_HEADERS: [&str; 7] =
    ["content-type", "content-length", "content-encoding", "host", "connection", "transfer-encoding", "te"];
/// How long Ceilometer waits for an answer.
pub(super) const HTTP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long OpenTelemetry's exporters wait for one.
pub(super) const OTLP_TIMEOUT: Duration = Duration::from_secs(10);
/// Samples in a request: about a MiB.
pub(super) const BATCH_SIZE: usize = 1000;

// === impl HttpOutput ===

impl HttpOutput {
    /// Reads what stands under `http`.
    pub(super) fn read(output: &Section<'_>, name: Option<String>, reading: &mut Reading<'_, '_>) -> Option<Self> {
        let keys: Vec<&str> = KEYS.into_iter().filter(|key| *key != "protocol").collect();
        let section = under(output, "http", &keys, reading)?;
        let batch_size = batch_size(&section, reading);
        let server = Server::read(&section, HTTP_TIMEOUT, reading)?;
        let name = name.unwrap_or_else(|| server.name("http"));
        Some(Self { name, server, batch_size, place: section.place })
    }
}

// === impl OpenTelemetryOutput ===

impl OpenTelemetryOutput {
    /// Reads what stands under `opentelemetry`.
    pub(super) fn read(output: &Section<'_>, name: Option<String>, reading: &mut Reading<'_, '_>) -> Option<Self> {
        let section = under(output, "opentelemetry", &KEYS, reading)?;
        let batch_size = batch_size(&section, reading);
        let protocol = section.read("protocol", reading.problems, |node| match node.text()? {
            "http" => Ok(Protocol::Http),
            "grpc" => Ok(Protocol::Grpc),
            _ => Err(node.refuse("not a protocol", "Write http or grpc")),
        });
        let protocol = protocol.unwrap_or(Protocol::Http);
        let mut server = Server::read(&section, OTLP_TIMEOUT, reading)?;
        server.target(protocol);
        let name = name.unwrap_or_else(|| server.name("opentelemetry"));
        Some(Self { name, server, protocol, batch_size, place: section.place })
    }
}

// === impl Server ===

impl Server {
    /// A server of which nothing but the URL is said.
    pub(super) fn at(url: Endpoint, timeout: Duration) -> Self {
        let tls = TlsOptions { verify: true, ca_file: None, cert_file: None, key_file: None, options: FILES };
        Self { url, timeout, tls, headers: Vec::new() }
    }

    /// Where metrics go if the URL does not say so.
    pub(super) fn target(&mut self, protocol: Protocol) {
        let target = self.url.target.expose();
        self.url.target = match (protocol, target.strip_prefix('/')) {
            (Protocol::Http, Some(query)) if query.is_empty() || query.starts_with('?') => {
                Secret::new(format!("/v1/metrics{query}"))
            }
            (Protocol::Http, _) => return,
            (Protocol::Grpc, _) => Secret::new("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"),
        };
    }

    fn name(&self, kind: &str) -> String {
        named_of(kind, &self.url.authority())
    }

    fn read(section: &Section<'_>, timeout: Duration, reading: &mut Reading<'_, '_>) -> Option<Self> {
        let url = url(section, reading);
        let timeout_said = section.read("timeout", reading.problems, |node| duration::read(node, &TIMEOUT));
        let verify = section.read("verify", reading.problems, Node::boolean);
        let mut path = |key: &str| {
            section.read(key, reading.problems, |node| node.text().map(str::to_owned)).map(|path| reading.path(&path))
        };
        let (ca_file, cert_file, key_file) = (path("ca_file"), path("cert_file"), path("key_file"));
        let headers = headers(section, reading);
        let mut server = Self::at(url?, timeout_said.unwrap_or(timeout));
        server.tls = TlsOptions { verify: verify.unwrap_or(true), ca_file, cert_file, key_file, ..server.tls };
        server.headers = headers;
        if server.tls.key_file.is_some() && server.tls.cert_file.is_none() {
            let (place, key) = (section.entry("key_file").and_then(|entry| entry.place), section.key("key_file"));
            let message = format!("{} has no certificate that it belongs to", quoted(&key));
            reading.problems.error(place, &key, message, "Add `cert_file: `, or remove it");
        }
        Some(server)
    }
}

fn under<'a>(output: &Section<'a>, kind: &str, keys: &[&str], reading: &mut Reading<'_, '_>) -> Option<Section<'a>> {
    let node = output.get(kind).unwrap_or(&Node::NULL);
    Section::of(node, output.key(kind), keys, Severity::Error, reading.problems)
}

fn batch_size(section: &Section<'_>, reading: &mut Reading<'_, '_>) -> usize {
    let size = section.read("batch_size", reading.problems, |node| node.integer(&BATCH));
    size.and_then(|size| usize::try_from(size).ok()).unwrap_or(BATCH_SIZE)
}

fn url(section: &Section<'_>, reading: &mut Reading<'_, '_>) -> Option<Endpoint> {
    let named = if section.get("url").is_none() && section.get("url_file").is_some() { "url_file" } else { "url" };
    let (key, place) = (section.key(named), section.entry(named).and_then(|entry| entry.place));
    let Some(text) = told(section, "url", reading) else {
        if section.get("url").is_none() && section.get("url_file").is_none() {
            let remedy = "Add `url: ` with a URL such as https://user:password@host:port/path";
            reading.problems.error(section.place, &key, format!("{} is missing", quoted(&key)), remedy);
        }
        return None;
    };
    match Endpoint::parse(&text) {
        Ok(endpoint) => Some(endpoint),
        Err(error) => {
            let remedy = match error {
                BadEndpoint::Scheme => "Write http://host:port/path or https://host:port/path",
                _ => "Write https://user:password@host:port/path, with other characters than letters encoded",
            };
            reading.problems.error(place, &key, format!("{} is wrong: {error}", quoted(&key)), remedy);
            None
        }
    }
}

fn headers(section: &Section<'_>, reading: &mut Reading<'_, '_>) -> Vec<(String, Secret)> {
    let entries = section.read("headers", reading.problems, |node| match &node.kind {
        Kind::Map(entries) if entries.len() <= MOST_HEADERS => Ok(entries.as_slice()),
        _ => Err(node.refuse("not a mapping of headers", "Write `name: value` below it")),
    });
    let mut headers = Vec::new();
    for entry in entries.unwrap_or_default() {
        let key = format!("{}.{}", section.key("headers"), entry.key);
        let value = match &entry.value.kind {
            Kind::Text(value) if HeaderValue::from_str(value).is_ok() => value,
            // What stands here may be a secret, whatever it is, and is not repeated.
            _ => {
                let message = format!("{} is not a header's value", quoted(&key));
                reading.problems.error(entry.place, &key, message, "Write a text of one line, in quotes");
                continue;
            }
        };
        let name = entry.key.to_ascii_lowercase();
        if HeaderName::from_bytes(name.as_bytes()).is_err() || OUR_HEADERS.contains(&name.as_str()) {
            let message = format!("{} cannot be set", quoted(&key));
            reading.problems.error(
                entry.place,
                &key,
                message,
                "Write a header's name that requests do not have anyway",
            );
            continue;
        }
        headers.push((name, Secret::new(value)));
    }
    headers
}

fn names<S: serde::Serializer>(headers: &[(String, Secret)], serializer: S) -> Result<S::Ok, S::Error> {
    struct Hidden<'a>(&'a Secret);
    impl serde::Serialize for Hidden<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            hidden(self.0, serializer)
        }
    }
    serializer.collect_map(headers.iter().map(|(name, value)| (name, Hidden(value))))
}
