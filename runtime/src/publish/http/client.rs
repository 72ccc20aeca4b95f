//! One server, and the connection to it that is kept from one request to the next.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::{http1, http2};
use hyper::header::{self, HeaderValue};
use hyper::{HeaderMap, Method, Request, StatusCode, Uri, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::config::daemon::{Login, Server, TlsOptions};
use crate::publish::tls::{self, Files, NoTls};

/// The longest answer that is read. What matters of it is a sentence.
const LONGEST: usize = 64 << 10;
/// How we call ourselves.
const AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// Posts to a server, one request after the other.
#[derive(Debug)]
pub struct Client {
    server: Server,
    version: Version,
    headers: HeaderMap,
    open: Option<Open>,
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// The body; empty if it was too long.
    pub body: Bytes,
    /// What came behind the body.
    pub trailers: HeaderMap,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No TCP.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// No TLS.
    #[error("TLS failed: {0}")]
    Tls(#[source] io::Error),
    /// No TLS whoever is there.
    #[error(transparent)]
    NoTls(#[from] NoTls),
    /// The connection ended, or what came is no HTTP.
    #[error("the connection failed: {}", with_causes(.0))]
    Broken(#[from] hyper::Error),
    /// The same of a new one, where nothing but HTTP/2 will do.
    #[error("the connection failed: {}; gRPC is at port 4317 of most receivers, and HTTP at 4318", with_causes(.0))]
    NoGrpc(#[source] hyper::Error),
    /// Nobody was there for so long.
    #[error("there was no connection within {0:?}")]
    Away(Duration),
    /// The answer took too long.
    #[error("there was no answer within {0:?}")]
    Slow(Duration),
    /// A request that cannot be made.
    #[error("no request can be made: {0}")]
    Request(#[from] hyper::http::Error),
}

/// A connection, and the task that drives it.
#[derive(Debug)]
struct Open {
    sender: Sender,
    task: JoinHandle<()>,
}

#[derive(Debug)]
enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Drop for Open {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// === impl Client ===

impl Client {
    /// Talks to a server in this version of HTTP.
    pub fn new(server: &Server, version: Version) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(AGENT));
        if let Some(login) = &server.url.login
            && let Ok(value) = HeaderValue::try_from(basic(login))
        {
            headers.insert(header::AUTHORIZATION, value);
        }
        for (name, value) in &server.headers {
            // Both were looked at when the configuration was read.
            if let (Ok(name), Ok(value)) = (header::HeaderName::try_from(name), HeaderValue::try_from(value.expose())) {
                headers.insert(name, value);
            }
        }
        headers.values_mut().for_each(|value| value.set_sensitive(true));
        Self { server: server.clone(), version, headers, open: None }
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Posts a body, with these headers besides.
    pub async fn post(
        &mut self,
        body: Bytes,
        headers: &[(header::HeaderName, &'static str)],
    ) -> Result<Answer, Failure> {
        let within = self.server.timeout;
        let answer = match timeout(within, self.exchange(body, headers)).await {
            Ok(answer) => answer,
            Err(_) if self.open.is_none() => Err(Failure::Away(within)),
            Err(_) => Err(Failure::Slow(within)),
        };
        // What is left of it on the way must not be taken for the next one.
        if answer.is_err() {
            self.open = None;
        }
        answer
    }

    async fn exchange(
        &mut self,
        body: Bytes,
        headers: &[(header::HeaderName, &'static str)],
    ) -> Result<Answer, Failure> {
        if let Some(open) = self.open.as_mut() {
            // A server may end a connection that nobody used for a while, and nothing is wrong then.
            match ask(open, request(&self.server, self.version, &self.headers, body.clone(), headers)?).await {
                Err(Failure::Broken(error)) if !error.is_timeout() => self.open = None,
                answer => return answer,
            }
        }
        let open = self.open.insert(connect(&self.server, self.version).await?);
        let request = request(&self.server, self.version, &self.headers, body, headers)?;
        ask(open, request).await.map_err(|failure| match failure {
            // Most likely it speaks HTTP/1.
            Failure::Broken(error) if self.version == Version::HTTP_2 => Failure::NoGrpc(error),
            failure => failure,
        })
    }
}

/// An error and what is behind it, which says more.
fn with_causes(error: &hyper::Error) -> String {
    let all = std::iter::successors(Some(error as &(dyn Error + 'static)), |&error| error.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Whether connections to a server can be encrypted, if they are to be.
pub fn check_encryption(server: &Server) -> Result<(), NoTls> {
    if server.url.secure { config(&server.tls, Version::HTTP_11).map(drop) } else { Ok(()) }
}

fn basic(login: &Login) -> String {
    format!("Basic {}", STANDARD.encode(format!("{}:{}", login.user.expose(), login.password.expose())))
}

fn request(
    server: &Server,
    version: Version,
    ours: &HeaderMap,
    body: Bytes,
    headers: &[(header::HeaderName, &'static str)],
) -> Result<Request<Full<Bytes>>, Failure> {
    let (url, target) = (&server.url, server.url.target.expose());
    let uri: Uri = if version == Version::HTTP_2 {
        let scheme = if url.secure { "https" } else { "http" };
        Uri::builder().scheme(scheme).authority(url.authority()).path_and_query(target).build()?
    } else {
        Uri::builder().path_and_query(target).build()?
    };
    let mut request = Request::builder().method(Method::POST).uri(uri).version(version).body(Full::new(body))?;
    let all = request.headers_mut();
    all.extend(ours.clone());
    for (name, value) in headers {
        all.insert(name, HeaderValue::from_static(value));
    }
    if version != Version::HTTP_2 {
        let usual = if url.secure { 443 } else { 80 };
        let authority = url.authority();
        let host = if url.port == usual { authority.trim_end_matches(&format!(":{usual}")) } else { &authority };
        all.insert(header::HOST, HeaderValue::try_from(host).map_err(hyper::http::Error::from)?);
    }
    Ok(request)
}

async fn connect(server: &Server, version: Version) -> Result<Open, Failure> {
    let url = &server.url;
    let config = if url.secure { Some(config(&server.tls, version)?) } else { None };
    let tcp = TcpStream::connect((url.host.as_str(), url.port)).await.map_err(Failure::Connect)?;
    // A request is written as a whole; waiting for more would only delay it.
    tcp.set_nodelay(true).map_err(Failure::Connect)?;
    let stream: Box<dyn Stream> = match config {
        None => Box::new(tcp),
        Some(config) => {
            let name = ServerName::try_from(url.host.clone());
            let name = name.map_err(|error| NoTls::Impossible(error.to_string()))?;
            let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
            Box::new(stream.map_err(|error| Failure::Tls(tls::timeless(error)))?)
        }
    };
    let io = TokioIo::new(stream);
    Ok(if version == Version::HTTP_2 {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
        // How it ends, the answer says.
        Open { sender: Sender::Two(sender), task: tokio::spawn(async move { drop(connection.await) }) }
    } else {
        let (sender, connection) = http1::handshake(io).await?;
        Open { sender: Sender::One(sender), task: tokio::spawn(async move { drop(connection.await) }) }
    })
}

fn config(tls: &TlsOptions, version: Version) -> Result<tokio_rustls::rustls::ClientConfig, NoTls> {
    let files = Files {
        ca: tls.ca_file.as_deref(),
        cert: tls.cert_file.as_deref(),
        key: tls.key_file.as_deref(),
        options: tls.options,
    };
    let mut config = files.config(tls.verify)?;
    let protocol: &[u8] = if version == Version::HTTP_2 { b"h2" } else { b"http/1.1" };
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}

async fn ask(open: &mut Open, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
    let response = match &mut open.sender {
        Sender::One(sender) => {
            sender.ready().await?;
            sender.send_request(request).await?
        }
        Sender::Two(sender) => {
            sender.ready().await?;
            sender.send_request(request).await?
        }
    };
    let (head, body) = response.into_parts();
    let (body, trailers) = match Limited::new(body, LONGEST).collect().await {
        Ok(collected) => {
            let trailers = collected.trailers().cloned().unwrap_or_default();
            (collected.to_bytes(), trailers)
        }
        // What it says is lost, and the status is not.
        Err(_) => Default::default(),
    };
    Ok(Answer { status: head.status, headers: head.headers, body, trailers })
}
