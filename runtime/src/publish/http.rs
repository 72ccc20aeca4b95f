//! Samples to servers of HTTP: as Ceilometer's publisher `http` posts them, or in any other form.
//!
//! - [`client`]: one connection that is kept, to one server.
//! - [`poster`]: a record in requests, tried again until all of it is taken or known to be refused.
//! - [`sieve`]: which of its samples a server takes.
//! - [`json`]: lists of samples in JSON.

pub mod client;
pub mod json;
pub mod poster;
mod sieve;

pub use self::client::{Answer, Client, Failure};
pub use self::json::Lists;
pub use self::poster::{Form, Poster, Verdict};
