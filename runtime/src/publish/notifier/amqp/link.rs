//! A connection to a broker with one channel on it, on which published messages are confirmed.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::Config;
use super::stream::{NoStream, Stream};
use super::wire::{self, CHANNEL, FRAME_MAX, FRAME_MIN, Frame, Malformed, Method, Reason, Writer, id};
use crate::publish::notifier::transport_url::{Host, Login, Secret};

/// How long a broker may take from the first packet to the last declaration.
const SETUP: Duration = Duration::from_secs(20);
/// How long a broker may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);
/// How much is read at once. What brokers send a publisher is short.
const READ: usize = 16 << 10;

/// The broker's code for the end of a connection that is nobody's fault.
const CONNECTION_FORCED: u16 = 320;
/// The broker's code for something that exists with other flags.
const PRECONDITION_FAILED: u16 = 406;

/// Why a connection ended, or never began. None of it holds credentials.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// There is no way to the broker.
    #[error("{0}")]
    NoStream(#[from] NoStream),
    /// Setting up took too long.
    #[error("the broker did not answer within {} s", SETUP.as_secs())]
    Slow,
    /// The stream broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] std::io::Error),
    /// The stream ended.
    #[error("the broker ended the connection without a word")]
    Ended,
    /// Nothing was heard for twice the time between heartbeats.
    #[error("the broker was silent for {} s", .0.as_secs())]
    Silent(Duration),
    /// The broker closed the connection, and said why.
    #[error("the broker closed the connection: {0}")]
    Closed(Reason),
    /// The broker does not know our way to log in.
    #[error("the broker does not know the login method {wanted}, but {known}: set rabbit_login_method")]
    Login {
        /// Ours.
        wanted: &'static str,
        /// The broker's.
        known: String,
    },
    /// The broker refused to declare something, or closed the channel otherwise.
    #[error("the broker closed the channel: {0}")]
    Channel(Reason),
    /// This is no broker.
    #[error("{0}")]
    Malformed(#[from] Malformed),
}

/// What stands in the way of a connection. What needs another remedy is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The broker, or the network on the way to it.
    Network,
    /// What is needed to encrypt.
    Encryption,
    /// The broker does not want us, or not so.
    Refusal,
}

/// An open connection.
#[derive(Debug)]
pub struct Link {
    /// Frames to be sent.
    pub writer: Writer,
    /// How many bytes of them were sent.
    sent: usize,
    /// Whether the stream may still hold bytes back.
    unflushed: bool,
    /// What was received and not yet read.
    input: Vec<u8>,
    /// How much of it was read.
    read: usize,
    stream: Stream,
    /// How the broker calls us when it refuses something. Such texts end up in logs.
    us: Secret,
    /// The longest frame, as agreed on.
    pub frame_max: u32,
    /// Seconds between heartbeats, as agreed on. 0 for none.
    heartbeat: u16,
    checks: Option<Interval>,
    heard: Instant,
    spoke: Instant,
    /// Why the broker takes no messages for now, if so.
    pub blocked: Option<String>,
    /// How many messages the channel has seen.
    pub published: u64,
    /// What exists with other flags than ours, in the broker's words.
    pub tolerated: Vec<String>,
}

// === impl Fault ===

impl Fault {
    /// What it stands for.
    pub fn obstacle(&self) -> Obstacle {
        match self {
            Self::NoStream(NoStream::Connect(_)) | Self::Slow | Self::Broken(_) | Self::Ended | Self::Silent(_) => {
                Obstacle::Network
            }
            // Somebody at the broker ends connections, or it ends itself.
            Self::Closed(reason) if reason.code == CONNECTION_FORCED => Obstacle::Network,
            Self::NoStream(_) => Obstacle::Encryption,
            Self::Closed(_) | Self::Login { .. } | Self::Channel(_) | Self::Malformed(_) => Obstacle::Refusal,
        }
    }
}

// === impl Link: setting up ===

impl Link {
    /// Connects, logs in, and declares exchange and queues.
    pub async fn open(host: Host, config: &Config) -> Result<Self, Fault> {
        let setup = async {
            let stream = Stream::open(&host, &config.url.options).await?;
            let mut link = Self::over(stream, &host);
            link.log_in(&host, config).await?;
            link.open_channel().await?;
            link.declare(config).await?;
            Ok(link)
        };
        tokio::time::timeout(SETUP, setup).await.unwrap_or(Err(Fault::Slow))
    }

    /// Waits, and then declares everything again, on a new channel if the old one was closed.
    pub async fn repaired(mut self, wait: Duration, new_channel: bool, config: &Config) -> Result<Self, Fault> {
        let until = Instant::now() + wait;
        while let Ok(progress) = tokio::time::timeout_at(until, self.progress()).await {
            progress?;
            // Only what ends something can be of interest here.
            while let Some(frame) = self.frame()? {
                if let Some(Method::ChannelClose(reason)) = self.handle_common(frame)? {
                    return Err(self.channel_closed(reason));
                }
            }
        }
        let setup = async {
            if new_channel {
                self.open_channel().await?;
            }
            self.declare(config).await
        };
        tokio::time::timeout(SETUP, setup).await.unwrap_or(Err(Fault::Slow))?;
        Ok(self)
    }

    fn over(stream: Stream, host: &Host) -> Self {
        let now = Instant::now();
        Self {
            writer: Writer { out: wire::GREETING.to_vec() },
            sent: 0,
            unflushed: false,
            input: Vec::new(),
            read: 0,
            stream,
            us: Secret::new(format!("'{}'", host.user.expose())),
            frame_max: FRAME_MAX,
            heartbeat: 0,
            checks: None,
            heard: now,
            spoke: now,
            blocked: None,
            published: 0,
            tolerated: Vec::new(),
        }
    }

    async fn log_in(&mut self, host: &Host, config: &Config) -> Result<(), Fault> {
        let known = loop {
            if let Method::Start(known) = self.method().await? {
                break known;
            }
        };
        let login = config.url.options.rabbit_login_method;
        let wanted = match login {
            Login::Plain => "PLAIN",
            Login::AmqPlain => "AMQPLAIN",
            Login::External => "EXTERNAL",
        };
        if !known.split(' ').any(|known| known == wanted) {
            let known = known.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
            return Err(Fault::Login { wanted, known });
        }
        let (user, password) = (host.user.expose(), host.password.expose());
        let credentials = |out: &mut Vec<u8>| match login {
            Login::Plain => out.extend([b"\0", user.as_bytes(), b"\0", password.as_bytes()].concat()),
            Login::AmqPlain => {
                wire::text_entry(out, "LOGIN", user);
                wire::text_entry(out, "PASSWORD", password);
            }
            Login::External => {}
        };
        let about_us = |out: &mut Vec<u8>| {
            wire::text_entry(out, "product", env!("CARGO_PKG_NAME"));
            wire::text_entry(out, "version", env!("CARGO_PKG_VERSION"));
            wire::text_entry(out, "connection_name", &config.name);
            wire::table_entry(out, "capabilities", |out| {
                wire::yes_entry(out, "authentication_failure_close");
                wire::yes_entry(out, "connection.blocked");
                wire::yes_entry(out, "publisher_confirms");
                wire::yes_entry(out, "basic.nack");
            });
        };
        let answer = self.writer.method(0, id::START_OK).bytes(about_us);
        answer.text(wanted).bytes(credentials).text("en_US").end();
        let (frame_max, heartbeat) = loop {
            if let Method::Tune(frame_max, heartbeat) = self.method().await? {
                break (frame_max, heartbeat);
            }
        };
        self.frame_max = if frame_max == 0 { FRAME_MAX } else { frame_max.clamp(FRAME_MIN, FRAME_MAX) };
        // The shorter one counts, and ours may switch them off.
        let ours = config.url.options.heartbeat_timeout_threshold;
        self.heartbeat = if heartbeat == 0 { ours } else { ours.min(heartbeat) };
        if self.heartbeat > 0 {
            let mut checks = tokio::time::interval(Duration::from_secs(u64::from(self.heartbeat)) / 4);
            checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            self.checks = Some(checks);
        }
        self.writer.method(0, id::TUNE_OK).short(CHANNEL).long(self.frame_max).short(self.heartbeat).end();
        self.writer.method(0, id::OPEN).text(&config.url.vhost).text("").byte(0).end();
        self.done(id::OPEN_OK).await
    }

    async fn open_channel(&mut self) -> Result<(), Fault> {
        self.writer.method(CHANNEL, id::CHANNEL_OPEN).text("").end();
        self.done(id::CHANNEL_OPEN_OK).await?;
        self.published = 0;
        self.writer.method(CHANNEL, id::CONFIRM).byte(0).end();
        self.done(id::CONFIRM_OK).await
    }

    /// As oslo.messaging does: the exchange, and for each topic a queue named like its routing key.
    ///
    /// What exists with other flags is used as it is. oslo.messaging tries without durability instead, which comes to
    /// the same if that was the difference.
    async fn declare(&mut self, config: &Config) -> Result<(), Fault> {
        self.tolerated.clear();
        let exchange = |link: &mut Self, passive: u8| {
            let options = &config.url.options;
            let flags = passive | u8::from(options.durable()) << 1 | u8::from(options.amqp_auto_delete) << 2;
            let method = link.writer.method(CHANNEL, id::EXCHANGE_DECLARE).short(0);
            method.text(&config.exchange).text("topic").byte(flags).bytes(|_| {}).end();
        };
        self.declare_or_tolerate(exchange, id::EXCHANGE_DECLARE_OK).await?;
        for key in &config.keys {
            let queue = |link: &mut Self, passive: u8| {
                let options = &config.url.options;
                let flags = passive | u8::from(options.durable()) << 1 | u8::from(options.amqp_auto_delete) << 3;
                let method = link.writer.method(CHANNEL, id::QUEUE_DECLARE).short(0).text(key).byte(flags);
                method.bytes(|out| queue_arguments(out, config)).end();
            };
            self.declare_or_tolerate(queue, id::QUEUE_DECLARE_OK).await?;
            let method = self.writer.method(CHANNEL, id::QUEUE_BIND).short(0);
            method.text(key).text(&config.exchange).text(key).byte(0).bytes(|_| {}).end();
            self.done(id::QUEUE_BIND_OK).await?;
        }
        Ok(())
    }

    async fn declare_or_tolerate(&mut self, declare: impl Fn(&mut Self, u8), done: wire::Id) -> Result<(), Fault> {
        declare(self, 0);
        let reason = match self.done(done).await {
            Err(Fault::Channel(reason)) if reason.code == PRECONDITION_FAILED => reason,
            other => return other,
        };
        self.open_channel().await?;
        declare(self, 1);
        match self.done(done).await {
            // It does not exist, so it is our flags that the broker does not like.
            Err(Fault::Channel(_)) => Err(Fault::Channel(reason)),
            Err(other) => Err(other),
            Ok(()) => {
                self.tolerated.push(reason.to_string());
                Ok(())
            }
        }
    }

    /// Waits for an answer.
    async fn done(&mut self, expected: wire::Id) -> Result<(), Fault> {
        loop {
            match self.method().await? {
                Method::Done(id) if id == expected => return Ok(()),
                Method::ChannelClose(reason) => return Err(self.channel_closed(reason)),
                _ => {}
            }
        }
    }

    /// Waits for a method that [`Self::handle_common`] does not care for.
    async fn method(&mut self) -> Result<Method, Fault> {
        loop {
            while let Some(frame) = self.frame()? {
                if let Some(method) = self.handle_common(frame)? {
                    return Ok(method);
                }
            }
            self.progress().await?;
        }
    }
}

fn queue_arguments(out: &mut Vec<u8>, config: &Config) {
    let options = &config.url.options;
    if options.rabbit_ha_queues {
        wire::text_entry(out, "x-ha-policy", "all");
    }
    if !options.rabbit_quorum_queue {
        return;
    }
    wire::text_entry(out, "x-queue-type", "quorum");
    for (key, limit) in [
        ("x-delivery-limit", options.quorum.delivery_limit),
        ("x-max-in-memory-length", options.quorum.max_memory_length),
        ("x-max-in-memory-bytes", options.quorum.max_memory_bytes),
    ] {
        if limit > 0 {
            wire::number_entry(out, key, limit);
        }
    }
}

// === impl Link: going on ===

impl Link {
    /// How many bytes wait to be sent.
    pub fn unsent(&self) -> usize {
        self.writer.out.len() - self.sent
    }

    /// Agrees that the channel is closed.
    pub fn channel_closed(&mut self, reason: Reason) -> Fault {
        self.writer.method(CHANNEL, id::CHANNEL_CLOSE_OK).end();
        Fault::Channel(reason)
    }

    /// Sends and receives until something was received, or everything was sent and there is room for more. Nothing is
    /// lost if it is not waited for to the end.
    pub async fn progress(&mut self) -> Result<(), Fault> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let waiting = self.unsent();
        if let Err(fault) = self.send(cx) {
            // A broker that closes the connection says why before it does, and that is still there to be read.
            return match self.receive(cx) {
                Poll::Pending => Poll::Ready(Err(fault)),
                said => said,
            };
        }
        if waiting > 0 && self.unsent() == 0 {
            return Poll::Ready(Ok(()));
        }
        if let Poll::Ready(received) = self.receive(cx) {
            return Poll::Ready(received);
        }
        while self.checks.as_mut().is_some_and(|checks| checks.poll_tick(cx).is_ready()) {
            let interval = Duration::from_secs(u64::from(self.heartbeat));
            if self.heard.elapsed() > 2 * interval {
                return Poll::Ready(Err(Fault::Silent(2 * interval)));
            }
            if self.spoke.elapsed() >= interval / 2 && self.writer.out.len() == self.sent {
                self.writer.heartbeat();
                if let Err(fault) = self.send(cx) {
                    return Poll::Ready(Err(fault));
                }
            }
        }
        Poll::Pending
    }

    /// Receives what is there.
    fn receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        if self.read > 0 {
            self.input.drain(..self.read);
            self.read = 0;
        }
        let mut space = [MaybeUninit::uninit(); READ];
        let mut buffer = ReadBuf::uninit(&mut space);
        match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => Poll::Ready(Err(Fault::Ended)),
            Poll::Ready(Ok(())) => {
                self.input.extend_from_slice(buffer.filled());
                self.heard = Instant::now();
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Sends what can be sent at once.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        while let Some(rest) = self.writer.out.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Err(Fault::Ended),
                Poll::Ready(Ok(length)) => {
                    self.sent += length;
                    self.unflushed = true;
                    self.spoke = Instant::now();
                }
                Poll::Ready(Err(error)) => return Err(error.into()),
                Poll::Pending => break,
            }
        }
        if self.sent == self.writer.out.len() {
            self.writer.out.clear();
            self.sent = 0;
        }
        if self.unflushed {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => return Err(error.into()),
                Poll::Pending => {}
            }
        }
        Ok(())
    }

    /// The next frame that was received.
    pub fn frame(&mut self) -> Result<Option<Frame>, Fault> {
        let input = self.input.get(self.read..).unwrap_or_default();
        let Some((mut frame, length)) = wire::read(input, self.frame_max)? else { return Ok(None) };
        self.read += length;
        if let Frame::Method(_, Method::Close(reason) | Method::ChannelClose(reason)) = &mut frame {
            reason.text = reason.text.replace(self.us.expose(), "'***'");
        }
        Ok(Some(frame))
    }

    /// Does what is to be done with a frame whatever else is going on. Methods that are left are handed on.
    pub fn handle_common(&mut self, frame: Frame) -> Result<Option<Method>, Fault> {
        match frame {
            Frame::Method(_, Method::Close(reason)) => {
                self.writer.method(0, id::CLOSE_OK).end();
                // One attempt is enough: the broker does not wait for long, and neither do we.
                self.send(&mut Context::from_waker(std::task::Waker::noop()))?;
                Err(Fault::Closed(reason))
            }
            Frame::Method(_, Method::Flow(active)) => {
                self.writer.method(CHANNEL, id::FLOW_OK).byte(u8::from(active)).end();
                self.blocked = (!active).then(|| "channel.flow".to_owned());
                Ok(None)
            }
            Frame::Method(_, Method::Blocked(reason)) => {
                self.blocked = Some(reason);
                Ok(None)
            }
            Frame::Method(_, Method::Unblocked) => {
                self.blocked = None;
                Ok(None)
            }
            Frame::Method(_, method) => Ok(Some(method)),
            Frame::Header(_) | Frame::Body(_) | Frame::Heartbeat => Ok(None),
        }
    }

    /// Says goodbye, so that the broker does not report a broken connection.
    pub async fn close(mut self) {
        self.writer.method(0, id::CLOSE).short(200).text("bye").short(0).short(0).end();
        let goodbye = async {
            self.done(id::CLOSE_OK).await?;
            self.stream.shutdown().await.map_err(Fault::from)
        };
        // The broker notices in any case.
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }
}
