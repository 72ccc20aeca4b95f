//! `wasmeter.yaml`: everything about this daemon that is not Ceilometer's.

mod budget;
mod control;
mod deployments;
mod fixture;
mod grants;
mod guests;
pub mod machine;
mod metrics;
mod modules;
mod output;
mod read;
mod sandbox;
mod spool;
mod store;
mod tenants;
mod timing;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

pub use self::budget::Budget;
pub use self::control::Control;
pub(crate) use self::deployments::try_read_deployment;
pub use self::deployments::{DeploymentFile, Deployments, Rival, from_anywhere};
pub use self::fixture::Fixture;
pub use self::guests::{GuestRules, Whose, WithoutNova};
pub use self::metrics::{Listen, Metrics, Password, TlsFiles, User};
pub(crate) use self::modules::is_module_name;
pub use self::modules::{ModuleConfig, ModuleEntry, Transform};
pub use self::output::{
    Advice, BadEndpoint, Broker, Endpoint, FileOutput, Format, FromUrl, HttpOutput, Log, LogFormat, Login, Metadata,
    NotifierOutput, OpenTelemetryOutput, Output, Protocol, Server, SocketOutput, TlsOptions, UrlDefaults,
};
pub use self::sandbox::{CallLimits, Sandbox};
pub use self::spool::{Spool, Sync};
pub use self::store::{Quota, Store};
pub use self::tenants::Tenants;
pub use self::timing::{AutoDuration, Reader, Schedule};

pub(super) use self::machine::host_name;

use super::file;
use super::pipeline::Pipelines;
use super::polling::{self, Polling};
use super::problem::{Place, Problems};

/// The configuration with every default filled in.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Config {
    /// The file that it was read from; `None` for defaults alone.
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// This host's name in samples.
    pub host: String,
    /// The hypervisor whose guests are metered.
    pub hypervisor: HypervisorUri,
    /// The file that [`polling`](Self::polling) was read from, which may be `pipeline.yaml`; `None` for the built-in
    /// one.
    #[serde(skip)]
    pub polling_file: Option<PathBuf>,
    /// What is measured how often.
    pub polling: Polling,
    /// The file that [`pipeline`](Self::pipeline) was read from.
    #[serde(skip)]
    pub pipeline_file: Option<PathBuf>,
    /// What becomes of samples, and who gets them; `None` if all outputs get everything.
    pub pipeline: Option<Pipelines>,
    /// When it is measured.
    pub schedule: Schedule,
    /// How the hypervisor is asked.
    pub reader: Reader,
    /// What modules may use.
    pub sandbox: Sandbox,
    /// What is said about modules, in the file's order.
    pub modules: Vec<ModuleEntry>,
    /// Transformers, in the order in which samples meet them.
    pub transform: Vec<Transform>,
    /// How much of the machine modules of tenants may have.
    pub budget: Budget,
    /// Who the tenants are.
    pub tenants: Tenants,
    /// What the operator deployed for them.
    pub deployments: Deployments,
    /// The folder of the keys that modules are signed with.
    #[serde(serialize_with = "file::show_optional")]
    pub trust: Option<PathBuf>,
    /// Where samples wait until they are delivered.
    pub spool: Spool,
    /// Where deployments outlive the daemon.
    pub store: Store,
    /// Where the daemon can be asked how it is.
    pub control: Control,
    /// Where publishers of pipelines send to that name no broker.
    pub broker: Option<Broker>,
    /// Where samples go.
    pub outputs: Vec<Output>,
    /// Which guests are metered, and whose they are where Nova does not say so.
    pub guests: GuestRules,
    /// Which of a guest's metadata becomes a sample's.
    pub metadata: Metadata,
    /// Where Prometheus finds metrics.
    pub metrics: Metrics,
    /// The daemon's own log.
    pub log: Log,
}

/// Where the hypervisor is. Its password, if it has one, is not shown.
#[derive(Clone)]
pub struct HypervisorUri {
    /// The URI as written.
    pub uri: String,
    /// Where it is written; `None` for the default.
    pub place: Option<Place>,
}

/// Where a daemon of this user is asked, if nothing is said about it.
pub fn default_socket() -> Option<PathBuf> {
    machine::control_socket()
}

/// The longest time between looks at the hypervisor's calls, if left to us.
const LONGEST_WATCHDOG: Duration = Duration::from_secs(10);

/// What a message calls the polling file that is part of the program.
const BUILT_IN_POLLING: &str = "polling.yaml (built in)";

// === impl Config ===

impl Config {
    /// All outputs: those that get everything, and those that are pipelines' publishers.
    pub fn all_outputs(&self) -> impl Iterator<Item = &Output> {
        self.outputs.iter().chain(self.pipeline.iter().flat_map(|pipeline| &pipeline.outputs))
    }

    /// Reads `wasmeter.yaml` and the files of Ceilometer's that it names; without a path, the defaults. What comes beside the
    /// result are warnings; what comes instead of it has errors.
    pub fn load(path: Option<&Path>) -> Result<(Self, Problems), Problems> {
        let mut problems = Problems::of(path);
        let text = path.map_or(Ok(String::new()), file::read).unwrap_or_else(|error| {
            problems.error(None, "", format!("the file {error}"), error.remedy());
            String::new()
        });
        if problems.has_errors() { Err(problems) } else { Self::parse(&text, path) }
    }

    /// Reads the text of `wasmeter.yaml`, whose folder relative paths begin at, and the files of Ceilometer's that
    /// it names.
    pub fn parse(text: &str, path: Option<&Path>) -> Result<(Self, Problems), Problems> {
        let mut problems = Problems::of(path);
        let config = read::config(text, path, &mut problems);
        match config {
            Some(config) if !problems.has_errors() => Ok((config, problems)),
            _ => Err(problems),
        }
    }

    /// How often to look for calls that are stuck: as configured, or half of the shortest interval.
    pub fn watchdog(&self) -> Duration {
        match self.reader.watchdog {
            AutoDuration::Fixed(duration) => duration,
            AutoDuration::Auto => {
                self.polling.shortest_interval().map_or(LONGEST_WATCHDOG, |interval| LONGEST_WATCHDOG.min(interval / 2))
            }
        }
    }

    /// The whole configuration, to be shown: secrets are hidden.
    pub fn effective_json(&self) -> Value {
        // Nothing in here can fail to be JSON: keys are texts and numbers are finite.
        serde_json::to_value(self).unwrap_or_default()
    }
}

// === impl HypervisorUri ===

impl std::fmt::Debug for HypervisorUri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&super::secret::hide_password(&self.uri))
    }
}

impl serde::Serialize for HypervisorUri {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::secret::hide_password(&self.uri))
    }
}

#[cfg(test)]
mod tests;
