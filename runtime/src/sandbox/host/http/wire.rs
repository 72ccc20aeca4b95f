//! What goes over the wire, counted and bounded.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Counts what is read and written, and fails when too much came.
///
/// Heads and bodies have bounds of their own; this one is for what is neither: interim answers without end, chunks with
/// more around them than in them, empty records of TLS.
#[derive(Debug)]
pub(super) struct Counted<S> {
    io: S,
    tally: Arc<Tally>,
}

/// How much went over one connection.
#[derive(Debug)]
pub(super) struct Tally {
    sent: AtomicU64,
    came: AtomicU64,
    most: u64,
}

// === impl Tally ===

impl Tally {
    /// For a connection over which so much may come.
    pub(super) fn new(most: u64) -> Arc<Self> {
        Arc::new(Self { sent: AtomicU64::new(0), came: AtomicU64::new(0), most })
    }

    /// Bytes that were sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Bytes that came.
    pub(super) fn came(&self) -> u64 {
        self.came.load(Ordering::Relaxed)
    }

    /// How much may come.
    pub(super) fn most(&self) -> u64 {
        self.most
    }

    /// Whether more came than may.
    pub(super) fn is_over(&self) -> bool {
        self.came() > self.most
    }
}

// === impl Counted ===

impl<S> Counted<S> {
    pub(super) fn new(io: S, tally: Arc<Tally>) -> Self {
        Self { io, tally }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        this.tally.came.fetch_add((buf.filled().len() - before) as u64, Ordering::Relaxed);
        if this.tally.is_over() {
            return Poll::Ready(Err(io::Error::other("too much came")));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.io).poll_write(cx, bytes))?;
        this.tally.sent.fetch_add(written as u64, Ordering::Relaxed);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
