//! One version of a deployment: a module, what it is told, and what it may do.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::daemon::CallLimits;
use crate::config::{ByteSize, Secret};
use crate::digest::Digest;

/// One version of a deployment. It never changes.
///
/// What it is told and the secrets in its grants are neither shown nor serialized; the store keeps them on its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// Its number, from 1. The deployment gives it.
    #[serde(default)]
    pub number: u64,
    /// The module.
    pub digest: Digest,
    /// The module's size in bytes.
    pub size: u64,
    /// What the module is told.
    #[serde(with = "hidden")]
    pub config: Secret,
    /// The meters that are wanted of it; all if there are none.
    pub meters: Vec<String>,
    /// Seconds from slot to slot.
    pub interval: u64,
    /// What it may do.
    pub grants: Grants,
    /// What a call of it may use, where that differs from what all have.
    pub limits: Overrides,
    /// Who vouches for the module.
    pub signature: Option<Signature>,
    /// When it was deployed, in nanoseconds since 1970.
    pub deployed_at: i64,
    /// Who deployed it.
    pub by: String,
    /// The operator's file that it is written in; none if it came through the control socket.
    pub file: Option<String>,
}

/// What a module may do, as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grants {
    /// Prefixes of the meters that it may give.
    pub names: Vec<String>,
    /// What it may request: methods and the beginnings of URLs.
    pub http: Vec<String>,
    /// Addresses that it may reach although they are nobody's business: private, loopback, link-local.
    pub addresses: Vec<String>,
    /// Secrets that the host puts into its requests, by the name that the module knows.
    pub secrets: BTreeMap<String, SecretSource>,
    /// To whom each secret may be sent. One that is not here goes to the only origin of what may be requested.
    pub secret_origins: BTreeMap<String, Vec<String>>,
    /// What its requests may take, where that differs from what all have.
    pub requests: RequestLimits,
    /// Whether it sees the time of day as it is.
    pub clock: bool,
    /// Whether it is given numbers that nobody can foresee.
    pub random: bool,
    /// Groups of statistics that may be read for it.
    pub groups: Vec<String>,
    /// The shortest interval in seconds that it may have; `None` is what all may.
    pub shortest_interval: Option<u64>,
}

/// What requests may take, where that differs from what all have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RequestLimits {
    /// Bytes of the longest body of an answer.
    pub body: Option<u64>,
    /// Milliseconds that all requests of a call may take together.
    pub time: Option<u64>,
    /// Requests in a minute.
    pub per_minute: Option<u32>,
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretSource {
    /// In a file, which is read when it is needed.
    File(String),
    /// Here.
    Text(#[serde(with = "hidden")] Secret),
}

/// What a call may use, where that differs from what all have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Overrides {
    /// Fuel that every call has.
    pub fuel_base: Option<u64>,
    /// Fuel for each resource handed over, on top.
    pub fuel_per_resource: Option<u64>,
    /// Bytes of all memories of an instance together.
    pub memory: Option<u64>,
    /// Milliseconds on the wall's clock.
    pub deadline: Option<u64>,
}

/// A signature that was found good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The key that made it.
    pub key: String,
    /// The signature's file as it is.
    pub text: String,
}

// === impl Version ===

impl Version {
    /// Whether it is the same but for its number, and for who deployed it when and where.
    pub fn is_like(&self, other: &Self) -> bool {
        let Self { number, deployed_at, by, file, .. } = self.clone();
        let same = Self { number, deployed_at, by, file, ..other.clone() };
        *self == same
    }
}

// === impl Overrides ===

impl Overrides {
    /// These limits but for those that are overridden.
    pub fn over(&self, limits: CallLimits) -> CallLimits {
        CallLimits {
            fuel_base: self.fuel_base.unwrap_or(limits.fuel_base),
            fuel_per_resource: self.fuel_per_resource.unwrap_or(limits.fuel_per_resource),
            memory: self.memory.map_or(limits.memory, ByteSize::new),
            deadline: self.deadline.map_or(limits.deadline, Duration::from_millis),
        }
    }
}

/// What stands in the place of a text that is not shown.
const HIDDEN: &str = "***";

/// A secret leaves the program through the store alone.
mod hidden {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::config::Secret;

    pub fn serialize<S: Serializer>(_: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(super::HIDDEN)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}
