//! One request and its answer, over a connection that has no other.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::http::response::Parts;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use super::answers::Silent;
use super::limits::{ANSWER_HEAD_BYTES, ANSWER_HEADERS};
use super::refused::{Refused, Stage};
use super::wire::Tally;

/// Who is asked, and until when.
#[derive(Debug)]
pub(super) struct Watch {
    /// The host of the URL.
    pub(super) host: String,
    /// When the whole request has to be over.
    pub(super) until: Instant,
    /// How long it had from its beginning.
    pub(super) within: Duration,
    /// How much may come before it costs more than is left.
    pub(super) payable: u64,
    /// What went over the wire.
    pub(super) tally: Arc<Tally>,
}

/// The least that hyper buffers; heads are bounded apart from that.
const BUFFER: usize = 64 << 10;

/// Sends a request and reads the answer. A body that is not wanted is not read.
pub(super) async fn exchange<S>(
    io: S,
    request: hyper::Request<Bytes>,
    longest: usize,
    wanted: impl Fn(&Parts) -> bool,
    watch: &Watch,
) -> Result<(Parts, Vec<u8>), Refused>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_header_size(ANSWER_HEAD_BYTES)
        .max_headers(ANSWER_HEADERS)
        .max_buf_size(BUFFER)
        .handshake(TokioIo::new(io))
        .await
        .map_err(|error| watch.broken(&error, Stage::Head))?;
    let answer = async {
        let response = watch.within(Stage::Head, sender.send_request(request.map(Full::new))).await?;
        let (head, body) = response.map_err(|error| watch.broken(&error, Stage::Head))?.into_parts();
        if head.status.is_informational() {
            return Err(watch.bad("it changes the protocol"));
        }
        let body =
            if wanted(&head) { watch.within(Stage::Body, whole(body, longest, watch)).await?? } else { Vec::new() };
        Ok((head, body))
    };
    // The connection has to be driven meanwhile. How it ends, the answer says.
    let driven = async {
        let _ = connection.await;
        std::future::pending().await
    };
    tokio::select! {
        answer = answer => answer,
        () = driven => Err(watch.bad("the connection ended")),
    }
}

async fn whole(mut body: Incoming, longest: usize, watch: &Watch) -> Result<Vec<u8>, Refused> {
    let too_large = || Refused::TooLarge { what: "the body of the answer", limit: longest, grantable: true };
    // Who says so beforehand need not send it.
    if body.size_hint().lower() > longest as u64 {
        return Err(too_large());
    }
    // Pieces are copied together as they come: there may be as many of them as there are bytes.
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| watch.broken(&error, Stage::Body))?;
        let Some(piece) = frame.data_ref() else { continue };
        if piece.len() > longest.saturating_sub(whole.len()) {
            return Err(too_large());
        }
        whole.extend_from_slice(piece);
    }
    Ok(whole)
}

// === impl Watch ===

impl Watch {
    /// Waits as long as there is time.
    pub(super) async fn within<F: Future>(&self, stage: Stage, work: F) -> Result<F::Output, Refused> {
        timeout_at(self.until, work).await.map_err(|_| self.late(stage))
    }

    /// What ends a request for which there is no more time.
    pub(super) fn late(&self, stage: Stage) -> Refused {
        Refused::Timeout { host: self.host.clone(), within: self.within, stage }
    }

    /// What ends a request for which there is no more fuel.
    pub(super) fn unpayable(&self) -> Option<Refused> {
        let stopped = self.tally.is_over() && self.tally.most() == self.payable;
        stopped.then(|| Refused::OutOfFuel { host: self.host.clone() })
    }

    fn bad(&self, problem: &str) -> Refused {
        Refused::BadAnswer { host: self.host.clone(), problem: problem.to_owned() }
    }

    fn broken(&self, error: &hyper::Error, stage: Stage) -> Refused {
        if let Some(unpayable) = self.unpayable() {
            return unpayable;
        }
        if self.tally.is_over() {
            return self.bad("much more came than an answer needs");
        }
        let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        if io.and_then(io::Error::get_ref).is_some_and(|error| error.is::<Silent>()) {
            return self.late(stage);
        }
        if error.is_parse_too_large() {
            return Refused::TooLarge { what: "the head of the answer", limit: ANSWER_HEAD_BYTES, grantable: false };
        }
        if error.is_parse() {
            return self.bad("it is not HTTP/1");
        }
        if error.is_incomplete_message() || error.is_closed() || error.source().is_some() {
            return self.bad("it breaks off");
        }
        self.bad("it cannot be read")
    }
}
