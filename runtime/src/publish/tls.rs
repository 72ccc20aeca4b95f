//! Encrypted connections of outputs. Certificates are read for each connection, so that a renewed one is used.

use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{self, CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

/// The files that say who the other side has to be, and who we are.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    /// Whose certificates are believed, a file or a folder of files; the system's authorities if there is none.
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

/// How rustls says that a certificate is of version 1.
const VERSION_1: &str = "UnsupportedCertVersion";
/// What stands in a file whose key has a passphrase.
const LOCKED: &str = "ENCRYPTED";

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
        let secret = private_key(if self.key.is_some() { key } else { cert }, key_file)?;
        builder.with_client_auth_cert(chain, secret).map_err(|error| match error.to_string() {
            problem if problem.contains(VERSION_1) => {
                bad_file(cert, file, "its certificate is of X.509 version 1: have one of version 3 issued")
            }
            problem => bad_file(cert, file, problem),
        })
    }

    fn roots(&self, option: &'static str) -> Result<RootCertStore, NoTls> {
        let mut roots = RootCertStore::empty();
        match self.ca {
            Some(folder) if folder.is_dir() => {
                let found = certificates_in(folder).map_err(|error| bad_file(option, folder, error))?;
                let (believed, _) = roots.add_parsable_certificates(found);
                if believed == 0 {
                    return Err(bad_file(option, folder, "there is no certificate in any file of this folder"));
                }
            }
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

/// What certificates there are in the files of a folder, whatever else is in it.
fn certificates_in(folder: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() {
            found.extend(CertificateDer::pem_file_iter(path).into_iter().flatten().map_while(Result::ok));
        }
    }
    Ok(found)
}

fn private_key(option: &'static str, file: &Path) -> Result<PrivateKeyDer<'static>, NoTls> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| match error {
        _ if fs::read_to_string(file).is_ok_and(|text| text.contains(LOCKED)) => {
            let problem = "its key has a passphrase, for which nobody can be asked: keep it in a file without one";
            bad_file(option, file, problem)
        }
        pem::Error::NoItemsFound => bad_file(option, file, "there is no private key in it"),
        error => bad_file(option, file, error),
    })
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

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// As `openssl x509 -req` makes them: without extensions, and therefore of version 1.
    const OLD_CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBFjCBvQIUIm0teQkemkBPTGotnTHxfGiUfb8wCgYIKoZIzj0EAwIwDTELMAkG
A1UEAwwCdjEwIBcNMjYxMTIyMDExODU2WhgPMjEyNjEwMjkwMTE4NTZaMA0xCzAJ
BgNVBAMMAnYxMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEhLIFD7B8oDOXTE7t
XXgQisdJ31tnDzRaU6v8bpbJERqILblHO1rp85R+7oxuIeKFAw+xRziwOixNJ1ko
5e96CTAKBggqhkjOPQQDAgNIADBFAiBe+EkDfaRS4diQ/WciTDJL4pO7dN7uoXsK
8HxRzbF9agIhAIySt1R28JWC0y0dWfM/77mjVdpW1V2S3LgZvQXgWBvV
-----END CERTIFICATE-----
";
    const KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQggpS0m/23bMuCgfJQ
aNE2d+DIQ0283WY3SFSGdzKNDNuhRANCAASEsgUPsHygM5dMTu1deBCKx0nfW2cP
NFpTq/xulskRGogtuUc7WunzlH7ujG4h4oUDD7FHOLA6LE0nWSjl73oJ
-----END PRIVATE KEY-----
";

    /// A folder with these files, and why connections cannot be encrypted with them.
    fn problem(files: &[(&str, &str)], [ca, cert, key]: [Option<&str>; 3]) -> Option<String> {
        let folder = TempDir::new().unwrap();
        files.iter().for_each(|(name, text)| fs::write(folder.path().join(name), text).unwrap());
        let [ca, cert, key] = [ca, cert, key].map(|name| name.map(|name| folder.path().join(name)));
        let options = ["verify_ssl", "clientcert", "clientkey"];
        let files = Files { ca: ca.as_deref(), cert: cert.as_deref(), key: key.as_deref(), options };
        let problem = files.config(true).err()?.to_string();
        Some(problem.replace(&format!("{}/", folder.path().display()), ""))
    }

    fn certificate() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["metrics.example.org".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn certificates_that_cannot_be_used_are_said_in_words_that_help() {
        let (certificate, key) = certificate();
        let locked = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let files =
            [("c", certificate.as_str()), ("k", &key), ("locked", &locked), ("v1", OLD_CERTIFICATE), ("k1", KEY)];
        let identity = |cert, key| problem(&files, [None, Some(cert), key]);
        assert_eq!(identity("c", Some("k")), None);
        let old = "its certificate is of X.509 version 1: have one of version 3 issued";
        let locked = "its key has a passphrase, for which nobody can be asked: keep it in a file without one";
        for (cert, key, option, file, problem) in [
            ("v1", "k1", "clientcert", "v1", old),
            ("c", "locked", "clientkey", "locked", locked),
            ("c", "c", "clientkey", "c", "there is no private key in it"),
        ] {
            assert_eq!(identity(cert, Some(key)).unwrap(), format!("option {option}, file {file}: {problem}"));
        }
        assert_eq!(identity("c", None).unwrap(), "option clientcert, file c: there is no private key in it");
    }

    #[test]
    fn authorities_may_stand_in_a_folder() {
        let (certificate, key) = certificate();
        let files = [("a.pem", certificate.as_str()), ("key", &key), ("README", "nothing")];
        assert_eq!(problem(&files, [Some("."), None, None]), None);
        let nobody = "option verify_ssl, file .: there is no certificate in any file of this folder";
        assert_eq!(problem(&files[1..], [Some("."), None, None]).unwrap(), nobody);
        assert!(problem(&files, [Some("none"), None, None]).unwrap().contains("verify_ssl"));
    }
}
