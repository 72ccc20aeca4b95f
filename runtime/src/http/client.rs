//! Asking over a Unix socket: how the command line talks to the daemon.

use std::convert::Infallible;
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

type Sender = http1::SendRequest<Full<Bytes>>;
type Connection = http1::Connection<TokioIo<UnixStream>, Full<Bytes>>;

/// What came of an answer that goes on.
#[derive(Debug)]
pub enum Followed {
    /// Enough of it was seen.
    Enough,
    /// It was over before.
    Over,
    /// There is none, and this is said instead.
    No(StatusCode, Value),
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

    /// Sends something to a path whose answer goes on, line after line, until `each` says that it has seen enough. Only
    /// for its beginning is it waited as long as for other answers.
    pub async fn follow(
        &self,
        path: &str,
        body: impl Into<Bytes>,
        each: &mut impl FnMut(&str) -> bool,
    ) -> Result<Followed, AskError> {
        let (mut sender, connection) = self.connect().await?;
        let request = self.request(Method::POST, path, body.into())?;
        let followed = async {
            let late = |_| AskError::TooLate { socket: self.socket.clone(), within: self.within };
            let response = timeout(self.within, sender.send_request(request)).await.map_err(late)?;
            let response = response.map_err(|error| self.unreadable(error))?;
            let status = response.status();
            if status != StatusCode::OK {
                let body = Limited::new(response.into_body(), LONGEST).collect().await;
                return Ok(Followed::No(status, understand(&body.map_err(|error| self.unreadable(error))?.to_bytes())));
            }
            let (mut body, mut rest) = (response.into_body(), Vec::new());
            // However it breaks off, it is over.
            while let Some(Ok(frame)) = body.frame().await {
                rest.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
                if rest.len() > LONGEST {
                    return Err(self.unreadable("a line is too long"));
                }
                let mut lines = rest.split_inclusive(|byte| *byte == b'\n').peekable();
                let mut read = 0;
                while let Some(line) = lines.next_if(|line| line.ends_with(b"\n")) {
                    read += line.len();
                    if !each(String::from_utf8_lossy(line).trim_end()) {
                        return Ok(Followed::Enough);
                    }
                }
                rest.drain(..read);
            }
            Ok(Followed::Over)
        };
        driven(followed, connection).await
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Value), AskError> {
        let late = |_| AskError::TooLate { socket: self.socket.clone(), within: self.within };
        let (status, answer) = timeout(self.within, self.exchange(method, path, body)).await.map_err(late)??;
        Ok((status, understand(&answer)))
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), AskError> {
        let (mut sender, connection) = self.connect().await?;
        let request = self.request(method, path, body)?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(|error| self.unreadable(error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), LONGEST).collect().await;
            Ok((status, body.map_err(|error| self.unreadable(error))?.to_bytes()))
        };
        driven(answer, connection).await
    }

    async fn connect(&self) -> Result<(Sender, Connection), AskError> {
        let unreachable = |error| AskError::Unreachable { socket: self.socket.clone(), error };
        let stream = UnixStream::connect(&self.socket).await.map_err(unreachable)?;
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.unreadable(error))
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, AskError> {
        let request = Request::builder().method(method).uri(path).header(header::HOST, "localhost");
        let request = request.header(header::CONTENT_TYPE, "application/json").body(Full::new(body));
        request.map_err(|error| self.unreadable(error))
    }

    fn unreadable(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> AskError {
        AskError::Unreadable { socket: self.socket.clone(), error: error.into() }
    }
}

/// An answer, while the connection that it comes over is driven. How that ends, the answer says.
async fn driven<T>(answer: impl Future<Output = T>, connection: Connection) -> T {
    let driven = async {
        let _ = connection.await;
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        answer = answer => answer,
        never = driven => match never {},
    }
}

/// An answer that is no JSON is a text.
fn understand(answer: &[u8]) -> Value {
    let text = || Value::String(String::from_utf8_lossy(answer).trim_end().to_owned());
    serde_json::from_slice(answer).unwrap_or_else(|_| text())
}
