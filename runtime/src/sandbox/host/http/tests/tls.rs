//! Who a server has to be.

use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::lab::{Lab, Seen, Server, answer, get, redirect, text};
use crate::sandbox::host::http::Usage;

/// An authority that everybody in a test trusts.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    roots: RootCertStore,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        Self { issuer: Issuer::new(params, key), roots }
    }

    fn acceptor(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

async fn secured(acceptor: TlsAcceptor, location: Option<String>) -> (Server, Arc<Mutex<Vec<Seen>>>) {
    let log: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let seen = Arc::clone(&log);
    let server = Server::raw("127.0.0.1", move |stream| {
        let (acceptor, log, location) = (acceptor.clone(), Arc::clone(&log), location.clone());
        async move {
            // Clients may refuse.
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let name = stream.get_ref().1.server_name().unwrap_or("no name").to_owned();
            let handler = move |_: &Seen| match &location {
                Some(location) => redirect(302, location),
                None => text(&name),
            };
            answer(stream, handler, log).await;
        }
    })
    .await;
    (server, seen)
}

#[tokio::test]
async fn a_server_is_who_its_name_says() {
    let authority = Authority::new("authority");
    let mut lab = Lab::trusting(authority.roots.clone());
    let (server, seen) = secured(authority.acceptor(&["a.example", "127.0.0.1"], |_| ()), None).await;
    let port = server.address.port();
    lab.names.set("a.example", [&["127.0.0.1"]]);
    lab.names.set("b.example", [&["127.0.0.1"]]);
    let url = |host: &str| format!("https://{host}:{port}/");
    lab.grants = ["a.example", "b.example", "127.0.0.1"].map(url).into();
    let mut usage = Usage::default();
    let response =
        lab.client.send(&lab.permissions(), get(&url("a.example")), lab.allowance(), &mut usage).await.unwrap();
    assert_eq!(response.body, b"a.example");
    assert_eq!((usage.requests, usage.handshakes), (1, 1));
    // The certificate is counted, and what encryption adds.
    assert!(usage.bytes_in > 500, "{usage:?}");
    assert_eq!(lab.get(&url("127.0.0.1")).await.unwrap().body, b"no name");
    let said = "b.example cannot be trusted: its certificate is for another name";
    assert_eq!(lab.refused(get(&url("b.example"))).await, ("tls", said.to_owned()));
    assert_eq!(seen.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn certificates_have_to_be_valid() {
    let authority = Authority::new("authority");
    let expired = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    };
    let early = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2999, 1, 1);
        params.not_after = date_time_ymd(3000, 1, 1);
    };
    let stranger = Authority::new("stranger");
    let impostor = Authority::new("authority");
    for (acceptor, problem) in [
        (authority.acceptor(&["a.example"], expired), "its certificate has expired"),
        (authority.acceptor(&["a.example"], early), "its certificate is not valid yet"),
        (authority.acceptor(&["internal.corp.example"], |_| ()), "its certificate is for another name"),
        (stranger.acceptor(&["a.example"], |_| ()), "nobody whom this host trusts vouches for its certificate"),
        (impostor.acceptor(&["a.example"], |_| ()), "nobody whom this host trusts vouches for its certificate"),
    ] {
        let (server, seen) = secured(acceptor, None).await;
        let mut lab = Lab::trusting(authority.roots.clone());
        lab.names.set("a.example", [&["127.0.0.1"]]);
        let url = format!("https://a.example:{}/", server.address.port());
        lab.grants.push(url.clone());
        assert_eq!(lab.refused(get(&url)).await, ("tls", format!("a.example cannot be trusted: {problem}")));
        assert_eq!(seen.lock().unwrap().len(), 0);
    }
}

#[tokio::test]
async fn what_does_not_speak_tls_is_not_trusted() {
    let authority = Authority::new("authority");
    let plain = Server::raw("127.0.0.1", |mut stream| async move {
        use tokio::io::AsyncWriteExt;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    })
    .await;
    let closing = Server::raw("127.0.0.1", |stream| async move { drop(stream) }).await;
    for (server, problem) in [(plain, "it does not speak TLS"), (closing, "the connection ended during the handshake")]
    {
        let mut lab = Lab::trusting(authority.roots.clone());
        lab.names.set("a.example", [&["127.0.0.1"]]);
        let url = format!("https://a.example:{}/", server.address.port());
        lab.grants.push(url.clone());
        assert_eq!(lab.refused(get(&url)).await, ("tls", format!("a.example cannot be trusted: {problem}")));
    }
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_left_at_the_deadline() {
    let silent = Server::raw("127.0.0.1", |mut stream| async move {
        use tokio::io::AsyncReadExt;
        let _ = stream.read_u8().await;
        tokio::time::pause();
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    })
    .await;
    let mut lab = Lab::new();
    lab.names.set("a.example", [&["127.0.0.1"]]);
    let url = format!("https://a.example:{}/", silent.address.port());
    lab.grants.push(url.clone());
    let said = "a.example took too long, shaking hands by TLS: the requests of a call have 5s together; \
        the operator can grant more (`grants.requests.time`)";
    assert_eq!(lab.refused(get(&url)).await, ("timeout", said.to_owned()));
}

#[tokio::test]
async fn redirects_away_from_tls_have_to_be_granted() {
    let authority = Authority::new("authority");
    let plain = Server::http("127.0.0.1", |_| text("plain")).await;
    let to = format!("http://a.example:{}/", plain.address.port());
    let (server, _) = secured(authority.acceptor(&["a.example"], |_| ()), Some(to.clone())).await;
    let mut lab = Lab::trusting(authority.roots.clone());
    lab.names.set("a.example", [&["127.0.0.1"]]);
    let url = format!("https://a.example:{}/", server.address.port());
    lab.grants.push(url.clone());
    assert_eq!(lab.refused(get(&url)).await.0, "denied");
    assert_eq!(plain.requests().len(), 0);
    lab.grants.push(to);
    assert_eq!(lab.get(&url).await.unwrap().body, b"plain");
}
