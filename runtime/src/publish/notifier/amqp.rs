//! Messages into RabbitMQ's queues: at least once, and in order.
//!
//! A [`Publisher`] holds a window of messages that the broker has not confirmed. It connects, declares what
//! oslo.messaging declares, publishes, and does so again for ever, until each of them is confirmed; what happens on
//! the way is an [`Outcome`]. It has no task of its own: all of it happens while [`Publisher::next`] is waited for.
//!
//! ```text
//! loop {
//!     select! {
//!         outcome = publisher.next() => match outcome { Outcome::Delivered(id) => spool.advance(id), .. },
//!         (id, message) = spool.next(), if publisher.has_room() => publisher.send(id, message),
//!     }
//! }
//! ```
//!
//! The protocol is spoken here rather than by a library: what a publisher needs of AMQP is small, and losing nothing
//! hangs on telling exactly which message was returned and which was confirmed.

mod link;
mod publisher;
mod stream;
mod wire;

pub use self::link::Fault;
pub use self::publisher::{Outcome, Publisher};
pub use self::stream::{NoStream, check_encryption};
pub use self::wire::{Malformed, Reason};
use super::transport_url::TransportUrl;

/// The exchange that Ceilometer's agents use.
pub const EXCHANGE: &str = "ceilometer";
/// How many messages may be unconfirmed: enough to hide a broker's sync to disk.
pub const WINDOW: usize = 64;

/// AMQP's short texts have one byte for their length.
const SHORT: usize = 255;

/// Where messages go.
#[derive(Debug, Clone)]
pub struct Config {
    /// The brokers.
    pub url: TransportUrl,
    /// The exchange.
    pub exchange: String,
    /// Routing keys. Each message is published once with each, and each has a queue of its name.
    pub keys: Vec<String>,
    /// How many messages may be unconfirmed.
    pub window: usize,
    /// What the broker shows as the connection's name.
    pub name: String,
}

/// What no broker would accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadConfig {
    /// A name that is too long for AMQP, or empty.
    #[error("the {0} has no name, or one that is longer than {SHORT} bytes")]
    Name(&'static str),
    /// No topic, or more than a publisher keeps track of.
    #[error("there are {0} topics: from 1 to {most} can be published to", most = u64::BITS)]
    Topics(usize),
    /// A window without a message in it.
    #[error("the window is 0: at least one message has to be unconfirmed for a while")]
    Window,
}

// === impl Config ===

impl Config {
    /// Where Ceilometer's polling agent sends samples: to each of these topics, with the priority behind it.
    pub fn of_samples(url: TransportUrl, topics: &[impl AsRef<str>]) -> Self {
        Self {
            url,
            exchange: EXCHANGE.to_owned(),
            keys: topics.iter().map(|topic| format!("{}.sample", topic.as_ref())).collect(),
            window: WINDOW,
            name: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// Whether a broker could accept this.
    pub fn check(&self) -> Result<(), BadConfig> {
        let fits = |text: &str| !text.is_empty() && text.len() <= SHORT;
        if !fits(&self.exchange) {
            return Err(BadConfig::Name("exchange"));
        }
        if !self.keys.iter().all(|key| fits(key)) {
            return Err(BadConfig::Name("topic"));
        }
        if !fits(&self.url.vhost) {
            return Err(BadConfig::Name("virtual host"));
        }
        if self.keys.is_empty() || self.keys.len() > u64::BITS as usize {
            return Err(BadConfig::Topics(self.keys.len()));
        }
        if self.window == 0 { Err(BadConfig::Window) } else { Ok(()) }
    }

    /// Whether what the broker confirms outlives the broker. With oslo.messaging's defaults it does not.
    pub fn survives_restarts(&self) -> bool {
        self.url.options.durable()
    }
}
