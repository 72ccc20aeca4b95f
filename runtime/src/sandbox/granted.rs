//! What one module may do that others may not.

use std::sync::Arc;

use super::admission::Manifest;
use super::failure::{Cause, Failure};
use super::host::http::{Client, Permissions};
use crate::contract::PACKAGE;

/// What one module may do that others may not.
#[derive(Debug, Default)]
pub struct Granted {
    /// What it may request, if anything.
    pub http: Option<Access>,
    /// Whether clocks of WASI show it the time as it is. Others see that of the slot.
    pub clock: bool,
    /// Whether it is given numbers that nobody can foresee. Others get the same in the same slot.
    pub random: bool,
    /// What the names of its meters begin with; whatever is nobody's for one of the operator's.
    pub names: Option<Arc<[String]>>,
}

/// A way to servers.
#[derive(Debug)]
pub struct Access {
    /// Who asks for all modules.
    pub client: Arc<Client>,
    /// What it may ask for this one.
    pub permissions: Permissions,
}

// === impl Granted ===

impl Granted {
    /// Nothing, for whoever tries a module out that nobody deployed: a request is refused when it is made, and not
    /// before.
    pub fn to_try_out(client: Arc<Client>) -> Self {
        Self { http: Some(Access { client, permissions: Permissions::none() }), ..Self::default() }
    }

    /// Whether all that a module imports was granted.
    pub(super) fn cover(&self, manifest: &Manifest) -> Result<(), Failure> {
        if self.http.is_some() || !manifest.asks() {
            return Ok(());
        }
        let detail =
            format!("it imports {PACKAGE}/http, which deployments can be granted and modules under `modules` cannot");
        Err(Failure::new(Cause::NotGranted, detail))
    }
}
