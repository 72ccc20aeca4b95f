use std::fs;

use tempfile::TempDir;
use tokio::io::duplex;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::*;

/// A certificate and its key in a folder; the certificate as a client is told to trust it.
fn write(folder: &TempDir) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["metrics.example.org".to_owned()]).unwrap();
    fs::write(folder.path().join("key"), made.signing_key.serialize_pem()).unwrap();
    fs::write(folder.path().join("certificate"), made.cert.pem()).unwrap();
    made.cert.der().clone()
}

fn read(folder: &TempDir) -> Result<Tls, TlsError> {
    Tls::read(&folder.path().join("certificate"), &folder.path().join("key"))
}

/// Whether a client that trusts this certificate alone is content.
async fn convinces(tls: &Tls, trusted: &CertificateDer<'static>) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("metrics.example.org").unwrap();
    let (client, server) = duplex(1 << 16);
    let connector = TlsConnector::from(Arc::new(config));
    let (client, server) = tokio::join!(connector.connect(name, client), tls.acceptor().accept(server));
    assert_eq!(client.is_ok(), server.is_ok());
    client.is_ok()
}

#[tokio::test]
async fn a_changed_certificate_is_shown_as_soon_as_it_can_be_used() {
    let folder = TempDir::new().unwrap();
    let first = write(&folder);
    let tls = read(&folder).unwrap();
    assert!(convinces(&tls, &first).await);

    // One of the two is there before the other.
    let key = fs::read(folder.path().join("key")).unwrap();
    let second = write(&folder);
    let new_key = fs::read(folder.path().join("key")).unwrap();
    fs::write(folder.path().join("key"), key).unwrap();
    assert!(convinces(&tls, &first).await && !convinces(&tls, &second).await);
    fs::write(folder.path().join("key"), new_key).unwrap();
    assert!(convinces(&tls, &second).await && !convinces(&tls, &first).await);
    fs::remove_file(folder.path().join("certificate")).unwrap();
    assert!(convinces(&tls, &second).await);
}

#[test]
fn what_is_wrong_is_named_with_its_file() {
    let folder = TempDir::new().unwrap();
    let said = || read(&folder).map(drop).unwrap_err().to_string().replace(&folder.path().display().to_string(), "DIR");
    assert_eq!(said(), "DIR/certificate cannot be read: No such file or directory (os error 2)");
    write(&folder);
    let key = fs::read(folder.path().join("key")).unwrap();
    fs::write(folder.path().join("key"), "secret nonsense").unwrap();
    assert_eq!(said(), "DIR/key has no private key in PEM that is not encrypted");
    write(&folder);
    fs::write(folder.path().join("key"), &key).unwrap();
    let mismatch = said();
    assert!(mismatch.starts_with("DIR/certificate and DIR/key cannot be used: "), "{mismatch}");
    fs::write(folder.path().join("certificate"), &key).unwrap();
    assert_eq!(said(), "DIR/certificate has no certificate in PEM");
    fs::write(folder.path().join("certificate"), vec![b'x'; (1 << 20) + 1]).unwrap();
    assert_eq!(said(), "DIR/certificate cannot be read: it is larger than 1048576 bytes");
}
