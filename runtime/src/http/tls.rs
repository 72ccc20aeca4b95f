//! The certificate that a listener shows. Both files are looked at whenever somebody connects, and read again when they
//! changed: certificates are renewed by others, who do not tell.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use crate::files;

/// The largest file of a certificate or key. A chain has a few certificates of some KiB each.
const LARGEST: u64 = 1 << 20;

/// A certificate and its key, as they are in their files.
#[derive(Debug)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    now: Mutex<Now>,
}

/// What was read last.
struct Now {
    stamps: Option<[Stamp; 2]>,
    acceptor: TlsAcceptor,
    /// Whether it was said that what is there now cannot be used.
    failing: bool,
}

/// A file's number, size and times of change. One that is written anew has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Why a certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is no certificate in the file.
    #[error("{} has no certificate in PEM", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// There is no key in the file.
    #[error("{} has no private key in PEM that is not encrypted", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// They do not go together, or are of a kind that is not supported.
    #[error("{} and {} cannot be used: {error}", certificate.display(), key.display())]
    Unusable {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why.
        error: rustls::Error,
    },
}

// === impl Tls ===

impl Tls {
    /// Reads both files.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        // Before the files are read: what changes meanwhile is read again.
        let stamps = stamps(certificate, key);
        let now = Now { stamps, acceptor: acceptor(certificate, key)?, failing: false };
        Ok(Self { certificate: certificate.to_owned(), key: key.to_owned(), now: Mutex::new(now) })
    }

    /// Shakes hands with what the files hold now, or held last, as long as that cannot be used.
    pub fn acceptor(&self) -> TlsAcceptor {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = stamps(&self.certificate, &self.key);
        if stamps.is_none() || stamps != now.stamps {
            match acceptor(&self.certificate, &self.key) {
                Ok(acceptor) => {
                    *now = Now { stamps, acceptor, failing: false };
                    tracing::info!(certificate = %self.certificate.display(), "A changed certificate is in use.");
                }
                // One of the two may just be there before the other.
                Err(error) if !std::mem::replace(&mut now.failing, true) => {
                    tracing::warn!(%error, "The certificate is not changed; {}.", error.remedy());
                }
                Err(_) => {}
            }
        }
        now.acceptor.clone()
    }
}

impl std::fmt::Debug for Now {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Now").field("stamps", &self.stamps).field("failing", &self.failing).finish_non_exhaustive()
    }
}

// === impl TlsError ===

impl TlsError {
    /// What the operator can do, as the end of a sentence.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unreadable { error, .. } if error.kind() == io::ErrorKind::PermissionDenied => {
                "let the user that wasmeter runs as read it"
            }
            Self::Unreadable { .. } => "name a file that can be read",
            Self::NoCertificate { .. } => "name a file with the certificate, and behind it those that vouch for it",
            Self::NoKey { .. } => "name a file with the key of the certificate, without a passphrase",
            Self::Unusable { .. } => "name a certificate and the key that belongs to it",
        }
    }
}

fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        |error| TlsError::Unreadable { path, error }
    };
    let text = files::read(certificate, LARGEST).map_err(unreadable(certificate))?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, pem::Error>>()
        .map_err(|_| TlsError::NoCertificate { path: certificate.to_owned() })?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: certificate.to_owned() });
    }
    let text = files::read(key, LARGEST).map_err(unreadable(key))?;
    // What is wrong with it in detail may be a part of it.
    let secret = PrivateKeyDer::from_pem_slice(&text).map_err(|_| TlsError::NoKey { path: key.to_owned() })?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret));
    let unusable = |error| TlsError::Unusable { certificate: certificate.to_owned(), key: key.to_owned(), error };
    Ok(TlsAcceptor::from(Arc::new(config.map_err(unusable)?)))
}

fn stamps(certificate: &Path, key: &Path) -> Option<[Stamp; 2]> {
    let stamp = |path: &Path| {
        let file = std::fs::metadata(path).ok()?;
        let (modified, changed) = ((file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec()));
        Some(Stamp { inode: file.ino(), size: file.size(), modified, changed })
    };
    Some([stamp(certificate)?, stamp(key)?])
}

#[cfg(test)]
mod tests;
