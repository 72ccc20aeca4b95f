//! What clients do in a virtual host.

use std::thread;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use tokio::runtime::Builder;
use tokio::time::timeout;

use super::{GUEST, Rabbit};
use crate::Failed;

/// For what a client does. Only a broker that takes no messages takes longer than a second.
const DONE_WITHIN: Duration = Duration::from_secs(60);

/// A virtual host of a [`Rabbit`], used as the user `guest`.
///
/// Each method connects, does its work, and closes the connection. They block, also in asynchronous tests.
#[derive(Debug, Clone)]
pub struct Vhost<'a> {
    rabbit: &'a Rabbit,
    name: String,
}

/// A message, as a consumer sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Where it was published.
    pub exchange: String,
    /// With which routing key.
    pub routing_key: String,
    /// Whether it may have been delivered before.
    pub redelivered: bool,
    /// Its properties, the headers and the delivery mode among them.
    pub properties: BasicProperties,
    /// What it says.
    pub body: Vec<u8>,
}

// === impl Vhost ===

impl<'a> Vhost<'a> {
    pub(super) fn new(rabbit: &'a Rabbit, name: String) -> Self {
        Self { rabbit, name }
    }

    /// Whose it is.
    #[must_use]
    pub fn rabbit(&self) -> &'a Rabbit {
        self.rabbit
    }

    /// How RabbitMQ calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where clients reach it, as OpenStack writes it.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.rabbit.port())
    }

    /// The same at another port: that of TLS, or of a [`Proxy`](crate::Proxy).
    #[must_use]
    pub fn url_at(&self, port: u16) -> String {
        url("rabbit", [GUEST, GUEST], port, &self.name)
    }

    /// Makes an exchange.
    ///
    /// # Errors
    ///
    /// If there is another one of that name, or RabbitMQ does not run.
    pub fn declare_exchange(
        &self,
        name: &str,
        kind: ExchangeKind,
        options: ExchangeDeclareOptions,
    ) -> Result<(), Failed> {
        self.with("an exchange cannot be declared", async |channel| {
            channel.exchange_declare(name.into(), kind, options, FieldTable::default()).await
        })
    }

    /// Removes an exchange, if there is one.
    ///
    /// # Errors
    ///
    /// If RabbitMQ does not run.
    pub fn delete_exchange(&self, name: &str) -> Result<(), Failed> {
        self.with("an exchange cannot be deleted", async |channel| {
            channel.exchange_delete(name.into(), ExchangeDeleteOptions::default()).await
        })
    }

    /// Makes a queue.
    ///
    /// # Errors
    ///
    /// If there is another one of that name, or RabbitMQ does not run.
    pub fn declare_queue(&self, name: &str, options: QueueDeclareOptions, arguments: FieldTable) -> Result<(), Failed> {
        self.with("a queue cannot be declared", async |channel| {
            channel.queue_declare(name.into(), options, arguments).await.map(drop)
        })
    }

    /// Lets an exchange put messages of a routing key into a queue.
    ///
    /// # Errors
    ///
    /// If either is missing, or RabbitMQ does not run.
    pub fn bind(&self, queue: &str, exchange: &str, routing_key: &str) -> Result<(), Failed> {
        let names = [queue, exchange, routing_key].map(ShortString::from);
        self.with("a queue cannot be bound", async |channel| {
            let [queue, exchange, routing_key] = names;
            channel.queue_bind(queue, exchange, routing_key, QueueBindOptions::default(), FieldTable::default()).await
        })
    }

    /// Removes a queue, if there is one, and its messages.
    ///
    /// # Errors
    ///
    /// If RabbitMQ does not run.
    pub fn delete_queue(&self, name: &str) -> Result<(), Failed> {
        self.with("a queue cannot be deleted", async |channel| {
            channel.queue_delete(name.into(), QueueDeleteOptions::default()).await.map(drop)
        })
    }

    /// How many messages wait in a queue.
    ///
    /// # Errors
    ///
    /// If there is no such queue, or RabbitMQ does not run.
    pub fn queue_length(&self, name: &str) -> Result<u32, Failed> {
        self.queue(name).map(|queue| queue.message_count())
    }

    /// How many consumers a queue has.
    ///
    /// # Errors
    ///
    /// If there is no such queue, or RabbitMQ does not run.
    pub fn consumers(&self, queue: &str) -> Result<u32, Failed> {
        self.queue(queue).map(|queue| queue.consumer_count())
    }

    /// Publishes a message, and waits until RabbitMQ has taken it.
    ///
    /// # Errors
    ///
    /// If RabbitMQ does not take it, for instance because of a memory alarm, or does not run.
    pub fn publish(
        &self,
        exchange: &str,
        routing_key: &str,
        properties: BasicProperties,
        body: &[u8],
    ) -> Result<(), Failed> {
        let confirmed = self.with("a message cannot be published", async |channel| {
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            let options = BasicPublishOptions::default();
            channel.basic_publish(exchange.into(), routing_key.into(), options, body, properties).await?.await
        })?;
        if confirmed.is_ack() { Ok(()) } else { Err(Failed::NotTaken) }
    }

    /// Takes all messages out of a queue, as many as it says that it has.
    ///
    /// # Errors
    ///
    /// If there is no such queue, somebody else takes messages from it, or RabbitMQ does not run.
    pub fn drain(&self, queue: &str) -> Result<Vec<Delivery>, Failed> {
        let waiting = self.queue_length(queue)? as usize;
        self.with("a queue cannot be read", async |channel| {
            let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
            let consumer = channel.basic_consume(queue.into(), ShortString::default(), options, none).await?;
            let taken: Vec<_> = consumer.take(waiting).try_collect().await?;
            // What came beyond them is not acknowledged, and is in the queue again when the connection is closed.
            if let Some(last) = taken.last() {
                last.acker.ack(BasicAckOptions { multiple: true }).await?;
            }
            Ok(taken.into_iter().map(Delivery::from).collect())
        })
    }

    fn queue(&self, name: &str) -> Result<lapin::Queue, Failed> {
        self.with("a queue cannot be looked at", async |channel| {
            let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(name.into(), options, FieldTable::default()).await
        })
    }

    /// Does something with a channel of a connection of its own. On a thread of its own, as who waits for it may be
    /// part of another asynchronous program.
    fn with<T, F>(&self, what: &'static str, work: F) -> Result<T, Failed>
    where
        T: Send,
        F: AsyncFnOnce(Channel) -> lapin::Result<T> + Send,
    {
        let url = url("amqp", [GUEST, GUEST], self.rabbit.port(), &self.name);
        let whole = async move || {
            let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
            let done = work(connection.create_channel().await?).await;
            // What matters is done, or has failed.
            let _ = connection.close(200, ShortString::default()).await;
            done
        };
        let wait = || {
            let runtime = Builder::new_current_thread().enable_all().build().map_err(Failed::io(what))?;
            match runtime.block_on(async { timeout(DONE_WITHIN, whole()).await }) {
                Ok(done) => done.map_err(|source| Failed::Amqp { what, source }),
                Err(_) => Err(Failed::TooLong { what: format!("RabbitMQ ({what})"), limit: DONE_WITHIN }),
            }
        };
        thread::scope(|scope| scope.spawn(wait).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }
}

// === impl Delivery ===

impl From<lapin::message::Delivery> for Delivery {
    fn from(message: lapin::message::Delivery) -> Self {
        Self {
            exchange: message.exchange.to_string(),
            routing_key: message.routing_key.to_string(),
            redelivered: message.redelivered,
            properties: message.properties,
            body: message.data,
        }
    }
}

/// An address. What is between its slashes and signs is escaped, but for the slash that is a virtual host's name.
pub(super) fn url(scheme: &str, [user, password]: [&str; 2], port: u16, vhost: &str) -> String {
    let [user, password, vhost] = [(user, ""), (password, ""), (vhost, "/")].map(|(text, more)| escaped(text, more));
    format!("{scheme}://{user}:{password}@127.0.0.1:{port}/{vhost}")
}

fn escaped(text: &str, more: &str) -> String {
    let plain = |byte: char| byte.is_ascii_alphanumeric() || "-._~".contains(byte) || more.contains(byte);
    text.bytes()
        .map(|byte| if plain(byte.into()) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
