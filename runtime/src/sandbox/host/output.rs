//! Standard output and error of a module: taken without end, kept in part.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::sandbox::limits::STDERR_TAIL;

/// The largest piece that is taken at once.
const PIECE: usize = 4 << 10;

/// The last of what was written.
#[derive(Debug, Clone, Default)]
pub struct Tail(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    dropped: usize,
}

// === impl Tail ===

impl Tail {
    /// What is kept, as text, and how many bytes before it are not.
    pub fn text(&self) -> (String, usize) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.cut();
        (String::from_utf8_lossy(&kept.bytes).into_owned(), kept.dropped)
    }

    fn push(&self, piece: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes.extend_from_slice(piece);
        // Cut seldom, so that many small writes stay cheap.
        if kept.bytes.len() > 4 * STDERR_TAIL {
            kept.cut();
        }
    }
}

impl Kept {
    fn cut(&mut self) {
        let over = self.bytes.len().saturating_sub(STDERR_TAIL);
        self.bytes.drain(..over);
        self.dropped += over;
    }
}

impl IsTerminal for Tail {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Tail {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Tail {
    async fn ready(&mut self) {}
}

impl OutputStream for Tail {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PIECE)
    }
}
