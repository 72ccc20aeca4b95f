//! The window of messages, and everything that is done until they are confirmed.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Sleep;
use tracing::{debug, info, warn};

use super::link::{Fault, Link, Obstacle};
use super::wire::{Frame, Method, Reason};
use super::{BadConfig, Config};
use crate::publish::notifier::envelope::PROPERTIES;
use crate::publish::pauses::{doubled, jittered, random_below};

/// No more is put into frames while so many bytes wait to be sent, so that messages are in memory once.
const UNSENT: usize = 256 << 10;
/// Messages that hold more than this together leave no room for another.
const WINDOW_BYTES: usize = 8 << 20;
/// However short the configured pauses are, brokers are not hammered.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// What became of a message, or of the connection. Only [`Outcome::Delivered`] is about a message that is done with;
/// all others are sent again without being asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The message with this number, and all that were sent before it, are in all their queues.
    Delivered(u64),
    /// No queue was there for the message. Queues are declared again.
    Returned(u64, Reason),
    /// The broker could not take the message. It gets it again after a while.
    Nacked(u64),
    /// The broker closed the channel, because the exchange is gone for example. Everything is declared again.
    ChannelClosed(Reason),
    /// The broker takes no messages for now, and says why.
    Blocked(String),
    /// It does again.
    Unblocked,
    /// Connected to this broker, and everything is declared.
    Connected(String),
    /// There was no connection to this broker, or it ended. The next attempt comes after the pause.
    Unreachable {
        /// The broker.
        host: String,
        /// Why.
        fault: Fault,
        /// Until the next attempt, with the next broker if there are several.
        pause: Duration,
    },
}

/// Publishes messages until they are confirmed.
pub struct Publisher {
    config: Arc<Config>,
    /// The host in use, or to be tried next.
    host: usize,
    state: State,
    /// Connections lost or not made since one was there.
    failures: usize,
    /// What was said to stand in the way since there was a connection.
    said: Vec<Obstacle>,
    /// What was last said to exist with other flags.
    said_tolerated: Vec<String>,
    /// Unconfirmed messages, in order.
    window: VecDeque<Message>,
    /// Their bytes.
    waiting: usize,
    /// The number of the window's first message since the beginning.
    first: u64,
    /// How many messages of the window were published on this channel.
    published: usize,
    /// What is on its way, in order of the broker's tags.
    flights: VecDeque<Flight>,
    /// The message that is being returned.
    returning: Option<Returning>,
    /// Set once a message came back: nothing is published until all others have arrived or come back, too, so that
    /// none overtakes it by far.
    trouble: Option<Trouble>,
    /// Troubles since something was delivered.
    troubles: usize,
    blocked: bool,
    outcomes: VecDeque<Outcome>,
}

/// Where the connection is.
enum State {
    /// Not yet tried.
    New,
    /// Until the next attempt.
    Pausing(Pin<Box<Sleep>>),
    /// Connecting, or declaring again.
    Preparing(Pin<Box<dyn Future<Output = Result<Link, Fault>> + Send>>),
    /// There.
    Ready(Box<Link>),
}

struct Message {
    id: u64,
    body: Bytes,
    /// A bit for each routing key with which it was confirmed.
    confirmed: u64,
}

/// A message published with one of the keys.
struct Flight {
    /// The message's number since the beginning.
    message: u64,
    key: usize,
    /// Why it came back, if it did.
    returned: Option<Reason>,
    settled: bool,
}

struct Returning {
    reason: Reason,
    key: String,
    missing: u64,
    body: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Returned,
    Nacked,
}

// === impl Publisher ===

impl Publisher {
    /// A publisher, not yet connected.
    pub fn new(mut config: Config) -> Result<Self, BadConfig> {
        config.check()?;
        // Not all daemons of a cloud shall be with the first broker.
        for i in (1..config.url.hosts.len()).rev() {
            config.url.hosts.swap(i, random_below(i + 1));
        }
        Ok(Self {
            config: Arc::new(config),
            host: 0,
            state: State::New,
            failures: 0,
            said: Vec::new(),
            said_tolerated: Vec::new(),
            window: VecDeque::new(),
            waiting: 0,
            first: 0,
            published: 0,
            flights: VecDeque::new(),
            returning: None,
            trouble: None,
            troubles: 0,
            blocked: false,
            outcomes: VecDeque::new(),
        })
    }

    /// Whether the window has room for another message.
    pub fn has_room(&self) -> bool {
        self.window.is_empty() || (self.window.len() < self.config.window && self.waiting < WINDOW_BYTES)
    }

    /// How many messages are not yet delivered.
    pub fn unconfirmed(&self) -> usize {
        self.window.len()
    }

    /// Puts a message into the window, behind all others. Its number comes back with its outcomes.
    pub fn send(&mut self, id: u64, body: Bytes) {
        self.waiting += body.len();
        self.window.push_back(Message { id, body, confirmed: 0 });
    }

    /// Goes on until something happens. Waiting can be given up and taken up again at any time; heartbeats are sent
    /// only while someone waits.
    pub async fn next(&mut self) -> Outcome {
        loop {
            if let Some(outcome) = self.outcomes.pop_front() {
                return outcome;
            }
            match &mut self.state {
                State::New => self.connect(),
                State::Pausing(pause) => {
                    pause.as_mut().await;
                    self.connect();
                }
                State::Preparing(prepared) => match prepared.as_mut().await {
                    Ok(link) => self.prepared(link),
                    Err(fault) => self.lost(fault),
                },
                State::Ready(_) => {
                    self.publish();
                    if let State::Ready(link) = &mut self.state
                        && let Err(fault) = link.progress().await
                    {
                        self.lost(fault);
                    }
                    self.receive();
                }
            }
        }
    }

    /// Ends the connection in good order. What is not confirmed may have arrived, or not.
    pub async fn close(self) {
        if let State::Ready(link) = self.state {
            link.close().await;
        }
    }

    // --- the connection ---

    fn host_name(&self) -> String {
        self.config.url.hosts.get(self.host).map(ToString::to_string).unwrap_or_default()
    }

    fn connect(&mut self) {
        let Some(host) = self.config.url.hosts.get(self.host).cloned() else { return };
        let config = Arc::clone(&self.config);
        self.state = State::Preparing(Box::pin(async move { Link::open(host, &config).await }));
    }

    fn prepared(&mut self, link: Link) {
        if link.tolerated != self.said_tolerated {
            for difference in &link.tolerated {
                warn!(%difference, "Something exists with other flags and is used as it is.");
            }
            self.said_tolerated.clone_from(&link.tolerated);
        }
        // After a repair, it is the same connection.
        if self.trouble.take().is_none() {
            let host = self.host_name();
            info!(host, tls = self.config.url.options.ssl, unconfirmed = self.window.len(), "Connected to the broker.");
            self.outcomes.push_back(Outcome::Connected(host));
        }
        self.failures = 0;
        self.said.clear();
        self.state = State::Ready(Box::new(link));
        self.note_blocked();
    }

    /// Everything that was on its way is sent again on the next connection.
    fn lost(&mut self, fault: Fault) {
        self.rewind();
        self.trouble = None;
        self.blocked = false;
        let pause = self.pause();
        let host = self.host_name();
        let text = fault.to_string();
        let unconfirmed = self.window.len();
        let obstacle = fault.obstacle();
        if self.said.contains(&obstacle) {
            debug!(host, error = %text, unconfirmed, ?pause, "Still no connection to the broker.");
        } else {
            warn!(host, error = %text, unconfirmed, "No connection to the broker; trying until there is one.");
            self.said.push(obstacle);
        }
        self.outcomes.push_back(Outcome::Unreachable { host, fault, pause });
        self.failures += 1;
        self.host = (self.host + 1) % self.config.url.hosts.len().max(1);
        self.state = State::Pausing(Box::pin(tokio::time::sleep(pause)));
    }

    /// After each round through the hosts, twice as long as after the last one, and never the same for two daemons.
    fn pause(&self) -> Duration {
        let options = &self.config.url.options;
        let hosts = self.config.url.hosts.len().max(1);
        let pause = match (self.failures / hosts, self.failures % hosts) {
            (0, 0) => options.kombu_reconnect_delay,
            (rounds, 0) => doubled(options.rabbit_retry_interval, rounds - 1, options.rabbit_interval_max),
            _ => SHORTEST_PAUSE,
        };
        jittered(pause.max(SHORTEST_PAUSE))
    }

    /// Forgets what is on its way, so that it is sent again.
    fn rewind(&mut self) {
        self.flights.clear();
        self.published = 0;
        self.returning = None;
    }

    /// Declares everything again.
    fn repair(&mut self, trouble: Trouble, new_channel: bool) {
        self.rewind();
        self.trouble = Some(trouble);
        let options = &self.config.url.options;
        // The first time, a declaration will do. After that, something is wrong that takes time.
        let pause = match (trouble, self.troubles) {
            (Trouble::Returned, 0) => Duration::ZERO,
            (_, n) => jittered(doubled(options.rabbit_retry_interval, n, options.rabbit_interval_max)),
        };
        self.troubles = self.troubles.saturating_add(1);
        if let State::Ready(link) = std::mem::replace(&mut self.state, State::New) {
            let config = Arc::clone(&self.config);
            self.state = State::Preparing(Box::pin(async move { link.repaired(pause, new_channel, &config).await }));
        }
    }

    // --- messages ---

    /// Puts messages into frames, as far as they can be sent soon.
    fn publish(&mut self) {
        let State::Ready(link) = &mut self.state else { return };
        if link.blocked.is_some() || self.trouble.is_some() {
            return;
        }
        while let Some(message) = self.window.get(self.published) {
            if link.unsent() > UNSENT {
                return;
            }
            for (key, text) in self.config.keys.iter().enumerate() {
                if message.confirmed & (1 << key) == 0 {
                    link.writer.publish(&self.config.exchange, text, PROPERTIES, &message.body, link.frame_max);
                    link.published += 1;
                    let message = self.first + self.published as u64;
                    self.flights.push_back(Flight { message, key, returned: None, settled: false });
                }
            }
            self.published += 1;
        }
    }

    /// Does what the broker says.
    fn receive(&mut self) {
        loop {
            let State::Ready(link) = &mut self.state else { return };
            let frame = match link.frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(fault) => return self.lost(fault),
            };
            match frame {
                Frame::Method(_, Method::Ack(tag, multiple)) => self.settle(tag, multiple, true),
                Frame::Method(_, Method::Nack(tag, multiple)) => self.settle(tag, multiple, false),
                Frame::Method(_, Method::Return(reason, key)) => {
                    self.returning = Some(Returning { reason, key, missing: 0, body: Vec::new() });
                }
                Frame::Header(size) => {
                    self.returning.iter_mut().for_each(|returning| returning.missing = size);
                    self.returned(&[]);
                }
                Frame::Body(part) => self.returned(&part),
                Frame::Method(_, Method::ChannelClose(reason)) => {
                    let _ = link.channel_closed(reason.clone());
                    if self.troubles == 0 {
                        warn!(%reason, "The broker closed the channel; declaring everything again.");
                    }
                    self.outcomes.push_back(Outcome::ChannelClosed(reason));
                    return self.repair(Trouble::Returned, true);
                }
                other => {
                    if let Err(fault) = link.handle_common(other) {
                        return self.lost(fault);
                    }
                    self.note_blocked();
                }
            }
        }
        if let Some(trouble) = self.trouble.filter(|_| self.flights.is_empty()) {
            self.repair(trouble, false);
        }
    }

    /// Takes a part of a returned message. Returns have no tags: the message is known by its body.
    fn returned(&mut self, part: &[u8]) {
        let Some(returning) = &mut self.returning else { return };
        returning.body.extend_from_slice(part);
        returning.missing = returning.missing.saturating_sub(part.len() as u64);
        if returning.missing > 0 {
            return;
        }
        let Some(returning) = self.returning.take() else { return };
        let is_it = |flight: &&mut Flight| {
            let key = self.config.keys.get(flight.key);
            let message = place_of(flight.message, self.first).and_then(|place| self.window.get(place));
            !flight.settled
                && flight.returned.is_none()
                && key.is_some_and(|key| *key == returning.key)
                && message.is_some_and(|message| *message.body == *returning.body)
        };
        match self.flights.iter_mut().find(is_it) {
            Some(flight) => flight.returned = Some(returning.reason.clone()),
            // Better twice than never.
            None => self.flights.iter_mut().for_each(|flight| flight.returned = Some(returning.reason.clone())),
        }
        if self.trouble.is_none() && self.troubles == 0 {
            let Returning { reason, key, .. } = &returning;
            warn!(%reason, key, "A message was returned; declaring the queue again.");
        }
        self.trouble = Some(Trouble::Returned);
    }

    /// Takes a confirmation, of one message or of all up to it.
    fn settle(&mut self, tag: u64, multiple: bool, taken: bool) {
        let State::Ready(link) = &self.state else { return };
        let oldest = link.published + 1 - self.flights.len() as u64;
        let Some(place) = place_of(tag, oldest) else { return };
        let range = if multiple { 0..place.saturating_add(1).min(self.flights.len()) } else { place..place + 1 };
        for place in range {
            let Some(flight) = self.flights.get_mut(place).filter(|flight| !flight.settled) else { continue };
            flight.settled = true;
            let message = place_of(flight.message, self.first).and_then(|place| self.window.get_mut(place));
            let Some(message) = message else { continue };
            if !taken {
                if self.trouble.is_none() && self.troubles == 0 {
                    warn!("The broker did not take a message; it gets it again.");
                }
                self.trouble = self.trouble.or(Some(Trouble::Nacked));
                self.outcomes.push_back(Outcome::Nacked(message.id));
            } else if let Some(reason) = flight.returned.take() {
                self.outcomes.push_back(Outcome::Returned(message.id, reason));
            } else {
                message.confirmed |= 1 << flight.key;
            }
        }
        while self.flights.front().is_some_and(|flight| flight.settled) {
            self.flights.pop_front();
        }
        let all = u64::MAX >> (u64::BITS as usize - self.config.keys.len());
        while let Some(message) = self.window.pop_front_if(|message| message.confirmed == all) {
            self.first += 1;
            self.waiting = self.waiting.saturating_sub(message.body.len());
            self.published = self.published.saturating_sub(1);
            if std::mem::take(&mut self.troubles) > 0 {
                info!("The broker takes messages again.");
            }
            self.outcomes.push_back(Outcome::Delivered(message.id));
        }
    }

    fn note_blocked(&mut self) {
        let State::Ready(link) = &self.state else { return };
        match (&link.blocked, self.blocked) {
            (Some(reason), false) => {
                warn!(reason, unconfirmed = self.window.len(), "The broker takes no messages for now.");
                self.outcomes.push_back(Outcome::Blocked(reason.clone()));
            }
            (None, true) => {
                info!("The broker takes messages again.");
                self.outcomes.push_back(Outcome::Unblocked);
            }
            _ => return,
        }
        self.blocked = link.blocked.is_some();
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::New => "new",
            State::Pausing(_) => "pausing",
            State::Preparing(_) => "preparing",
            State::Ready(_) => "ready",
        };
        let mut shown = f.debug_struct("Publisher");
        shown.field("url", &format_args!("{}", self.config.url)).field("state", &state);
        shown.field("unconfirmed", &self.window.len()).finish_non_exhaustive()
    }
}

/// Where something numbered stands in a queue whose first one has this number.
fn place_of(number: u64, first: u64) -> Option<usize> {
    number.checked_sub(first).and_then(|place| usize::try_from(place).ok())
}
