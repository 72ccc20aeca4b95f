//! Asking over a Unix socket: how the command line talks to the daemon.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// The longest answer. The largest host's status is a tenth of it.
const LONGEST: usize = 64 << 20;

/// Asks who listens at a socket. Each question has a connection of its own.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    within: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody is there.
    #[error("nobody answers at {}: {error}", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The answer did not come.
    #[error("there was no answer at {} in {within:?}", socket.display())]
    TooLate {
        /// The socket.
        socket: PathBuf,
        /// For how long it was waited.
        within: Duration,
    },
    /// The answer is broken off, too long, or none.
    #[error("the answer at {} cannot be read: {error}", socket.display())]
    Unreadable {
        /// The socket.
        socket: PathBuf,
        /// Why.
        error: Box<dyn std::error::Error + Send + Sync>,
    },
}

// === impl Client ===

impl Client {
    /// A client that waits so long for each answer.
    pub fn new(socket: &Path, within: Duration) -> Self {
        Self { socket: socket.to_owned(), within }
    }

    /// Asks for what is at a path. An answer that is no JSON is a text.
    pub async fn get(&self, path: &str) -> Result<(StatusCode, Value), AskError> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    /// Sends something to a path. How large it may be, whoever listens says.
    pub async fn post(&self, path: &str, body: impl Into<Bytes>) -> Result<(StatusCode, Value), AskError> {
        self.ask(Method::POST, path, body.into()).await
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Value), AskError> {
        let late = |_| AskError::TooLate { socket: self.socket.clone(), within: self.within };
        let (status, answer) = timeout(self.within, self.exchange(method, path, body)).await.map_err(late)??;
        let text = || Value::String(String::from_utf8_lossy(&answer).trim_end().to_owned());
        Ok((status, serde_json::from_slice(&answer).unwrap_or_else(|_| text())))
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), AskError> {
        let unreachable = |error| AskError::Unreachable { socket: self.socket.clone(), error };
        let stream = UnixStream::connect(&self.socket).await.map_err(unreachable)?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.unreadable(error))?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| self.unreadable(error))?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(|error| self.unreadable(error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), LONGEST).collect().await;
            Ok((status, body.map_err(|error| AskError::Unreadable { socket: self.socket.clone(), error })?.to_bytes()))
        };
        // The connection has to be driven meanwhile. How it ends, the answer says.
        let driven = async {
            let _ = connection.await;
            std::future::pending().await
        };
        tokio::select! {
            answer = answer => answer,
            () = driven => Err(self.unreadable("the connection ended")),
        }
    }

    fn unreadable(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> AskError {
        AskError::Unreadable { socket: self.socket.clone(), error: error.into() }
    }
}
