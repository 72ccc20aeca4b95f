//! The proxy, before a server that says what it hears.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use wasmeter_rig::Proxy;

/// For what ends by itself.
const SOON: Duration = Duration::from_secs(30);
/// For what is not to happen.
const NEVER: Duration = Duration::from_millis(300);

/// A proxy before a server that says what it hears, until the test ends.
fn proxy() -> Proxy {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap().port()).unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (mut from, mut to) = client.and_then(|client| Ok((client.try_clone()?, client))).unwrap();
            thread::spawn(move || {
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(std::net::Shutdown::Write);
            });
        }
    });
    proxy
}

fn connect(proxy: &Proxy) -> TcpStream {
    let client = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
    client.set_read_timeout(Some(SOON)).unwrap();
    client
}

fn say(client: &mut TcpStream, what: &[u8]) -> io::Result<()> {
    client.write_all(what)?;
    hear(client, what)
}

fn hear(client: &mut TcpStream, what: &[u8]) -> io::Result<()> {
    let mut heard = vec![0; what.len()];
    client.read_exact(&mut heard)?;
    assert_eq!(heard, what);
    Ok(())
}

fn hears_nothing(client: &mut TcpStream) {
    client.set_read_timeout(Some(NEVER)).unwrap();
    let heard = client.read(&mut [0]);
    assert!(matches!(&heard, Err(error) if error.kind() == ErrorKind::WouldBlock), "{heard:?}");
    client.set_read_timeout(Some(SOON)).unwrap();
}

/// Whether nothing will ever come.
fn is_cut(client: &mut TcpStream) -> bool {
    match client.read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn all_passes() {
    let proxy = proxy();
    let mut client = connect(&proxy);
    let much: Vec<u8> = (0..1 << 20).map(|byte: u32| byte.to_le_bytes()[1]).collect();
    let mut writes = client.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| writes.write_all(&much).unwrap());
        hear(&mut client, &much).unwrap();
    });
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    assert_eq!((proxy.connections(), proxy.bytes_to_server(), proxy.bytes_to_client()), (1, 1 << 20, 1 << 20));
}

#[test]
fn connections_are_refused() {
    let proxy = proxy();
    let mut before = connect(&proxy);
    say(&mut before, b"before").unwrap();
    proxy.refuse();
    let refused = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    say(&mut before, b"goes on").unwrap();
    proxy.heal().unwrap();
    say(&mut connect(&proxy), b"again").unwrap();
    assert_eq!(proxy.connections(), 2);
}

#[test]
fn connections_are_cut() {
    let proxy = proxy();
    let (mut one, mut other) = (connect(&proxy), connect(&proxy));
    say(&mut one, b"before").unwrap();
    say(&mut other, b"before").unwrap();
    proxy.cut();
    assert!(is_cut(&mut one) && is_cut(&mut other));
    let (mut one, mut other) = (connect(&proxy), connect(&proxy));
    say(&mut other, b"before").unwrap();
    let before = proxy.bytes_to_server();
    proxy.cut_after(10);
    say(&mut one, b"eight...").unwrap();
    assert!(say(&mut one, b"eight...").is_err());
    assert!(is_cut(&mut other));
    assert_eq!(proxy.bytes_to_server() - before, 10);
    say(&mut connect(&proxy), b"more than ten bytes").unwrap();
}

#[test]
fn connections_stall() {
    let proxy = proxy();
    let mut before = connect(&proxy);
    say(&mut before, b"before").unwrap();
    proxy.stall();
    before.write_all(b"held back").unwrap();
    before.shutdown(std::net::Shutdown::Write).unwrap();
    hears_nothing(&mut before);
    let mut meanwhile = connect(&proxy);
    meanwhile.write_all(b"as well").unwrap();
    hears_nothing(&mut meanwhile);
    proxy.heal().unwrap();
    hear(&mut before, b"held back").unwrap();
    assert!(is_cut(&mut before));
    hear(&mut meanwhile, b"as well").unwrap();
    // A stalled connection can be cut, too.
    proxy.stall();
    meanwhile.write_all(b"lost").unwrap();
    proxy.cut();
    assert!(is_cut(&mut meanwhile));
}

#[test]
fn connections_are_slow() {
    let proxy = proxy();
    let mut client = connect(&proxy);
    proxy.delay(Duration::from_millis(150));
    let begin = Instant::now();
    say(&mut client, b"late").unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(300), "{:?}", begin.elapsed());
    // Both directions at once, but for the first tenth of a second's worth.
    proxy.throttle(10_000);
    let begin = Instant::now();
    say(&mut client, &[7; 5_000]).unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(500), "{:?}", begin.elapsed());
    // Whoever waits is told that there is no need to.
    proxy.delay(Duration::from_secs(3600));
    client.write_all(b"soon").unwrap();
    hears_nothing(&mut client);
    proxy.heal().unwrap();
    hear(&mut client, b"soon").unwrap();
}

#[test]
fn nobody_answers_for_a_server_that_is_gone() {
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let proxy = Proxy::start(port).unwrap();
    let mut client = connect(&proxy);
    assert!(is_cut(&mut client));
    let address = ("127.0.0.1", proxy.port());
    drop(proxy);
    assert!(TcpStream::connect(address).is_err());
}
