//! The other end of a connection that leads nowhere: it hears a request out, and says what was written.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use hyper::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Answer, Failing, Said};
use crate::sandbox::host::http::request::{Method, Outgoing};
use crate::sandbox::host::http::url::Scheme;

/// A server that does one thing after the other, at once.
#[derive(Debug)]
pub(super) struct Peer {
    /// What is still to be done.
    steps: VecDeque<Step>,
    /// How much of the end of a head was heard.
    ending: usize,
    /// Whether it is silent in the end, rather than hanging up.
    is_silent: bool,
    /// Who waits for it to say something.
    waiting: Option<Waker>,
}

#[derive(Debug)]
enum Step {
    /// Hears a head, whose length it does not know.
    HearHead,
    /// Hears so many bytes.
    Hear(usize),
    /// Says this.
    Say(Bytes),
}

/// What TLS sends in a handshake, as browsers and servers of today do.
pub(super) const HANDSHAKE_OUT: usize = 400;
/// What comes back, with the certificates of a server and of one authority.
pub(super) const HANDSHAKE_IN: usize = 3_000;
/// What ends a head.
const END: &[u8] = b"\r\n\r\n";

/// It is waited for until there is no more time.
#[derive(Debug, thiserror::Error)]
#[error("nothing comes any more")]
pub(in crate::sandbox::host::http) struct Silent;

// === impl Peer ===

impl Peer {
    /// The server that is asked this, and answers so.
    pub(super) fn new(outgoing: &Outgoing, answer: &Answer) -> Self {
        let mut steps = VecDeque::new();
        let shakes = outgoing.url.origin().scheme() == Scheme::Https;
        if shakes {
            steps.push_back(Step::Hear(HANDSHAKE_OUT));
        }
        if !matches!(answer, Answer::Fails(Failing::Tls)) {
            if shakes {
                steps.push_back(Step::Say(Bytes::from_static(&[0; HANDSHAKE_IN])));
            }
            steps.extend([Step::HearHead, Step::Hear(outgoing.body_bytes())]);
        }
        if let Answer::Said(said) = answer {
            steps.extend([Step::Say(said.head().into()), Step::Say(said.body(outgoing.method))]);
        }
        let is_silent = matches!(answer, Answer::Fails(Failing::Timeout));
        Self { steps, ending: 0, is_silent, waiting: None }
    }

    /// Hears some of this, and says how much.
    fn hear(&mut self, bytes: &[u8]) -> usize {
        let heard = match self.steps.front_mut() {
            // Whoever speaks on is not listened to.
            Some(Step::Say(_)) | None => return bytes.len(),
            Some(Step::Hear(more)) => {
                let heard = bytes.len().min(*more);
                *more -= heard;
                if *more > 0 {
                    return heard;
                }
                heard
            }
            Some(Step::HearHead) => {
                let ends = bytes.iter().position(|byte| {
                    self.ending = match END.get(self.ending) == Some(byte) {
                        true => self.ending + 1,
                        false => usize::from(*byte == b'\r'),
                    };
                    self.ending == END.len()
                });
                let Some(end) = ends else { return bytes.len() };
                end + 1
            }
        };
        self.steps.pop_front();
        heard
    }
}

impl AsyncWrite for Peer {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut rest = bytes;
        while !rest.is_empty() {
            let heard = this.hear(rest);
            rest = rest.get(heard..).unwrap_or_default();
        }
        // A request without a body is over with its head.
        while matches!(this.steps.front(), Some(Step::Hear(0))) {
            this.steps.pop_front();
        }
        if let Some(waiting) = this.waiting.take() {
            waiting.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Peer {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        // As much at once as there is room for: what is read does not depend on when.
        while let Some(Step::Say(bytes)) = this.steps.front_mut() {
            let said = bytes.len().min(into.remaining());
            into.put_slice(bytes.get(..said).unwrap_or_default());
            bytes.advance(said);
            if bytes.has_remaining() {
                return Poll::Ready(Ok(()));
            }
            this.steps.pop_front();
        }
        match this.steps.front() {
            _ if into.filled().len() > before => Poll::Ready(Ok(())),
            None if this.is_silent => Poll::Ready(Err(io::Error::other(Silent))),
            None => Poll::Ready(Ok(())),
            Some(_) => {
                this.waiting = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

// === impl Said ===

impl Said {
    fn head(&self) -> Vec<u8> {
        let reason = self.status.canonical_reason().unwrap_or_default();
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", self.status.as_u16()).into_bytes();
        for (name, value) in &self.headers {
            head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        if self.has_body() {
            head.extend(format!("Content-Length: {}\r\n", self.body.len()).into_bytes());
        }
        head.extend(b"\r\n");
        head
    }

    fn body(&self, asked: Method) -> Bytes {
        if self.has_body() && asked != Method::Head { self.body.clone() } else { Bytes::new() }
    }

    fn has_body(&self) -> bool {
        !matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    }
}
