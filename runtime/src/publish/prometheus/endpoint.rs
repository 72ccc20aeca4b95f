//! Where Prometheus finds the exporter: addresses, certificate and users, as the configuration in force says.
//!
//! Another configuration is got ready while the old one is in force, so that one that cannot work changes nothing. All
//! of it runs on a thread of its own: who asks for pages delays no slot.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::Exporter;
use super::page::CONTENT_TYPE;
use crate::clock::Clock;
use crate::config::daemon::{Listen, Metrics, Password, User};
use crate::config::{Config, Place, Problems};
use crate::files;
use crate::http::auth::Users;
use crate::http::listener::serve_tcp;
use crate::http::tls::Tls;
use crate::http::{self, Limits, Method, Reply, Request, StatusCode, header};

/// Where metrics are.
const PATH: &str = "/metrics";
/// Connections at once. A few Prometheus servers ask, each by one connection.
const CONNECTIONS: usize = 64;
/// The largest file with a password.
const LARGEST_PASSWORD: u64 = 4 << 10;

/// The exporter's place in the network.
#[derive(Debug)]
pub struct Endpoint {
    exporter: Arc<Exporter>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The thread, once something is listened on.
    runtime: Option<Runtime>,
    /// Sockets in use.
    sockets: Vec<(SocketAddr, TcpListener)>,
    /// What accepts connections.
    accepting: Vec<JoinHandle<()>>,
    /// What was got ready last and was not asked for.
    ready: Option<Ready>,
}

/// All that a configuration needs, got ready. Dropping it gives the addresses back.
#[derive(Debug)]
pub struct Ready {
    sockets: Vec<(SocketAddr, TcpListener)>,
    tls: Option<Arc<Tls>>,
    users: Users,
}

/// What is wrong with the files that a configuration names for metrics.
pub fn check(config: &Config) -> Problems {
    let mut problems = Problems::of(config.file.as_deref());
    files_of(&config.metrics, &mut problems);
    problems
}

/// Which addresses cannot be listened on as things are. Each is listened on for a moment.
pub fn check_addresses(config: &Config) -> Problems {
    let mut problems = Problems::of(config.file.as_deref());
    for listen in &config.metrics.listen {
        if let Err(error) = TcpListener::bind(listen.address) {
            unusable(listen, &error, &mut problems);
        }
    }
    problems
}

fn unusable(listen: &Listen, error: &io::Error, problems: &mut Problems) {
    let message = format!("{} cannot be listened on: {error}", listen.address);
    problems.error(listen.place, "metrics.listen", message, remedy(error));
}

// === impl Endpoint ===

impl Endpoint {
    /// An endpoint that listens on nothing yet, whose exporter has nothing yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { exporter: Arc::new(Exporter::new(clock)), state: Mutex::default() }
    }

    /// What is shown.
    pub fn exporter(&self) -> &Exporter {
        &self.exporter
    }

    /// Reads all files and takes all addresses that a configuration names. Nothing of it is used before
    /// [`begin`](Self::begin), and what is in use stays.
    pub fn prepare(&self, config: &Config) -> Result<(), Problems> {
        let mut problems = Problems::of(config.file.as_deref());
        let (tls, users) = files_of(&config.metrics, &mut problems);
        let mut state = self.state();
        if !config.metrics.listen.is_empty() && state.runtime.is_none() {
            let built = Builder::new_multi_thread().worker_threads(1).thread_name("metrics").enable_all().build();
            match built {
                Ok(runtime) => state.runtime = Some(runtime),
                Err(error) => {
                    let message = format!("there is no thread for metrics: {error}");
                    problems.error(None, "metrics.listen", message, "Let this user have more processes");
                }
            }
        }
        let mut sockets = Vec::new();
        for listen in &config.metrics.listen {
            match state.socket(listen.address) {
                Ok(socket) => sockets.push((listen.address, socket)),
                Err(error) => unusable(listen, &error, &mut problems),
            }
        }
        if problems.has_errors() {
            return Err(problems);
        }
        state.ready = Some(Ready { sockets, tls, users });
        Ok(())
    }

    /// What was prepared last.
    pub fn take_ready(&self) -> Option<Ready> {
        self.state().ready.take()
    }

    /// Uses what was prepared, instead of what was in use. Connections of before end.
    pub fn begin(&self, ready: Ready) {
        let mut state = self.state();
        let Ready { sockets, tls, users } = ready;
        state.accepting.drain(..).for_each(|accepting| accepting.abort());
        if sockets.is_empty() {
            self.exporter.clear();
        }
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        let (exporter, users) = (Arc::clone(&self.exporter), Arc::new(users));
        let handler = move |request: Request| {
            let reply = answer(&exporter, &users, &request);
            async move { reply }
        };
        for (address, socket) in &sockets {
            let Some(runtime) = &state.runtime else { continue };
            let (tls, permits, handler) = (tls.clone(), Arc::clone(&permits), handler.clone());
            let _in_runtime = runtime.enter();
            let listener = match socket.try_clone().and_then(tokio::net::TcpListener::from_std) {
                Ok(listener) => listener,
                Err(error) => {
                    tracing::error!(%address, %error, "Metrics cannot be served.");
                    continue;
                }
            };
            // A port that was left to the system is known now.
            let address = socket.local_addr().unwrap_or(*address);
            tracing::info!(%address, tls = tls.is_some(), "Metrics are at {PATH}.");
            let accepting = runtime.spawn(serve_tcp(listener, tls, permits, Limits::USUAL, handler));
            state.accepting.push(accepting);
        }
        state.sockets = sockets;
    }

    /// Where it listens, with the ports that the system chose.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.state().sockets.iter().filter_map(|(_, socket)| socket.local_addr().ok()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // Nothing is waited for: who asks may be slow.
        if let Some(runtime) = self.state().runtime.take() {
            runtime.shutdown_background();
        }
    }
}

// === impl State ===

impl State {
    /// The socket of an address: the one in use, or another.
    fn socket(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let used = self.sockets.iter().find(|(used, _)| *used == address);
        let socket = used.map_or_else(|| TcpListener::bind(address), |(_, socket)| socket.try_clone())?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "End who listens there (Ceilometer's exporter has port 9101, too), or write another"
        }
        io::ErrorKind::AddrNotAvailable => "Write an address that this machine has",
        io::ErrorKind::PermissionDenied => "Write a port from 1024 on",
        _ => "Write another address",
    }
}

/// The certificate and the users that a configuration names.
fn files_of(metrics: &Metrics, problems: &mut Problems) -> (Option<Arc<Tls>>, Users) {
    let mut tls = None;
    if let Some(named) = &metrics.tls {
        match Tls::read(&named.certificate, &named.key) {
            Ok(read) => tls = Some(Arc::new(read)),
            Err(error) => problems.error(named.place, "metrics.tls", error.to_string(), sentence(error.remedy())),
        }
    }
    let users: Vec<_> =
        metrics.users.iter().filter_map(|user| Some((&*user.name, password(user, problems)?))).collect();
    (tls, Users::of(users.iter().map(|(name, password)| (*name, &**password))))
}

fn password(user: &User, problems: &mut Problems) -> Option<String> {
    let path = match &user.password {
        Password::Text(text) => return Some(text.clone()),
        Password::File(path) => path,
    };
    first_line(path, user.place, &user.name, problems)
}

fn first_line(path: &Path, place: Option<Place>, name: &str, problems: &mut Problems) -> Option<String> {
    let mut refuse = |why: &str, remedy: &str| {
        let message = format!("the password of {name} cannot be used: {} {why}", path.display());
        problems.error(place, &format!("metrics.users.{name}.password_file"), message, remedy);
    };
    let text = match files::read(path, LARGEST_PASSWORD).map(String::from_utf8) {
        Ok(Ok(text)) => text,
        Ok(Err(_)) => {
            refuse("is not UTF-8 text", "Write the password into it and nothing else");
            return None;
        }
        Err(error) => {
            refuse(&format!("cannot be read: {error}"), "Name a file that the user that wasmeter runs as can read");
            return None;
        }
    };
    match text.lines().next() {
        Some(line) if !line.is_empty() => Some(line.to_owned()),
        _ => {
            refuse("has nothing in its first line", "Write the password into it");
            None
        }
    }
}

/// The end of a sentence as one.
fn sentence(end: &str) -> String {
    let mut letters = end.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Answers a request.
fn answer(exporter: &Exporter, users: &Users, request: &Request) -> Reply {
    if !users.admit(request.headers()) {
        return Users::refusal();
    }
    match (request.uri().path(), request.method()) {
        (PATH, &Method::GET | &Method::HEAD) => http::stream(CONTENT_TYPE, exporter.page()),
        (PATH, _) => {
            let mut reply = http::line(StatusCode::METHOD_NOT_ALLOWED, "Metrics can be read only.");
            reply.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
            reply
        }
        _ => http::line(StatusCode::NOT_FOUND, "There is nothing here. Metrics are at /metrics."),
    }
}
