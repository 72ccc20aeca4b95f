//! A way to a broker: TCP, and TLS over it.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::publish::notifier::transport_url::{Host, Options};

/// A connection, encrypted or not.
#[derive(Debug)]
pub enum Stream {
    /// Not encrypted.
    Plain(TcpStream),
    /// Encrypted.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Why there is no way to a broker. Certificates are read for each connection, so that a renewed one is used.
#[derive(Debug, thiserror::Error)]
pub enum NoStream {
    /// No TCP.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// TLS failed.
    #[error("TLS failed: {0}")]
    Tls(#[source] io::Error),
    /// A file for TLS cannot be used.
    #[error("option {option}, file {file}: {problem}")]
    File {
        /// The option that names it.
        option: &'static str,
        /// The file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// Options or names that TLS cannot use.
    #[error("TLS is not possible: {0}")]
    Impossible(String),
}

// === impl Stream ===

impl Stream {
    /// Connects to a host.
    pub async fn open(host: &Host, options: &Options) -> Result<Self, NoStream> {
        let tls = if options.ssl { Some(tls(options)?) } else { None };
        let tcp = TcpStream::connect((host.name.as_str(), host.port)).await.map_err(NoStream::Connect)?;
        // Frames are written as a whole; waiting for more would only delay their confirms.
        tcp.set_nodelay(true).map_err(NoStream::Connect)?;
        let Some(tls) = tls else { return Ok(Self::Plain(tcp)) };
        let name = ServerName::try_from(host.name.clone()).map_err(|error| NoStream::Impossible(error.to_string()))?;
        let stream = TlsConnector::from(Arc::new(tls)).connect(name, tcp).await.map_err(timeless)?;
        Ok(Self::Tls(Box::new(stream)))
    }
}

/// Whether connections can be encrypted with these options, if they are to be.
pub fn check_encryption(options: &Options) -> Result<(), NoStream> {
    if options.ssl { tls(options).map(drop) } else { Ok(()) }
}

/// A failure of TLS without the time that it is now, which would make each try another failure.
fn timeless(error: io::Error) -> NoStream {
    use tokio_rustls::rustls::{CertificateError, Error};
    let known = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let less = match known {
        Some(Error::InvalidCertificate(CertificateError::ExpiredContext { .. })) => CertificateError::Expired,
        Some(Error::InvalidCertificate(CertificateError::NotValidYetContext { .. })) => CertificateError::NotValidYet,
        _ => return NoStream::Tls(error),
    };
    NoStream::Tls(io::Error::new(error.kind(), Error::InvalidCertificate(less)))
}

fn tls(options: &Options) -> Result<ClientConfig, NoStream> {
    let mut roots = RootCertStore::empty();
    match &options.ssl_ca_file {
        Some(file) => {
            for certificate in certificates("ssl_ca_file", file)? {
                roots.add(certificate).map_err(|error| bad_file("ssl_ca_file", file, error))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| NoStream::Impossible(error.to_string()))?
        .with_root_certificates(roots);
    let Some(file) = &options.ssl_cert_file else { return Ok(builder.with_no_client_auth()) };
    let chain = certificates("ssl_cert_file", file)?;
    // A file may hold both.
    let key_file = options.ssl_key_file.as_ref().unwrap_or(file);
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| bad_file("ssl_key_file", key_file, error))?;
    builder.with_client_auth_cert(chain, key).map_err(|error| bad_file("ssl_cert_file", file, error))
}

fn certificates(option: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, NoStream> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(certificates) if certificates.is_empty() => Err(bad_file(option, file, "there is no certificate in it")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(bad_file(option, file, error)),
    }
}

fn bad_file(option: &'static str, file: &Path, problem: impl std::fmt::Display) -> NoStream {
    NoStream::File { option, file: file.display().to_string(), problem: problem.to_string() }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
