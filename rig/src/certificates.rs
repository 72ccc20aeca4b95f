//! Throwaway certificates.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use tempfile::TempDir;

use crate::Failed;

/// What a server is called by who connects to it.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];
/// The years in which certificates begin and end that are valid, and those of one that expired.
const VALID: [i32; 2] = [2000, 2100];
const EXPIRED: [i32; 2] = [2000, 2001];

/// A certificate authority and what it issued, in files, which go away with this. No other trusts it.
#[derive(Debug)]
pub struct Certificates {
    folder: TempDir,
    server: Identity,
    expired_server: Identity,
    client: Identity,
}

/// A certificate and its key, as files in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// A certificate authority.
type Issuer = CertifiedIssuer<'static, KeyPair>;

// === impl Certificates ===

impl Certificates {
    /// Makes them.
    ///
    /// # Errors
    ///
    /// If files cannot be written.
    pub fn new() -> Result<Self, Failed> {
        let folder = tempfile::Builder::new()
            .prefix("rig-certificates-")
            .tempdir()
            .map_err(Failed::io("certificates cannot be written"))?;
        let path = folder.path();
        let issuer = issuer().map_err(Failed::Certificate)?;
        write(path, "ca.pem", &issuer.pem())?;
        let server = issue(&issuer, path, "server", ExtendedKeyUsagePurpose::ServerAuth, VALID)?;
        let expired_server = issue(&issuer, path, "expired", ExtendedKeyUsagePurpose::ServerAuth, EXPIRED)?;
        let client = issue(&issuer, path, "client", ExtendedKeyUsagePurpose::ClientAuth, VALID)?;
        Ok(Self { folder, server, expired_server, client })
    }

    /// The authority's certificate.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// For a server at `localhost` or `127.0.0.1`.
    #[must_use]
    pub fn server(&self) -> &Identity {
        &self.server
    }

    /// The same, but it expired long ago.
    #[must_use]
    pub fn expired_server(&self) -> &Identity {
        &self.expired_server
    }

    /// For a client.
    #[must_use]
    pub fn client(&self) -> &Identity {
        &self.client
    }
}

fn issuer() -> Result<Issuer, rcgen::Error> {
    let mut params = params("rig's authority", &[], VALID)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Issuer::self_signed(params, KeyPair::generate()?)
}

fn issue(
    issuer: &Issuer,
    folder: &Path,
    name: &str,
    usage: ExtendedKeyUsagePurpose,
    years: [i32; 2],
) -> Result<Identity, Failed> {
    let (certificate, key) = signed(issuer, name, usage, years).map_err(Failed::Certificate)?;
    Ok(Identity {
        certificate: write(folder, &format!("{name}.pem"), &certificate)?,
        key: write(folder, &format!("{name}.key"), &key)?,
    })
}

/// A certificate and its key.
fn signed(
    issuer: &Issuer,
    name: &str,
    usage: ExtendedKeyUsagePurpose,
    years: [i32; 2],
) -> Result<(String, String), rcgen::Error> {
    let mut params = params(name, &NAMES, years)?;
    params.extended_key_usages = vec![usage];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    Ok((params.signed_by(&key, issuer)?.pem(), key.serialize_pem()))
}

fn params(name: &str, names: &[&str], [from, until]: [i32; 2]) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    Ok(params)
}

fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf, Failed> {
    let path = folder.join(name);
    fs::write(&path, text).map_err(Failed::io("a certificate cannot be written"))?;
    Ok(path)
}
