//! Every file that the daemon reads, checked before anything runs.
//!
//! [`Config`] is `wasmeter.yaml` with all defaults filled in; [`Polling`] is Ceilometer's `polling.yaml` as it is,
//! and [`Pipelines`] its `pipeline.yaml`. A file is parsed into a tree that remembers where everything stands, and all
//! of the tree is read, so that one run reports every [`Problem`] with its file, line, key and remedy. A key that nobody
//! knows is an error in our own file and a warning in Ceilometer's.

pub mod ceilometer;
pub mod daemon;
pub mod duration;
pub mod expected;
pub mod in_vain;
pub mod matching;
pub mod pipeline;
pub mod polling;
pub mod problem;
pub mod share;
pub mod size;

#[cfg(test)]
mod cases;
mod file;
mod named;
mod parameters;
mod secret;
mod yaml;

pub use self::daemon::Config;
pub use self::matching::{Glob, MeterFilter};
pub use self::parameters::Parameters;
pub use self::pipeline::Pipelines;
pub use self::polling::{Polling, Source};
pub use self::problem::{Place, Problem, Problems, Severity};
pub use self::secret::{Secret, hide as hide_secrets};
pub use self::size::ByteSize;
pub use self::yaml::spelling::closest;
