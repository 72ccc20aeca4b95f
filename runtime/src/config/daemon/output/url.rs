//! Outputs out of URLs, as pipelines' `publishers` name them: `notifier://`, `http://host/path?batch=false` and so on.
//!
//! What stands in a message is an option's name or a scheme, never a part of the URL that could be a secret.

use std::path::Path;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::endpoint::{self, BadEndpoint, Endpoint};
use super::notifier::DEFAULT_SECRET;
use super::server::{BATCH_SIZE, HTTP_TIMEOUT, OTLP_TIMEOUT};
use super::socket::PORT;
use super::{
    Broker, FileOutput, Format, HttpOutput, MOST_KEPT, NotifierOutput, OpenTelemetryOutput, Output, Protocol, Server,
    SocketOutput,
};
use crate::config::Secret;
use crate::config::problem::{Place, quoted};
use crate::config::secret::{hide_url, sounds_secret};
use crate::config::size::ByteSize;
use crate::publish::notifier::transport_url::{Options, TransportUrl};

/// What a publisher's URL leaves to the rest of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct UrlDefaults<'a> {
    /// This host's name.
    pub host: &'a str,
    /// The folder that relative paths begin at.
    pub folder: &'a Path,
    /// What counts where a URL names no broker: what `transport_url` and `telemetry_secret` are to Ceilometer.
    pub broker: Option<&'a Broker>,
    /// The outputs that get everything.
    pub outputs: &'a [Output],
}

/// An output out of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FromUrl {
    /// The output.
    pub output: Output,
    /// What is accepted, and has no effect or an unexpected one.
    pub warnings: Vec<Advice>,
}

/// What is wrong, and what to do about it; both without a full stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Advice {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
    /// Whether Ceilometer has it, and this daemon does not.
    pub is_missing: bool,
}

/// Options behind a URL's `?`.
#[derive(Debug)]
struct Query<'a> {
    scheme: &'a str,
    pairs: Vec<Pair<'a>>,
    /// What is wrong with those that were read.
    wrong: Vec<Advice>,
}

#[derive(Debug)]
struct Pair<'a> {
    name: String,
    value: String,
    written: &'a str,
}

/// The parts of a URL.
#[derive(Debug)]
struct Parts<'a> {
    /// Who and where.
    place: &'a str,
    path: &'a str,
    query: Query<'a>,
    warnings: Vec<Advice>,
    defaults: UrlDefaults<'a>,
}

/// What there is.
const SCHEMES: &str = "notifier://, file://, http://, https://, opentelemetryhttp://, opentelemetrygrpc://, udp://, \
                       tcp:// and test://";
/// Publishers that Ceilometer has or had, and what can stand for them.
const MISSING: [(&str, &str); 7] = [
    (
        "gnocchi",
        "Have Ceilometer's notification agent store samples: add a `notifier` to `outputs`, which sends what it reads",
    ),
    ("prometheus", "Have Prometheus scrape `metrics`, or push with opentelemetryhttp://"),
    ("zaqar", "Use http://, or a `notifier` under `outputs`"),
    ("kafka", "Use notifier:// or opentelemetryhttp://, behind which a collector writes to Kafka"),
    ("direct", "Use http://, or a `notifier` under `outputs`; Ceilometer has no database any more"),
    ("database", "Use http://, or a `notifier` under `outputs`; Ceilometer has no database any more"),
    ("dispatcher", "Use http://, or a `notifier` under `outputs`; Ceilometer has no collector any more"),
];
/// The longest time that a request may take, in seconds.
const LONGEST: f64 = 600.0;
/// Options of servers that say how samples are delivered; others are the server's, and say who gets them. A certificate
/// says who we are, as a password does, and may be another file when it is renewed, for which nothing is to be lost.
const DELIVERY: [&str; 7] = ["timeout", "batch", "verify_ssl", "clientcert", "clientkey", "max_retries", "raw_only"];
/// Options of `notifier://` that say who gets what; the others are about connections.
const RECEIVER: [&str; 3] = ["topic", "driver", "per_meter_topic"];
/// Options of `notifier://` for which there is the spool.
const QUEUE: [&str; 3] = ["policy", "max_queue_length", "max_retry"];
/// Options of `file://`.
const FILE: [&str; 3] = ["max_bytes", "backup_count", "json"];

// === impl Output ===

impl Output {
    /// The output that a pipeline's publisher names, or all that is wrong with it. It is called `name`, and stands at
    /// `place`.
    pub fn of_url(
        url: &str,
        name: &str,
        place: Option<Place>,
        defaults: UrlDefaults<'_>,
    ) -> Result<FromUrl, Vec<Advice>> {
        // As Ceilometer does: a name alone is a scheme.
        let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
        let scheme = scheme.to_ascii_lowercase();
        let parts = Parts::of(&scheme, rest, defaults)?;
        match scheme.as_str() {
            "notifier" => parts.notifier(name, place),
            "file" => parts.file(name, place),
            "http" | "https" => parts.http(name, place, scheme == "https"),
            "opentelemetryhttp" => parts.opentelemetry(name, place, Protocol::Http),
            "opentelemetrygrpc" => parts.opentelemetry(name, place, Protocol::Grpc),
            "udp" | "tcp" => parts.socket(name, place, &scheme),
            "test" => parts.given(Self::Test { test: name.to_owned() }),
            other => Err(unknown(other).into()),
        }
    }

    /// A publisher's URL without what may be secret: its logins, and values of options that are not ours.
    pub fn shown(url: &str) -> String {
        let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
        hide_url(url, |option| is_ours(&scheme, option) && !sounds_secret(option))
    }

    /// A publisher's URL without the options that say how it delivers, and not to whom or what: with others of these it
    /// is the same publisher.
    pub fn receiver(url: &str) -> String {
        let Some((before, query)) = url.split_once('?') else { return url.to_owned() };
        let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
        let is_kept = |option: &&str| {
            let name = decoded(option.split('=').next().unwrap_or_default());
            // What stands before an `@` may be a login, which is hidden as a whole as long as that is there.
            option.contains('@') || (!option.is_empty() && name.is_none_or(|name| says_who_gets_what(&scheme, &name)))
        };
        let kept: Vec<&str> = query.split('&').filter(is_kept).collect();
        if kept.is_empty() { before.to_owned() } else { format!("{before}?{}", kept.join("&")) }
    }
}

/// Whether an option says who gets samples, or in which form.
fn says_who_gets_what(scheme: &str, option: &str) -> bool {
    match scheme {
        "http" | "https" | "opentelemetryhttp" | "opentelemetrygrpc" => !is_ours(scheme, option),
        "notifier" => RECEIVER.contains(&option),
        _ => false,
    }
}

/// Whether an option is one of this daemon's. Others are for whoever gets samples, and can be secrets between them.
fn is_ours(scheme: &str, option: &str) -> bool {
    match scheme {
        "http" | "https" => DELIVERY.contains(&option),
        "opentelemetryhttp" | "opentelemetrygrpc" => option == "ssl" || DELIVERY.contains(&option),
        "notifier" => RECEIVER.contains(&option) || QUEUE.contains(&option) || Options::knows(option),
        "file" => FILE.contains(&option),
        _ => false,
    }
}

fn unknown(scheme: &str) -> Advice {
    if let Some((name, remedy)) = MISSING.iter().find(|(name, _)| *name == scheme) {
        let advice = advice(format!("the publisher {name}:// is not there yet"), *remedy);
        return Advice { is_missing: true, ..advice };
    }
    if scheme.is_empty() {
        return advice("the scheme of the publisher's URL is missing", format!("Begin it with one of {SCHEMES}"));
    }
    let plain = scheme.len() <= 30 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let what = if plain { format!("there is no publisher {}", quoted(scheme)) } else { "this is no publisher".into() };
    advice(what, format!("Use one of {SCHEMES}"))
}

fn advice(message: impl Into<String>, remedy: impl Into<String>) -> Advice {
    Advice::of(message, remedy)
}

// === impl Advice ===

impl From<Advice> for Vec<Advice> {
    fn from(advice: Advice) -> Self {
        vec![advice]
    }
}

impl Advice {
    pub(super) fn of(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: remedy.into(), is_missing: false }
    }
}

// === impl Parts ===

impl<'a> Parts<'a> {
    fn of(scheme: &'a str, rest: &'a str, defaults: UrlDefaults<'a>) -> Result<Self, Advice> {
        let rest = rest.split('#').next().unwrap_or_default();
        let (place, after) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (path, query) = after.split_once('?').unwrap_or((after, ""));
        Ok(Self { place, path, query: Query::of(scheme, query)?, warnings: Vec::new(), defaults })
    }

    /// The output, with a warning for each option that nobody asked for, if nothing is wrong with those that somebody did.
    fn given(mut self, output: Output) -> Result<FromUrl, Vec<Advice>> {
        if !self.query.wrong.is_empty() {
            return Err(self.query.wrong);
        }
        for Pair { name, .. } in &self.query.pairs {
            let shown = if sounds_secret(name) { "an option" } else { &quoted(name) };
            self.warnings.push(advice(format!("{shown} of the publisher is unknown and has no effect"), "Remove it"));
        }
        Ok(FromUrl { output, warnings: self.warnings })
    }

    fn has_no_effect(&mut self, option: &str, why: &str) {
        self.warnings.push(advice(format!("{} has no effect: {why}", quoted(option)), "Remove it"));
    }

    fn file(mut self, name: &str, place: Option<Place>) -> Result<FromUrl, Vec<Advice>> {
        if !self.place.is_empty() || self.path.len() < 2 {
            let remedy = "Write file:///path/of/the/file, with three slashes";
            return Err(advice("the publisher file:// has no path", remedy).into());
        }
        let path = decoded(self.path).ok_or_else(|| encoding("path"))?;
        let max_bytes: Option<u64> = self.query.number("max_bytes");
        let mut backup_count: Option<usize> = self.query.number("backup_count");
        if backup_count.is_some_and(|count| count > MOST_KEPT) {
            backup_count = Some(MOST_KEPT);
            let message = format!("`backup_count` has the effect of {MOST_KEPT}, as no more files are kept aside");
            self.warnings.push(advice(message, format!("Write {MOST_KEPT} or less, and a larger `max_bytes`")));
        }
        if self.query.take("json").is_none() {
            let message = "samples are written as JSON, and not as Python shows a dictionary";
            self.warnings.push(advice(message, "Add `json` behind a `?`, to say that it is meant"));
        }
        // Ceilometer, too, wants both of them, and with 0 lets the file grow.
        let bounds = (max_bytes.filter(|size| *size > 0), backup_count.filter(|count| *count > 0));
        let alone = match bounds {
            (Some(_), None) => Some(("max_bytes", "backup_count")),
            (None, Some(_)) => Some(("backup_count", "max_bytes")),
            _ => None,
        };
        if let Some((option, other)) = alone {
            let message = format!("{} has no effect without {}, and the file grows", quoted(option), quoted(other));
            self.warnings.push(advice(message, format!("Add `{other}`, above 0, or remove `{option}`")));
        }
        let (max_size, keep) = match bounds {
            (Some(size), Some(count)) => (size, count),
            _ => (u64::MAX, 0),
        };
        self.given(Output::File(FileOutput {
            file: path.into(),
            max_size: ByteSize::new(max_size),
            keep,
            name: name.to_owned(),
            place,
        }))
    }

    fn socket(self, name: &str, place: Option<Place>, scheme: &str) -> Result<FromUrl, Vec<Advice>> {
        let (host, port) = endpoint::address_of(self.place, PORT).map_err(|error| {
            advice(format!("the publisher {scheme}:// is wrong: {error}"), format!("Write {scheme}://host:port"))
        })?;
        let secret = self.defaults.broker.map(|broker| broker.secret.clone());
        let publisher = self.defaults.host.to_owned();
        let secret = secret.unwrap_or_else(|| Secret::new(DEFAULT_SECRET));
        let socket = SocketOutput { name: name.to_owned(), host, port, secret, publisher, place };
        self.given(if scheme == "udp" { Output::Udp { udp: socket } } else { Output::Tcp { tcp: socket } })
    }

    fn http(mut self, name: &str, place: Option<Place>, secure: bool) -> Result<FromUrl, Vec<Advice>> {
        let (mut server, batch_size) = self.server(secure, HTTP_TIMEOUT, None)?;
        // Whatever else stands there is the server's.
        server.url.ask(&self.query.rest());
        let http = Box::new(HttpOutput { name: name.to_owned(), server, batch_size, place });
        self.given(Output::Http { http })
    }

    fn opentelemetry(mut self, name: &str, place: Option<Place>, protocol: Protocol) -> Result<FromUrl, Vec<Advice>> {
        let secure = self.query.switch("ssl", false);
        let port = if protocol == Protocol::Http { 4318 } else { 4317 };
        let (mut server, batch_size) = self.server(secure, OTLP_TIMEOUT, Some(port))?;
        if protocol == Protocol::Http {
            server.url.ask(&self.query.rest());
        }
        server.target(protocol);
        let name = name.to_owned();
        let opentelemetry = Box::new(OpenTelemetryOutput { name, server, protocol, batch_size, place });
        self.given(Output::OpenTelemetry { opentelemetry })
    }

    /// A server with the options of Ceilometer's publisher `http`, and how many samples it gets at once.
    fn server(&mut self, secure: bool, timeout: Duration, port: Option<u16>) -> Result<(Server, usize), Advice> {
        let wrong = |error: BadEndpoint| {
            let remedy = "Write scheme://user:password@host:port/path, with other characters than letters encoded";
            advice(format!("the publisher's URL is wrong: {error}"), remedy)
        };
        let mut url = Endpoint::of(secure, self.place, &endpoint::encoded(self.path)).map_err(wrong)?;
        let address = self.place.rsplit_once('@').map_or(self.place, |(_, address)| address);
        if let Some(port) = port {
            url.port = endpoint::address_of(address, port).map_err(wrong)?.1;
        }
        let mut server = Server::at(url, timeout);
        match self.query.number::<f64>("timeout") {
            Some(seconds) if (0.01..=LONGEST).contains(&seconds) => server.timeout = Duration::from_secs_f64(seconds),
            Some(_) => self.query.refuse("timeout", "from 0.01 to 600"),
            None => {}
        }
        if self.query.take("max_retries").is_some() {
            self.has_no_effect("max_retries", "what cannot be delivered waits in the spool and is tried again");
        }
        let batch_size = if self.query.switch("batch", true) { BATCH_SIZE } else { 1 };
        server.tls.options = ["verify_ssl", "clientcert", "clientkey"];
        match self.query.said("verify_ssl") {
            None => {}
            Some(text) => match switch(&text) {
                Some(verify) => server.tls.verify = verify,
                None => server.tls.ca_file = Some(self.defaults.folder.join(text)),
            },
        }
        server.tls.cert_file = self.query.said("clientcert").map(|path| self.defaults.folder.join(path));
        server.tls.key_file = self.query.said("clientkey").map(|path| self.defaults.folder.join(path));
        if server.tls.cert_file.is_none() && server.tls.key_file.take().is_some() {
            self.has_no_effect("clientkey", "there is no `clientcert` that it belongs to");
        }
        if self.query.switch("raw_only", false) {
            self.has_no_effect("raw_only", "it is about events, and these are samples");
        }
        Ok((server, batch_size))
    }

    fn notifier(mut self, name: &str, place: Option<Place>) -> Result<FromUrl, Vec<Advice>> {
        let topics = self.query.take_all("topic");
        let driver = self.query.take("driver");
        if driver.is_some_and(|driver| !["rabbit", "kombu"].contains(&driver.as_str())) {
            let message = "the publisher notifier:// has a driver that is not rabbit, and this daemon has no other";
            return Err(advice(message, "Write driver=rabbit, or use another publisher").into());
        }
        let mut format = Format::metering(self.defaults.host);
        if let Format::Metering { per_meter, .. } = &mut format {
            *per_meter = self.query.number::<u64>("per_meter_topic").unwrap_or(0) != 0;
        }
        const WAITS: &str = "what cannot be delivered waits in the spool, whose bounds stand under `spool`";
        match self.query.take("policy").as_deref() {
            None | Some("default") => {}
            Some(_) => self.has_no_effect("policy", WAITS),
        }
        for option in ["max_queue_length", "max_retry"] {
            if self.query.take(option).is_some() {
                self.has_no_effect(option, WAITS);
            }
        }
        let base = self.defaults.broker;
        let url = if self.place.is_empty() {
            let remedy = "Name it in wasmeter.yaml, such as `broker: {url: rabbit://user:password@host:5672/}`, or write \
                          notifier://user:password@host:5672/";
            let base = base.ok_or_else(|| advice("the publisher notifier:// names no broker", remedy))?;
            base.url.clone()
        } else {
            let options = base.map_or_else(Options::default, |base| base.url.options.clone());
            let url = format!("rabbit://{}{}?{}", self.place, self.path, self.query.rest());
            let url = TransportUrl::parse(&url, options).map_err(|error| {
                let remedy =
                    "Write notifier://user:password@host:5672/vhost, with other characters than letters encoded";
                advice(format!("the publisher's URL is wrong: {error}"), remedy)
            })?;
            self.warnings.extend(url.warnings.iter().map(|warning| advice(warning.to_string(), warning.remedy())));
            url
        };
        let mut broker =
            base.map_or_else(|| Broker::at(url.clone()), |base| Broker { url: url.clone(), ..base.clone() });
        if !topics.is_empty() {
            broker.topics = topics;
        }
        // Of others it is said below, and who names this one means it.
        if broker.topics.is_empty() {
            let message = "notifier:// sends to the queue metering.sample, which Ceilometer's collector read: nothing \
                           of today's Ceilometer does";
            let remedy = "For its notification agent add a `notifier` to `outputs`; if something of yours reads the \
                          queue, say so with `topics: [metering]` under `broker`, or with notifier://?topic=metering";
            self.warnings.push(advice(message, remedy));
        }
        let notifier = Box::new(NotifierOutput::new(name.to_owned(), broker, format, place));
        self.warnings.extend(notifier.doubts(self.defaults.outputs));
        if let Err(error) = notifier.target().check() {
            let remedy = "Correct the topic or the virtual host, or the exchange under `broker`";
            return Err(advice(format!("the publisher notifier:// is wrong: {error}"), remedy).into());
        }
        self.given(Output::Notifier { notifier })
    }
}

// === impl Query ===

impl<'a> Query<'a> {
    fn of(scheme: &'a str, text: &'a str) -> Result<Self, Advice> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|written| {
            let (name, value) = written.split_once('=').unwrap_or((written, ""));
            // In a query, a `+` is a space.
            let decode = |text: &str| decoded(&text.replace('+', " "));
            Some(Pair { name: decode(name)?, value: decode(value)?, written })
        });
        let pairs = pairs.collect::<Option<_>>().ok_or_else(|| encoding("query"))?;
        Ok(Self { scheme, pairs, wrong: Vec::new() })
    }

    /// An option, if it is there. It counts once, and the last one counts.
    fn take(&mut self, name: &str) -> Option<String> {
        self.take_all(name).pop()
    }

    /// All options of a name.
    fn take_all(&mut self, name: &str) -> Vec<String> {
        self.pairs.extract_if(.., |pair| pair.name == name).map(|pair| pair.value).collect()
    }

    /// An option that says something. One without a value is none, as to Python.
    fn said(&mut self, name: &str) -> Option<String> {
        self.take(name).filter(|text| !text.is_empty())
    }

    fn number<T: std::str::FromStr>(&mut self, name: &str) -> Option<T> {
        let text = self.said(name)?;
        let number = text.trim().parse().ok();
        if number.is_none() {
            self.refuse(name, "a number");
        }
        number
    }

    fn switch(&mut self, name: &str, default: bool) -> bool {
        let Some(text) = self.said(name) else { return default };
        let switched = switch(&text);
        if switched.is_none() {
            self.refuse(name, "true or false");
        }
        switched.unwrap_or(default)
    }

    /// An option is wrong.
    fn refuse(&mut self, name: &str, expected: &str) {
        let message = format!("{} of the publisher {}:// is not {expected}", quoted(name), self.scheme);
        self.wrong.push(advice(message, format!("Correct what stands behind `{name}=`, or take it out")));
    }

    /// Whatever is left, as it was written: it is somebody else's.
    fn rest(&mut self) -> String {
        self.pairs.drain(..).map(|pair| pair.written).collect::<Vec<_>>().join("&")
    }
}

fn encoding(what: &str) -> Advice {
    let message = format!("the {what} of the publisher's URL is not UTF-8 after decoding its `%`");
    advice(message, "Write a `%` as `%25`")
}

/// As oslo.utils reads switches.
fn switch(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "t" | "true" | "on" | "y" | "yes" | "1" => Some(true),
        "f" | "false" | "off" | "n" | "no" | "0" => Some(false),
        _ => None,
    }
}

fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests;
