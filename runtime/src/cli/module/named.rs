//! Which deployment is meant.

use crate::cli::ask::Daemon;
use crate::cli::{Exit, print};
use crate::modules::deployment::{Key, Name, Tenant};

/// Which deployment, and whose daemon has it.
#[derive(Debug, Clone, clap::Args)]
pub struct Named {
    /// The deployment: TENANT/NAME, or NAME with --tenant.
    #[arg(value_name = "TENANT/NAME")]
    deployment: String,
    /// Whose it is, if that is not said before the name.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<Tenant>,
    #[command(flatten)]
    pub daemon: Daemon,
}

// === impl Named ===

impl Named {
    /// What it goes by.
    pub fn key(&self) -> Result<Key, Exit> {
        key(&self.deployment, self.tenant.as_ref()).map_err(|why| {
            print::error(why);
            Exit::Usage
        })
    }

    /// Where the daemon is asked about it; `what` is behind that.
    pub fn path(&self, what: &str) -> Result<String, Exit> {
        Ok(path(&self.key()?, what))
    }
}

/// Where the daemon is asked about a deployment. Neither a tenant nor a name has letters that mean something there.
pub fn path(key: &Key, what: &str) -> String {
    format!("/deployments/{key}{what}")
}

fn key(text: &str, tenant: Option<&Tenant>) -> Result<Key, String> {
    let name = |text: &str| text.parse::<Name>().map_err(|error| error.to_string());
    match (text.split_once('/'), tenant) {
        (Some((tenant, rest)), None) => Ok(Key::new(tenant.parse().map_err(|error| format!("{error}"))?, name(rest)?)),
        (None, Some(tenant)) => Ok(Key::new(tenant.clone(), name(text)?)),
        (Some(_), Some(_)) => Err("the tenant is named twice: write TENANT/NAME, or NAME --tenant TENANT".to_owned()),
        (None, None) => Err(format!("{text:?} says no tenant: write TENANT/NAME, or add --tenant TENANT")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_is_named_in_either_way() {
        let acme: Tenant = "acme".parse().unwrap();
        let expected = Key::new(acme.clone(), "probe".parse().unwrap());
        assert_eq!(key("acme/probe", None), Ok(expected.clone()));
        assert_eq!(key("probe", Some(&acme)), Ok(expected));
        for (text, tenant, why) in [
            ("probe", None, "\"probe\" says no tenant"),
            ("acme/probe", Some(&acme), "named twice"),
            ("operator/probe", None, "\"operator\" is no tenant"),
            ("../probe", None, "\"..\" is no tenant"),
            ("acme/pro/be", None, "\"pro/be\" is no name"),
            ("acme/", None, "\"\" is no name"),
            ("Probe", Some(&acme), "\"Probe\" is no name"),
        ] {
            let said = key(text, tenant).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
