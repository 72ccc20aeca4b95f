//! Options of oslo.messaging's driver for RabbitMQ: those that matter for whoever only publishes.

use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::{BadUrl, Warning};

/// Longer than any heartbeat and any pause between attempts that makes sense.
const LONGEST: f64 = 86_400.0;

/// Options, under their names in `[oslo_messaging_rabbit]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `ssl`: TLS.
    pub ssl: bool,
    /// `ssl_ca_file`: whose certificates are believed. The system's authorities, if there is none.
    pub ssl_ca_file: Option<PathBuf>,
    /// `ssl_cert_file`: our certificate.
    pub ssl_cert_file: Option<PathBuf>,
    /// `ssl_key_file`: its key.
    pub ssl_key_file: Option<PathBuf>,
    /// `heartbeat_timeout_threshold`: how long a broker may be silent, in seconds; 0 for ever.
    pub heartbeat_timeout_threshold: u16,
    /// `amqp_durable_queues`: the exchange and the queues outlive the broker.
    pub amqp_durable_queues: bool,
    /// `amqp_auto_delete`: they are deleted with their last user.
    pub amqp_auto_delete: bool,
    /// `rabbit_ha_queues`: asks brokers before 3.0 to mirror the queues.
    pub rabbit_ha_queues: bool,
    /// `rabbit_quorum_queue`: the queues are replicated, and durable.
    pub rabbit_quorum_queue: bool,
    /// The limits of such queues.
    pub quorum: Quorum,
    /// `rabbit_login_method`
    pub rabbit_login_method: Login,
    /// `rabbit_retry_interval`: before the second attempt to connect.
    pub rabbit_retry_interval: Duration,
    /// `rabbit_interval_max`: between attempts, at most.
    pub rabbit_interval_max: Duration,
    /// `kombu_reconnect_delay`: after a connection was lost.
    pub kombu_reconnect_delay: Duration,
}

/// Limits of quorum queues; 0 for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quorum {
    /// `rabbit_quorum_delivery_limit`
    pub delivery_limit: u32,
    /// `rabbit_quorum_max_memory_length`
    pub max_memory_length: u32,
    /// `rabbit_quorum_max_memory_bytes`
    pub max_memory_bytes: u32,
}

/// How credentials are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// As a text, with NUL between user and password.
    Plain,
    /// As a table of AMQP: what oslo.messaging does.
    AmqPlain,
    /// Not at all: TLS's client certificate says who we are.
    External,
}

/// Options that others than publishers have a use for, or that a connection of one channel has none for.
const IRRELEVANT: [&str; 17] = [
    "rpc_conn_pool_size",
    "conn_pool_min_size",
    "conn_pool_ttl",
    "kombu_reconnect_splay",
    "kombu_missing_consumer_retry_timeout",
    "kombu_failover_strategy",
    "rabbit_retry_backoff",
    "rabbit_transient_quorum_queue",
    "rabbit_transient_queues_ttl",
    "rabbit_qos_prefetch_count",
    "rabbit_stream_fanout",
    "heartbeat_rate",
    "direct_mandatory_flag",
    "enable_cancel_on_failover",
    "use_queue_manager",
    "hostname",
    "processname",
];

/// Options that would have an effect, and why they have none.
const UNSUPPORTED: [(&str, &str); 4] = [
    ("kombu_compression", "messages are sent uncompressed"),
    ("ssl_version", "TLS 1.2 and 1.3 are offered"),
    ("ssl_enforce_hostname_verification", "a broker's name is always verified"),
    ("ssl_enforce_fips_mode", "oslo.messaging ignores it, too"),
];

// === impl Options ===

/// oslo.messaging's defaults.
impl Default for Options {
    fn default() -> Self {
        Self {
            ssl: false,
            ssl_ca_file: None,
            ssl_cert_file: None,
            ssl_key_file: None,
            heartbeat_timeout_threshold: 60,
            amqp_durable_queues: false,
            amqp_auto_delete: false,
            rabbit_ha_queues: false,
            rabbit_quorum_queue: false,
            quorum: Quorum::default(),
            rabbit_login_method: Login::AmqPlain,
            rabbit_retry_interval: Duration::from_secs(1),
            rabbit_interval_max: Duration::from_secs(30),
            kombu_reconnect_delay: Duration::from_secs(1),
        }
    }
}

impl Options {
    /// Whether exchange and queues are declared as durable.
    pub fn durable(&self) -> bool {
        self.amqp_durable_queues || self.rabbit_quorum_queue
    }

    /// These options, but for those in a URL's query.
    pub(super) fn overridden(mut self, query: &str, warnings: &mut Vec<Warning>) -> Result<Self, BadUrl> {
        for pair in query.split('&') {
            // As Python does: an option without a value is none.
            let Some((name, value)) = pair.split_once('=').filter(|(_, value)| !value.is_empty()) else { continue };
            let (name, value) = (decode(name)?, decode(value)?);
            self.set(&name, &value, warnings)?;
        }
        if self.rabbit_ha_queues && self.rabbit_quorum_queue {
            return Err(BadUrl::Both("rabbit_ha_queues", "rabbit_quorum_queue"));
        }
        Ok(self)
    }

    /// Whether there is an option of this name, whatever it does.
    pub fn knows(name: &str) -> bool {
        let mut warnings = Vec::new();
        // Its value is none, which is something else.
        let _ = Self::default().set(name, "", &mut warnings);
        !matches!(warnings.as_slice(), [Warning::Unknown(_)])
    }

    /// Sets one by its name, from its text.
    pub fn set(&mut self, name: &str, value: &str, warnings: &mut Vec<Warning>) -> Result<(), BadUrl> {
        let path = || Some(PathBuf::from(value)).filter(|path| !path.as_os_str().is_empty());
        match name {
            "ssl" => self.ssl = switch("ssl", value)?,
            "ssl_ca_file" => self.ssl_ca_file = path(),
            "ssl_cert_file" => self.ssl_cert_file = path(),
            "ssl_key_file" => self.ssl_key_file = path(),
            "heartbeat_timeout_threshold" => {
                self.heartbeat_timeout_threshold = number("heartbeat_timeout_threshold", value)?;
            }
            "amqp_durable_queues" => self.amqp_durable_queues = switch("amqp_durable_queues", value)?,
            "amqp_auto_delete" => self.amqp_auto_delete = switch("amqp_auto_delete", value)?,
            "rabbit_ha_queues" => self.rabbit_ha_queues = switch("rabbit_ha_queues", value)?,
            "rabbit_quorum_queue" => self.rabbit_quorum_queue = switch("rabbit_quorum_queue", value)?,
            "rabbit_quorum_delivery_limit" => {
                self.quorum.delivery_limit = number("rabbit_quorum_delivery_limit", value)?;
            }
            "rabbit_quorum_max_memory_length" => {
                self.quorum.max_memory_length = number("rabbit_quorum_max_memory_length", value)?;
            }
            "rabbit_quorum_max_memory_bytes" => {
                self.quorum.max_memory_bytes = number("rabbit_quorum_max_memory_bytes", value)?;
            }
            "rabbit_login_method" => self.rabbit_login_method = login(value)?,
            "rabbit_retry_interval" => self.rabbit_retry_interval = seconds("rabbit_retry_interval", value)?,
            "rabbit_interval_max" => self.rabbit_interval_max = seconds("rabbit_interval_max", value)?,
            "kombu_reconnect_delay" => self.kombu_reconnect_delay = seconds("kombu_reconnect_delay", value)?,
            other => {
                if let Some((name, why)) = UNSUPPORTED.iter().find(|(name, _)| *name == other) {
                    warnings.push(Warning::NoEffect(name, why));
                } else if !IRRELEVANT.contains(&other) {
                    warnings.push(Warning::Unknown(other.chars().take(40).flat_map(char::escape_debug).collect()));
                }
            }
        }
        Ok(())
    }

    /// A query that makes these options of the defaults.
    #[cfg(test)]
    pub(super) fn query(&self) -> String {
        use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
        let path = |path: &Option<PathBuf>| path.clone().unwrap_or_default().to_string_lossy().into_owned();
        let login = match self.rabbit_login_method {
            Login::Plain => "PLAIN",
            Login::AmqPlain => "AMQPLAIN",
            Login::External => "EXTERNAL",
        };
        let all = [
            ("ssl", self.ssl.to_string()),
            ("ssl_ca_file", path(&self.ssl_ca_file)),
            ("ssl_cert_file", path(&self.ssl_cert_file)),
            ("ssl_key_file", path(&self.ssl_key_file)),
            ("heartbeat_timeout_threshold", self.heartbeat_timeout_threshold.to_string()),
            ("amqp_durable_queues", self.amqp_durable_queues.to_string()),
            ("amqp_auto_delete", self.amqp_auto_delete.to_string()),
            ("rabbit_quorum_queue", self.rabbit_quorum_queue.to_string()),
            ("rabbit_quorum_delivery_limit", self.quorum.delivery_limit.to_string()),
            ("rabbit_login_method", login.to_owned()),
            ("kombu_reconnect_delay", self.kombu_reconnect_delay.as_secs_f64().to_string()),
        ];
        let pair = |(name, value): &(&str, String)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
        all.iter().map(pair).collect::<Vec<_>>().join("&")
    }
}

/// In a query, a `+` is a space.
fn decode(text: &str) -> Result<String, BadUrl> {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().map(Into::into).map_err(|_| BadUrl::Encoding("query"))
}

/// As oslo.config reads switches.
fn switch(name: &'static str, value: &str) -> Result<bool, BadUrl> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "on" | "yes" => Ok(true),
        "false" | "0" | "off" | "no" => Ok(false),
        _ => Err(BadUrl::Value { name, expected: "one of true, false, 1, 0, on, off, yes, no" }),
    }
}

fn number<T: std::str::FromStr>(name: &'static str, value: &str) -> Result<T, BadUrl> {
    value.trim().parse().map_err(|_| BadUrl::Value { name, expected: "a whole number in its range" })
}

fn seconds(name: &'static str, value: &str) -> Result<Duration, BadUrl> {
    let seconds = value.trim().parse().ok().filter(|seconds| (0.0..=LONGEST).contains(seconds));
    let seconds = seconds.ok_or(BadUrl::Value { name, expected: "a number of seconds from 0 to 86400" })?;
    Ok(Duration::from_secs_f64(seconds))
}

fn login(value: &str) -> Result<Login, BadUrl> {
    match value {
        "PLAIN" => Ok(Login::Plain),
        "AMQPLAIN" => Ok(Login::AmqPlain),
        "EXTERNAL" => Ok(Login::External),
        _ => Err(BadUrl::Value { name: "rabbit_login_method", expected: "one of AMQPLAIN, PLAIN, EXTERNAL" }),
    }
}
