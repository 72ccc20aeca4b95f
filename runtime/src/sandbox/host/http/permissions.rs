//! All that a deployment may do with HTTP.

use std::net::IpAddr;
use std::sync::Arc;

use super::addresses;
use super::grant::{AddressGrant, Grant};
use super::limits::Limits;
use super::rate::Rate;
use super::refused::Refused;
use super::request::Method;
use super::secrets::Secrets;
use super::url::{Host, Url};

/// What one deployment was granted. It may not ask before all of it was said.
#[derive(Debug)]
pub struct Permissions {
    grants: Vec<Grant>,
    addresses: Vec<AddressGrant>,
    pub(super) secrets: Secrets,
    pub(super) limits: Limits,
    pub(super) rate: Arc<Rate>,
}

/// A grant of what cannot be reached without another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{grant}: {address} is not a public address ({kind})")]
pub struct AddressNotGranted {
    /// What was granted.
    pub grant: Box<Grant>,
    /// The address that it names.
    pub address: IpAddr,
    /// What it leads to.
    pub kind: &'static str,
}

// === impl Permissions ===

impl Permissions {
    /// To ask nothing.
    pub fn none() -> Self {
        let (secrets, limits, rate) = (Secrets::default(), Limits::default(), Arc::new(Rate::per_minute(1)));
        Self { grants: Vec::new(), addresses: Vec::new(), secrets, limits, rate }
    }

    /// What was granted. That a URL names an address that is not public does not grant the address.
    pub fn new(
        grants: Vec<Grant>,
        addresses: Vec<AddressGrant>,
        secrets: Secrets,
        limits: Limits,
        rate: Arc<Rate>,
    ) -> Result<Self, AddressNotGranted> {
        let limits = limits.within_ceilings();
        let permissions = Self { grants, addresses, secrets, limits, rate };
        for grant in &permissions.grants {
            if let Host::Address(address) = grant.url().origin().host()
                && let Err(kind) = permissions.vet(*address)
            {
                return Err(AddressNotGranted { grant: Box::new(grant.clone()), address: *address, kind });
            }
        }
        Ok(permissions)
    }

    /// What requests may use.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// How many there may be in a minute.
    pub fn per_minute(&self) -> u32 {
        self.rate.limit()
    }

    /// Whether a request may be made. What was said of secrets in the URL is of no interest here.
    pub(super) fn admit(&self, method: Method, url: &Url, redirected: bool) -> Result<(), Refused> {
        if self.grants.iter().any(|grant| grant.covers(method, url)) {
            return Ok(());
        }
        let shown = |text: String| self.secrets.mask_text(&text);
        Err(Refused::Denied {
            method,
            url: shown(url.without_query()),
            grant: shown(Grant::needed(method, url).to_string()),
            redirected,
        })
    }

    /// Whether an address may be connected to, or else what it leads to.
    pub(super) fn vet(&self, address: IpAddr) -> Result<(), &'static str> {
        if self.addresses.iter().any(|grant| grant.covers(address)) {
            return Ok(());
        }
        match addresses::kind(address) {
            Some(kind) => Err(kind),
            None if addresses::is_this_machine(addresses::canonical(address)) => Err("this machine"),
            None => Ok(()),
        }
    }
}
