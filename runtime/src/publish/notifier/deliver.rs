//! From the spool to the broker.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;

use super::amqp::{Outcome, Publisher as Broker};
use super::messages::Messages;
use super::signature::Signer;
use crate::config::daemon::NotifierOutput;
use crate::publish::publisher::{Health, Publisher};
use crate::spool::Feed;
use crate::spool::log::Sequence;

/// Publishes samples as Ceilometer's polling agent does.
#[derive(Debug)]
pub struct Notifier {
    output: NotifierOutput,
    signer: Signer,
}

/// Messages that are made before the connection is looked at again.
pub const MADE_AT_ONCE: usize = 4;

/// Records on their way: the number of each one's last message. Messages are counted from the beginning.
#[derive(Debug, Default)]
struct Underway {
    sent: u64,
    arrived: u64,
    records: VecDeque<(u64, Sequence)>,
}

// === impl Notifier ===

impl Notifier {
    /// A notifier that is not connected yet.
    pub fn new(output: &NotifierOutput) -> Self {
        Self { output: output.clone(), signer: Signer::new(output.broker.secret.expose()) }
    }

    async fn deliver(mut self, mut feed: Feed, health: Health) {
        let mut broker = match Broker::new(self.output.target()) {
            Ok(broker) => broker,
            Err(error) => {
                // The configuration was checked for this.
                tracing::error!(output = self.output.name, %error, "Nothing can be published.");
                health.fails(error.to_string());
                return;
            }
        };
        let (mut underway, mut record): (Underway, Option<Messages>) = Default::default();
        health.fails("not connected yet");
        let (mut troubled, mut unreachable) = (false, BTreeMap::new());
        loop {
            let mut made = 0;
            while let Some(messages) = record.as_mut().filter(|_| broker.has_room() && made < MADE_AT_ONCE) {
                made += 1;
                match messages.next(&mut self.signer) {
                    Some(message) => broker.send(underway.next(), message),
                    None => {
                        underway.ends(messages.delivery().sequence, &mut feed);
                        record = None;
                    }
                }
            }
            tokio::select! {
                biased;
                outcome = broker.next() => match outcome {
                    Outcome::Delivered(message) => {
                        underway.arrived(message, &mut feed);
                        // What was wrong with the queue is no more; a broker that takes nothing says so itself.
                        if std::mem::take(&mut troubled) {
                            health.works();
                        }
                    }
                    other => {
                        troubled = matches!(
                            other,
                            Outcome::Returned(..) | Outcome::Nacked(_) | Outcome::ChannelClosed(_)
                        );
                        note(&other, &mut unreachable, &health);
                    }
                },
                next = feed.next_if(record.is_none()) => match next {
                    Some(delivery) => record = Some(Messages::of(delivery, self.output.broker.batch_size, self.output.format.clone())),
                    None => break,
                },
                // What can be sent and received at once was. More can be made while the rest is on its way.
                () = std::future::ready(()), if record.is_some() && broker.has_room() => {}
            }
        }
        broker.close().await;
    }
}

impl Publisher for Notifier {
    fn run(self: Box<Self>, feed: Feed, health: Health) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin((*self).deliver(feed, health))
    }
}

/// Tells how it goes. `unreachable` is why there is no connection, by broker.
fn note(outcome: &Outcome, unreachable: &mut BTreeMap<String, String>, health: &Health) {
    match outcome {
        Outcome::Connected(_) => {
            unreachable.clear();
            health.works();
        }
        Outcome::Unblocked => health.works(),
        Outcome::Blocked(why) => health.fails(format!("the broker takes no messages: {why}")),
        Outcome::Unreachable { host, fault, .. } => {
            unreachable.insert(host.clone(), fault.to_string());
            let all: Vec<String> = unreachable.iter().map(|(host, fault)| format!("{host}: {fault}")).collect();
            health.fails(all.join("; "));
        }
        Outcome::Returned(_, reason) => health.fails(format!("no queue takes messages: {reason}")),
        Outcome::Nacked(_) => health.fails("the broker refuses messages"),
        Outcome::ChannelClosed(reason) => health.fails(format!("the broker closed the channel: {reason}")),
        Outcome::Delivered(_) => {}
    }
}

// === impl Underway ===

impl Underway {
    /// The number of the next message.
    fn next(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    /// The last message so far is the last of this record.
    fn ends(&mut self, record: Sequence, feed: &mut Feed) {
        self.records.push_back((self.sent, record));
        self.tell(feed);
    }

    /// All messages up to this one have arrived.
    fn arrived(&mut self, message: u64, feed: &mut Feed) {
        self.arrived = message;
        self.tell(feed);
    }

    fn tell(&mut self, feed: &mut Feed) {
        while let Some((_, record)) = self.records.front().filter(|(last, _)| *last <= self.arrived).copied() {
            self.records.pop_front();
            feed.delivered(record);
        }
    }
}
