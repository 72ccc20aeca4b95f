//! What sends samples to RabbitMQ.

use serde_json::Value;

use super::{Taking, known};
use crate::config::ceilometer::draft::SecretFile;
use crate::config::ceilometer::known::{KNOWN, Kind, KnownOption};
use crate::config::ceilometer::settings::At;
use crate::config::ceilometer::{report::Verdict, value};
use crate::config::problem::Problems;
use crate::config::secret::Secret;

/// Where the URL is, if it has a password.
const URL_FILE: &str = "notifier.url";
/// Where the secret is that samples are signed with.
const SECRET_FILE: &str = "notifier.secret";
const DEFAULT: &str = "Ceilometer's default";

/// Where samples are sent.
struct Broker {
    /// Where its URL stands, if that is not the default.
    at: Option<At>,
    /// Options that override those of [oslo_messaging_rabbit].
    query: String,
}

pub(super) fn take(taking: &mut Taking<'_>) {
    if !is_on(taking) {
        return off(taking);
    }
    let Some(broker) = broker(taking) else { return off(taking) };
    if let Some(exchange) = taking.text("DEFAULT", "control_exchange") {
        taking.take(exchange.at, &[taking.sender(), "exchange"], exchange.value);
    }
    match taking.has_pipelines {
        true => topics_of_pipelines(taking),
        false => topics(taking),
    }
    if let Some(size) = taking.integer("polling", "batch_size") {
        if size.value > 0 {
            taking.take(size.at, &[taking.sender(), "batch_size"], size.value);
        } else {
            let remark = taking.remark(size.at);
            taking.import.draft.set(&[taking.sender(), "batch_size"], 1, remark);
            taking.tell(size.at, Verdict::Taken, "", &format!("{}.batch_size, which is 1", taking.sender()));
        }
    }
    secret(taking);
    authorities(taking, &broker);
    for option in KNOWN.iter().filter(|option| option.fate == "rabbit") {
        let set = match option.kind {
            Kind::Boolean => taking.set(option, "true or false", |text| value::boolean(text).map(Value::from)),
            Kind::Integer => taking.set(option, "a whole number", |text| value::integer(text).map(Value::from)),
            Kind::Real => taking.set(option, "a number", |text| value::real(text).map(Value::from)),
            Kind::Text | Kind::List | Kind::Multi => taking.set(option, "a text", |text| Some(Value::from(text))),
        };
        if let Some(set) = set {
            taking.take(set.at, &[taking.sender(), "options", option.name], set.value);
        }
    }
    if !taking.has_pipelines {
        taking.import.draft.set_output("notifier");
    }
}

/// Where the polling agent sends samples.
fn topics(taking: &mut Taking<'_>) {
    let Some(topics) = taking.list("oslo_messaging_notifications", "topics") else { return };
    match topics.value.iter().any(String::is_empty) || topics.value.is_empty() {
        true => taking.wrong(topics.at, "names no topic, or an empty one", "Write notifications"),
        false => taking.take(topics.at, &[taking.sender(), "topics"], topics.value),
    }
}

/// Where pipelines send what comes out of them. That it is said means that somebody reads it.
fn topics_of_pipelines(taking: &mut Taking<'_>) {
    if let Some(topics) = taking.list("oslo_messaging_notifications", "topics") {
        let there = "where samples go before pipelines, to the notification agent";
        taking.missing(topics.at, there, "nothing to do: this daemon has the pipelines");
    }
    match taking.text("publisher_notifier", "metering_topic") {
        Some(topic) => taking.take(topic.at, &[taking.sender(), "topics"], vec![topic.value]),
        None => taking.import.draft.set(&[taking.sender(), "topics"], vec!["metering"], DEFAULT),
    }
}

/// Whether notifications go to a broker.
fn is_on(taking: &mut Taking<'_>) -> bool {
    let enabled = taking.boolean("polling", "enable_notifications");
    let driver = taking.text("publisher_notifier", "telemetry_driver");
    if let Some(enabled) = enabled {
        taking.tell(enabled.at, Verdict::Taken, "", "`outputs` without a notifier");
        if let Some(driver) = driver {
            not_sent(taking, driver.at);
        }
        return false;
    }
    let Some(driver) = driver else { return true };
    match driver.value.as_str() {
        "messaging" => {
            let here = "they are in the envelope of messagingv2, which consumers read, too";
            taking.different(driver.at, "messages are in no envelope", here);
            true
        }
        "noop" | "test" => {
            taking.tell(driver.at, Verdict::Taken, "", "`outputs` without a notifier");
            false
        }
        "log" => {
            let here = "nothing is sent; write samples to a file: `outputs: [{file: samples.jsonl}]`";
            taking.different(driver.at, "writes samples to the log", here);
            false
        }
        "routing" => {
            let here = "nothing is sent; add a notifier to `outputs` by hand for each place that they went to";
            taking.missing(driver.at, "sends samples where the rules of a file say", here);
            false
        }
        _ => {
            let there = "sends nothing: there is no such driver, and only one can be named";
            taking.missing(driver.at, there, "nothing is sent; correct it if it was meant, and import again");
            false
        }
    }
}

/// Takes over the broker's URL, if it can be used.
fn broker(taking: &mut Taking<'_>) -> Option<Broker> {
    let own = taking.text("oslo_messaging_notifications", "transport_url");
    let own = own.filter(|url| !url.value.is_empty());
    let all = taking.text("DEFAULT", "transport_url");
    let Some(url) = (match (own, all) {
        (Some(own), Some(all)) => {
            let there = "the broker of RPC, since [oslo_messaging_notifications] names one of its own";
            taking.missing(all.at, there, "nothing to do");
            Some(own)
        }
        (own, all) => own.or(all),
    }) else {
        let mut problems = Problems::of(None);
        let message = "no `transport_url` is set: Ceilometer sends to RabbitMQ on this machine, as guest";
        problems.warning(None, "outputs", message, "Set it in [DEFAULT] and import again, if that is not meant");
        // What could not be read may say it.
        if !taking.folder.problems.has_errors() {
            taking.import.problems.extend(problems);
        }
        taking.import.draft.set(&[taking.sender(), "url"], "rabbit://", DEFAULT);
        return Some(Broker { at: None, query: String::new() });
    };
    let Some((scheme, rest)) = url.value.split_once("://") else {
        taking.wrong(url.at, "is not a URL", "Write rabbit://USER:PASSWORD@HOST:5672/VHOST");
        return None;
    };
    if !["rabbit", "kombu"].contains(&scheme.to_lowercase().as_str()) {
        let here = "nothing is sent: only RabbitMQ is spoken to; add another output";
        taking.missing(url.at, "the broker, by another driver than RabbitMQ's", here);
        return None;
    }
    let query = rest.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default();
    let broker = Broker { at: Some(url.at), query };
    // A password need not look like one: what is not encoded ends up anywhere.
    if rest.contains('@') {
        taking.import.draft.secrets.push(SecretFile { name: URL_FILE, secret: Secret::new(url.value.as_str()) });
        taking.take(url.at, &[taking.sender(), "url_file"], URL_FILE);
    } else {
        taking.take(url.at, &[taking.sender(), "url"], url.value);
    }
    Some(broker)
}

fn secret(taking: &mut Taking<'_>) {
    let Some(option) = known("publisher", "telemetry_secret") else { return };
    let before = taking.import.problems.iter().len();
    match taking.text("publisher", "telemetry_secret") {
        Some(secret) if secret.value.is_empty() => {
            taking.take(secret.at, &[taking.sender(), "secret"], "");
        }
        Some(secret) => {
            taking.import.draft.secrets.push(SecretFile { name: SECRET_FILE, secret: Secret::new(secret.value) });
            taking.take(secret.at, &[taking.sender(), "secret_file"], SECRET_FILE);
        }
        // Everybody knows it.
        None if taking.import.problems.iter().len() == before => {
            taking.import.draft.set(&[taking.sender(), "secret"], option.default.unwrap_or_default(), DEFAULT);
        }
        None => {}
    }
}

/// Without authorities of its own, Ceilometer believes any certificate.
fn authorities(taking: &mut Taking<'_>, broker: &Broker) {
    let names = ("ssl", "ssl_ca_file");
    let section = "oslo_messaging_rabbit";
    let (Some(ssl), Some(file)) = (known(section, names.0), known(section, names.1)) else { return };
    let settings = &taking.folder.settings;
    let in_query = |name: &str| {
        let pairs = broker.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(key, value)| *key == name && !value.is_empty()).map(|(_, value)| value.to_owned()).next_back()
    };
    let set = |option: &KnownOption| settings.text(option).ok().flatten().filter(|text| !text.is_empty());
    let (switch, at) = match in_query(names.0) {
        Some(switch) => (Some(switch), broker.at),
        None => (set(ssl), settings.place(ssl)),
    };
    let is_on = switch.is_some_and(|text| value::boolean(&text) == Some(true));
    let is_named = in_query(names.1).or_else(|| set(file)).is_some();
    if let Some(at) = at.filter(|_| is_on && !is_named) {
        let there = "believes any certificate of the broker's, since `ssl_ca_file` is not set";
        let here = format!(
            "it has to be of an authority that the system knows, or that `ssl_ca_file` in `{}.options` names",
            taking.sender(),
        );
        taking.different(at, there, &here);
    }
}

/// Says of all that is about sending that nothing is sent.
pub(super) fn off(taking: &mut Taking<'_>) {
    let sending = [
        ("DEFAULT", "transport_url"),
        ("DEFAULT", "control_exchange"),
        ("oslo_messaging_notifications", "transport_url"),
        ("oslo_messaging_notifications", "topics"),
        ("polling", "batch_size"),
        ("publisher", "telemetry_secret"),
    ];
    let sending = sending.into_iter().filter_map(|(section, name)| known(section, name));
    for option in sending.chain(KNOWN.iter().filter(|option| option.fate == "rabbit")) {
        let Some(at) = taking.folder.settings.place(option).filter(|at| !taking.told.contains(at)) else { continue };
        taking.told.insert(at);
        let is_default = |text: &str| option.default.is_some_and(|default| super::is_same(option.kind, text, default));
        if !taking.folder.settings.at(at).is_some_and(|(_, assignment)| is_default(assignment.value.expose())) {
            not_sent(taking, at);
        }
    }
}

fn not_sent(taking: &mut Taking<'_>, at: At) {
    taking.missing(at, "a setting of notifications, of which none are sent", "nothing to do");
}
