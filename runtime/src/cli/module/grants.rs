//! `--grant` and `--secret`: what a module may do, wherever it runs.

mod grant;
mod secret;

use std::collections::BTreeMap;

use self::grant::Grant;
use self::secret::SecretFile;
use super::usage;
use crate::cli::Exit;
use crate::config::Secret;
use crate::modules::deployment::{Grants, SecretSource};

/// What a module may do.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Granting {
    /// What it may do; say it again for each.
    ///
    /// name=acme.                         what the names of its meters may begin with
    /// http=https://host:port/path        what it may request, by GET and HEAD
    /// http='POST https://host:port/path' the same by other methods
    /// address=10.0.0.5                   an address that is not public, and that it may reach
    /// origin=token,https://host:port     where a secret may be sent, if it may request from several places
    /// rate=60                            how many requests it may make in a minute
    /// body=1MiB                          how much of an answer is read
    /// time=5s                            how long all requests of a call may take together
    /// group=block                        statistics that may be read for it
    /// interval=1s                        how often it may run
    /// clock                              the time of day as it is
    /// random                             numbers that nobody can foresee
    #[arg(long = "grant", value_name = "KIND=VALUE", verbatim_doc_comment)]
    grants: Vec<Grant>,
    /// A secret that the host puts into its requests, out of a file; say it again for each.
    // Parsed by us: the parser of command lines would repeat what may be a secret.
    #[arg(long = "secret", value_name = "NAME=@FILE")]
    secrets: Vec<String>,
}

// === impl Granting ===

impl Granting {
    /// What is granted, but for secrets.
    pub fn grants(&self) -> Grants {
        Grant::all(&self.grants)
    }

    /// The texts of secrets by their names.
    pub fn secrets(&self) -> Result<BTreeMap<String, String>, Exit> {
        let mut secrets = BTreeMap::new();
        for text in &self.secrets {
            let secret: SecretFile = text.parse().map_err(|error| usage(format_args!("--secret: {error}")))?;
            if secrets.insert(secret.name.clone(), secret.read().map_err(usage)?).is_some() {
                return Err(usage(format_args!("the secret {} is given twice", secret.name)));
            }
        }
        Ok(secrets)
    }

    /// All that is granted; none if nothing is said of that.
    pub fn all(&self) -> Result<Option<Grants>, Exit> {
        if self.grants.is_empty() && self.secrets.is_empty() {
            return Ok(None);
        }
        let text = |(name, text)| (name, SecretSource::Text(Secret::new(text)));
        Ok(Some(Grants { secrets: self.secrets()?.into_iter().map(text).collect(), ..self.grants() }))
    }
}
