//! Servers, names and permissions for a test.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::rustls::RootCertStore;

use crate::clock::ManualClock;
use crate::config::Secret;
use crate::sandbox::host::http::resolve::Resolver;
use crate::sandbox::host::http::secrets::Granted;
use crate::sandbox::host::http::{
    Allowance, Client, Limits, Method, Network, Permissions, Rate, Refused, Request, Response, Secrets, Usage, tls,
};

/// Answers of a resolver: each name's in order, the last one for ever.
#[derive(Debug, Default)]
pub struct Names {
    answers: Mutex<BTreeMap<String, VecDeque<Vec<IpAddr>>>>,
    pub asked: Mutex<Vec<String>>,
}

/// A client and what it may.
pub struct Lab {
    pub client: Client,
    pub names: Arc<Names>,
    pub clock: Arc<ManualClock>,
    pub limits: Limits,
    pub rate: Arc<Rate>,
    pub grants: Vec<String>,
    pub addresses: Vec<String>,
    pub secrets: BTreeMap<String, Granted>,
}

/// A server and what it was asked.
pub struct Server {
    pub address: SocketAddr,
    /// Each connection, with the head and the body of its request where the server reads them.
    pub seen: Arc<Mutex<Vec<Seen>>>,
}

#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub line: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

// === impl Names ===

impl Names {
    /// From now on these are the answers for a name.
    pub fn set<const N: usize>(&self, name: &str, answers: [&[&str]; N]) {
        let answers = answers.map(|answer| answer.iter().map(|address| address.parse().unwrap()).collect());
        self.answers.lock().unwrap().insert(name.to_owned(), answers.into());
    }
}

impl Resolver for Names {
    fn resolve(&self, name: &str, permit: OwnedSemaphorePermit) -> BoxFuture<'_, io::Result<Vec<IpAddr>>> {
        let name = name.to_owned();
        Box::pin(async move {
            let _permit = permit;
            self.asked.lock().unwrap().push(name.clone());
            let mut answers = self.answers.lock().unwrap();
            let answers = answers.get_mut(&name).ok_or_else(|| io::Error::other("no such name"))?;
            Ok(if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() })
        })
    }
}

// === impl Lab ===

impl Lab {
    /// A client that may reach 127.0.0.1 and ::1, under any name that is granted.
    pub fn new() -> Self {
        Self::trusting(RootCertStore::empty())
    }

    pub fn trusting(roots: RootCertStore) -> Self {
        let (names, clock) = (Arc::new(Names::default()), Arc::new(ManualClock::at(0)));
        Self {
            client: Client::new(Network::new(names.clone(), tls::trusting(roots).unwrap()), clock.clone()),
            names,
            clock,
            limits: Limits::default(),
            rate: Arc::new(Rate::per_minute(100)),
            grants: Vec::new(),
            addresses: vec!["127.0.0.1".to_owned(), "::1".to_owned()],
            secrets: BTreeMap::new(),
        }
    }

    /// Names a server, and grants all of it.
    pub fn name(&mut self, name: &str, server: &Server) -> String {
        self.names.set(name, [&[&server.address.ip().to_string()]]);
        let url = format!("http://{name}:{}", server.address.port());
        self.grants.push(format!("GET,HEAD,POST,PUT {url}"));
        url
    }

    pub fn secret(&mut self, name: &str, text: &str, origins: &[&str]) {
        let origins = origins.iter().map(|origin| origin.parse().unwrap()).collect();
        self.secrets.insert(name.to_owned(), Granted { secret: Secret::new(text), origins });
    }

    pub fn permissions(&self) -> Permissions {
        let grants = self.grants.iter().map(|grant| grant.parse().unwrap()).collect();
        let addresses = self.addresses.iter().map(|grant| grant.parse().unwrap()).collect();
        let secrets = Secrets::new(self.secrets.clone()).unwrap();
        Permissions::new(grants, addresses, secrets, self.limits, Arc::clone(&self.rate)).unwrap()
    }

    pub fn allowance(&self) -> Allowance {
        Allowance { time: self.limits.deadline, fuel: u64::MAX }
    }

    pub async fn send(&self, request: Request) -> Result<Response, Refused> {
        self.client.send(&self.permissions(), request, self.allowance(), &mut Usage::default()).await
    }

    pub async fn get(&self, url: &str) -> Result<Response, Refused> {
        self.send(get(url)).await
    }

    /// The word and the text of a refusal.
    pub async fn refused(&self, request: Request) -> (&'static str, String) {
        let refused = self.send(request).await.unwrap_err();
        (refused.word(), refused.to_string())
    }
}

pub fn get(url: &str) -> Request {
    Request { method: Method::Get, url: url.to_owned(), headers: Vec::new(), body: Vec::new(), follow: true }
}

pub fn with_header(url: &str, name: &str, value: &str) -> Request {
    Request { headers: vec![(name.to_owned(), value.to_owned())], ..get(url) }
}

// === impl Server ===

impl Server {
    /// Does with each connection what it wants.
    pub async fn raw<F, W>(address: &str, handler: F) -> Self
    where
        F: Fn(TcpStream) -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((address.parse::<IpAddr>().unwrap(), 0)).await.unwrap();
        Self::on(listener, handler)
    }

    pub fn on<F, W>(listener: TcpListener, handler: F) -> Self
    where
        F: Fn(TcpStream) -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let server = Self { address: listener.local_addr().unwrap(), seen: Arc::default() };
        let seen = Arc::clone(&server.seen);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                seen.lock().unwrap().push(Seen::default());
                tokio::spawn(handler(stream));
            }
        });
        server
    }

    /// Answers requests.
    pub async fn http<F>(address: &str, handler: F) -> Self
    where
        F: Fn(&Seen) -> hyper::Response<Vec<u8>> + Clone + Send + Sync + 'static,
    {
        let listener = TcpListener::bind((address.parse::<IpAddr>().unwrap(), 0)).await.unwrap();
        let log: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let inner = Arc::clone(&log);
        let server = Self::on(listener, move |stream| answer(stream, handler.clone(), Arc::clone(&inner)));
        Self { seen: log, ..server }
    }

    /// Reads a request's head, and says this.
    pub async fn saying(address: &str, said: impl Into<Vec<u8>>) -> Self {
        let said = Arc::new(said.into());
        Self::raw(address, move |stream| say(stream, Arc::clone(&said))).await
    }

    pub fn requests(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// Answers the requests of one connection.
pub async fn answer<S, F>(stream: S, handler: F, log: Arc<Mutex<Vec<Seen>>>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(&Seen) -> hyper::Response<Vec<u8>> + Send + Sync + 'static,
{
    let (handler, log) = (&handler, &log);
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| async move {
        let (head, body) = request.into_parts();
        let headers = head.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        let line = format!("{} {}", head.method, head.uri);
        let body = body.collect().await?.to_bytes().to_vec();
        let seen = Seen { line, headers: headers.collect(), body };
        log.lock().unwrap().push(seen.clone());
        Ok::<_, hyper::Error>(handler(&seen).map(|body| Full::new(Bytes::from(body))))
    });
    // Clients may go at any time.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Waits for the end of a request's head.
pub async fn head(stream: &mut TcpStream) {
    use tokio::io::AsyncReadExt;
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => read.push(byte),
            Err(_) => return,
        }
    }
}

async fn say(mut stream: TcpStream, said: Arc<Vec<u8>>) {
    use tokio::io::AsyncWriteExt;
    head(&mut stream).await;
    // Clients may have read enough before the end of it.
    let _ = stream.write_all(&said).await;
    let _ = stream.shutdown().await;
    // What is still to be read would make the kernel break the connection off instead of ending it.
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

pub fn text(body: &str) -> hyper::Response<Vec<u8>> {
    hyper::Response::new(body.as_bytes().to_vec())
}

pub fn redirect(status: u16, location: &str) -> hyper::Response<Vec<u8>> {
    hyper::Response::builder().status(status).header("location", location).body(b"gone".to_vec()).unwrap()
}
