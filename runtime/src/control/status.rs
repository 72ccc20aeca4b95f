//! What the daemon says of itself: to `wasmeter status`, to the log, and to Prometheus.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::time::Time;

/// Everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Of this version.
    pub version: String,
    /// This host's name in samples.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// When this was said.
    pub at: Time,
    /// When it was started.
    pub started: Time,
    /// Where the hypervisor is, without a password.
    pub hypervisor: String,
    /// What is wrong now, in sentences, the worst first.
    pub troubles: Vec<String>,
    /// What is measured how often.
    pub tasks: Vec<Task>,
    /// The last cycle in which the host was read; none if there was none yet.
    pub last: Option<LastCycle>,
    /// What runs, by name.
    pub modules: Vec<Module>,
    /// How much of a core tenants' modules may have, if there are any.
    pub budgets: Option<Budgets>,
    /// Where samples go.
    pub publishers: Vec<Publisher>,
    /// Samples that still waited for outputs when they were taken out of the configuration, by output.
    pub former: BTreeMap<String, u64>,
    /// Where they wait.
    pub spool: Spool,
    /// What happened since the start.
    pub counters: Counters,
}

/// All sources of one interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The interval.
    pub interval_seconds: u64,
    /// When it is measured next.
    pub next: Time,
    /// Slots that were left out since the start.
    pub skipped: u64,
}

/// One cycle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastCycle {
    /// When it was.
    pub at: Time,
    /// What all of it took.
    pub took_seconds: f64,
    /// What reading the host took.
    pub read_seconds: f64,
    /// Guests that there were.
    pub guests: u64,
    /// Guests that gave only what does not need their process, by their UUIDs.
    pub stuck: Vec<String>,
    /// Guests that are nobody's, and are not metered for that.
    pub nobodys: u64,
    /// Guests of which it could not be read what they are.
    pub undefined: u64,
    /// Why statistics are missing, if they are.
    pub missing: Option<String>,
    /// Samples that it gave.
    pub samples: u64,
}

/// A module in a tenant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Module {
    /// Its name.
    pub name: String,
    /// Whose samples it makes.
    pub tenant: String,
    /// Samples that it gave in the last slot.
    pub samples: u64,
    /// What went wrong in the last slot, once for each cause.
    pub failing: Vec<String>,
    /// Fuel that it was granted for its last slot.
    pub fuel_granted: u64,
    /// Fuel that it used of that.
    pub fuel_used: u64,
    /// Fuel that it used since the start.
    pub fuel_used_in_all: u64,
    /// The price of what was read for it since the start, as fuel.
    pub reads_in_all: u64,
    /// Samples that it gave since the start.
    pub samples_in_all: u64,
    /// How long its calls took since the start, without waiting for others.
    pub seconds_in_all: f64,
    /// The most memory that it had, in bytes.
    pub memory_peak: u64,
    /// Calls since the start.
    pub calls: u64,
    /// Calls that came to nothing since the start, by cause; parts of a call that was tried again by halves count.
    pub failures: BTreeMap<String, u64>,
    /// Resources that were left out with them in the end.
    pub resources_lost: u64,
    /// What is said of a tenant's deployment.
    pub deployment: Option<Deployment>,
}

/// What runs of a tenant's deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// The version that is current.
    pub version: u64,
    /// The version that is on trial.
    pub trial: Option<u64>,
    /// The version that is tried out before its trial.
    #[serde(default)]
    pub tried_out: Option<u64>,
    /// Why it does not run now, if so.
    pub pause: Option<Pause>,
    /// The fuel that it was admitted with, in a second.
    pub fuel_per_second: u64,
}

/// Why a deployment does not run now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pause {
    /// Until when, if it ends by itself.
    pub until: Option<Time>,
    /// The cause of its last failure, or that somebody wants so.
    pub why: String,
}

/// How much of a core tenants' modules may have, as fuel in a second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Budgets {
    /// All of them together.
    pub node: Share,
    /// Each tenant that has modules, or a budget of its own.
    pub tenants: BTreeMap<String, Share>,
}

/// A share of a core, as fuel in a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// What there is.
    pub limit: u64,
    /// What modules were admitted with.
    pub admitted: u64,
    /// What one more module can have.
    pub free: u64,
    /// Fuel that is saved up for what modules need beyond that.
    pub saved: u64,
}

/// A publisher, and what became of its samples since it was configured first:
/// `measured + replayed = delivered + spooled + lost`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Publisher {
    /// Its name.
    pub name: String,
    /// Its URL without what may be secret, if it is one of pipelines.
    pub url: Option<String>,
    /// Why it cannot deliver, if it cannot.
    pub trouble: Option<String>,
    /// Samples that were measured.
    pub measured: u64,
    /// Samples that were handed in to be delivered again.
    pub replayed: u64,
    /// Samples that it delivered.
    pub delivered: u64,
    /// Samples that wait.
    pub spooled: u64,
    /// Samples that will not be delivered.
    pub lost: u64,
    /// The same by cause.
    pub lost_by_cause: BTreeMap<String, u64>,
    /// Whether the equation holds.
    pub balances: bool,
    /// Since when the oldest of what is spooled waits.
    pub oldest: Option<Time>,
    /// The number of the first record that it has not delivered.
    pub position: u64,
}

/// The spool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spool {
    /// Its folder.
    pub path: String,
    /// When the disk was last heard of: long ago, if it hangs.
    pub seen: Time,
    /// Bytes in use.
    pub bytes: u64,
    /// Bytes that it may use.
    pub max_bytes: u64,
    /// How old samples may get.
    pub max_age_seconds: f64,
    /// Records that are there. They stay until the last record of their segment is delivered everywhere.
    pub records: u64,
    /// The time of the oldest of them.
    pub oldest: Option<Time>,
    /// Why the last slot could not be kept, if it could not.
    pub failing: Option<String>,
}

/// What happened since the start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// Cycles in which the host was read.
    pub cycles: u64,
    /// Samples that were measured.
    pub samples: u64,
    /// Slots that were left out, by interval in seconds.
    pub skipped_slots: BTreeMap<u64, u64>,
    /// Cycles in which the host could not be read.
    pub failed_reads: u64,
    /// Cycles that were given up on the way.
    pub given_up: u64,
    /// Calls of modules that came to nothing after every retry, by module and cause.
    pub failures: BTreeMap<String, BTreeMap<String, u64>>,
    /// Resources that were left out with them, by module.
    pub resources_lost: BTreeMap<String, u64>,
    /// Samples that modules held back and that are forgotten with what they remembered, by module.
    pub forgotten: BTreeMap<String, u64>,
}

/// What was lost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Losses {
    /// When this was said.
    pub at: Time,
    /// Everybody's books.
    pub publishers: Vec<Publisher>,
    /// Samples that were measured and will not be delivered, since each publisher was configured first. Of outputs that
    /// are not served any more: what they had still to deliver.
    pub lost: Vec<Loss>,
    /// Since when what could not be measured is counted.
    pub started: Time,
    /// What could not be measured, since the start.
    pub unmeasured: Counters,
}

/// Samples that are lost for one reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// Who did not get them.
    pub publisher: String,
    /// Why.
    pub cause: String,
    /// The module that gave them.
    pub module: String,
    /// Whose module that is.
    pub tenant: String,
    /// The meter.
    pub meter: String,
    /// How many they are.
    pub samples: u64,
}

// === impl Status ===

impl Status {
    /// The shortest interval at which there are cycles, in seconds, if there is any.
    pub fn shortest_interval(&self) -> Option<u64> {
        self.tasks.iter().map(|task| task.interval_seconds).min()
    }
}
