//! The private RabbitMQ at work, and how it is reached over TLS.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use wasmeter_rig::lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use wasmeter_rig::lapin::types::{AMQPValue, FieldTable};
use wasmeter_rig::lapin::{BasicProperties, ExchangeKind};
use wasmeter_rig::{Certificates, Delivery, Failed, Identity, Proxy, Rabbit, Vhost, or_say};

/// For what ends by itself.
const SOON: Duration = Duration::from_secs(60);
/// Where the rig that is killed tells what it has.
const TOLD_IN: &str = "RIG_TOLD_IN";
/// What a client says first, and how the answer to it begins: a method of the connection itself, Start.
const HELLO: &[u8] = b"AMQP\0\0\x09\x01";
const START: [u8; 3] = [1, 0, 0];

fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn durable() -> QueueDeclareOptions {
    QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() }
}

fn persistent() -> BasicProperties {
    BasicProperties::default().with_delivery_mode(2)
}

fn bodies(deliveries: Vec<Delivery>) -> Vec<Vec<u8>> {
    deliveries.into_iter().map(|delivery| delivery.body).collect()
}

#[test]
fn what_is_durable_outlives_rabbitmq() {
    let Some(rabbit) = or_say(Rabbit::options().line("heartbeat = 17").start()) else { return };
    let vhost = rabbit.vhost();
    vhost.declare_queue("durable", durable(), FieldTable::default()).unwrap();
    vhost.declare_queue("transient", QueueDeclareOptions::default(), FieldTable::default()).unwrap();
    for body in [b"a", b"b"] {
        vhost.publish("", "durable", persistent(), body).unwrap();
    }
    vhost.publish("", "durable", BasicProperties::default(), b"c").unwrap();
    let [port, pid] = [i32::from(rabbit.port()), rabbit.pid().unwrap()];
    assert!(matches!(rabbit.start_again(), Err(Failed::Runs)));

    rabbit.kill().unwrap();
    assert_eq!(rabbit.pid(), None);
    assert!(TcpStream::connect(("127.0.0.1", rabbit.port())).is_err());
    assert!(matches!(vhost.queue_length("durable"), Err(Failed::Amqp { .. })));
    assert!(rabbit.ctl(&["status"]).is_err());
    rabbit.start_again().unwrap();
    assert_eq!(i32::from(rabbit.port()), port);
    assert_ne!(rabbit.pid(), Some(pid));
    assert_eq!(vhost.queue_length("durable").unwrap(), 2);
    assert!(vhost.queue_length("transient").is_err());

    rabbit.stop().unwrap();
    rabbit.start_again().unwrap();
    assert_eq!(bodies(vhost.drain("durable").unwrap()), [b"a", b"b"]);
    assert!(rabbit.ctl(&["environment"]).unwrap().contains("{heartbeat,17}"));
}

#[test]
fn messages_come_with_all_that_they_say() {
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    vhost.declare_exchange("exchange", ExchangeKind::Topic, options).unwrap();
    // Another one of that name.
    let otherwise = vhost.declare_exchange("exchange", ExchangeKind::Topic, ExchangeDeclareOptions::default());
    assert!(matches!(otherwise, Err(Failed::Amqp { .. })), "{otherwise:?}");
    let mut limit = FieldTable::default();
    limit.insert("x-max-length".into(), AMQPValue::LongInt(2));
    vhost.declare_queue("queue", durable(), limit).unwrap();
    vhost.bind("queue", "exchange", "a.*").unwrap();

    let mut headers = FieldTable::default();
    headers.insert("retry".into(), AMQPValue::LongInt(-1));
    let properties = persistent().with_content_type("application/json".into()).with_headers(headers);
    for body in ["1", "2", "3"] {
        vhost.publish("exchange", "a.b", properties.clone(), body.as_bytes()).unwrap();
    }
    vhost.publish("exchange", "b.b", properties.clone(), b"4").unwrap();
    assert_eq!((vhost.queue_length("queue").unwrap(), vhost.consumers("queue").unwrap()), (2, 0));
    let expected = |body: &str| Delivery {
        exchange: "exchange".into(),
        routing_key: "a.b".into(),
        redelivered: false,
        properties: properties.clone(),
        body: body.into(),
    };
    assert_eq!(vhost.drain("queue").unwrap(), [expected("2"), expected("3")]);
    assert_eq!(vhost.drain("queue").unwrap(), []);

    let mut full = FieldTable::default();
    full.insert("x-max-length".into(), AMQPValue::LongInt(0));
    full.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    vhost.declare_queue("full", durable(), full).unwrap();
    let rejected = vhost.publish("", "full", properties.clone(), b"5");
    assert!(matches!(rejected, Err(Failed::NotTaken)), "{rejected:?}");

    vhost.delete_exchange("exchange").unwrap();
    assert!(vhost.bind("queue", "exchange", "b").is_err());
    vhost.delete_queue("queue").unwrap();
    assert!(vhost.queue_length("queue").is_err());
}

#[test]
fn tests_share_one_beside_each_other() {
    let (Some(one), Some(other)) = (or_say(Rabbit::shared()), or_say(Rabbit::shared())) else { return };
    assert_eq!(one.rabbit().pid(), other.rabbit().pid());
    assert_ne!(one.name(), other.name());
    one.declare_queue("queue", durable(), FieldTable::default()).unwrap();
    assert!(other.queue_length("queue").is_err());
    // Users and passwords are ours to give.
    let rabbit = one.rabbit();
    rabbit.ctl(&["add_user", "other", "first"]).unwrap();
    rabbit.ctl(&["change_password", "other", "p@ss/word"]).unwrap();
    assert!(rabbit.ctl(&["authenticate_user", "other", "first"]).is_err());
    rabbit.ctl(&["authenticate_user", "other", "p@ss/word"]).unwrap();
    let url = format!("rabbit://other:p%40ss%2Fword@127.0.0.1:{}//", rabbit.port());
    assert_eq!(rabbit.url("other", "p@ss/word", "/"), url);
    assert!(rabbit.ctl(&["list_vhosts"]).unwrap().lines().any(|line| line == one.name()));
}

#[test]
fn alarms_hold_up_who_publishes_and_nothing_is_left() {
    let Some(rabbit) = or_say(Rabbit::start()) else { return };
    let vhost = rabbit.vhost();
    vhost.declare_queue("queue", durable(), FieldTable::default()).unwrap();
    rabbit.memory_alarm(true).unwrap();
    thread::scope(|scope| {
        let publishing = scope.spawn(|| vhost.publish("", "queue", persistent(), b"late"));
        let states = || rabbit.ctl(&["list_connections", "state"]).unwrap();
        soon("a connection is blocked", || states().lines().any(|line| line == "blocked"));
        assert!(!publishing.is_finished());
        assert_eq!(vhost.queue_length("queue").unwrap(), 0);
        rabbit.memory_alarm(false).unwrap();
        publishing.join().unwrap().unwrap();
    });
    assert_eq!(bodies(vhost.drain("queue").unwrap()), [b"late"]);

    let folder = rabbit.folder().to_owned();
    let processes = processes(&rabbit);
    assert!(processes.len() > 2, "{processes:?}");
    drop(rabbit);
    let left: Vec<_> = processes.iter().filter(|process| process.exists()).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!folder.exists());
}

/// RabbitMQ's process, and all in its process namespace, Erlang's port mapper among them.
fn processes(rabbit: &Rabbit) -> BTreeSet<PathBuf> {
    let namespace = |process: &Path| fs::read_link(process.join("ns/pid")).ok();
    let ours = namespace(&Path::new("/proc").join(rabbit.pid().unwrap().to_string()));
    assert!(ours.is_some());
    let all = fs::read_dir("/proc").unwrap().map(|process| process.unwrap().path());
    all.filter(|process| namespace(process) == ours).collect()
}

#[test]
fn tls_is_served() {
    let certificates = Certificates::new().unwrap();
    let Some(rabbit) = or_say(Rabbit::options().tls(&certificates).clients_need_certificates().start()) else {
        return;
    };
    let port = rabbit.tls_port().unwrap();
    let trusted = certificates.authority();
    assert!(rabbit.vhost().url_at(port).ends_with(&format!(":{port}//")));
    greet(&mut over_tls(port, &trusted, Some(certificates.client()))).unwrap();
    // It hangs up once the handshake is done, so one must listen rather than talk.
    let without = over_tls(port, &trusted, None).read(&mut [0]).unwrap_err();
    assert!(matches!(tls_error(&without), rustls::Error::AlertReceived(_)), "{without}");

    let others = Certificates::new().unwrap();
    let untrusted = greet(&mut over_tls(port, &others.authority(), Some(certificates.client()))).unwrap_err();
    let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
    let bad_signature = rustls::Error::InvalidCertificate(CertificateError::BadSignature);
    assert!([unknown, bad_signature].contains(tls_error(&untrusted)), "{untrusted}");

    rabbit.show_certificate(certificates.expired_server()).unwrap();
    let expired = greet(&mut over_tls(port, &trusted, Some(certificates.client()))).unwrap_err();
    let error = tls_error(&expired);
    assert!(matches!(error, rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { .. })), "{error:?}");
    rabbit.show_certificate(certificates.server()).unwrap();
    greet(&mut over_tls(port, &trusted, Some(certificates.client()))).unwrap();
}

/// A connection over TLS, whose handshake happens with what is first read or written.
fn over_tls(port: u16, trusted: &Path, client: Option<&Identity>) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusted).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = match client {
        None => builder.with_no_client_auth(),
        Some(Identity { certificate, key }) => {
            let certificate = CertificateDer::from_pem_file(certificate).unwrap();
            builder.with_client_auth_cert(vec![certificate], PrivateKeyDer::from_pem_file(key).unwrap()).unwrap()
        }
    };
    let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    StreamOwned::new(connection, socket)
}

/// Greets RabbitMQ, and reads the beginning of its answer.
fn greet(server: &mut (impl Read + Write)) -> std::io::Result<()> {
    server.write_all(HELLO)?;
    let mut answer = [0; START.len()];
    server.read_exact(&mut answer)?;
    assert_eq!(answer, START);
    Ok(())
}

fn tls_error(error: &std::io::Error) -> &rustls::Error {
    error.get_ref().unwrap_or_else(|| panic!("{error}")).downcast_ref().unwrap_or_else(|| panic!("{error}"))
}

#[test]
fn rabbitmq_is_reached_through_a_proxy() {
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    let proxy = Proxy::start(vhost.rabbit().port()).unwrap();
    let connect = || {
        let socket = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        socket
    };
    greet(&mut connect()).unwrap();
    assert_eq!((proxy.connections(), proxy.bytes_to_server()), (1, 8));
    // In the middle of what the client says.
    proxy.cut_after(5);
    assert!(greet(&mut connect()).is_err());
    assert_eq!((proxy.connections(), proxy.bytes_to_server()), (2, 13));
    greet(&mut connect()).unwrap();
    assert_eq!(vhost.url_at(proxy.port()).replace(&proxy.port().to_string(), "1"), url_at_1(&vhost));
}

fn url_at_1(vhost: &Vhost<'_>) -> String {
    format!("rabbit://guest:guest@127.0.0.1:1/{}", vhost.name())
}

#[test]
fn what_cannot_run_says_so() {
    let told_in = tempfile::NamedTempFile::new().unwrap();
    let mut test = Command::new(env::current_exe().unwrap());
    test.args(["--exact", "tests_share_one_beside_each_other"])
        .env("PATH", "/nowhere")
        .env("TMPDIR", "/nowhere")
        .env("WASMETER_CANNOT_RUN", told_in.path())
        .env_remove("WASMETER_MUST_RUN")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    assert!(test.status().unwrap().success());
    let told = fs::read_to_string(told_in.path()).unwrap();
    assert_eq!(told.lines().count(), 2, "{told}");
    assert!(told.starts_with("CANNOT RUN: tests_share_one_beside_each_other: there is no "), "{told}");
    assert!(!test.env("WASMETER_MUST_RUN", "1").status().unwrap().success());
}

#[test]
fn nothing_is_left_of_a_killed_test() {
    let told_in = tempfile::NamedTempFile::new().unwrap();
    let mut test = Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "is_killed"])
        .env(TOLD_IN, told_in.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let told = || fs::read_to_string(told_in.path()).unwrap();
    let mut ended = false;
    soon("the other test", || {
        ended = test.try_wait().unwrap().is_some();
        ended || told().ends_with("\n\n")
    });
    if ended {
        // It said why.
        return;
    }
    test.kill().unwrap();
    test.wait().unwrap();
    let told = told();
    for left in told.lines().filter(|line| !line.is_empty()) {
        soon(left, || !Path::new(left).exists());
    }
}

#[test]
#[ignore = "it waits for nothing_is_left_of_a_killed_test to kill it"]
fn is_killed() {
    let Some(told_in) = env::var_os(TOLD_IN) else { return };
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    let rabbit = vhost.rabbit();
    let all = processes(rabbit).into_iter().chain([rabbit.folder().to_owned()]);
    let told: String = all.map(|path| format!("{}\n", path.display())).collect();
    fs::write(told_in, told + "\n").unwrap();
    thread::sleep(Duration::from_secs(3600));
}
