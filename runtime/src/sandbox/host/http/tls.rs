//! Who a server has to be: whoever the name in the URL belongs to, as those say whom this machine trusts.

use std::io;
use std::sync::Arc;

use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error, RootCertStore};

/// Why TLS is not possible at all.
#[derive(Debug, thiserror::Error)]
pub enum NoTls {
    /// Nobody is trusted.
    #[error("this machine has no certificates of authorities; install them (the package ca-certificates)")]
    NoRoots,
    /// The library refuses.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] Error),
}

/// Trusts whom this machine trusts.
pub fn system() -> Result<Arc<ClientConfig>, NoTls> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(NoTls::NoRoots);
    }
    trusting(roots)
}

/// Trusts these.
pub fn trusting(roots: RootCertStore) -> Result<Arc<ClientConfig>, NoTls> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A server could tell by a resumed session that two tenants are on one host.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// What was wrong with a handshake. What the server said of itself is left out.
pub(super) fn problem(error: &io::Error) -> &'static str {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return "the connection ended during the handshake";
    };
    match error {
        Error::InvalidCertificate(error) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name"
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "nobody whom this host trusts vouches for its certificate"
            }
            CertificateError::Revoked => "its certificate was revoked",
            _ => "its certificate cannot be used",
        },
        Error::InvalidMessage(_) => "it does not speak TLS",
        Error::AlertReceived(_) => "it ended the handshake",
        Error::PeerIncompatible(_) => "it speaks no version of TLS that is safe",
        _ => "the handshake failed",
    }
}
