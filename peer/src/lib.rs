//! The real Ceilometer, for comparisons and benchmarks.
//!
//! [`Ceilometer`] is the compute agent of an environment of Python's that `cargo xtask setup` makes. What it sends is
//! read out of a queue of the rig's RabbitMQ. [`Notification`] is the agent that reads what compute agents send, and
//! writes it into a file. [`Processes`] says what they cost.
//!
//! The program beside this library compares the agent's samples with wasmeter's: `cargo xtask peer-test`.

mod agent;
mod ceilometer;
mod failed;
mod notification;
mod processes;
mod python;
mod signatures;

pub use ceilometer::{Ceilometer, Cycle, Options, QUEUE, SECRET};
pub use failed::Failed;
pub use notification::{Notification, NotificationOptions};
pub use processes::{Processes, Used};
pub use python::python;
pub use signatures::rejected;
