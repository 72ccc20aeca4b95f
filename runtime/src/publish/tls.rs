//! Encrypted connections of outputs. Certificates are read for each connection, so that a renewed one is used.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{self, CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

/// The files that say who the other side has to be, and who we are.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    /// Whose certificates are believed; the system's authorities if there is none.
    pub ca: Option<&'a Path>,
    /// Our certificate.
    pub cert: Option<&'a Path>,
    /// Its key; in the same file if there is none.
    pub key: Option<&'a Path>,
    /// What the options are called that name these.
    pub options: [&'static str; 3],
}

/// Why a connection cannot be encrypted as it is to be.
#[derive(Debug, thiserror::Error)]
pub enum NoTls {
    /// A file cannot be used.
    #[error("option {option}, file {file}: {problem}")]
    File {
        /// The option that names it.
        option: &'static str,
        /// The file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// The library refuses.
    #[error("TLS is not possible: {0}")]
    Impossible(String),
}

/// Takes whoever is there for the server.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

// === impl Files ===

impl Files<'_> {
    /// How connections are encrypted with these. Without `verify`, nobody looks who is at the other end.
    pub fn config(&self, verify: bool) -> Result<ClientConfig, NoTls> {
        let [ca, cert, key] = self.options;
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| NoTls::Impossible(error.to_string()))?;
        let builder = if verify {
            builder.with_root_certificates(self.roots(ca)?)
        } else {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        };
        let Some(file) = self.cert else { return Ok(builder.with_no_client_auth()) };
        let chain = certificates(cert, file)?;
        // A file may hold both.
        let key_file = self.key.unwrap_or(file);
        let secret = PrivateKeyDer::from_pem_file(key_file).map_err(|error| bad_file(key, key_file, error))?;
        builder.with_client_auth_cert(chain, secret).map_err(|error| bad_file(cert, file, error))
    }

    fn roots(&self, option: &'static str) -> Result<RootCertStore, NoTls> {
        let mut roots = RootCertStore::empty();
        match self.ca {
            Some(file) => {
                for certificate in certificates(option, file)? {
                    roots.add(certificate).map_err(|error| bad_file(option, file, error))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        Ok(roots)
    }
}

/// A failure of TLS without the time that it is now, which would make each try another failure.
pub fn timeless(error: io::Error) -> io::Error {
    let known = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let less = match known {
        Some(Error::InvalidCertificate(CertificateError::ExpiredContext { .. })) => CertificateError::Expired,
        Some(Error::InvalidCertificate(CertificateError::NotValidYetContext { .. })) => CertificateError::NotValidYet,
        _ => return error,
    };
    io::Error::new(error.kind(), Error::InvalidCertificate(less))
}

fn certificates(option: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, NoTls> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(certificates) if certificates.is_empty() => Err(bad_file(option, file, "there is no certificate in it")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(bad_file(option, file, error)),
    }
}

fn bad_file(option: &'static str, file: &Path, problem: impl std::fmt::Display) -> NoTls {
    NoTls::File { option, file: file.display().to_string(), problem: problem.to_string() }
}

// === impl Anybody ===

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
