//! Samples as Ceilometer's polling agent sends them: signed, in oslo.messaging's envelope, through RabbitMQ.
//!
//! - [`amqp`]: messages into RabbitMQ's queues, at least once and in order.
//! - [`signature`]: Ceilometer's `message_signature`, from a sample's parts or from its JSON.
//! - [`envelope`]: batches of samples as messages of oslo.messaging.
//! - [`messages`]: a record's samples as such messages, signed.
//! - [`transport_url`]: which brokers, and how to talk to them.

pub mod amqp;
mod deliver;
pub mod envelope;
pub mod messages;
pub mod signature;
pub mod transport_url;

pub use self::deliver::{MADE_AT_ONCE, Notifier};
