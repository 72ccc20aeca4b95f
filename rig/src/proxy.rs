//! A bad network: a proxy between a client and a server.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::net;

use crate::Failed;
use crate::namespaces::lock;
use crate::port::Port;

/// The most that is passed on at once.
const CHUNK: usize = 16 << 10;

/// A TCP proxy on a port of its own, which passes on all that it gets until it is told otherwise. Dropping it ends all
/// its connections.
#[derive(Debug)]
pub struct Proxy {
    port: Port,
    shared: Arc<Shared>,
    /// Who accepts connections, unless they are refused.
    listener: Mutex<Option<(TcpListener, JoinHandle<()>)>>,
}

/// What connections share.
#[derive(Debug)]
struct Shared {
    /// The server's port.
    server: u16,
    state: Mutex<State>,
    /// Told whenever the state changes.
    changed: Condvar,
    connections: AtomicU64,
    to_server: AtomicU64,
    to_client: AtomicU64,
}

/// What connections do.
#[derive(Debug, Default)]
struct State {
    trouble: Trouble,
    /// All connections, and perhaps some that ended.
    open: Vec<Weak<Connection>>,
    /// How many times all connections were cut.
    cuts: u64,
}

/// What is wrong with the network.
#[derive(Debug, Default, Clone, Copy)]
enum Trouble {
    #[default]
    None,
    /// Everything is held back.
    Stall,
    /// So many bytes more reach the server, and then all connections are cut.
    CutAfter(u64),
    /// Everything comes late by this.
    Delay(Duration),
    /// So many bytes a second pass in each direction of each connection.
    Throttle(u64),
}

/// Both ends of a connection.
#[derive(Debug)]
struct Connection {
    client: TcpStream,
    server: TcpStream,
}

/// One direction of a connection.
struct Pipe {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    to_server: bool,
    /// How many times all connections had been cut when this one began.
    cuts: u64,
}

// === impl Proxy ===

impl Proxy {
    /// A proxy for a server at this port.
    ///
    /// # Errors
    ///
    /// If there is no free port.
    pub fn start(server: u16) -> Result<Self, Failed> {
        let shared = Shared {
            server,
            state: Mutex::default(),
            changed: Condvar::new(),
            connections: AtomicU64::new(0),
            to_server: AtomicU64::new(0),
            to_client: AtomicU64::new(0),
        };
        let port = Port::reserve().map_err(Failed::io("there is no port for a proxy"))?;
        let proxy = Self { port, shared: Arc::new(shared), listener: Mutex::new(None) };
        proxy.listen()?;
        Ok(proxy)
    }

    /// Its port of 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Refuses new connections. Those that there are go on.
    pub fn refuse(&self) {
        if let Some((listener, accepting)) = lock(&self.listener).take() {
            // Who waits for a connection is told.
            let _ = net::shutdown(&listener, net::Shutdown::Both);
            drop(listener);
            let _ = accepting.join();
        }
    }

    /// Cuts all connections. New ones are fine.
    pub fn cut(&self) {
        self.shared.state().cut();
        self.shared.changed.notify_all();
    }

    /// Lets so many bytes more reach the server, of all connections together, and then cuts them all. New ones are fine
    /// after that.
    pub fn cut_after(&self, bytes: u64) {
        self.make(Trouble::CutAfter(bytes));
    }

    /// Passes everything on, but later by this.
    pub fn delay(&self, delay: Duration) {
        self.make(Trouble::Delay(delay));
    }

    /// Passes on so many bytes a second in each direction of each connection.
    pub fn throttle(&self, bytes_per_second: u64) {
        self.make(Trouble::Throttle(bytes_per_second));
    }

    /// Passes nothing on, not even that an end closed a connection. New connections are accepted, with the same fate.
    pub fn stall(&self) {
        self.make(Trouble::Stall);
    }

    /// Ends all trouble. What a stall held back is passed on now.
    ///
    /// # Errors
    ///
    /// If connections were refused, and cannot be accepted again.
    pub fn heal(&self) -> Result<(), Failed> {
        self.make(Trouble::None);
        self.listen()
    }

    /// How many connections were accepted up to now.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// How many bytes were passed on to the server up to now.
    #[must_use]
    pub fn bytes_to_server(&self) -> u64 {
        self.shared.to_server.load(Ordering::Relaxed)
    }

    /// How many bytes were passed on to clients up to now.
    #[must_use]
    pub fn bytes_to_client(&self) -> u64 {
        self.shared.to_client.load(Ordering::Relaxed)
    }

    fn make(&self, trouble: Trouble) {
        self.shared.state().trouble = trouble;
        self.shared.changed.notify_all();
    }

    fn listen(&self) -> Result<(), Failed> {
        const WHAT: &str = "a proxy cannot listen";
        let mut listening = lock(&self.listener);
        if listening.is_none() {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port())).map_err(Failed::io(WHAT))?;
            let accepts = listener.try_clone().map_err(Failed::io(WHAT))?;
            let shared = self.shared.clone();
            *listening = Some((listener, thread::spawn(move || accept(&accepts, &shared))));
        }
        Ok(())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.refuse();
        self.cut();
    }
}

/// Accepts connections until the listener is shut down.
fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((client, _)) = listener.accept() {
        shared.connections.fetch_add(1, Ordering::Relaxed);
        // Without a server the client's connection ends as it began.
        let _ = connect(client, shared);
    }
}

fn connect(client: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, shared.server))?;
    for end in [&client, &server] {
        end.set_nodelay(true)?;
    }
    let connection = Arc::new(Connection { client, server });
    let mut state = shared.state();
    state.open.retain(|open| open.strong_count() > 0);
    state.open.push(Arc::downgrade(&connection));
    for to_server in [true, false] {
        let pipe = Pipe { shared: shared.clone(), connection: connection.clone(), to_server, cuts: state.cuts };
        thread::spawn(move || pipe.run());
    }
    Ok(())
}

// === impl Shared ===

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

// === impl State ===

impl State {
    fn cut(&mut self) {
        for connection in self.open.drain(..).filter_map(|open| open.upgrade()) {
            for end in [&connection.client, &connection.server] {
                let _ = end.shutdown(Shutdown::Both);
            }
        }
        self.cuts += 1;
        if let Trouble::CutAfter(_) = self.trouble {
            self.trouble = Trouble::None;
        }
    }
}

// === impl Pipe ===

impl Pipe {
    /// Passes on what comes, and in the end that nothing more comes.
    fn run(self) {
        let (mut from, to) = self.ends();
        let mut chunk = vec![0; CHUNK];
        while let Ok(read @ 1..) = from.read(&mut chunk) {
            let passed = chunk.get(..read).is_some_and(|chunk| self.pass(chunk));
            if !passed {
                return;
            }
        }
        if self.passage(0).is_some() {
            let _ = to.shutdown(Shutdown::Write);
        }
    }

    /// Where it reads and where it writes.
    fn ends(&self) -> (&TcpStream, &TcpStream) {
        let Connection { client, server } = &*self.connection;
        if self.to_server { (client, server) } else { (server, client) }
    }

    /// Passes on some bytes, as the network lets it; not if the connection is no more.
    fn pass(&self, mut chunk: &[u8]) -> bool {
        let (_, mut to) = self.ends();
        while !chunk.is_empty() {
            let Some((now, last)) = self.passage(chunk.len()) else { return false };
            let (first, rest) = chunk.split_at(now);
            if to.write_all(first).is_err() {
                return false;
            }
            chunk = rest;
            let count = if self.to_server { &self.shared.to_server } else { &self.shared.to_client };
            count.fetch_add(first.len() as u64, Ordering::Relaxed);
            if last {
                self.shared.state().cut();
                return false;
            }
        }
        true
    }

    /// Waits until something of so many bytes may pass; gives how many do, and whether they are the last. Nothing if
    /// the connection was cut meanwhile.
    fn passage(&self, bytes: usize) -> Option<(usize, bool)> {
        let begin = Instant::now();
        let mut state = self.shared.state();
        loop {
            if state.cuts != self.cuts {
                return None;
            }
            let wait = match &mut state.trouble {
                Trouble::None => return Some((bytes, false)),
                Trouble::CutAfter(_) if !self.to_server => return Some((bytes, false)),
                Trouble::CutAfter(left) => {
                    let now = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes);
                    *left -= now as u64;
                    return Some((now, *left == 0));
                }
                Trouble::Stall => None,
                Trouble::Delay(delay) => Some((*delay, bytes)),
                Trouble::Throttle(rate) => {
                    // A tenth of a second's worth at once.
                    let now = usize::try_from(*rate / 10).unwrap_or(usize::MAX).clamp(1, bytes.max(1)).min(bytes);
                    Some((Duration::from_secs_f64(now as f64 / (*rate).max(1) as f64), now))
                }
            };
            state = match wait {
                None => self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some((wait, bytes)) => {
                    let left = wait.saturating_sub(begin.elapsed());
                    if left.is_zero() {
                        return Some((bytes, false));
                    }
                    self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}
