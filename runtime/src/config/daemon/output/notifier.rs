//! RabbitMQ, as Ceilometer's agents use it.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::Output;
use super::url::Advice;
use crate::config::daemon::read::Reading;
use crate::config::file;
use crate::config::problem::{Place, Severity, quoted};
use crate::config::yaml::{Entry, Kind, Node, Refusal, Section};
use crate::publish::notifier::amqp::{self, EXCHANGE};
use crate::publish::notifier::transport_url::{BadUrl, Host, Options, Secret, TransportUrl, Warning};

/// Messages of oslo.messaging, for Ceilometer's notification agent.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct NotifierOutput {
    /// What it is called.
    pub name: String,
    /// Where messages go, and how. It has topics.
    #[serde(flatten)]
    pub broker: Broker,
    /// What messages look like.
    pub format: Format,
    /// Where it is configured.
    #[serde(skip)]
    pub place: Option<Place>,
}

/// Where messages go, and how: what Ceilometer's `transport_url`, `control_exchange`, topics and `telemetry_secret` say.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Broker {
    /// The brokers.
    #[serde(serialize_with = "shown")]
    pub url: TransportUrl,
    /// The exchange.
    pub exchange: String,
    /// Each message goes to the queue of each of these names with `.sample` behind it; without any, the format says.
    pub topics: Vec<String>,
    /// Samples in a message; 1 is one message for each.
    pub batch_size: usize,
    /// What samples are signed with; nothing leaves them unsigned.
    #[serde(serialize_with = "hidden")]
    pub secret: Secret,
}

/// What messages look like.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// As Ceilometer's polling agents send them, for the notification agent.
    Polling,
    /// As `notifier://` of its pipelines sends them, for whoever collects.
    Metering {
        /// Who says to be their sender: `telemetry.publisher.` and the host.
        publisher: String,
        /// Whether each message is of one meter, whose name stands behind the event's type.
        per_meter: bool,
    },
}

const BATCH: RangeInclusive<u64> = 0..=10_000;
const BATCH_SIZE: usize = 50;
const MOST_TOPICS: usize = 64;
const MOST_OPTIONS: usize = 100;
/// What Ceilometer signs with if nobody says anything.
pub(super) const DEFAULT_SECRET: &str = "change this for valid signing";
/// Where Aodh listens for events.
const ALARMS: &str = "alarm.all";
/// What a broker is told.
const KEYS: [&str; 8] = ["url", "url_file", "exchange", "topics", "batch_size", "secret", "secret_file", "options"];

// === impl NotifierOutput ===

impl NotifierOutput {
    /// Reads what stands under `notifier`.
    pub(super) fn read(
        node: &Node,
        path: &str,
        name: Option<String>,
        host: &str,
        reading: &mut Reading<'_, '_>,
    ) -> Option<Self> {
        let known = [KEYS.as_slice(), &["format", "name"]].concat();
        let section = Section::of(node, path, &known, Severity::Error, reading.problems)?;
        let broker = Broker::of(&section, reading);
        let format = section.read("format", reading.problems, |node| match node.text()? {
            "polling" => Ok(Format::Polling),
            "metering" => Ok(Format::metering(host)),
            _ => Err(node.refuse("not a format", "Write polling or metering")),
        });
        let format = format.unwrap_or(Format::Polling);
        let name = name.unwrap_or_else(|| "notifier".to_owned());
        let output = Self::new(name, broker?, format, section.place);
        for doubt in output.doubts(&[]) {
            reading.problems.warning(section.place, path, format!("{}: {}", quoted(path), doubt.message), doubt.remedy);
        }
        if let Err(error) = output.target().check() {
            let remedy = "Correct the exchange, the topics or the virtual host";
            reading.problems.error(section.place, path, format!("{} is wrong: {error}", quoted(path)), remedy);
        }
        Some(output)
    }

    /// One whose messages go to the topic of its format if nobody names another.
    pub(super) fn new(name: String, mut broker: Broker, format: Format, place: Option<Place>) -> Self {
        if broker.topics.is_empty() {
            broker.topics.push(format.topic().to_owned());
        }
        Self { name, broker, format, place }
    }

    /// Topics of which it is known that whoever reads them does not read these messages, because those of other outputs
    /// are for them.
    pub(super) fn doubts(&self, others: &[Output]) -> Vec<Advice> {
        let Format::Metering { .. } = self.format else { return Vec::new() };
        let polled = |topic: &str| {
            let is_its = |other: &Output| match other {
                Output::Notifier { notifier } => {
                    notifier.format == Format::Polling && notifier.broker.topics.iter().any(|other| other == topic)
                }
                _ => false,
            };
            topic == Format::Polling.topic() || others.iter().any(is_its)
        };
        let doubt = |topic: &String| match topic.as_str() {
            ALARMS => Some(Advice::of(
                format!("`{topic}` is what Aodh reads, which takes events there, and no samples"),
                "Name a topic that something reads for samples",
            )),
            _ if polled(topic) => Some(Advice::of(
                format!("`{topic}` is what Ceilometer's notification agent reads, and it passes over these messages"),
                "Add a `notifier` without `format` to `outputs`, whose messages it reads, and name another topic here",
            )),
            _ => None,
        };
        self.broker.topics.iter().filter_map(doubt).collect()
    }

    /// Where its messages go.
    pub fn target(&self) -> amqp::Config {
        let Broker { url, exchange, topics, .. } = &self.broker;
        amqp::Config { exchange: exchange.clone(), ..amqp::Config::of_samples(url.clone(), topics) }
    }
}

// === impl Broker ===

impl Broker {
    /// Reads what stands under `broker`, if that is there.
    pub(in crate::config::daemon) fn read(reading: &mut Reading<'_, '_>) -> Option<Self> {
        let root = reading.root();
        let section = Section::of(root.get("broker")?, "broker", &KEYS, Severity::Error, reading.problems)?;
        Self::of(&section, reading)
    }

    /// A queue that both send to. Exchanges make no difference: the queue is bound to each of them.
    pub(in crate::config) fn shared_queue(&self, other: &Self) -> Option<String> {
        let is_theirs =
            |ours: &Host| other.url.hosts.iter().any(|theirs| (&theirs.name, theirs.port) == (&ours.name, ours.port));
        let is_same = self.url.vhost == other.url.vhost && self.url.hosts.iter().any(is_theirs);
        let topic = self.topics.iter().find(|topic| other.topics.contains(topic));
        topic.filter(|_| is_same).map(|topic| format!("{topic}.sample"))
    }

    fn of(section: &Section<'_>, reading: &mut Reading<'_, '_>) -> Option<Self> {
        let options = options(section, reading);
        let url = url(section, options, reading);
        let exchange = section.read("exchange", reading.problems, |node| node.text().map(str::to_owned));
        let topics = section.texts("topics", MOST_TOPICS, reading.problems).unwrap_or_default();
        let batch_size = section.read("batch_size", reading.problems, |node| node.integer(&BATCH));
        let secret = secret(section, reading).map(Secret::new);
        let default = Self::at(url?);
        Some(Self {
            exchange: exchange.unwrap_or(default.exchange),
            topics: topics.into_iter().map(|(_, topic)| topic).collect(),
            // Ceilometer's 0 is one message for each sample.
            batch_size: batch_size
                .and_then(|size| usize::try_from(size).ok())
                .map_or(default.batch_size, |size| size.max(1)),
            secret: secret.unwrap_or(default.secret),
            url: default.url,
        })
    }

    /// One of which nothing but its URL is said.
    pub(super) fn at(url: TransportUrl) -> Self {
        let secret = Secret::new(DEFAULT_SECRET);
        Self { url, exchange: EXCHANGE.to_owned(), topics: Vec::new(), batch_size: BATCH_SIZE, secret }
    }
}

// === impl Format ===

impl Format {
    /// What pipelines of this host send.
    pub fn metering(host: &str) -> Self {
        Self::Metering { publisher: format!("telemetry.publisher.{host}"), per_meter: false }
    }

    /// The topic that such messages go to if nobody names another.
    pub(super) fn topic(&self) -> &'static str {
        match self {
            Self::Polling => "notifications",
            Self::Metering { .. } => "metering",
        }
    }
}

fn options(section: &Section<'_>, reading: &mut Reading<'_, '_>) -> Options {
    let mut options = Options::default();
    let entries: Option<&[Entry]> = section.read("options", reading.problems, |node| match &node.kind {
        Kind::Map(entries) if entries.len() <= MOST_OPTIONS => Ok(entries.as_slice()),
        _ => Err(node.refuse("not a mapping of options", "Write `ssl: true` and the like below it")),
    });
    for entry in entries.unwrap_or_default() {
        let (key, mut warnings) = (format!("{}.{}", section.key("options"), entry.key), Vec::new());
        let set = scalar(&entry.value).map_err(|refusal| (refusal.reason, refusal.remedy)).and_then(|value| {
            let value = if entry.key.ends_with("_file") { reading.path(&value).display().to_string() } else { value };
            options.set(&entry.key, &value, &mut warnings).map_err(|error| (error.to_string(), "Correct it".into()))
        });
        if let Err((why, remedy)) = set {
            reading.problems.error(entry.place, &key, format!("{} is wrong: {why}", quoted(&key)), remedy);
        }
        warn(&warnings, entry.place, &section.key("options"), reading);
    }
    options
}

fn scalar(node: &Node) -> Result<String, Refusal> {
    match &node.kind {
        Kind::Text(text) => Ok(text.clone()),
        Kind::Bool(value) => Ok(value.to_string()),
        Kind::Integer(number) => Ok(number.to_string()),
        Kind::Real(number) => Ok(number.to_string()),
        Kind::Null => Ok(String::new()),
        Kind::List(_) | Kind::Map(_) => Err(node.refuse("not one value", "Write one value")),
    }
}

fn warn(warnings: &[Warning], place: Option<Place>, key: &str, reading: &mut Reading<'_, '_>) {
    for warning in warnings {
        reading.problems.warning(place, key, format!("{}: {warning}", quoted(key)), warning.remedy());
    }
}

fn url(section: &Section<'_>, options: Options, reading: &mut Reading<'_, '_>) -> Option<TransportUrl> {
    let named = if section.get("url").is_none() && section.get("url_file").is_some() { "url_file" } else { "url" };
    let (key, place) = (section.key(named), section.entry(named).and_then(|entry| entry.place));
    let are_options_wrong = options.rabbit_ha_queues && options.rabbit_quorum_queue;
    let Some(text) = told(section, "url", reading) else {
        if section.get("url").is_none() && section.get("url_file").is_none() {
            let remedy = "Add `url: ` with Ceilometer's transport_url, such as rabbit://user:password@host:5672/";
            reading.problems.error(section.place, &key, format!("{} is missing", quoted(&key)), remedy);
        }
        return None;
    };
    // What a wrong URL says is never shown: a part of a password may stand anywhere in it.
    match TransportUrl::parse(&text, options) {
        Ok(url) => {
            warn(&url.warnings, place, &key, reading);
            Some(url)
        }
        Err(error) => {
            let mut wrong = |place: Option<Place>, key: &str, remedy: &str| {
                reading.problems.error(place, key, format!("{} is wrong: {error}", quoted(key)), remedy);
            };
            match error {
                BadUrl::Both(..) if are_options_wrong => {
                    let place = section.entry("options").and_then(|entry| entry.place);
                    wrong(place, &section.key("options"), "Remove one of them");
                }
                BadUrl::Both(..) | BadUrl::Value { .. } => wrong(place, &key, "Correct what stands behind its `?`"),
                _ => {
                    let remedy =
                        "Write rabbit://user:password@host:5672/vhost, with other characters than letters encoded";
                    wrong(place, &key, remedy);
                }
            }
            None
        }
    }
}

pub(super) fn secret(section: &Section<'_>, reading: &mut Reading<'_, '_>) -> Option<String> {
    // An empty one is Ceilometer's way of not signing.
    if section.get("secret").is_some_and(|node| matches!(&node.kind, Kind::Text(text) if text.is_empty())) {
        return Some(String::new());
    }
    told(section, "secret", reading)
}

/// A text that stands here, or in a file of its own that others cannot read.
pub(super) fn told(section: &Section<'_>, key: &str, reading: &mut Reading<'_, '_>) -> Option<String> {
    let in_file = format!("{key}_file");
    let here = section.read(key, reading.problems, |node| match &node.kind {
        Kind::Text(text) if !text.is_empty() => Ok(text.clone()),
        // What stands here may be a secret, whatever it is, and is not repeated.
        _ => Err(Refusal { value: "is wrong".into(), ..node.refuse("not a text", "Put it in quotes") }),
    });
    let Some(path) = section.read(&in_file, reading.problems, |node| node.text()) else { return here };
    let (place, named) = (section.get(&in_file).and_then(|node| node.place), section.key(&in_file));
    if here.is_some() {
        let message = format!("{} stands beside {}", quoted(&named), quoted(&section.key(key)));
        reading.problems.error(place, &named, message, "Keep one of them");
        return here;
    }
    let path: PathBuf = reading.path(path);
    match file::read(&path) {
        Ok(text) => Some(text.trim_end_matches(['\r', '\n']).to_owned()),
        Err(error) => {
            let message = format!("the file {} {error}", path.display());
            reading.problems.error(place, &named, message, error.remedy());
            None
        }
    }
}

fn shown<S: serde::Serializer>(url: &TransportUrl, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(url)
}

pub(super) fn hidden<S: serde::Serializer>(_: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str("***")
}
