//! A way to a broker: TCP, and TLS over it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::publish::notifier::transport_url::{Host, Options};
use crate::publish::tls::{self, Files, NoTls};

/// A connection, encrypted or not.
#[derive(Debug)]
pub enum Stream {
    /// Not encrypted.
    Plain(TcpStream),
    /// Encrypted.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Why there is no way to a broker.
#[derive(Debug, thiserror::Error)]
pub enum NoStream {
    /// No TCP.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// TLS failed.
    #[error("TLS failed: {0}")]
    Tls(#[source] io::Error),
    /// A file for TLS cannot be used.
    #[error(transparent)]
    Setup(#[from] NoTls),
    /// A name that TLS cannot use.
    #[error("TLS is not possible: {0}")]
    Impossible(String),
}

// === impl Stream ===

impl Stream {
    /// Connects to a host.
    pub async fn open(host: &Host, options: &Options) -> Result<Self, NoStream> {
        let config = if options.ssl { Some(tls(options)?) } else { None };
        let tcp = TcpStream::connect((host.name.as_str(), host.port)).await.map_err(NoStream::Connect)?;
        // Frames are written as a whole; waiting for more would only delay their confirms.
        tcp.set_nodelay(true).map_err(NoStream::Connect)?;
        let Some(config) = config else { return Ok(Self::Plain(tcp)) };
        let name = ServerName::try_from(host.name.clone()).map_err(|error| NoStream::Impossible(error.to_string()))?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
        let stream = stream.map_err(|error| NoStream::Tls(tls::timeless(error)))?;
        Ok(Self::Tls(Box::new(stream)))
    }
}

/// Whether connections can be encrypted with these options, if they are to be.
pub fn check_encryption(options: &Options) -> Result<(), NoStream> {
    if options.ssl { Ok(tls(options).map(drop)?) } else { Ok(()) }
}

fn tls(options: &Options) -> Result<ClientConfig, NoTls> {
    let files = Files {
        ca: options.ssl_ca_file.as_deref(),
        cert: options.ssl_cert_file.as_deref(),
        key: options.ssl_key_file.as_deref(),
        options: ["ssl_ca_file", "ssl_cert_file", "ssl_key_file"],
    };
    files.config(true)
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
