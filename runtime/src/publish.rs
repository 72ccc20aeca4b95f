//! Where samples go: one file for each output, and how a sample is written.

pub mod columns;
pub mod encode;
pub mod file;
pub mod id;
pub mod outputs;
pub mod prometheus;
pub mod table;

pub use self::outputs::Outputs;
