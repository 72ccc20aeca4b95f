//! Answers that were written beforehand, for whoever tests a module without a server.
//!
//! They take the place of the network alone. What is asked is checked, counted, bounded and paid for as ever, and an
//! answer comes as the bytes that a server would send, so it costs what that server's would.

mod peer;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;

pub(super) use self::peer::Silent;
use self::peer::{HANDSHAKE_IN, HANDSHAKE_OUT, Peer};
use super::exchange::Watch;
use super::network::NOBODY;
use super::refused::{Refused, Stage};
use super::request::{Method, Outgoing};
use super::resolve::Resolver;
use super::transport::{Stream, Transport};
use super::url::{Host, Url};

/// What is answered, request by request.
#[derive(Debug, Default)]
pub struct Answers {
    written: Mutex<BTreeMap<Question, VecDeque<Arc<Answer>>>>,
    /// Addresses of names; of any other name a public one.
    addresses: BTreeMap<String, Vec<IpAddr>>,
    /// What was asked, and is not written.
    unwritten: Mutex<Vec<Question>>,
}

/// What is asked. No header and no body makes it another question.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// How.
    pub method: Method,
    /// Of what, with its query.
    pub url: String,
}

/// What comes back.
#[derive(Debug)]
pub enum Answer {
    /// What a server says.
    Said(Said),
    /// Nothing.
    Fails(Failing),
}

/// What a server says. How long the body is, it says by itself.
#[derive(Debug)]
pub struct Said {
    /// Such as 200.
    pub status: StatusCode,
    /// Its headers, in this order.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Its body.
    pub body: Bytes,
}

/// How a request comes to nothing on its way, in the contract's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failing {
    /// The name has no address.
    Unresolved,
    /// Nobody accepts the connection.
    Unreachable,
    /// The server ends the handshake.
    Tls,
    /// The server takes the request, and never answers.
    Timeout,
    /// The server takes the request, and hangs up.
    BadAnswer,
}

/// The address of names of which nothing else is written: any that is public. Nothing is sent there.
const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1));

// === impl Answers ===

impl Answers {
    /// Adds what is answered next to a request. Whoever asks on after the last answer gets that again.
    pub fn add(&mut self, method: Method, url: &Url, answer: Answer) {
        let written = self.written.get_mut().unwrap_or_else(PoisonError::into_inner);
        written.entry(Question { method, url: url.to_string() }).or_default().push_back(Arc::new(answer));
    }

    /// Says which address the name of a URL has. A name may have several.
    pub fn name(&mut self, url: &Url, address: IpAddr) {
        if let Host::Name(name) = url.origin().host() {
            self.addresses.entry(name.clone()).or_default().push(address);
        }
    }

    /// What was asked since this was called last, and has no answer; each question once.
    pub fn unwritten(&self) -> Vec<Question> {
        std::mem::take(&mut self.unwritten.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn next(&self, question: &Question) -> Option<Arc<Answer>> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = written.get_mut(question)?;
        if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
    }

    fn take(&self, outgoing: &Outgoing, watch: &Watch) -> Result<Arc<Answer>, Refused> {
        let question = Question { method: outgoing.method, url: outgoing.url.to_string() };
        let (host, port) = (watch.host.clone(), outgoing.url.origin().port());
        let Some(answer) = self.next(&question) else {
            let mut unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
            if !unwritten.contains(&question) {
                unwritten.push(question);
            }
            return Err(Refused::Unreachable { host, port, problem: "no answer is written for this request" });
        };
        match *answer {
            Answer::Fails(Failing::Unresolved) => Err(Refused::Unresolved { host }),
            Answer::Fails(Failing::Unreachable) => Err(Refused::Unreachable { host, port, problem: NOBODY }),
            _ => Ok(answer),
        }
    }
}

impl Resolver for Answers {
    fn resolve(&self, name: &str, _: OwnedSemaphorePermit) -> BoxFuture<'_, io::Result<Vec<IpAddr>>> {
        let addresses = self.addresses.get(name).cloned().unwrap_or_else(|| vec![PUBLIC]);
        Box::pin(async move { Ok(addresses) })
    }
}

impl Transport for Answers {
    fn connect<'a>(
        &'a self,
        outgoing: &'a Outgoing,
        _: &'a [IpAddr],
        watch: &'a Watch,
    ) -> BoxFuture<'a, Result<Box<dyn Stream>, Refused>> {
        let connected = self.take(outgoing, watch).map(|answer| Peer::new(outgoing, &answer));
        Box::pin(async move { connected.map(|peer| Box::new(peer) as Box<dyn Stream>) })
    }

    /// Nothing is encrypted, and as much goes to and fro as if it were.
    fn secure<'a>(
        &'a self,
        mut stream: Box<dyn Stream>,
        _: &'a Host,
        watch: &'a Watch,
    ) -> BoxFuture<'a, Result<Box<dyn Stream>, Refused>> {
        Box::pin(async move {
            let shaken = async {
                stream.write_all(&[0; HANDSHAKE_OUT]).await?;
                stream.read_exact(&mut [0; HANDSHAKE_IN]).await
            };
            let problem = "it ended the handshake";
            let ended = |_| watch.unpayable().unwrap_or_else(|| Refused::Tls { host: watch.host.clone(), problem });
            watch.within(Stage::Handshake, shaken).await?.map_err(ended)?;
            Ok(stream)
        })
    }

    fn takes_time(&self) -> bool {
        false
    }
}

// === impl Failing ===

impl Failing {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Unresolved, Self::Unreachable, Self::Tls, Self::Timeout, Self::BadAnswer];

    /// The contract's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unresolved => "unresolved",
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::BadAnswer => "bad-answer",
        }
    }
}

// === impl Question ===

impl std::fmt::Display for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.url)
    }
}
