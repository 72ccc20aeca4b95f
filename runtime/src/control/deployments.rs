//! What can be asked and ordered about tenants' modules.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /deployments` | | a list of [`Row`] |
//! | `GET /deployments/TENANT/NAME` | | [`Shown`] |
//! | `GET /deployments/TENANT/NAME/log?after=N&wait=SECONDS` | | [`Log`] |
//! | `POST /deployments/TENANT/NAME/deploy` | [`Deploy`] as one line of JSON, then the module | [`Deployed`] |
//! | `POST /deployments/TENANT/NAME/rollback` | [`RollBack`] | [`Deployed`] |
//! | `POST /deployments/TENANT/NAME/pause`, `resume`, `remove` | | [`Done`] |
//!
//! What is refused is so with another status than 200 and a line that says why. A module that fails when it is tried out
//! is refused with the status 422 and a [`Deployed`] without a version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::time::Time;
use crate::digest::Digest;
use crate::modules::audit::Entry;
use crate::modules::deployment::{Grants, Key, Overrides, RequestLimits};

/// Have a module run for a tenant.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deploy {
    /// What it is told.
    pub config: String,
    /// The meters that are wanted of it; all if there are none.
    pub meters: Vec<String>,
    /// Seconds from slot to slot.
    pub interval: u64,
    /// What it may do; secrets that are texts are in `secrets`.
    pub grants: Grants,
    /// Secrets by the name that the module knows.
    pub secrets: BTreeMap<String, String>,
    /// What a call of it may use, where that differs from what all have.
    pub limits: Overrides,
    /// The file that minisign wrote.
    pub signature: Option<String>,
    /// Only say what would come of it.
    pub dry_run: bool,
    /// Even if the dry run fails.
    pub anyway: bool,
}

/// A version of a deployment runs, or would.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deployed {
    /// Whose it is, and its name.
    #[serde(flatten)]
    pub key: Key,
    /// The module.
    pub digest: Digest,
    /// Whose key signed it.
    pub signed_by: Option<String>,
    /// What came of trying it out; none if it ran before, and was not.
    pub dry_run: Option<DryRun>,
    /// Its number; none if all stays as it was.
    pub version: Option<u64>,
    /// Whether it is, or would be, on trial beside the one before it.
    pub on_trial: bool,
    /// Whether it ran already, just so.
    pub unchanged: bool,
    /// Whether it does not run, because the deployment is paused.
    pub paused: bool,
    /// Whether it does not run just now, because the deployment is in quarantine.
    #[serde(default)]
    pub quarantined: bool,
    /// What is different, or would be, each a sentence without its full stop.
    pub changes: Vec<String>,
    /// What is odd about the order.
    pub doubts: Vec<String>,
}

// === impl Deployed ===

impl Deployed {
    /// What failed when it was tried out, if nothing came of it.
    pub fn failed(&self) -> Option<&str> {
        self.dry_run.as_ref().and_then(DryRun::failed)
    }
}

/// What came of running a module on what was read for it. Nothing of it was kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DryRun {
    /// Whether it is a transformer, which is handed what the operator's pollsters measured for this.
    pub is_transformer: bool,
    /// Samples that it was handed in a slot, if it is one.
    #[serde(default)]
    pub handed: u64,
    /// Slots that it ran in. One that gives nothing in the first and remembers something runs on the same in a second.
    #[serde(default)]
    pub slots: u32,
    /// Guests that it was handed.
    pub guests: u32,
    /// Resources that it was handed: guests and their parts.
    pub resources: u32,
    /// What it gives.
    pub meters: Vec<DryMeter>,
    /// Samples that it gave and that are wanted.
    pub samples: u64,
    /// Fuel that it used in the last slot.
    pub fuel: u64,
    /// Fuel that it may use for as many resources, or samples.
    pub fuel_granted: u64,
    /// Bytes of memory that its instance had.
    pub memory: u64,
    /// How long its calls took.
    pub took_seconds: f64,
    /// What it reads.
    pub reads: Reads,
    /// What came to nothing.
    pub failures: Vec<Failed>,
    /// What it logged.
    pub log: Vec<Line>,
}

// === impl DryRun ===

impl DryRun {
    /// What failed, if nothing came of all that it was handed. Such a module is not deployed, unless that is insisted on.
    pub fn failed(&self) -> Option<&str> {
        self.failures.last().filter(|_| self.samples == 0 && self.resources > 0).map(|failed| &*failed.why)
    }
}

/// A meter in a dry run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DryMeter {
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// gauge, cumulative or delta.
    pub kind: String,
    /// Samples of it.
    pub samples: u64,
    /// One of them: the resource and the value.
    pub example: Option<(String, f64)>,
}

/// What a module reads, and what that costs the host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reads {
    /// Statistics, and the groups that libvirt reads them in.
    pub statistics: Vec<String>,
    /// Those that were read and that none of its guests has.
    #[serde(default)]
    pub absent: Vec<String>,
    /// Groups that libvirt reads for it.
    pub groups: Vec<String>,
    /// Those of them that are read for nobody else.
    pub only_for_it: Vec<String>,
    /// Attributes of resources.
    pub attributes: Vec<String>,
    /// How long the host took to give them for its guests.
    pub took_seconds: f64,
}

/// Calls of a slot that came to nothing for one cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    /// When, if it was in a slot.
    pub at: Option<Time>,
    /// Which version.
    pub version: Option<u64>,
    /// A word of a closed set.
    pub cause: String,
    /// What happened, with what the module wrote to its standard error.
    pub why: String,
    /// Resources that were left out.
    pub resources: u32,
}

// === impl Failed ===

impl Failed {
    /// Counts it with what failed for the same cause in the same slot, if that is among these: where an odd resource was
    /// looked for by halves, each of them failed.
    pub fn joins<'a>(&self, others: impl IntoIterator<Item = &'a mut Self>) -> bool {
        let is_like = |other: &Self| (other.at, other.version, &other.cause) == (self.at, self.version, &self.cause);
        let Some(other) = others.into_iter().find(|other| is_like(other)) else { return false };
        other.resources = other.resources.saturating_add(self.resources);
        true
    }
}

/// A deployment in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Whose it is, and its name.
    #[serde(flatten)]
    pub key: Key,
    /// The version that runs.
    pub version: u64,
    /// Its module.
    pub digest: Digest,
    /// The operator's file that it is written in; otherwise it came through the socket.
    pub file: Option<String>,
    /// What is missing of what it needs to be made ready again, if anything: it goes on as it was, and would not run
    /// after a restart.
    #[serde(default)]
    pub lacks: Option<String>,
    /// Whether what that file says now cannot run, so that it goes on as it was.
    #[serde(default)]
    pub outdated: bool,
    /// Whether something else runs than that file said when it was last followed, as that failed or was left.
    #[serde(default)]
    pub differs: bool,
    /// Seconds from slot to slot.
    pub interval: u64,
    /// What the names of its meters may begin with.
    #[serde(default)]
    pub names: Vec<String>,
    /// Patterns of the meters that it gives or may declare; none where that depends on what it is handed, or it cannot
    /// run.
    #[serde(default)]
    pub gives: Option<Vec<String>>,
    /// How it is.
    pub state: Standing,
    /// The last slot of which something of it landed.
    pub last: Option<Time>,
    /// Samples in that slot.
    pub samples: u64,
    /// Fuel in that slot.
    pub fuel: u64,
    /// Causes of what failed in that slot.
    pub failing: Vec<String>,
}

/// How a deployment is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Standing {
    /// It runs in every slot.
    Running,
    /// It runs, and another version is tried out beside it.
    #[serde(rename = "trying-out")]
    TryingOut {
        /// The version that is tried out.
        version: u64,
    },
    /// It runs, and another version is on trial.
    Trial {
        /// The version on trial.
        version: u64,
        /// In how many slots in a row it did well.
        good: u32,
        /// In how many it has to.
        of: u32,
        /// In how many it failed.
        failed: u32,
    },
    /// It needs more than its tenant's budget has.
    Short {
        /// Whether it leaves out slots until what it reads can be paid for. Otherwise it runs on what others leave.
        waits: bool,
    },
    /// Somebody wants that it does not run.
    Paused {
        /// Since when.
        since: Time,
        /// Who.
        by: String,
    },
    /// It failed too often, and runs again after a pause.
    Quarantined {
        /// Until when.
        until: Time,
        /// What it did.
        cause: String,
    },
    /// It is kept and cannot be run: its module is missing, or is not allowed any more.
    Broken {
        /// Why.
        why: String,
    },
}

/// All about a deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// The same as in the list.
    #[serde(flatten)]
    pub row: Row,
    /// Versions that are kept, oldest first.
    pub versions: Vec<VersionShown>,
    /// Those that can be gone back to, the last one first.
    pub earlier: Vec<u64>,
    /// What it has for sure; none if it cannot run.
    #[serde(default)]
    pub share: Option<Share>,
    /// What it used since the daemon started.
    pub used: Used,
    /// What failed last, newest last.
    pub failures: Vec<Failed>,
    /// What was done with it, newest last.
    pub history: Vec<Entry>,
}

/// A version of a deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionShown {
    /// Its number.
    pub number: u64,
    /// The module.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// When it was deployed.
    pub deployed_at: Time,
    /// Who deployed it, or in which file it is written.
    pub by: String,
    /// Whose key signed it.
    pub signed_by: Option<String>,
    /// What it is told, without what sounds secret.
    pub config: serde_json::Value,
    /// The meters that are wanted of it; all if there are none.
    pub meters: Vec<String>,
    /// Seconds from slot to slot.
    pub interval: u64,
    /// What it may do. Secrets are not shown.
    pub grants: Grants,
    /// What a call of it may use, where that differs from what all have.
    pub limits: Overrides,
    /// What holds of it while it runs; none if it does not.
    #[serde(default)]
    pub in_force: Option<InForce>,
}

/// What a version may use, whether that is said of it or all may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// In a call. All of them are there.
    pub limits: Overrides,
    /// For its requests, if it may make any. All of them are there.
    pub requests: Option<RequestLimits>,
}

/// How much of a core a deployment has for sure, as fuel in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// What it was admitted with.
    pub fuel_per_second: u64,
    /// What all modules of its tenant may have.
    pub of_tenant: u64,
}

// === impl VersionShown ===

impl VersionShown {
    /// With what all may have, where nothing else is said of it.
    #[must_use]
    pub fn with_defaults(&self) -> Self {
        let mut all = self.clone();
        if let Some(InForce { limits, requests }) = self.in_force {
            all.limits = limits;
            all.grants.requests = requests.unwrap_or(all.grants.requests);
        }
        all
    }
}

/// What a deployment used since the daemon started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Used {
    /// Calls.
    pub calls: u64,
    /// Fuel.
    pub fuel: u64,
    /// Fuel that it may use for as many resources as it was handed in the last slot. What it has to look for an odd one,
    /// when it fails, comes on top.
    pub fuel_granted: u64,
    /// Samples that landed.
    pub samples: u64,
    /// The most bytes of memory that one of its instances had.
    pub memory: u64,
    /// How long its calls took.
    pub seconds: f64,
    /// Calls that failed, by cause.
    pub failures: BTreeMap<String, u64>,
    /// Slots that it did not get to because it was still at an earlier one.
    pub skipped: u64,
}

/// What a deployment logged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Log {
    /// What to ask for as `after` next.
    pub next: u64,
    /// Lines that were there and are not any more.
    pub lost: u64,
    /// The lines.
    pub lines: Vec<Line>,
}

/// A line that a module logged, or that is about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Of which slot; none in a dry run.
    pub at: Option<Time>,
    /// Of which version.
    pub version: Option<u64>,
    /// error, warn, info or debug.
    pub level: String,
    /// What it says.
    pub text: String,
}

/// Run a version from before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RollBack {
    /// Which one; the last one that ran if nothing is said.
    pub to: Option<u64>,
    /// Only say what would come of it.
    pub dry_run: bool,
    /// Even if the dry run fails.
    pub anyway: bool,
}

/// What an order did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Whose it is, and its name.
    #[serde(flatten)]
    pub key: Key,
    /// The version that runs now, or is tried out or on trial; or did, if it is removed.
    pub version: u64,
    /// Its module.
    pub digest: Digest,
    /// What is different now, each a sentence without its full stop; none if nothing is.
    pub changes: Vec<String>,
}
