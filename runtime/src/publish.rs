//! Where samples go: one file or folder for each kind of publisher, and how a sample is written.

pub mod columns;
pub mod counted;
pub mod encode;
pub mod file;
pub mod http;
pub mod id;
pub mod notifier;
pub mod opentelemetry;
pub mod outputs;
pub mod pauses;
pub mod prometheus;
pub mod publisher;
pub mod sample;
pub mod socket;
pub mod table;
pub mod tls;

pub use self::publisher::{Publisher, Publishers};
