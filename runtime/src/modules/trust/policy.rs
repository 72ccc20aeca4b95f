//! Which tenants' modules have to be signed, and by whom.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Refused, Trust, Verified};

/// Which tenants' modules have to be signed, and by whom.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// For tenants that have a rule of their own.
    pub tenants: BTreeMap<String, Rule>,
    /// For all others.
    pub others: Rule,
}

/// What holds for a tenant's modules.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// Whether they have to be signed.
    pub signatures: Signatures,
    /// The names of the keys that may sign them; any that is trusted if none are named.
    pub keys: Option<Vec<Arc<str>>>,
}

/// Whether modules have to be signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signatures {
    /// They have to be.
    Required,
    /// They need not be; a signature that there is has to be right all the same.
    #[default]
    Optional,
}

// === impl Policy ===

impl Policy {
    /// What holds for a tenant.
    pub fn of(&self, tenant: &str) -> &Rule {
        self.tenants.get(tenant).unwrap_or(&self.others)
    }

    /// Whether a tenant's module may be deployed, and who signed it. This is to be asked whenever a module is about
    /// to be loaded, so that a key that was taken away takes its modules along.
    pub fn check(
        &self,
        trust: &Trust,
        tenant: &str,
        file: &[u8],
        signature: Option<&[u8]>,
    ) -> Result<Option<Verified>, Refused> {
        let Some(signature) = self.signature(tenant, signature)? else { return Ok(None) };
        let verified = trust.verify(file, signature)?;
        self.may_sign(tenant, &verified.key_name)?;
        Ok(Some(verified))
    }

    /// The same of a file that is not at hand, and was found to be what was signed when it was.
    pub fn check_again(&self, trust: &Trust, tenant: &str, signature: Option<&[u8]>) -> Result<(), Refused> {
        match self.signature(tenant, signature)? {
            Some(signature) => self.may_sign(tenant, trust.signer(signature)?),
            None => Ok(()),
        }
    }

    /// The signature that there is, unless there has to be one.
    fn signature<'a>(&self, tenant: &str, signature: Option<&'a [u8]>) -> Result<Option<&'a [u8]>, Refused> {
        let Rule { signatures, keys } = self.of(tenant);
        match (signature, signatures) {
            (None, Signatures::Required) => Err(Refused::Unsigned { tenant: tenant.to_owned(), keys: keys.clone() }),
            (signature, _) => Ok(signature),
        }
    }

    fn may_sign(&self, tenant: &str, key_name: &Arc<str>) -> Result<(), Refused> {
        match &self.of(tenant).keys {
            Some(keys) if !keys.contains(key_name) => Err(Refused::NotTheirKey {
                tenant: tenant.to_owned(),
                key_name: Arc::clone(key_name),
                keys: keys.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Keys that are named here and that there are none of, each with where it is named.
    pub fn missing<'a>(&'a self, trust: &'a Trust) -> impl Iterator<Item = (String, &'a Arc<str>)> {
        let rules = self.tenants.iter().map(|(tenant, rule)| (format!("tenants.{tenant}.keys"), rule));
        let rules = rules.chain([("others.keys".to_owned(), &self.others)]);
        let named = rules.flat_map(|(key, rule)| rule.keys.iter().flatten().map(move |name| (key.clone(), name)));
        named.filter(|(_, name)| !trust.has(name))
    }
}
