//! The real Ceilometer, with a broker of its own, for comparisons and benchmarks.
//!
//! [`Broker`] is a private RabbitMQ, [`Ceilometer`] the compute agent of an environment of Python's that
//! `cargo xtask setup` makes. What the agent sends is read out of the broker's queue. [`Processes`] says what it costs.
//!
//! The program beside this library compares the agent's samples with wasmeter's: `cargo xtask peer-test`.

mod broker;
mod ceilometer;
mod failed;
mod processes;

pub use broker::Broker;
pub use ceilometer::{Ceilometer, Cycle, Options};
pub use failed::Failed;
pub use processes::{Processes, Used};
