//! One connection, whatever it runs over.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::stalling::Stalling;
use super::{Reply, Request, StatusCode, header, line};

/// What the other side of a connection may make this one bear.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest head of a request in bytes, from its first line to the end of its headers.
    pub head: usize,
    /// How long a head may take to come, from the beginning of the connection or the end of the last answer: so long a
    /// connection may also be idle.
    pub head_within: Duration,
    /// The longest body of a request in bytes.
    pub body: usize,
    /// How long a body may take to come.
    pub body_within: Duration,
    /// How long the other side may take none of an answer.
    pub stalled: Duration,
}

/// Room for bodies: what all connections together may hold of them. Whoever comes when there is none waits.
#[derive(Debug, Clone)]
pub struct Room(Arc<Semaphore>);

/// A body and the room that it takes, which others get once the last piece of it is gone.
struct Held {
    body: Bytes,
    _room: OwnedSemaphorePermit,
}

/// Bytes that are counted as one.
const PIECE: usize = 1 << 10;
/// The least that hyper buffers; heads are bounded apart from that.
const BUFFER: usize = 64 << 10;

// === impl Room ===

impl Room {
    /// For so many bytes of bodies at once.
    pub fn of(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.div_ceil(PIECE))))
    }

    async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let pieces = u32::try_from(bytes.div_ceil(PIECE)).ok()?;
        Arc::clone(&self.0).acquire_many_owned(pieces).await.ok()
    }
}

// === impl Held ===

impl Held {
    /// A body that holds what it needs of the room that was taken for it. Before it came, nobody knew how long it is.
    fn hold(body: Bytes, mut taken: OwnedSemaphorePermit) -> Bytes {
        match taken.split(body.len().div_ceil(PIECE)) {
            Some(room) => Bytes::from_owner(Self { body, _room: room }),
            None => body,
        }
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

// === impl Limits ===

impl Limits {
    /// Enough for whoever asks and is not asked to send much.
    pub const USUAL: Self = Self {
        head: 8 << 10,
        head_within: Duration::from_secs(30),
        body: 1 << 20,
        body_within: Duration::from_secs(10),
        stalled: Duration::from_secs(30),
    };
}

/// Answers the requests of a connection, one after the other, until it is closed. What goes wrong with it ends it, and
/// matters to nobody else.
pub async fn serve<I, H, F>(io: I, limits: Limits, handler: H)
where
    I: AsyncRead + AsyncWrite + Unpin,
    H: Fn(Request) -> F,
    F: Future<Output = Reply>,
{
    serve_in(io, limits, None, handler).await;
}

/// The same with bodies for which there has to be room.
pub async fn serve_in<I, H, F>(io: I, limits: Limits, room: Option<&Room>, handler: H)
where
    I: AsyncRead + AsyncWrite + Unpin,
    H: Fn(Request) -> F,
    F: Future<Output = Reply>,
{
    let handler = &handler;
    let service = service_fn(move |request: hyper::Request<Incoming>| async move {
        let reply = match whole(request, limits, room).await {
            Ok(request) => handler(request).await,
            Err(refusal) => refusal,
        };
        Ok::<_, Infallible>(reply)
    });
    let io = TokioIo::new(Stalling::new(io, limits.stalled));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_within)
        .max_header_size(limits.head)
        .max_buf_size(BUFFER.max(limits.head))
        .serve_connection(io, service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "A connection ended.");
    }
}

/// A request with its body, or else the answer to one that has too much of it.
async fn whole(request: hyper::Request<Incoming>, limits: Limits, room: Option<&Room>) -> Result<Request, Reply> {
    let (head, body) = request.into_parts();
    let mut taken = None;
    if let Some(room) = room {
        // What does not say how long it is may be as long as any.
        let length = body.size_hint().upper().and_then(|length| usize::try_from(length).ok());
        let length = length.unwrap_or(usize::MAX).min(limits.body);
        // The rest of a body may stand in the way of the next request, so these answers are their connections' last.
        let busy = || last(line(StatusCode::SERVICE_UNAVAILABLE, "Others send much just now. Ask again."));
        taken = Some(timeout(limits.body_within, room.take(length)).await.ok().flatten().ok_or_else(busy)?);
    }
    let body = match timeout(limits.body_within, Limited::new(body, limits.body).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let what = format!("The body is longer than {} bytes.", limits.body);
            return Err(last(line(StatusCode::PAYLOAD_TOO_LARGE, &what)));
        }
        Ok(Err(_)) => return Err(last(line(StatusCode::BAD_REQUEST, "The body cannot be read."))),
        Err(_) => return Err(last(line(StatusCode::REQUEST_TIMEOUT, "The body takes too long."))),
    };
    let body = match taken {
        Some(taken) => Held::hold(body, taken),
        None => body,
    };
    Ok(Request::from_parts(head, body))
}

/// The last answer of its connection.
pub fn last(mut reply: Reply) -> Reply {
    reply.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    reply
}

#[cfg(test)]
mod tests;
